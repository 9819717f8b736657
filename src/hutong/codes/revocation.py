"""Which bundles are revoked: an incremental, signed list that forgets what cannot matter any more. Pure.

An entry is a bundle's random handle and the last expiry of its codes: nothing of a person, and nothing that follows
from a signature, which can be changed without a key (ECDSA). Versions rise with every entry; a verifier asks for what
is new since its own. Its document is the signed head (`Head`), with the hash of the entries behind it:

    2 bytes: length of the head · head: COSE_Sign1 · entries: 12 bytes each, handle (8), last expiry (4, s since 1970)

An entry is dropped an hour after the last expiry. Dropping never brings a code back: whoever dropped an entry at a time
T, or took a list that was made at T, judges by no clock that is behind T (`floor_ms`; `verification` says clock-wrong).
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import numpy as np

from hutong.codes.signed import SignedError, body_of, read_message, write_signed
from hutong.protocols import cose

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from hutong.codes.keys import KeySet, SigningKey

LIST: Final = "application/hutong-revocations+cbor"
#: For how long after its codes' last expiry an entry is kept; more than clocks may differ.
KEPT_MS: Final = 3_600_000
_ROW: Final = np.dtype([("handle", ">u8"), ("until", ">u4")])
_LENGTH_BYTES: Final = 2


class Revoked(msgspec.Struct, frozen=True):
    """An entry: its version, the bundle's handle (8 bytes), when its last code expires (ms since 1970)."""

    version: int
    handle: bytes
    until_ms: int


class Head(msgspec.Struct, frozen=True):
    """What is signed of a list: whose, from which version to which, when, how many entries, their SHA-256."""

    iss: str
    since: Annotated[int, msgspec.Meta(ge=0)]
    version: Annotated[int, msgspec.Meta(ge=0)]
    iat: Annotated[int, msgspec.Meta(ge=0)]
    count: Annotated[int, msgspec.Meta(ge=0)]
    hash: bytes


class News(msgspec.Struct, frozen=True):
    """A part of the list that a trusted key signed: its head, and the rows behind it."""

    head: Head
    rows: npt.NDArray[np.void]


def write_news(
    issuer: str, since: int, version: int, entries: Iterable[Revoked], key: SigningKey, now_ms: int
) -> bytes:
    """The entries after version `since` up to `version`, signed.

    Args:
        version: of the last entry that the document speaks for, be it dropped already.
    """
    listed = [(int.from_bytes(it.handle), -(-it.until_ms // 1000)) for it in entries]
    rows = np.array(listed, _ROW).tobytes()
    head = write_signed(LIST, Head(issuer, since, version, now_ms // 1000, len(listed), sha256(rows).digest()), key)
    return len(head).to_bytes(_LENGTH_BYTES) + head + rows


def read_news(data: bytes, trusted: Iterable[KeySet]) -> News:
    """A document of `write_news`.

    Raises:
        SignedError: it is none, it was changed, or no key of its issuer signed it.
    """
    length = int.from_bytes(data[:_LENGTH_BYTES])
    message = read_message(LIST, data[_LENGTH_BYTES : _LENGTH_BYTES + length])
    head = body_of(LIST, message, Head)
    kid, made_ms = message.kid or b"", head.iat * 1000
    keys = (it.key(kid) for it in trusted if it.issuer == head.iss)
    key = next((it for it in keys if it is not None), None)
    fix = "Fetch the key set, and then the list again."
    if key is None or not key.not_before_ms <= made_ms <= key.not_after_ms:
        raise SignedError("It was signed with a key that is not known here.", where=LIST, fix=fix)
    if message.algorithm != key.number or not key.verify(
        cose.to_be_signed(message.protected, message.payload), message.signature
    ):
        raise SignedError("Its issuer did not sign it.", where=LIST, fix=fix)
    rows = data[_LENGTH_BYTES + length :]
    if len(rows) != head.count * _ROW.itemsize or sha256(rows).digest() != head.hash:
        raise SignedError("Its entries are not those that were signed.", where=LIST, fix="Fetch it again.")
    return News(head, np.frombuffer(rows, _ROW))


class Revocations(msgspec.Struct, frozen=True):
    """The list as a verifier keeps it: a value; `applied` and `purged` give the next one.

    Attributes:
        issuer: whose. version: up to where it is known. made_ms: when the newest part was signed.
        floor_ms: no clock that shows less may be judged by.
        handles: sorted, as numbers. untils: last expiries, s since 1970.
    """

    issuer: str
    version: int
    made_ms: int
    floor_ms: int
    handles: npt.NDArray[np.uint64]
    untils: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """How many entries."""
        return len(self.handles)

    def __contains__(self, handle: bytes) -> bool:
        """Whether a bundle is revoked."""
        wanted = np.uint64(int.from_bytes(handle))
        at = int(np.searchsorted(self.handles, wanted))
        return at < len(self.handles) and bool(self.handles[at] == wanted)

    def applied(self, news: News) -> Revocations:
        """With what is new; what cannot matter any more at the time of signing is gone.

        Raises:
            SignedError: it is of another issuer, leaves versions out, or is older than what is known.
        """
        head = news.head
        if head.iss != self.issuer:
            raise SignedError(f"It is {head.iss}'s list, not {self.issuer}'s.", where=LIST)
        if head.since > self.version or head.version < head.since:
            fix = f"Ask for what is new since version {self.version}."
            raise SignedError("It leaves versions out.", where=LIST, fix=fix)
        if head.version < self.version or head.iat * 1000 < self.made_ms:
            raise SignedError("It is older than the list that is kept.", where=LIST, fix="Fetch it again.")
        handles, untils = news.rows["handle"].astype(np.uint64), news.rows["until"].astype(np.int64)
        made_ms = head.iat * 1000
        merged = _sorted(np.concatenate([self.handles, handles]), np.concatenate([self.untils, untils]))
        # By the time that its issuer signed, which is none of this verifier's clock.
        return _dropped(Revocations(self.issuer, head.version, made_ms, max(self.floor_ms, made_ms), *merged), made_ms)

    def purged(self, now_ms: int) -> Revocations:
        """Without what cannot matter any more at `now_ms`; from then on no earlier clock is judged by."""
        return _dropped(msgspec.structs.replace(self, floor_ms=max(self.floor_ms, now_ms)), now_ms)


def no_revocations(issuer: str) -> Revocations:
    """The list of an issuer before anything was fetched; also what to begin with after a clock's error."""
    return Revocations(issuer, 0, 0, 0, np.empty(0, np.uint64), np.empty(0, np.int64))


def _dropped(it: Revocations, now_ms: int) -> Revocations:
    kept = it.untils * 1000 + KEPT_MS > now_ms
    return it if kept.all() else msgspec.structs.replace(it, handles=it.handles[kept], untils=it.untils[kept])


def _sorted(
    handles: npt.NDArray[np.uint64], untils: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """In order, each handle once with its latest expiry."""
    order = np.lexsort((untils, handles))
    handles, untils = handles[order], untils[order]
    last = np.ones(len(handles), np.bool_)
    last[:-1] = handles[1:] != handles[:-1]
    return handles[last], untils[last]
