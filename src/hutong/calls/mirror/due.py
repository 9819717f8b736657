"""Calls that are due: those that nobody asked about in time are judged, all are watched for alerts. Compiled, pure.

Each is done a bounded piece at a time, between batches of messages. Not here: what messages do (`follow`), calls that
are given up (`settle`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hutong.calls import attempt, batch, screening
from hutong.calls.alerts import marks as alert_marks
from hutong.calls.alerts import watch as alert_watch
from hutong.calls.mirror import table as mirror_calls
from hutong.calls.mirror import waiting as mirror_waiting
from hutong.calls.mirror.settle import (
    END,
    RECORDS,
    SEQ,
    Follower,
    has_room,
    settle,
)
from hutong.calls.mirror.table import (
    CALLEE,
    CALLER,
    FINDINGS,
    JUDGED,
    JUDGED_AT,
    NONE,
    SETUP,
    SLOT,
    TRUNK,
    VERDICT,
    WAITING,
    get,
    put_row,
    set_state,
    state_of,
)
from hutong.kernel.compiled import compiled
from hutong.kernel.numbering.codes import KEY

if TYPE_CHECKING:
    from hutong.calls.batch import Moment


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
        call[attempt.TIME_MS], call[attempt.HOUR], call[attempt.NIGHT] = when.now_ms, when.hour, when.night
        after = screening.judge(it.judge, call, text, it.scratch, it.buffer, it.done[END])
        if it.scratch.verdict[attempt.V_PENDING]:
            # Nobody waits for this verdict, so nobody outside is troubled for it.
            call[attempt.ROAMING] = attempt.ROAMING_UNKNOWN
            after = screening.judge(it.judge, call, text, it.scratch, it.buffer, it.done[END])
        seq = it.done[SEQ] + it.done[RECORDS]
        batch.count_verdict(it.cells, it.scratch.verdict, it.scratch, call[attempt.TRUNK], seq)
        it.done[END] = after
        it.done[RECORDS] += 1
        put_row(t, row, CALLER, it.scratch.caller[KEY])
        put_row(t, row, CALLEE, it.scratch.callee[KEY])
        put_row(t, row, TRUNK, it.judge.trunks.keys[call[attempt.TRUNK]])
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
    settle(it, row, text[call[attempt.CALL_ID] : call[attempt.CALL_ID + 1]], when.now_ms)


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
