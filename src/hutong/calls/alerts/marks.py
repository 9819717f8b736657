"""Numbers that matter to alerts: flagged callers, and whom they tried to reach. A bounded table within the call table.

A call is flagged when a rule fired on it whose own action is warn or block, whatever its stage; a caller is flagged for
an hour after such a call, and while it is on a block list. Only flagged calls cost anything here. When the table is
full, the number that was marked least recently makes room.

    key, links      as in the call table: chain of a bucket, list by time of the last mark
    flagged         when a call of this number was flagged last; when one was blocked last (ms)
    contacts        the last eight flagged attempts to reach this number: caller's key, ms
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hutong.calls.attempt import V_ACTION, V_CALLER_LISTS, V_FIRED, V_FLAGS, RuleArrays
from hutong.calls.mirror.table import (
    MARK,
    MARK_BUCKETS,
    MARK_BUCKETS_AT,
    MARK_NEWEST,
    MARK_OLDEST,
    MARKED,
    MARKS,
    MARKS_AT,
    NONE,
    SALT,
    put,
)
from hutong.calls.model import (
    ACTION_OBSERVE,
    ACTION_WARN,
    FLAG_ALLOWED,
    FLAG_EMERGENCY,
    FLAG_FAIL_OPEN,
)
from hutong.kernel.compiled import compiled, signed
from hutong.kernel.lists.index import block_id
from hutong.kernel.windows.table import mixed

if TYPE_CHECKING:
    from numpy.typing import NDArray

_KEY, _CHAIN, _OLDER, _NEWER, FLAGGED_AT, BLOCKED_AT = 0, 1, 2, 3, 4, 5
_CONTACTS, CONTACTS = 8, 8

#: How long a flagged call makes its caller a flagged one, ms.
FLAGGED_MS = 3_600_000

# Parts of FINDINGS: the verdict's flags; rules that fired; what became of the call; strongest own action of the rules
# that fired; whether the caller was on a block list.
_FIRED_SHIFT, _ACTION_SHIFT, _DECLARED_SHIFT, _LISTED_SHIFT = 16, 24, 26, 28
_MOST_FIRED = 255
_HALF = np.uint64(32)


@compiled
def facts_of(rules: RuleArrays, verdict: NDArray[np.int64], fired: NDArray[np.uint8]) -> int:
    """What alerts need to know of a verdict, in one word."""
    action, declared, flags = verdict[V_ACTION], 0, verdict[V_FLAGS]
    if verdict[V_FIRED]:
        action = max(action, ACTION_OBSERVE)
        if flags & (FLAG_ALLOWED | FLAG_EMERGENCY | FLAG_FAIL_OPEN) == 0:
            for rule in range(rules.declared.shape[0]):
                if fired[rule] and rules.declared[rule] > declared:
                    declared = rules.declared[rule]
    listed = 1 if block_id(verdict[V_CALLER_LISTS]) else 0
    return int(
        flags & 0xFFFF
        | min(verdict[V_FIRED], _MOST_FIRED) << _FIRED_SHIFT
        | action << _ACTION_SHIFT
        | declared << _DECLARED_SHIFT
        | listed << _LISTED_SHIFT
    )


@compiled
def fired_of(facts: int) -> int:
    """How many rules fired."""
    return (facts >> _FIRED_SHIFT) & 0xFF


@compiled
def action_of(facts: int) -> int:
    """An ACTION_… code: what became of the call; observe where rules fired and nothing was done."""
    return (facts >> _ACTION_SHIFT) & 3


@compiled
def declared_of(facts: int) -> int:
    """An ACTION_… code: the strongest action that a rule which fired may ever take."""
    return (facts >> _DECLARED_SHIFT) & 3


@compiled
def was_listed(facts: int) -> bool:
    """Whether the caller was on a block list when the call was set up."""
    return bool(facts >> _LISTED_SHIFT & 1)


@compiled
def is_flagged(facts: int) -> bool:
    """Whether a rule that may warn or block fired on the call."""
    return declared_of(facts) >= ACTION_WARN


@compiled
def _at(t: NDArray[np.int64], mark: int) -> int:
    return int(t[MARKS_AT] + mark * MARK)


@compiled
def _bucket(t: NDArray[np.int64], key: int) -> int:
    return int(t[MARK_BUCKETS_AT] + (signed(mixed(key, t[SALT]) >> _HALF) & (t[MARK_BUCKETS] - 1)))


@compiled
def find(t: NDArray[np.int64], key: int) -> int:
    """The place of a number's first word, NONE where it is not marked."""
    mark = t[_bucket(t, key)] - 1
    while mark >= 0:
        at = _at(t, mark)
        if t[at + _KEY] == key:
            return at
        mark = t[at + _CHAIN] - 1
    return NONE


