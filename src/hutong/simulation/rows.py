"""A call as the province makes it: one row of a structured array. Numbers are integers; texts are made when written.

What only the truth knows (classes, campaign) stands beside what signalling shows; `records` keeps them apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Trunks, by the names of their kinds; a trunk's position is its code.
TRUNKS = ("international", "inter-network", "local", "enterprise")
INTERNATIONAL, INTER_NETWORK, LOCAL, ENTERPRISE = range(4)

#: What is known of a roaming caller, as call records write it; a position is its code.
ROAMING = ("not-asked", "confirmed", "unconfirmed", "unknown")
NOT_ASKED, CONFIRMED, UNCONFIRMED, UNKNOWN = range(4)

#: How digits are written: what stands before them. "anonymous" stands in their place.
PREFIXES = ("", "0", "+", "00", "+86", "0086", "")
PLAIN, TRUNK_ZERO, PLUS, ZEROS, PLUS_86, ZEROS_86, WITHHELD = range(7)

#: Who calls and who is called, as the truth names them. The kinds of campaign come last.
CLASSES = (
    "unallocated",
    "resident",
    "student",
    "elder",
    "new-user",
    "household-line",
    "elsewhere",
    "foreigner",
    "courier",
    "delivery-station",
    "ride-driver",
    "privacy-number",
    "hospital",
    "school",
    "bank",
    "call-centre",
    "marketing",
    "insurance-agent",
    "enterprise",
    "conference",
    "city-hall",
    "consumer-line",
    "anti-fraud-line",
    "emergency-line",
    "small-business",
    "service",
    "spoofed-police",
    "sequential-robocall",
    "wangiri",
    "refund",
    "sim-box",
    "relay",
    "forged-service",
    "virtual-desk",
    "adaptive",
)
CLASS = {name: at for at, name in enumerate(CLASSES)}

NOBODY = -1

#: One call. Times and spans are milliseconds, `start` since 1970 UTC. `key` tells rows apart while they are made;
#: `origin` is the key of the call that gave rise to this one (a redial, a call back), 0 for none. `campaign` is 0 for
#: honest calls, else 1 + its position. `caller_id` and `callee_id` are places in the directory, or NOBODY.
CALL = np.dtype(
    [
        ("start", "i8"),
        ("caller", "i8"),
        ("callee", "i8"),
        ("key", "i8"),
        ("origin", "i8"),
        ("imei", "i8"),
        ("imsi", "i8"),
        ("cell", "i8"),
        ("caller_id", "i4"),
        ("callee_id", "i4"),
        ("ring_ms", "i4"),
        ("talk_ms", "i4"),
        ("release", "i2"),
        ("campaign", "i2"),
        ("caller_form", "u1"),
        ("callee_form", "u1"),
        ("trunk", "u1"),
        ("answered", "u1"),
        ("roaming", "u1"),
        ("caller_class", "u1"),
        ("callee_class", "u1"),
    ]
)

Calls = NDArray[Any]  # of CALL

NO_CALLS: Calls = np.zeros(0, CALL)


def joined(parts: Sequence[Calls]) -> Calls:
    """One array of all."""
    return np.concatenate(parts) if parts else NO_CALLS


_GOLDEN = np.uint64(0x9E37_79B9_7F4A_7C15)
_MIX = (np.uint64(0xBF58_476D_1CE4_E5B9), np.uint64(0x94D0_49BB_1331_11EB))
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))


def scramble(values: NDArray[np.int64] | NDArray[np.int32], salt: int) -> NDArray[np.uint64]:
    """A well mixed 64-bit word of each value (the finaliser of SplitMix64): chance that need not be stored."""
    word = (np.asarray(values).astype(np.uint64) + np.uint64(salt & 0xFFFF_FFFF)) * _GOLDEN
    word ^= word >> _SHIFTS[0]
    word *= _MIX[0]
    word ^= word >> _SHIFTS[1]
    word *= _MIX[1]
    return word ^ (word >> _SHIFTS[2])


def fraction(values: NDArray[np.int64] | NDArray[np.int32], salt: int) -> NDArray[np.float64]:
    """A number in [0, 1) that belongs to each value."""
    return (scramble(values, salt) >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def pick(values: NDArray[np.int64] | NDArray[np.int32], salt: int, count: int) -> NDArray[np.int64]:
    """An integer in 0 … count-1 that belongs to each value."""
    return (scramble(values, salt) % np.uint64(count)).astype(np.int64)
