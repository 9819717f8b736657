"""Watching calls under way: which of them an alert condition holds for. Compiled, pure.

A call is looked at when it was set up, when it was answered, when it reaches an age that a condition names, and when
something became known of its caller. No tick looks through the call table: each age has a cursor in the table's order
of time (`mirror.table`), and a round over the rows, a part of it at each tick, compares callers with lists and marks.
A condition is told once of a call: its bit in RAISED and its record are kept by the same batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hutong.calls.alerts import marks as alert_marks
from hutong.calls.alerts import record as told
from hutong.calls.alerts.features import (
    ALERT_VOCABULARY,
    CALLEE_WINDOWS,
    CALLER_WINDOWS,
    CONTACT_SPANS,
    TARIFFS,
    TRUNK_WINDOWS,
)
from hutong.calls.mirror import table as mirror_calls
from hutong.calls.mirror.table import (
    ANSWERED,
    CALLEE,
    CALLER,
    FINDINGS,
    INVITED,
    JUDGED,
    JUDGED_AT,
    KNOWN,
    NONE,
    RAISED,
    SETUP,
    SINCE,
    TALK,
    TALKING,
    TRUNK,
    VERDICT,
    get,
    put,
    put_row,
    state_of,
)
from hutong.calls.model import FLAG_ANONYMOUS, FLAG_DIVERTED, FLAG_NIGHT
from hutong.calls.outcomes import O_ANSWERED, O_CAUSE, O_PHASE, O_STATUS
from hutong.kernel.compiled import compiled
from hutong.kernel.lists.index import ROLE_CALLEE, ROLE_CALLER, allow_id, block_id, look_up
from hutong.kernel.numbering import COUNTRIES, key_count, key_kind, key_value, read_number
from hutong.kernel.numbering.codes import AREA, COUNTRY, KLASS, OPERATOR
from hutong.kernel.numbering.keys import KIND_NUMBER
from hutong.kernel.rules.machine import Program, run_rules
from hutong.kernel.windows import find, read_features, table_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hutong.calls import record as rec
    from hutong.calls.attempt import Judge

#: Calls looked at in one tick, at most; and steps of cursors.
LOOKS, STEPS = 256, 4096
#: Rows of the round in one tick, at most and at least; a round is to take this many ticks (about a second).
ROUND_ROWS, ROUND_LEAST, ROUND_TICKS = 4096, 64, 40
#: Upper bound of the records of one look, bytes.
MOST_BYTES = mirror_calls.SLOTS * 4096

# Bits of KNOWN: what was found out about the caller.
_LISTED, _FLAGGED, _BLOCKED = 1, 2, 4
_PLUS, _ZERO = 43, 48
_TEXT = 24


class Watch(NamedTuple):
    """Alert conditions as arrays, and working memory.

    program: the conditions. stages: int64[n], positions in ALERT_STAGES; bits: int64[n] in RAISED; versions: int64[n].
    reads: int64[r] features that conditions read, read_spans: int64[n, 2]. digest: the set's first 64 bits.
    ids: uint8 text of all ids, id_spans: int64[n, 2]. nothing: int64[2], an empty span.
    plain: int64[2], 1 where a condition may hold for a call of nobody suspicious as soon as it is set up, answered.
    tariffs: int64[m] digits | count << 50 of prefixes, ascending; tariff_codes: int64[m] positions in TARIFFS.
    features, fired, number, text, alert: scratch. written: int64[1], records (or steps) of the last call.
    """

    program: Program
    stages: NDArray[np.int64]
    bits: NDArray[np.int64]
    versions: NDArray[np.int64]
    reads: NDArray[np.int64]
    read_spans: NDArray[np.int64]
    digest: int
    ids: NDArray[np.uint8]
    id_spans: NDArray[np.int64]
    nothing: NDArray[np.int64]
    plain: NDArray[np.int64]
    tariffs: NDArray[np.int64]
    tariff_codes: NDArray[np.int64]
    features: NDArray[np.float64]
    fired: NDArray[np.uint8]
    number: NDArray[np.int64]
    text: NDArray[np.uint8]
    alert: NDArray[np.int64]
    written: NDArray[np.int64]


def _at(name: str) -> int:
    return ALERT_VOCABULARY.index(name)


_TALK_S, _RING_S, _ANSWERED = _at("call.talk_s"), _at("call.ring_s"), _at("call.answered")
_NIGHT, _DIVERTED, _ANONYMOUS = _at("call.night"), _at("call.diverted"), _at("call.anonymous")
_ACTION, _DECLARED, _FIRED = _at("call.action"), _at("call.declared"), _at("call.fired")
_TRUNK_NAME, _TRUNK_KIND = _at("trunk.name"), _at("trunk.kind")
_CALLER_CLASS, _CALLEE_CLASS = _at("caller.class"), _at("callee.class")
_CALLER_FLAGGED, _CALLER_BLOCK, _CALLER_ALLOW = (
    _at("caller.flagged"),
    _at("caller.listed_block"),
    _at("caller.listed_allow"),
)
_LISTED_SINCE, _BLOCKED_SINCE = _at("caller.listed_since"), _at("caller.blocked_since")
_TARIFF, _CALLEE_BLOCK, _CALLEE_ALLOW = _at("callee.tariff"), _at("callee.listed_block"), _at("callee.listed_allow")
_CALLERS_FROM, _ATTEMPTS_FROM = _at("callee.flagged_callers_10m"), _at("callee.flagged_attempts_10m")
_BACK = np.array([span[3] for span in CONTACT_SPANS], dtype=np.int64)
_CHINA = COUNTRIES.index("CN")
_ORDINARY, _INTERNATIONAL = TARIFFS.index("ordinary"), TARIFFS.index("international")
_COUNT_SHIFT = 50


@compiled
def tariff_of(w: Watch, key: int, country: int) -> int:
    """What calling a number costs (a position in TARIFFS): its longest prefix in the table, else its country's."""
    if key_kind(key) != KIND_NUMBER:
        return _ORDINARY
    rest, count = key_value(key), key_count(key)
    while count > 0:
        wanted, low, high = rest | count << _COUNT_SHIFT, 0, w.tariffs.size
        while low < high:
            middle = (low + high) // 2
            if w.tariffs[middle] < wanted:
                low = middle + 1
            else:
                high = middle
        if low < w.tariffs.size and w.tariffs[low] == wanted:
            return int(w.tariff_codes[low])
        rest //= 10
        count -= 1
    return _ORDINARY if country == _CHINA else _INTERNATIONAL


