"""What captured messages do to calls: from the INVITE to the answer and the end, each counted once. Compiled, pure.

Only the caller's side of a call counts. Its INVITE is the one captured first, and a response belongs to it when its
topmost Via has that INVITE's branch and sent-by (RFC 3261 §17.1.3): what a proxy asks of others, its failed branches
and its redirects, end no call. A message only changes words of the call's row, and `settle` then says what has become
of the call, so copies, other legs and a different order change nothing.

    INVITE              waits to be screened, else is judged in observe mode
    200 to INVITE       answered         BYE     ended
    3xx–6xx to INVITE   ended unanswered; a challenge (401, 407) does not end it, for the caller tries again
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hutong.calls import batch, board, outcomes, screening
from hutong.calls import record as rec
from hutong.calls.alerts import marks as alert_marks
from hutong.calls.alerts import watch as alert_watch
from hutong.calls.lane.messages import METHOD_BYE, METHOD_INVITE
from hutong.calls.mirror import table as mirror_calls
from hutong.calls.mirror import waiting as mirror_waiting
from hutong.calls.mirror.table import (
    ANSWERED,
    CALLEE,
    CALLER,
    CSEQ,
    DONE,
    ENDED,
    FINDINGS,
    INVITED,
    JUDGED,
    JUDGED_AT,
    LEG,
    NONE,
    OVER,
    PEER,
    RAISED,
    RELEASE,
    SEEN,
    SETUP,
    SINCE,
    SLOT,
    STATE,
    TAG,
    TALK,
    TALKING,
    TRUNK,
    VERDICT,
    WAITING,
    get,
    oldest,
    put_row,
    set_state,
    state_of,
)
from hutong.calls.model import FLAG_MIRRORED
from hutong.kernel.compiled import compiled
from hutong.kernel.numbering.codes import KEY
from hutong.kernel.windows import table_at, undo_room

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hutong.calls.batch import Moment
    from hutong.calls.mirror.waiting import Waiting

#: A call that is not answered after this long, or not over after this long, is given up; ms. Longer than Timer C
#: (RFC 3261 §16.6) and than what windows look back on.
SETUP_MS, TALK_MS = 300_000, 24 * 3_600_000
#: How long a call that is over is still known, so that what comes late is no orphan (64·T1 and some); ms.
OVER_MS = 64_000

# Slots of what a message says (int64); hashes, 0 = none.
F_CALL, F_FROM, F_TO, F_LEG, F_METHOD, F_STATUS, F_CSEQ, F_CAUSE, F_CAPTURED = 0, 1, 2, 3, 4, 5, 6, 7, 8
FACTS = 9

# Places of what a batch has written: free byte, records, sequence number of its first record.
END, RECORDS, SEQ = 0, 1, 2

#: A message touches at most so many windows: those of a call given up, of one judged, and of its outcome.
_TOUCHES = 12
#: Records of one message, bytes.
_MOST_BYTES = 4 * rec.MAX_RECORD + alert_watch.MOST_BYTES
_UNAUTHORIZED, _PROXY_AUTHENTICATION = 401, 407
_OK, _REDIRECT, _STATUS_BITS = 200, 300, 16


class Follower(NamedTuple):
    """All that following calls takes: judgement (its `calls` is the table), what waits, and working memory.

    outcome: int64[OUTCOME_SLOTS]. facts: int64[FACTS], what the present message says. done: int64[3], see END.
    watch: the alert conditions. wait_ms: how long a new call waits to be screened.
    """

    judge: screening.Judge
    waiting: Waiting
    scratch: screening.Scratch
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
    outcome[outcomes.O_CAUSE] = release >> _STATUS_BITS if phase == outcomes.PHASE_ENDED else 0
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
def _new_row(it: Follower, now: int) -> int:
    """A row for the call of `it.facts`, as a waiting one; the oldest call makes room where there is none."""
    t, key = it.judge.calls, it.facts[F_CALL]
    row = mirror_calls.crowded(t, key)
    if row != NONE:
        give_up(it, row, now)
    elif mirror_calls.free_rows(t) == 0:
        row = oldest(t, OVER)
        if row == NONE:
            row = oldest(t, SETUP)
        if row == NONE:
            row = oldest(t, TALK)
        give_up(it, row, now)
    return mirror_calls.insert(t, key, it.facts[F_FROM], WAITING, now)


@compiled
def _judge_first(it: Follower, when: Moment) -> None:
    """Let go of the oldest INVITE that waits; if nobody asked about its call, judge it in observe mode."""
    t, w = it.judge.calls, it.waiting
    number = mirror_waiting.first(w)
    place = mirror_waiting.place_of(w, number)
    row = int(w.rows[place, 0])
    mirror_waiting.drop_first(w)
    if get(t, row, SLOT) != number or get(t, row, mirror_calls.KEY) == 0:
        return
    call, text = w.calls[place], w.texts[place]
    if state_of(t, row) == WAITING:
        call[screening.TIME_MS], call[screening.HOUR], call[screening.NIGHT] = when.now_ms, when.hour, when.night
        after = screening.judge(it.judge, call, text, it.scratch, it.buffer, it.done[END])
        if it.scratch.verdict[screening.V_PENDING]:
            # Nobody waits for this verdict, so nobody outside is troubled for it.
            call[screening.ROAMING] = screening.ROAMING_UNKNOWN
            after = screening.judge(it.judge, call, text, it.scratch, it.buffer, it.done[END])
        seq = it.done[SEQ] + it.done[RECORDS]
        batch.count_verdict(it.cells, it.scratch.verdict, it.scratch, call[screening.TRUNK], seq)
        it.done[END] = after
        it.done[RECORDS] += 1
        put_row(t, row, CALLER, it.scratch.caller[KEY])
        put_row(t, row, CALLEE, it.scratch.callee[KEY])
        put_row(t, row, TRUNK, it.judge.trunks.keys[call[screening.TRUNK]])
        put_row(t, row, VERDICT, seq)
        facts = alert_marks.facts_of(it.judge.rules, it.scratch.verdict, it.scratch.fired)
        put_row(t, row, FINDINGS, facts)
        put_row(t, row, JUDGED_AT, when.now_ms)
        if alert_marks.is_flagged(facts):
            alert_marks.note_flagged(t, it.scratch.caller[KEY], it.scratch.callee[KEY], 0, when.now_ms)
        set_state(t, row, JUDGED)
        # Cursors passed it over while it waited.
        mirror_calls.move(t, row, SETUP, when.now_ms)
    put_row(t, row, SLOT, 0)
    settle(it, row, text[call[screening.CALL_ID] : call[screening.CALL_ID + 1]], when.now_ms)


@compiled
def takes_more(it: Follower) -> bool:
    """Whether the batch can take another message: it has room, and so has the ring, should it be a call's first.

    Judging is no business of who takes messages: it is compiled once, for `judge_due`.
    """
    return bool(has_room(it) and not mirror_waiting.is_full(it.waiting))


@compiled
def judge_due(it: Follower, when: Moment, early: int) -> bool:
    """Judge what has waited long enough, and up to `early` that have not; True when a full batch stopped it."""
    w = it.waiting
    while not mirror_waiting.is_empty(w):
        number = mirror_waiting.first(w)
        place = mirror_waiting.place_of(w, number)
        row = int(w.rows[place, 0])
        waits = get(it.judge.calls, row, SLOT) == number and state_of(it.judge.calls, row) == WAITING
        if waits and w.rows[place, 1] > when.now_ms:
            if early <= 0:
                return False
            early -= 1
        if not has_room(it):
            return True
        _judge_first(it, when)
    return False


@compiled
def _expire_list(it: Follower, kind: int, age: int, spare: int, now: int, most: int) -> int:
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
    count = _expire_list(it, OVER, OVER_MS, spare, now, most)
    count += _expire_list(it, SETUP, SETUP_MS, spare, now, most - count)
    count += _expire_list(it, TALK, TALK_MS, spare, now, most - count)
    return count >= most


@compiled
def watch_calls(it: Follower, now: int) -> None:
    """Look at the calls that must be looked at for alerts, as many as one tick may; the next goes on from there."""
    if it.watch.stages.size == 0:
        return
    looks, steps = 0, alert_watch.STEPS
    while looks < alert_watch.LOOKS and steps > 0 and has_room(it):
        row = alert_watch.next_due(it.judge, it.watch, now, steps)
        steps -= it.watch.written[0]
        if row == NONE:
            break
        _look(it, row, now)
        looks += 1
    used = it.judge.calls[mirror_calls.USED]
    rows = min(used // alert_watch.ROUND_TICKS + alert_watch.ROUND_LEAST, alert_watch.ROUND_ROWS)
    while looks < alert_watch.LOOKS and rows > 0 and has_room(it):
        row = alert_watch.next_changed(it.judge, it.watch, now, rows)
        rows -= it.watch.written[0]
        if row == NONE:
            break
        _look(it, row, now)
        looks += 1


@compiled
def _look(it: Follower, row: int, now: int) -> None:
    it.done[END] = alert_watch.look(it.judge, it.watch, it.buffer, row, now, it.done[END])
    it.done[RECORDS] += it.watch.written[0]


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


@compiled
def is_new_call(it: Follower) -> bool:
    """Whether the INVITE in `it.facts` must be judged unless somebody asks: its numbers are then needed."""
    t, f = it.judge.calls, it.facts
    row = mirror_calls.find(t, f[F_CALL], f[F_FROM], f[F_FROM])
    if row == NONE:
        return True
    state = state_of(t, row)
    if state == WAITING:
        # Its caller's side was captured first, whatever came first.
        return bool(f[F_CAPTURED] < get(t, row, INVITED))
    return bool(state == DONE and get(t, row, STATE) & SEEN and get(t, row, CSEQ) != f[F_CSEQ])


@compiled
def follow_new(it: Follower, call: NDArray[np.int64], text: NDArray[np.uint8], when: Moment) -> None:
    """An INVITE of which `is_new_call` is true: let it wait to be screened. The ring has room (`takes_more`).

    Args:
        it: `it.facts` holds what the message says.
        call: int64[CALL_SLOTS], its call attempt; text: uint8, what that points into.
        when: now.
    """
    t, f, now = it.judge.calls, it.facts, when.now_ms
    call[screening.FLAGS] |= FLAG_MIRRORED
    call[screening.FAIL_OPEN] = 0
    row = mirror_calls.find(t, f[F_CALL], f[F_FROM], f[F_FROM])
    known = row != NONE and state_of(t, row) == WAITING
    if row == NONE:
        row = _new_row(it, now)
    elif not known:
        mirror_calls.restart(t, row, WAITING, now)
    _see(it, row)
    number = get(t, row, SLOT)
    if known and mirror_waiting.holds(it.waiting, number, row):
        mirror_waiting.keep(it.waiting, mirror_waiting.place_of(it.waiting, number), call, text)
        return
    put_row(t, row, SLOT, mirror_waiting.push(it.waiting, row, now + it.wait_ms, call, text))


@compiled
def _see(it: Follower, row: int) -> None:
    """Make the INVITE in `it.facts` the one of the call's caller."""
    t, f = it.judge.calls, it.facts
    put_row(t, row, STATE, get(t, row, STATE) | SEEN)
    put_row(t, row, TAG, f[F_FROM])
    put_row(t, row, LEG, f[F_LEG])
    put_row(t, row, CSEQ, f[F_CSEQ])
    put_row(t, row, INVITED, f[F_CAPTURED])


