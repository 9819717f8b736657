"""What somebody says became of calls, noted in windows and records as captured signalling is. Compiled, pure.

The call table knows the calls under way (`mirror.table`): what is said of a call changes words of its row, and `settle`
writes and counts what follows from that, so nothing counts twice, however often and by whomever it is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hutong.calls import board
from hutong.calls.asking import wire as asking
from hutong.calls.feed.wire import KNOWN, NOTED, OUTCOME_ROW, UNKNOWN
from hutong.calls.mirror import table as mirror_calls
from hutong.calls.mirror.settle import OVER_MS, TALK_MS, expire_list, has_room, settle
from hutong.calls.mirror.table import (
    ANSWERED,
    DONE,
    ENDED,
    INVITED,
    JUDGED_AT,
    NONE,
    OVER,
    RELEASE,
    SETUP,
    TALK,
    WAITING,
    get,
    put_row,
    state_of,
)
from hutong.calls.outcomes import PHASE_ANSWERED
from hutong.kernel.compiled import compiled, signed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hutong.calls.mirror.settle import Follower

_ROW = OUTCOME_ROW.size
_WORDS, _CELLS = _ROW // 8, _ROW // 2
# Words and cells of a row.
_RING, _TALK = 0, 1
_PHASE, _ANSWERED, _STATUS, _CAUSE, _LENGTH = 8, 9, 10, 11, 12
_STATUS_BITS, _US = 16, 1000
_BODY = asking.MAX_CALLS * (_ROW + asking.MAX_FIELD)


class Telling(NamedTuple):
    """Room for the body of one OUTCOMES frame, seen as bytes, 16-bit cells and words."""

    bytes_: NDArray[np.uint8]
    cells: NDArray[np.uint16]
    words: NDArray[np.int64]


def new_telling() -> Telling:
    """Room for the largest body."""
    words = np.zeros(_BODY // 8, dtype=np.int64)
    return Telling(words.view(np.uint8), words.view(np.uint16), words)


@compiled
def is_whole(told: Telling, rows: int, size: int) -> bool:
    """Whether a body of `size` bytes holds `rows` rows and exactly their Call-IDs."""
    end = rows * _ROW
    if rows < 1 or end > size or size > told.bytes_.size:
        return False
    for row in range(rows):
        end += signed(told.cells[row * _CELLS + _LENGTH])
    return end == size


@compiled
def _note(it: Follower, row: int, told: Telling, at: int, call_id: NDArray[np.uint8], now: int) -> int:
    """What row `at` says of the call in `row` of the table; gives how it fared."""
    t, cell = it.judge.calls, at * _CELLS
    if row == NONE or state_of(t, row) == WAITING:
        it.cells[board.MIRROR_ORPHANS] += 1
        return UNKNOWN
    first = get(t, row, ANSWERED) == 0
    ending = told.cells[cell + _PHASE] != PHASE_ANSWERED
    if state_of(t, row) == DONE or not (first or ending):
        return KNOWN
    ring, talk = told.words[at * _WORDS + _RING] * _US, told.words[at * _WORDS + _TALK] * _US
    if get(t, row, INVITED) == 0:
        put_row(t, row, INVITED, get(t, row, JUDGED_AT) * _US)
    until = get(t, row, INVITED) + ring
    answered = told.cells[cell + _ANSWERED] != 0
    if first and answered:
        put_row(t, row, ANSWERED, max(until, 1))
    if ending:
        # Whoever says that an answered call ended unanswered has missed its answer.
        talked = answered or not first
        put_row(t, row, ENDED, max(get(t, row, ANSWERED) + talk if talked else until, 1))
        status = signed(0) if talked else signed(told.cells[cell + _STATUS])
        put_row(t, row, RELEASE, status | signed(told.cells[cell + _CAUSE]) << _STATUS_BITS)
    settle(it, row, call_id, now)
    return NOTED


@compiled
def note_told(it: Follower, told: Telling, start: int, rows: int, fates: NDArray[np.uint8], now: int) -> int:
    """Note the outcomes start … rows-1 of a whole body (`is_whole`).

    Args:
        it: the follower; `it.done` says what was written.
        told: the outcomes.
        start, rows: which of them.
        fates: uint8[rows]; how each fared is written.
        now: ms since 1970 UTC.

    Returns:
        The first outcome that found no room: commit, then call again. `rows` when there is none.
    """
    t, end = it.judge.calls, rows * _ROW
    for row in range(start):
        end += signed(told.cells[row * _CELLS + _LENGTH])
    for at in range(start, rows):
        if not has_room(it):
            return at
        begin = end
        end += signed(told.cells[at * _CELLS + _LENGTH])
        found = mirror_calls.find(t, mirror_calls.text_hash(t, told.bytes_, begin, end), 0, 0)
        fates[at] = _note(it, found, told, at, told.bytes_[begin:end], now)
    return rows


@compiled
def forget_old(it: Follower, now: int, most: int) -> bool:
    """Give up calls of which nothing was said for a day, and the oldest ones while few rows are free.

    For where nobody follows captured signalling (`mirror.settle.expire`).

    Returns:
        True when there may be more than the `most` that were given up.
    """
    spare, left = it.judge.calls[mirror_calls.CAPACITY] // 16, most
    for kind, age in ((OVER, OVER_MS), (SETUP, TALK_MS), (TALK, TALK_MS)):
        left -= expire_list(it, kind, age, spare, now, left)
    return left <= 0