@compiled
def _read_party(judge: Judge, w: Watch, key: int, at: int) -> None:
    """Class, country, operator and area of a number key, to the features from `at` on."""
    w.number[:] = 0
    if key_kind(key) == KIND_NUMBER:
        count, rest = key_count(key), key_value(key)
        w.text[0] = _PLUS
        for place in range(count, 0, -1):
            w.text[place] = _ZERO + rest % 10
            rest //= 10
        read_number(judge.plan, w.text, 0, count + 1, 0, w.number)
    w.features[at] = w.number[KLASS]
    w.features[at + 1] = w.number[COUNTRY]
    w.features[at + 2] = w.number[OPERATOR]
    w.features[at + 3] = w.number[AREA]


@compiled
def trunk_of(judge: Judge, key: int) -> int:
    """The trunk with this key; 0 where the settings have it no more."""
    keys = judge.trunks.keys
    for trunk in range(keys.size):
        if keys[trunk] == key:
            return trunk
    return 0


@compiled
def _known_now(judge: Judge, row: int, now: int) -> int:
    """What is known of a call's caller now, as bits of KNOWN."""
    t, known = judge.calls, 0
    caller = get(t, row, CALLER)
    if block_id(look_up(judge.lists, caller, now // 1000, ROLE_CALLER)):
        known |= _LISTED
    mark = alert_marks.find(t, caller)
    if mark != NONE:
        flagged = alert_marks.last_of(t, mark, alert_marks.FLAGGED_AT)
        if flagged + alert_marks.FLAGGED_MS > now:
            known |= _FLAGGED
        if alert_marks.last_of(t, mark, alert_marks.BLOCKED_AT) > get(t, row, JUDGED_AT):
            known |= _BLOCKED
    return known


@compiled
def _fill(judge: Judge, w: Watch, row: int, now: int) -> None:
    """Write every feature of a call; `now` in ms."""
    t, f, facts = judge.calls, w.features, get(judge.calls, row, FINDINGS)
    caller, callee, trunk = get(t, row, CALLER), get(t, row, CALLEE), trunk_of(judge, get(t, row, TRUNK))
    talking = state_of(t, row) == TALKING
    aged = max(now - get(t, row, SINCE), 0) / 1000.0
    f[_ANSWERED] = 1.0 if talking else 0.0
    f[_TALK_S] = aged if talking else 0.0
    f[_RING_S] = max(get(t, row, ANSWERED) - get(t, row, INVITED), 0) / 1e6 if talking else aged
    f[_NIGHT] = 1.0 if facts & FLAG_NIGHT else 0.0
    f[_DIVERTED] = 1.0 if facts & FLAG_DIVERTED else 0.0
    f[_ANONYMOUS] = 1.0 if facts & FLAG_ANONYMOUS else 0.0
    f[_ACTION] = alert_marks.action_of(facts)
    f[_DECLARED] = alert_marks.declared_of(facts)
    f[_FIRED] = alert_marks.fired_of(facts)
    f[_TRUNK_NAME] = judge.trunks.codes[trunk]
    f[_TRUNK_KIND] = judge.trunks.kinds[trunk]
    _read_party(judge, w, caller, _CALLER_CLASS)
    _read_party(judge, w, callee, _CALLEE_CLASS)
    f[_TARIFF] = tariff_of(w, callee, w.number[COUNTRY])
    _fill_known(judge, w, row, now)
    windows, seconds = table_at(judge.windows), now // 1000
    read_features(windows, find(windows, caller), seconds, f, CALLER_WINDOWS)
    read_features(windows, find(windows, callee), seconds, f, CALLEE_WINDOWS)
    read_features(windows, find(windows, get(t, row, TRUNK)), seconds, f, TRUNK_WINDOWS)


@compiled
def _fill_known(judge: Judge, w: Watch, row: int, now: int) -> None:
    """Lists, marks and contacts."""
    t, f, facts = judge.calls, w.features, get(judge.calls, row, FINDINGS)
    caller, callee, seconds = get(t, row, CALLER), get(t, row, CALLEE), now // 1000
    known = _known_now(judge, row, now)
    allowed = allow_id(look_up(judge.lists, caller, seconds, ROLE_CALLER)) != 0
    of_callee = look_up(judge.lists, callee, seconds, ROLE_CALLEE)
    f[_CALLER_FLAGGED] = 1.0 if (known or alert_marks.is_flagged(facts)) and not allowed else 0.0
    f[_CALLER_BLOCK] = 1.0 if known & _LISTED else 0.0
    f[_CALLER_ALLOW] = 1.0 if allowed else 0.0
    f[_LISTED_SINCE] = 1.0 if known & _LISTED and not alert_marks.was_listed(facts) else 0.0
    f[_BLOCKED_SINCE] = 1.0 if known & _BLOCKED else 0.0
    f[_CALLEE_BLOCK] = 1.0 if block_id(of_callee) else 0.0
    f[_CALLEE_ALLOW] = 1.0 if allow_id(of_callee) else 0.0
    mark = alert_marks.find(t, callee)
    for span in range(_BACK.size):
        attempts, callers = alert_marks.contacts_since(t, mark, now - _BACK[span])
        f[_CALLERS_FROM + span] = callers
        f[_ATTEMPTS_FROM + span] = attempts


@compiled
def look(judge: Judge, w: Watch, buffer: rec.RecordBuffer, row: int, now: int, at: int) -> int:
    """Tell what holds for a call and was not told of it before.

    Args:
        judge: what is consulted; its call table is changed.
        w: the conditions; `w.written` gets how many records were written.
        buffer: where records go. row: the call's. now: ms since 1970 UTC. at: first free byte.

    Returns:
        The next free byte.
    """
    t, alert = judge.calls, w.alert
    w.written[0] = 0
    _fill(judge, w, row, now)
    if run_rules(w.program, w.features, w.fired) == 0:
        return at
    raised = get(t, row, RAISED)
    before = raised
    alert[:] = 0
    alert[told.A_TIME], alert[told.A_PHASE], alert[told.A_DIGEST] = now, told.PHASE_RAISED, w.digest
    alert[told.A_CALLER], alert[told.A_CALLEE] = get(t, row, CALLER), get(t, row, CALLEE)
    alert[told.A_TRUNK], alert[told.A_VERDICT] = get(t, row, TRUNK), get(t, row, VERDICT)
    alert[told.A_RING], alert[told.A_TALK] = int(w.features[_RING_S] * 1000.0), int(w.features[_TALK_S] * 1000.0)
    alert[told.A_ANSWERED] = int(w.features[_ANSWERED])
    trunks = judge.trunks
    name = trunks.name_spans[trunk_of(judge, get(t, row, TRUNK))]
    for rule in range(w.stages.size):
        if w.fired[rule] and not raised >> w.bits[rule] & 1:
            raised |= 1 << w.bits[rule]
            alert[told.A_STAGE], alert[told.A_VERSION] = w.stages[rule], w.versions[rule]
            reads = w.reads[w.read_spans[rule, 0] : w.read_spans[rule, 1]]
            at = told.write_alert(alert, w.ids, w.id_spans[rule], trunks.names, name, w.features, reads, buffer, at)
            w.written[0] += 1
    if raised != before:
        put_row(t, row, RAISED, raised)
    return at


@compiled
def tell_end(judge: Judge, w: Watch, outcome: NDArray[np.int64], buffer: rec.RecordBuffer, at: int) -> int:
    """Write that a call under alert is over, as `outcomes.write_outcome` takes it; gives one past the record."""
    alert, trunks = w.alert, judge.trunks
    alert[:] = 0
    # Time to talk, and the codes of "ended" and "lost", are the same in both.
    for slot in range(O_PHASE):
        alert[slot] = outcome[slot]
    alert[told.A_DIGEST] = w.digest
    alert[told.A_PHASE], alert[told.A_ANSWERED] = outcome[O_PHASE], outcome[O_ANSWERED]
    alert[told.A_STATUS], alert[told.A_CAUSE] = outcome[O_STATUS], outcome[O_CAUSE]
    name = trunks.name_spans[trunk_of(judge, alert[told.A_TRUNK])]
    return told.write_alert(alert, w.ids, w.nothing, trunks.names, name, w.features, w.reads[:0], buffer, at)


@compiled
def next_due(judge: Judge, w: Watch, now: int, steps: int) -> int:
    """Move the cursors on to the next call that must be looked at.

    Returns:
        Its row; NONE when no cursor has come to one within so many steps (w.written[0] gets how many it took).
    """
    t, taken = judge.calls, 0
    for kind in (SETUP, TALK):
        for index in range(mirror_calls.cursors_of(t, kind)):
            place, age = mirror_calls.cursor_at(kind, index), mirror_calls.age_of(t, kind, index)
            while taken < steps and mirror_calls.room(t):
                row = int(t[place])
                if row == NONE or get(t, row, SINCE) + age > now:
                    break
                put(t, place, mirror_calls.newer_than(t, row))
                taken += 1
                # A call that still waits for its verdict is put into its list anew when it has it.
                if state_of(t, row) in (JUDGED, TALKING) and (age > 0 or _is_worth(judge, w, row, kind, now)):
                    w.written[0] = taken
                    return row
    w.written[0] = taken
    return NONE


@compiled
def _is_worth(judge: Judge, w: Watch, row: int, kind: int, now: int) -> bool:
    """Whether any condition may hold for a call that was just set up or answered."""
    facts = get(judge.calls, row, FINDINGS)
    return bool(
        w.plain[kind]
        or alert_marks.fired_of(facts)
        or alert_marks.was_listed(facts)
        or _known_now(judge, row, now) != get(judge.calls, row, KNOWN)
    )


@compiled
def next_changed(judge: Judge, w: Watch, now: int, rows: int) -> int:
    """Go on with the round, to the next call of whose caller something new is known.

    A caller that has become a flagged one is one for its callee as well: the call counts as a flagged attempt.

    Returns:
        Its row; NONE after so many rows, or at the end of the round (w.written[0] gets how many rows it took).
    """
    t, taken = judge.calls, 0
    row = int(t[mirror_calls.ROUND])
    while taken < rows and row < t[mirror_calls.USED] and mirror_calls.room(t):
        here = row
        row += 1
        taken += 1
        if get(t, here, mirror_calls.KEY) == 0 or state_of(t, here) not in (JUDGED, TALKING):
            continue
        known, before = _known_now(judge, here, now), get(t, here, KNOWN)
        if known & ~before == 0:
            continue
        put_row(t, here, KNOWN, before | known)
        if before == 0 and not alert_marks.is_flagged(get(t, here, FINDINGS)):
            alert_marks.note_contact(t, get(t, here, CALLER), get(t, here, CALLEE), now)
        put(t, mirror_calls.ROUND, row)
        w.written[0] = taken
        return here
    put(t, mirror_calls.ROUND, 0 if row >= t[mirror_calls.USED] else row)
    w.written[0] = taken
    return NONE
