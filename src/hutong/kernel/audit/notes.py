"""Signed notes and checkpoints as C2SP writes them (c2sp.org/signed-note, tlog-checkpoint, tlog-proof), Ed25519. Pure.

A checkpoint is a note of three lines: the log's origin, its size, its root in base64. Keys are in the form that notes
are used with elsewhere: NAME+ID+BASE64 for the public one, PRIVATE+KEY+NAME+ID+BASE64 for the secret one.
"""

from __future__ import annotations

import base64
import re
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hutong.kernel.audit.merkle import HASH_BYTES
from hutong.kernel.errors import HutongError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_ED25519: Final = b"\x01"
_ID_BYTES: Final = 4
_KEY_BYTES: Final = 32
_PRIVATE: Final = "PRIVATE+KEY+"
_DASH: Final = "\N{EM DASH} "
_NAME: Final = re.compile(r"[^\s+]+")
_NOTE: Final = re.compile(rf"(?:[^\n]+\n)+\n(?:{_DASH}[^\n]+\n)+")
_NOTES: Final = re.compile(_NOTE.pattern.encode())
_CHECKPOINT: Final = re.compile(r"([^\n]+)\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/]{43}=)\n(?:[^\n]+\n)*")
_PROOF: Final = re.compile(
    r"c2sp\.org/tlog-proof@v1\n(?:extra ([A-Za-z0-9+/=]*)\n)?index (0|[1-9][0-9]{0,18})\n"
    rf"((?:[A-Za-z0-9+/]{{43}}=\n)*)\n({_NOTE.pattern})"
)


class NoteError(HutongError):
    """A key, a note, a checkpoint or a proof is not what it should be."""


class UnknownKeyError(NoteError):
    """No key that is known here signed the note."""


class PublicKey(msgspec.Struct, frozen=True):
    """A key that notes are verified with: its name, and 32 bytes."""

    name: str
    key: bytes

    @property
    def id(self) -> bytes:
        """The first bytes of a hash over name and key; a hint, no proof."""
        return sha256(f"{self.name}\n".encode() + _ED25519 + self.key).digest()[:_ID_BYTES]

    @property
    def label(self) -> str:
        """Its name and id: what tells it from others."""
        return f"{self.name}+{self.id.hex()}"

    def __str__(self) -> str:
        """As it is handed on: NAME+ID+BASE64."""
        return f"{self.label}+{_text(_ED25519 + self.key)}"


def read_public_key(text: str) -> PublicKey:
    """A key in the form NAME+ID+BASE64.

    Raises:
        NoteError: it is none.
    """
    name, _, rest = text.strip().partition("+")
    identity, _, encoded = rest.partition("+")
    data = _bytes(encoded)
    if _NAME.fullmatch(name) and data is not None and len(data) == 1 + _KEY_BYTES and data[:1] == _ED25519:
        key = PublicKey(name, data[1:])
        if key.id.hex() == identity:
            return key
    raise NoteError(
        "This is no public key of a log.", where=text.strip()[:80], fix="`hutong audit key` prints it on one line."
    )