@compiled
def _unlink(t: NDArray[np.int64], mark: int) -> None:
    at = _at(t, mark)
    older, newer = t[at + _OLDER], t[at + _NEWER]
    put(t, MARK_OLDEST if older == NONE else _at(t, older) + _NEWER, newer)
    put(t, MARK_NEWEST if newer == NONE else _at(t, newer) + _OLDER, older)


@compiled
def _link(t: NDArray[np.int64], mark: int) -> None:
    at, newest = _at(t, mark), t[MARK_NEWEST]
    put(t, at + _OLDER, newest)
    put(t, at + _NEWER, NONE)
    put(t, MARK_OLDEST if newest == NONE else _at(t, newest) + _NEWER, mark)
    put(t, MARK_NEWEST, mark)


@compiled
def _free(t: NDArray[np.int64]) -> int:
    """A mark that no number has: an unused one, or that of the number marked least recently."""
    if t[MARKED] < t[MARKS]:
        put(t, MARKED, t[MARKED] + 1)
        return int(t[MARKED] - 1)
    mark = int(t[MARK_OLDEST])
    at = _at(t, mark)
    place = _bucket(t, t[at + _KEY])
    while t[place] != mark + 1:
        place = _at(t, t[place] - 1) + _CHAIN
    put(t, place, t[at + _CHAIN])
    _unlink(t, mark)
    return mark


@compiled
def _touch(t: NDArray[np.int64], key: int) -> int:
    """The place of a number, now the most recently marked one; made if need be."""
    at = find(t, key)
    if at == NONE:
        mark, bucket = _free(t), _bucket(t, key)
        at = _at(t, mark)
        for word in range(MARK):
            put(t, at + word, 0)
        put(t, at + _KEY, key)
        put(t, at + _CHAIN, t[bucket])
        put(t, bucket, mark + 1)
    else:
        mark = (at - _at(t, 0)) // MARK
        _unlink(t, mark)
    _link(t, mark)
    return at


@compiled
def note_flagged(t: NDArray[np.int64], caller: int, callee: int, blocked: int, now: int) -> None:
    """A flagged attempt.

    Args:
        t: the call table.
        caller, callee: number keys; 0 = none.
        blocked: 1 where the call was refused.
        now: ms since 1970 UTC.
    """
    if caller != 0:
        at = _touch(t, caller)
        put(t, at + FLAGGED_AT, now)
        if blocked:
            put(t, at + BLOCKED_AT, now)
    note_contact(t, caller, callee, now)


@compiled
def note_contact(t: NDArray[np.int64], caller: int, callee: int, now: int) -> None:
    """A flagged caller tried to reach `callee` (0 = nobody); what is known of the caller stays as it is."""
    if callee != 0:
        at = _touch(t, callee)
        place = _place_for(t, at, caller)
        put(t, place, caller)
        put(t, place + 1, now)


@compiled
def _place_for(t: NDArray[np.int64], at: int, caller: int) -> int:
    """Where the next contact goes: the oldest one's place; of a caller who is there twice, its own oldest one's."""
    oldest, own, count = at + _CONTACTS, NONE, 0
    for i in range(CONTACTS):
        place = at + _CONTACTS + 2 * i
        if t[place + 1] < t[oldest + 1]:
            oldest = place
        if t[place + 1] != 0 and t[place] == caller:
            count += 1
            if own == NONE or t[place + 1] < t[own + 1]:
                own = place
    if t[oldest + 1] != 0 and count > 1:
        return own
    return oldest


@compiled
def contacts_since(t: NDArray[np.int64], at: int, since: int) -> tuple[int, int]:
    """Flagged attempts to reach a number after `since` (ms), and how many callers made them; of the last eight.

    `at` is what `find` gave.
    """
    attempts = callers = 0
    if at == NONE:
        return 0, 0
    for i in range(CONTACTS):
        place = at + _CONTACTS + 2 * i
        if t[place + 1] <= since or t[place + 1] == 0:
            continue
        attempts += 1
        again = False
        for j in range(i):
            other = at + _CONTACTS + 2 * j
            again |= t[other + 1] > since and t[other + 1] != 0 and t[other] == t[place]
        callers += not again
    return attempts, callers


@compiled
def last_of(t: NDArray[np.int64], at: int, word: int) -> int:
    """FLAGGED_AT or BLOCKED_AT of what `find` gave; 0 = never."""
    return 0 if at == NONE else int(t[at + word])
