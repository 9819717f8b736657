"""Codes made ahead: a bundle of short-lived codes of one person, signed from one template of bytes. Pure.

All codes of a bundle are the same bytes but for three places (expiry, beginning, id) and the signature. So a code costs
its signature and little more, and a bundle travels as the template once and 72 bytes for each code; whoever shows a
code puts it together (`Bundle.message`). Places and lengths are part of the bundle: who reads one needs no CBOR.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from hutong.codes.claims import ID_BYTES, LAST_SECOND, PREFIX, Claims, Kind, told_claims
from hutong.codes.keys import SIGNATURE_BYTES
from hutong.kernel.errors import HutongError
from hutong.protocols import base45, cose, cwt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.codes.keys import SigningKey

ENTRY_BYTES: Final = ID_BYTES + SIGNATURE_BYTES
MOST_CODES: Final = 5_000
_SECOND: Final = struct.Struct(">I")
#: How a claim that varies begins in the bytes: its number, and the head of its value (RFC 8949 §3).
_EXP, _NBF, _CTI = bytes((cwt.EXP, 0x1A)), bytes((cwt.NBF, 0x1A)), bytes((cwt.CTI, 0x40 + ID_BYTES))
_SIGNATURE_HEAD: Final = b"\x58\x40"


class MintError(HutongError):
    """Codes that cannot be made as asked."""


class Pace(msgspec.Struct, frozen=True):
    """How codes of a bundle follow each other.

    Attributes:
        step_s: for how long one is shown. early_s, late_s: for how long before and after that it is accepted, for
            clocks that differ.
        count: how many there are.
    """

    step_s: int
    early_s: int
    late_s: int
    count: int

    @property
    def span_ms(self) -> int:
        """From the beginning of the first slot to the expiry of the last code."""
        return (self.step_s * self.count + self.late_s) * 1000


class Places(msgspec.Struct, frozen=True):
    """Where in a message the varying bytes stand: expiry and beginning (4 bytes each), id (8 bytes)."""

    exp: int
    nbf: int
    id: int


class Bundle(msgspec.Struct, frozen=True):
    """The codes of one person for some hours; as JSON (bytes in base64) it is what a phone keeps.

    Attributes:
        kind: whose. handle: what all are revoked by. kid: the key that signed them.
        template: a COSE_Sign1 message up to where its signature stands, with zeros in its `places`.
        first_s: when the first code's slot begins, s since 1970. pace: the slots.
        entries: for each code its id and its signature, 72 bytes.
    """

    kind: Kind
    handle: bytes
    kid: bytes
    template: bytes
    places: Places
    first_s: int
    pace: Pace
    entries: bytes

    def __len__(self) -> int:
        """How many codes."""
        return len(self.entries) // ENTRY_BYTES

    @property
    def expires_ms(self) -> int:
        """When the last code expires."""
        return self.first_s * 1000 + self.pace.span_ms

    def at(self, now_ms: int) -> int | None:
        """The number of the code to show; None before the first slot and after the last."""
        slot = (now_ms // 1000 - self.first_s) // self.pace.step_s
        return slot if 0 <= slot < len(self) else None

    def message(self, number: int) -> bytes:
        """One code's COSE_Sign1 message.

        Raises:
            IndexError: there is no such code.
        """
        if not 0 <= number < len(self):
            raise IndexError(f"code {number} of {len(self)}")
        entry = self.entries[number * ENTRY_BYTES : (number + 1) * ENTRY_BYTES]
        made = bytearray(self.template)
        begins = self.first_s + number * self.pace.step_s
        _SECOND.pack_into(made, self.places.nbf, begins - self.pace.early_s)
        _SECOND.pack_into(made, self.places.exp, begins + self.pace.step_s + self.pace.late_s)
        made[self.places.id : self.places.id + ID_BYTES] = entry[:ID_BYTES]
        return bytes(made) + entry[ID_BYTES:]

    def text(self, number: int) -> str:
        """One code's text, as its QR holds it.

        Raises:
            IndexError: there is no such code.
        """
        return PREFIX + base45.encode(self.message(number))

    def texts(self) -> Iterator[str]:
        """Every code's text."""
        return map(self.text, range(len(self)))


class Wallet(msgspec.Struct, frozen=True):
    """What a phone fetches at once: the person's own bundle, and those of the family in its care."""

    own: Bundle
    family: tuple[Bundle, ...] = ()