class Signer:
    """A key that signs notes.

    Args:
        name: has no spaces and no plus. secret: 32 bytes.
    """

    def __init__(self, name: str, secret: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(secret)
        self._secret = secret
        self.public = PublicKey(name, self._key.public_key().public_bytes_raw())

    def sign(self, text: str) -> str:
        """The note of a text that ends in a newline."""
        signature = self.public.id + self._key.sign(text.encode())
        return f"{text}\n{_DASH}{self.public.name} {_text(signature)}\n"

    def private_text(self) -> str:
        """As it is kept: PRIVATE+KEY+NAME+ID+BASE64."""
        return f"{_PRIVATE}{self.public.label}+{_text(_ED25519 + self._secret)}"


def read_signer(text: str) -> Signer:
    """A secret key in the form PRIVATE+KEY+NAME+ID+BASE64.

    Raises:
        NoteError: it is none; the message does not repeat it.
    """
    name, _, rest = text.strip().removeprefix(_PRIVATE).partition("+")
    identity, _, encoded = rest.partition("+")
    data = _bytes(encoded)
    if text.startswith(_PRIVATE) and _NAME.fullmatch(name) and data is not None and len(data) == 1 + _KEY_BYTES:
        signer = Signer(name, data[1:])
        if data[:1] == _ED25519 and signer.public.id.hex() == identity:
            return signer
    raise NoteError("This is no key that signs checkpoints.", fix="Restore it from a backup.")


def open_note(note: str, keys: Iterable[PublicKey]) -> str:
    """The text of a note that a known key signed.

    Raises:
        UnknownKeyError: no known key signed it.
        NoteError: it is no note, or a known key's signature does not fit the text.
    """
    known = {(key.name, key.id): key for key in keys}
    text, blank, signatures = note.rpartition("\n\n")
    text += "\n"
    if not blank or not signatures.endswith("\n"):
        raise NoteError("This is no signed note.")
    verified = False
    for line in signatures.splitlines():
        name, _, encoded = line.removeprefix(_DASH).partition(" ")
        signature = _bytes(encoded)
        if not line.startswith(_DASH) or not _NAME.fullmatch(name) or signature is None:
            raise NoteError("This is no signed note: a signature's line has another form.")
        key = known.get((name, signature[:_ID_BYTES]))
        if key is None:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(key.key).verify(signature[_ID_BYTES:], text.encode())
        except InvalidSignature:
            raise NoteError(f"The signature of {name} does not fit the note.") from None
        verified = True
    if not verified:
        raise UnknownKeyError("No key that is known here signed this note.")
    return text


def notes_in(content: bytes) -> list[str]:
    """The notes of a file in which they stand one after the other; what is no note is passed over."""
    return [found[0].decode("utf-8", "replace") for found in _NOTES.finditer(content)]


def whole_notes_end(content: bytes) -> int:
    """Where the last whole note of such a file ends; what stands behind it was cut off while it was written."""
    return max((found.end() for found in _NOTES.finditer(content)), default=0)


class Checkpoint(msgspec.Struct, frozen=True):
    """What a log says of itself: it had this root at this size.

    Attributes:
        origin: which log. size: its entries. root: 32 bytes.
    """

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The text of its note."""
        return f"{self.origin}\n{self.size}\n{_text(self.root)}\n"


def read_checkpoint(text: str) -> Checkpoint:
    """The checkpoint that a note's text is; further lines mean nothing here.

    Raises:
        NoteError: it is none.
    """
    found = _CHECKPOINT.fullmatch(text)
    root = None if found is None else _bytes(found[3])
    if found is None or root is None:
        raise NoteError("This note is no checkpoint.")
    return Checkpoint(found[1], int(found[2]), root)


class Proof(msgspec.Struct, frozen=True):
    """That an entry is in a log: all that is needed to verify it without the log.

    Attributes:
        entry: its bytes. index: its place from 0. path: hashes from the leaf upwards. note: the signed checkpoint.
    """

    entry: bytes
    index: int
    path: Sequence[bytes]
    note: str

    def text(self) -> str:
        """As c2sp.org/tlog-proof writes it; the entry is the extra data."""
        hashes = "".join(f"{_text(it)}\n" for it in self.path)
        return f"c2sp.org/tlog-proof@v1\nextra {_text(self.entry)}\nindex {self.index}\n{hashes}\n{self.note}"


def read_proof(text: str) -> Proof:
    """A proof in that form.

    Raises:
        NoteError: it is none, or holds no entry.
    """
    found = _PROOF.fullmatch(text)
    entry = _bytes(found[1]) if found is not None and found[1] else None
    hashes = [] if found is None else [_bytes(line) or b"" for line in found[3].split()]
    if found is None or entry is None or any(len(it) != HASH_BYTES for it in hashes):
        raise NoteError(
            "This is no proof with an entry.", fix="`hutong audit prove` writes one: c2sp.org/tlog-proof@v1."
        )
    return Proof(entry, int(found[2]), hashes, found[4])


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes | None:
    """What a base64 text stands for, if it is the one way to write that (RFC 4648 §3.5)."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return data if _text(data) == text else None
