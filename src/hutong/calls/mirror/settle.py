"""What has become of a call is told once: its outcome as a record, on the board and in the windows. Compiled, pure.

Messages change words of a call's row (`follow`); `settle` then says what that means. A call that grows too old, or
stands in the way of another, is given up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hutong.calls import attempt, board, outcomes
from hutong.calls import record as rec
from hutong.calls.alerts import watch as alert_watch
from hutong.calls.mirror import table as mirror_calls
from hutong.calls.mirror import waiting as mirror_waiting
from hutong.calls.mirror.table import (
    ANSWERED,
    CALLEE,
    CALLER,
    DONE,
    ENDED,
    INVITED,
    JUDGED,
    NONE,
    OVER,
    RAISED,
    RELEASE,
    SEEN,
    SETUP,
    SINCE,
    STATE,
    TALK,
    TALKING,
    TRUNK,
    VERDICT,
    WAITING,
    get,
    oldest,
    set_state,
    state_of,
)
from hutong.kernel.compiled import compiled
from hutong.kernel.windows import table_at, undo_room

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hutong.calls.mirror.waiting import Waiting


#: A call that is not answered after this long, or not over after this long, is given up; ms. Longer than Timer C
#: (RFC 3261 §16.6) and than what windows look back on.
SETUP_MS, TALK_MS = 300_000, 24 * 3_600_000
#: How long a call that is over is still known, so that what comes late is no orphan (64·T1 and some); ms.
OVER_MS = 64_000

# Places of what a batch has written: free byte, records, sequence number of its first record.
END, RECORDS, SEQ = 0, 1, 2

#: A message touches at most so many windows: those of a call given up, of one judged, and of its outcome.
_TOUCHES = 12
#: Records of one message, bytes.
_MOST_BYTES = 4 * rec.MAX_RECORD + alert_watch.MOST_BYTES
#: A row's RELEASE: the status in its low bits, the cause above them.
STATUS_BITS = 16


class Follower(NamedTuple):
    """All that following calls takes: judgement (its `calls` is the table), what waits, and working memory.

    outcome: int64[OUTCOME_SLOTS]. facts: int64[FACTS], what the present message says (see `follow`). done: int64[3],
    see END. watch: the alert conditions. wait_ms: how long a new call waits to be screened.
    """

    judge: attempt.Judge
    waiting: Waiting
    scratch: attempt.Scratch
    buffer: rec.RecordBuffer
    cells: NDArray[np.int64]
    watch: alert_watch.Watch
    outcome: NDArray[np.int64]
    facts: NDArray[np.int64]
    done: NDArray[np.int64]
    wait_ms: int


@compiled
def has_room(it: Follower) -> bool:
    """Whether the batch can judge another call or note another outcome; else commit it first."""
    return bool(
        it.done[END] + _MOST_BYTES <= it.buffer.bytes_.size
        and undo_room(table_at(it.judge.windows)) >= _TOUCHES
        and mirror_calls.room(it.judge.calls)
    )


@compiled
def _emit(it: Follower, row: int, phase: int, answered: int, call_id: NDArray[np.uint8], now: int) -> None:
    """Write an outcome and count it; `now` in ms."""
    t, outcome = it.judge.calls, it.outcome
    until = get(t, row, ANSWERED) if answered else get(t, row, ENDED)
    ring = max(until - get(t, row, INVITED), 0) // 1000 if until else 0
    talk = max(get(t, row, ENDED) - until, 0) // 1000 if answered and phase == outcomes.PHASE_ENDED else 0
    release = get(t, row, RELEASE)
    outcome[outcomes.O_TIME] = now
    outcome[outcomes.O_CALLER] = get(t, row, CALLER)
    outcome[outcomes.O_CALLEE] = get(t, row, CALLEE)
    outcome[outcomes.O_TRUNK] = get(t, row, TRUNK)
    outcome[outcomes.O_VERDICT] = get(t, row, VERDICT)
    outcome[outcomes.O_RING] = ring
    outcome[outcomes.O_TALK] = talk
    outcome[outcomes.O_PHASE] = phase
    outcome[outcomes.O_ANSWERED] = answered
    outcome[outcomes.O_STATUS] = release & 0xFFFF if phase == outcomes.PHASE_ENDED else 0
    outcome[outcomes.O_CAUSE] = release >> STATUS_BITS if phase == outcomes.PHASE_ENDED else 0
    trunks = it.judge.trunks
    name = trunks.name_spans[alert_watch.trunk_of(it.judge, get(t, row, TRUNK))]
    it.done[END] = outcomes.write_outcome(outcome, call_id, trunks.names, name, it.buffer, it.done[END])
    it.done[RECORDS] += 1
    if phase != outcomes.PHASE_ANSWERED and get(t, row, RAISED) != 0:
        it.done[END] = alert_watch.tell_end(it.judge, it.watch, outcome, it.buffer, it.done[END])
        it.done[RECORDS] += 1
    outcomes.note_outcome(
        table_at(it.judge.windows),
        outcome[outcomes.O_CALLER],
        outcome[outcomes.O_CALLEE],
        outcome[outcomes.O_TRUNK],
        phase,
        answered,
        ring,
        talk,
        now // 1000,
    )
    if phase == outcomes.PHASE_ANSWERED:
        it.cells[board.MIRROR_ANSWERED] += 1
    elif phase == outcomes.PHASE_ENDED:
        it.cells[board.MIRROR_ENDED] += 1
    else:
        it.cells[board.MIRROR_UNENDED] += 1


@compiled
def settle(it: Follower, row: int, call_id: NDArray[np.uint8], now: int) -> None:
    """Tell what has become of a judged call, as far as its row says; nothing twice."""
    t = it.judge.calls
    if state_of(t, row) == JUDGED:
        if get(t, row, ANSWERED) != 0:
            _emit(it, row, outcomes.PHASE_ANSWERED, 1, call_id, now)
            set_state(t, row, TALKING)
            mirror_calls.move(t, row, TALK, now)
        elif get(t, row, ENDED) != 0 and get(t, row, RELEASE) & 0xFFFF:
            _emit(it, row, outcomes.PHASE_ENDED, 0, call_id, now)
            set_state(t, row, DONE)
            mirror_calls.move(t, row, OVER, now)
    if state_of(t, row) == TALKING and get(t, row, ENDED) != 0:
        _emit(it, row, outcomes.PHASE_ENDED, 1, call_id, now)
        set_state(t, row, DONE)
        mirror_calls.move(t, row, OVER, now)


@compiled
def give_up(it: Follower, row: int, now: int) -> None:
    """Forget a call; one that was followed and is not over is lost, and recorded so."""
    t, state = it.judge.calls, state_of(it.judge.calls, row)
    nobody = it.waiting.texts[0][:0]
    if state == WAITING:
        it.cells[board.MIRROR_UNENDED] += 1
    elif state == TALKING:
        _emit(it, row, outcomes.PHASE_LOST, 1, nobody, now)
    elif state == JUDGED and get(t, row, STATE) & SEEN:
        # Challenged, and the caller did not try again: that was its end.
        challenged = get(t, row, RELEASE) & 0xFFFF
        _emit(it, row, outcomes.PHASE_ENDED if challenged else outcomes.PHASE_LOST, 0, nobody, now)
    mirror_calls.remove(t, row)


@compiled
def takes_more(it: Follower) -> bool:
    """Whether the batch can take another message: it has room, and so has the ring, should it be a call's first.

    Judging is no business of who takes messages: it is compiled once, for `judge_due`.
    """
    return bool(has_room(it) and not mirror_waiting.is_full(it.waiting))


@compiled
def expire_list(it: Follower, kind: int, age: int, spare: int, now: int, most: int) -> int:
    """Give up what has been in a list for `age` ms, or what stands in the way of `spare` rows; gives how many."""
    t, count = it.judge.calls, 0
    while count < most and has_room(it):
        row = oldest(t, kind)
        if row == NONE or (get(t, row, SINCE) + age > now and mirror_calls.free_rows(t) >= spare):
            break
        give_up(it, row, now)
        count += 1
    return count


@compiled
def expire(it: Follower, now: int, most: int) -> bool:
    """Give up calls that are too old, and the oldest ones while fewer than a sixteenth of the rows are free.

    Calls are also inserted where they are screened, and there nobody can be given up.

    Returns:
        True when there may be more than the `most` that were given up.
    """
    spare = it.judge.calls[mirror_calls.CAPACITY] // 16
    count = expire_list(it, OVER, OVER_MS, spare, now, most)
    count += expire_list(it, SETUP, SETUP_MS, spare, now, most - count)
    count += expire_list(it, TALK, TALK_MS, spare, now, most - count)
    return count >= most


@compiled
def resume(it: Follower, now: int) -> bool:
    """Take up the table of an earlier run: what waited then is lost, what was left unsaid is told.

    Returns:
        True when a full batch stopped it: commit, then call again.
    """
    t = it.judge.calls
    row = oldest(t, SETUP)
    while row != NONE:
        if not has_room(it):
            return True
        newer = mirror_calls.newer_than(t, row)
        if state_of(t, row) == WAITING:
            give_up(it, row, now)
        else:
            settle(it, row, it.waiting.texts[0][:0], now)
        row = newer
    return False