def mint(claims: Claims, pace: Pace, key: SigningKey, randomness: bytes) -> Bundle:
    """Sign a bundle.

    Args:
        claims: of the first code: its `not_before_ms` is where the first slot begins; expiry and id do not count.
        randomness: 8 bytes that nobody can predict for each code (`os.urandom`).

    Raises:
        MintError: no codes or too many; the key may not sign for so early or so long.
        ValueError: not as much randomness.
    """
    if not 0 < pace.count <= MOST_CODES or pace.step_s < 1:
        raise MintError(f"A bundle has 1 to {MOST_CODES:,} codes, each shown for at least a second.", where="pace")
    if len(randomness) != ID_BYTES * pace.count:
        raise ValueError(f"{len(randomness)} random bytes for {pace.count} codes")
    first_s = claims.not_before_ms // 1000
    check_term(key, claims.issued_ms, first_s * 1000 + pace.span_ms)
    template, places, signed_at = _template(claims, key)
    begins = first_s + pace.step_s * np.arange(pace.count)
    varied = np.tile(np.frombuffer(template.signed, np.uint8), (pace.count, 1))
    _put(varied, signed_at.nbf, (begins - pace.early_s).astype(">u4"))
    _put(varied, signed_at.exp, (begins + pace.step_s + pace.late_s).astype(">u4"))
    ids = np.frombuffer(randomness, np.uint8).reshape(pace.count, ID_BYTES)
    varied[:, signed_at.id : signed_at.id + ID_BYTES] = ids
    whole, length, sign = varied.tobytes(), varied.shape[1], key.sign
    entries = b"".join(
        [
            part
            for at in range(pace.count)
            for part in (
                randomness[at * ID_BYTES : (at + 1) * ID_BYTES],
                sign(whole[at * length : (at + 1) * length]),
            )
        ]
    )
    return Bundle(claims.kind, claims.handle, key.kid, template.message, places, first_s, pace, entries)


def mint_one(claims: Claims, key: SigningKey) -> str:
    """The text of a single code, for paper.

    Raises:
        MintError: the key may not sign for so early or so long. ClaimError: claims that are of no code.
    """
    check_term(key, claims.issued_ms, claims.expires_ms)
    protected, payload = _protected(key), cwt.write_claims(told_claims(claims))
    message = cose.write_sign1(protected, payload, key.sign(cose.to_be_signed(protected, payload)))
    return PREFIX + base45.encode(message)


def check_term(key: SigningKey, issued_ms: int, expires_ms: int) -> None:
    """Whether a key may sign at that time what lasts so long.

    Raises:
        MintError: it may not.
    """
    if expires_ms > min(key.not_after_ms, LAST_SECOND * 1000):
        fix = "`hutong codes keys rotate` makes the next key."
        raise MintError("What this key signs may not last so long.", where=key.kid.hex(), fix=fix)
    if issued_ms < key.not_before_ms - 1000:  # times in codes are whole seconds
        raise MintError("This key does not sign yet.", where=key.kid.hex())


class _Template(msgspec.Struct, frozen=True):
    """The bytes that a signature covers, and the message up to its signature."""

    signed: bytes
    message: bytes


def _template(claims: Claims, key: SigningKey) -> tuple[_Template, Places, Places]:
    """Both with zeros in the varying places, and these places in the message and in what is signed."""
    filled = msgspec.structs.replace(
        claims, not_before_ms=LAST_SECOND * 1000 - 1000, expires_ms=LAST_SECOND * 1000, id=b"\xff" * ID_BYTES
    )
    protected, payload = _protected(key), cwt.write_claims(told_claims(filled))
    at = _places(payload)
    blank = bytearray(payload)
    for place, length in ((at.exp, _SECOND.size), (at.nbf, _SECOND.size), (at.id, ID_BYTES)):
        blank[place : place + length] = bytes(length)
    payload = bytes(blank)
    signed = cose.to_be_signed(protected, payload)
    message = cose.write_sign1(protected, payload, bytes(SIGNATURE_BYTES))[:-SIGNATURE_BYTES]
    if not (signed.endswith(payload) and message.endswith(payload + _SIGNATURE_HEAD)):
        raise MintError("The message is not laid out as the template takes it to be.")
    in_message = len(message) - len(_SIGNATURE_HEAD) - len(payload)
    return _Template(signed, message), _moved(at, in_message), _moved(at, len(signed) - len(payload))


def _protected(key: SigningKey) -> bytes:
    return cose.write_protected({cose.ALGORITHM: key.public.number, cose.KEY_ID: key.kid})


def _places(payload: bytes) -> Places:
    """Where the varying claims stand: names of one byte come first, in order (RFC 8949 §4.2), so the last is the id."""
    marks = [
        head + rest
        for head, rest in (
            (_EXP, _SECOND.pack(LAST_SECOND)),
            (_NBF, _SECOND.pack(LAST_SECOND - 1)),
            (_CTI, b"\xff" * ID_BYTES),
        )
    ]
    # A text is UTF-8, which has no byte FF: none of these can stand in one.
    return Places(*(payload.index(mark) + 2 for mark in marks))


def _moved(places: Places, by: int) -> Places:
    return Places(places.exp + by, places.nbf + by, places.id + by)


def _put(rows: np.ndarray, at: int, values: np.ndarray) -> None:
    rows[:, at : at + _SECOND.size] = values.reshape(-1, 1).view(np.uint8)
