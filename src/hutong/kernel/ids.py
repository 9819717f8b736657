"""Identifiers that sort by time: UUID version 7 (RFC 9562 §5.7), from a time and randomness passed in."""

from __future__ import annotations

import uuid

RANDOM_BYTES = 8


def time_ordered_id(wall: int, randomness: bytes) -> str:
    """A UUIDv7 as text; ids of later times sort later, down to a quarter of a microsecond.

    Args:
        wall: nanoseconds since 1970-01-01T00:00:00Z.
        randomness: 8 bytes that nobody can predict (`os.urandom`); 62 of their bits are used.

    Raises:
        ValueError: not 8 bytes of randomness, or a time before 1970 or after the year 10889.
    """
    milliseconds, rest = divmod(wall, 1_000_000)
    if len(randomness) != RANDOM_BYTES or not 0 <= milliseconds < 1 << 48:
        raise ValueError(f"no id for {wall} ns and {len(randomness)} random bytes")
    # RFC 9562 §6.2, method 3: the 12 bits after the milliseconds hold the fraction of the millisecond.
    fraction = (rest << 12) // 1_000_000
    tail = int.from_bytes(randomness) & ((1 << 62) - 1)
    return str(uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | tail))