@compiled
def _invite(it: Follower, row: int) -> None:
    """An INVITE of a call that is known: another leg, a copy, the first one seen of a screened call, or a new try."""
    t, f = it.judge.calls, it.facts
    seen = get(t, row, STATE) & SEEN
    if not seen:
        _see(it, row)
    elif state_of(t, row) == DONE or get(t, row, ANSWERED) != 0:
        return
    elif get(t, row, CSEQ) == f[F_CSEQ]:
        if f[F_CAPTURED] < get(t, row, INVITED):
            _see(it, row)
    elif get(t, row, RELEASE) & 0xFFFF and get(t, row, ENDED) == 0:
        # With credentials, after a challenge.
        _see(it, row)
        put_row(t, row, RELEASE, 0)


@compiled
def _answer(it: Follower, row: int) -> None:
    """A final response to an INVITE."""
    t, f = it.judge.calls, it.facts
    if not get(t, row, STATE) & SEEN or get(t, row, ANSWERED) != 0 or state_of(t, row) == DONE:
        return
    if f[F_LEG] != get(t, row, LEG) or f[F_CSEQ] != get(t, row, CSEQ):
        return
    status = f[F_STATUS]
    if status < _REDIRECT:
        if get(t, row, ENDED) != 0 and get(t, row, PEER) != f[F_TO]:
            # That BYE was for another branch of a forked call.
            put_row(t, row, ENDED, 0)
            put_row(t, row, RELEASE, 0)
        elif get(t, row, ENDED) == 0:
            put_row(t, row, RELEASE, 0)
        put_row(t, row, ANSWERED, max(f[F_CAPTURED], 1))
        put_row(t, row, PEER, f[F_TO])
    elif status in (_UNAUTHORIZED, _PROXY_AUTHENTICATION):
        put_row(t, row, RELEASE, status)
    elif get(t, row, RELEASE) & 0xFFFF == 0 or get(t, row, ENDED) == 0:
        cause = f[F_CAUSE] or get(t, row, RELEASE) >> _STATUS_BITS
        put_row(t, row, RELEASE, status | cause << _STATUS_BITS)
        if get(t, row, ENDED) == 0:
            put_row(t, row, ENDED, max(f[F_CAPTURED], 1))


