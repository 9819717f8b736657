"""Mirrored INVITEs that wait whether their call will be screened: a ring of fixed size, in memory. Oldest first.

Only storage and order; who is judged when is `mirror.due`'s business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hutong.calls import attempt
from hutong.kernel.compiled import compiled, copy_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: INVITEs that wait at once; one more lets the oldest be judged early.
RING = 16_384
#: Bytes kept of a number, and of a Call-ID: more than any that means something.
_NUMBER, _CALL_ID = 128, 512
_TEXT = 4 * _NUMBER + _CALL_ID

_HEAD, _TAIL = 0, 1


class Waiting(NamedTuple):
    """The ring.

    header: int64[2], numbers of the oldest and of the next INVITE. rows: int64[n, 2], row in the call table and when it
    is due (ms). calls: int64[n, CALL_SLOTS] and texts: uint8[n, bytes] as `screening.judge` takes them.
    """

    header: NDArray[np.int64]
    rows: NDArray[np.int64]
    calls: NDArray[np.int64]
    texts: NDArray[np.uint8]


def new_waiting(size: int = RING) -> Waiting:
    """An empty ring."""
    return Waiting(
        header=np.zeros(2, dtype=np.int64),
        rows=np.zeros((size, 2), dtype=np.int64),
        calls=np.zeros((size, attempt.CALL_SLOTS), dtype=np.int64),
        texts=np.zeros((size, _TEXT), dtype=np.uint8),
    )


@compiled
def is_empty(w: Waiting) -> bool:
    """Whether nothing waits."""
    return bool(w.header[_HEAD] == w.header[_TAIL])


@compiled
def is_full(w: Waiting) -> bool:
    """Whether the next one needs the oldest one's place."""
    return bool(w.header[_TAIL] - w.header[_HEAD] == w.rows.shape[0])


@compiled
def first(w: Waiting) -> int:
    """The number of the oldest, from 1."""
    return int(w.header[_HEAD] + 1)


@compiled
def drop_first(w: Waiting) -> None:
    """Let go of the oldest."""
    w.header[_HEAD] += 1


@compiled
def place_of(w: Waiting, number: int) -> int:
    """Where the one with this number stands."""
    return int((number - 1) % w.rows.shape[0])


@compiled
def holds(w: Waiting, number: int, row: int) -> bool:
    """Whether the one with this number still waits, for this row."""
    return bool(w.header[_HEAD] < number <= w.header[_TAIL] and w.rows[place_of(w, number), 0] == row)


@compiled
def keep(w: Waiting, place: int, call: NDArray[np.int64], text: NDArray[np.uint8]) -> None:
    """Keep a call's facts and texts at a place, whatever stood there."""
    at = 0
    for slot in range(attempt.CALL_SLOTS):
        w.calls[place, slot] = call[slot]
    for span in (attempt.CALLER, attempt.FROM, attempt.CALLEE, attempt.DIVERTER, attempt.CALL_ID):
        most = _CALL_ID if span == attempt.CALL_ID else _NUMBER
        end = min(call[span + 1], call[span] + most)
        after = copy_bytes(w.texts[place], at, text, call[span], end)
        w.calls[place, span], w.calls[place, span + 1] = at, after
        at = after


@compiled
def push(w: Waiting, row: int, due: int, call: NDArray[np.int64], text: NDArray[np.uint8]) -> int:
    """Let an INVITE wait; there must be room. Gives its number."""
    number = int(w.header[_TAIL] + 1)
    place = place_of(w, number)
    keep(w, place, call, text)
    w.rows[place, 0], w.rows[place, 1] = row, due
    w.header[_TAIL] = number
    return number
