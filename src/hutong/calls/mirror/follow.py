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

from typing import TYPE_CHECKING

from hutong.calls import attempt, board
from hutong.calls.lane.messages import METHOD_BYE, METHOD_INVITE
from hutong.calls.mirror import table as mirror_calls
from hutong.calls.mirror import waiting as mirror_waiting
from hutong.calls.mirror.settle import STATUS_BITS, Follower, give_up, settle
from hutong.calls.mirror.table import (
    ANSWERED,
    CSEQ,
    DONE,
    ENDED,
    INVITED,
    LEG,
    NONE,
    OVER,
    PEER,
    RELEASE,
    SEEN,
    SETUP,
    SLOT,
    STATE,
    TAG,
    TALK,
    WAITING,
    get,
    oldest,
    put_row,
    state_of,
)
from hutong.calls.model import FLAG_MIRRORED
from hutong.kernel.compiled import compiled

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hutong.calls.batch import Moment


# Slots of what a message says (int64); hashes, 0 = none.
F_CALL, F_FROM, F_TO, F_LEG, F_METHOD, F_STATUS, F_CSEQ, F_CAUSE, F_CAPTURED = 0, 1, 2, 3, 4, 5, 6, 7, 8
FACTS = 9

_UNAUTHORIZED, _PROXY_AUTHENTICATION = 401, 407
_OK, _REDIRECT = 200, 300


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
def follow_new(it: Follower, call: NDArray[np.int64], text: NDArray[np.uint8], when: Moment) -> None:
    """An INVITE of which `is_new_call` is true: let it wait to be screened. The ring has room (`takes_more`).

    Args:
        it: `it.facts` holds what the message says.
        call: int64[CALL_SLOTS], its call attempt; text: uint8, what that points into.
        when: now.
    """
    t, f, now = it.judge.calls, it.facts, when.now_ms
    call[attempt.FLAGS] |= FLAG_MIRRORED
    call[attempt.FAIL_OPEN] = 0
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
        cause = f[F_CAUSE] or get(t, row, RELEASE) >> STATUS_BITS
        put_row(t, row, RELEASE, status | cause << STATUS_BITS)
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
    put_row(t, row, RELEASE, f[F_CAUSE] << STATUS_BITS)


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