@compiled
def _bye(it: Follower, row: int) -> None:
    """A BYE from either side. Before the answer was seen it is kept, for the two may have changed places."""
    t, f = it.judge.calls, it.facts
    if not get(t, row, STATE) & SEEN or get(t, row, ENDED) != 0 or state_of(t, row) == DONE:
        return
    other = f[F_TO] if f[F_FROM] == get(t, row, TAG) else f[F_FROM]
    if get(t, row, ANSWERED) == 0:
        put_row(t, row, PEER, other)
    elif get(t, row, PEER) != other:
        return
    put_row(t, row, ENDED, max(f[F_CAPTURED], 1))
    put_row(t, row, RELEASE, f[F_CAUSE] << _STATUS_BITS)


@compiled
def follow(it: Follower, call_id: NDArray[np.uint8], now: int) -> None:
    """Any message but an INVITE of which `is_new_call` is true; `it.facts` holds what it says.

    Args:
        it: the follower.
        call_id: uint8, the Call-ID.
        now: ms since 1970 UTC.
    """
    t, f = it.judge.calls, it.facts
    invite = f[F_METHOD] == METHOD_INVITE
    final = invite and f[F_STATUS] >= _OK
    bye = f[F_METHOD] == METHOD_BYE and f[F_STATUS] == 0
    if not final and not bye and not (invite and f[F_STATUS] == 0 and f[F_TO] == 0):
        return
    row = mirror_calls.find(t, f[F_CALL], f[F_FROM], f[F_TO])
    if row == NONE:
        it.cells[board.MIRROR_ORPHANS] += 1
        return
    if final:
        _answer(it, row)
    elif bye:
        _bye(it, row)
    else:
        _invite(it, row)
    if state_of(t, row) != WAITING:
        settle(it, row, call_id, now)
