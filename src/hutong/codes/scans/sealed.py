"""What a day's key does to its scans: keyed hashes to find them by, and everything else sealed. Pure.

Person, place and code are found by BLAKE2b keyed with the day's key (RFC 7693 §2.9), a place by venue and hour. Two
rows of one person match within a day and on no other. With the key gone, rows are noise, here and in every backup.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import msgspec

from hutong.codes.people.sealing import seal, unseal
from hutong.codes.scans.model import Kept
from hutong.kernel.errors import StateError

if TYPE_CHECKING:
    from hutong.codes.scans.model import CopyFound

HOUR_MS: Final = 3_600_000
_BLIND_BYTES: Final = 16
_kept: Final = msgspec.msgpack.Decoder(Kept)
_encode: Final = msgspec.msgpack.Encoder().encode


class DaySeal:
    """The key of one day at work.

    Args:
        day: counted from 1970-01-01. key: 32 bytes.
    """

    def __init__(self, day: int, key: bytes) -> None:
        self.day, self._key = day, key
        self._about = f"hutong-scan:{day}"

    def who(self, who: str) -> bytes:
        """What scans of a person are found by."""
        return self._blind(b"who", bytes.fromhex(who))

    def code(self, code: str) -> bytes:
        """What scans of a single code are found by."""
        return self._blind(b"code", bytes.fromhex(code))

    def place(self, venue: str, at_ms: int) -> bytes:
        """What scans at a venue in the hour of a moment are found by."""
        return self._blind(b"place", f"{at_ms // HOUR_MS}:{venue}".encode())

    def seal(self, kept: Kept) -> bytes:
        """A scan, sealed."""
        return seal(self._key, _encode(kept), self._about)

    def open(self, sealed: bytes) -> Kept:
        """A scan that was sealed. Raises StateError: it was changed, or is of another day."""
        return _kept.decode(self._opened(sealed))

    def seal_found(self, found: CopyFound) -> bytes:
        """A finding, sealed."""
        return seal(self._key, _encode(found), self._about)

    def _opened(self, sealed: bytes) -> bytes:
        plain = unseal(self._key, sealed, self._about)
        if plain is None:
            raise StateError("A scan is not as it was sealed.", where=self._about)
        return plain

    def _blind(self, what: bytes, value: bytes) -> bytes:
        return blake2b(value, digest_size=_BLIND_BYTES, key=self._key, person=what).digest()
