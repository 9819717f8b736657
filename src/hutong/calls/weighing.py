"""What a call attempt is judged to be, compiled: numbers, lists, windows, rules → verdict. Nothing is written down.

The live judgement (`screening.judge`) and replays both come through `weigh`. Rules that cannot fire are not run, and
windows that no rule left asks for are not read: neither changes what fires.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hutong.calls.answers import NO_RULE
from hutong.calls.attempt import (
    ANONYMOUS,
    CALLEE,
    CALLEE_READ,
    CALLER,
    CALLER_READ,
    DIVERTER,
    FAIL_OPEN,
    FEW,
    FLAGS,
    FROM,
    HOUR,
    NIGHT,
    ROAMING,
    ROAMING_ASK,
    ROAMING_CONFIRMED,
    ROAMING_NOT_ASKED,
    ROAMING_UNCONFIRMED,
    ROAMING_UNKNOWN,
    TIME_MS,
    TRUNK,
    TRUNK_READ,
    V_ACTION,
    V_AREA,
    V_CALLEE_LISTS,
    V_CALLER_LISTS,
    V_CODE,
    V_FIRED,
    V_FLAGS,
    V_PENDING,
    V_RULE,
    V_STAGED,
    Judge,
    Scratch,
)
from hutong.calls.features import CALLEE_WINDOWS, CALLER_WINDOWS, TRUNK_WINDOWS, VOCABULARY
from hutong.calls.model import (
    ACTION_BLOCK,
    ACTION_OBSERVE,
    ACTION_PASS,
    ACTION_WARN,
    CODE_PASS,
    FLAG_ALLOWED,
    FLAG_ANONYMOUS,
    FLAG_CONFLICT,
    FLAG_DIVERTED,
    FLAG_EMERGENCY,
    FLAG_FAIL_OPEN,
    FLAG_MIRRORED,
    FLAG_NIGHT,
    ROAMING_SHIFT,
)
from hutong.calls.trunks import KIND_INTERNATIONAL, in_own_ranges
from hutong.kernel.compiled import compiled, inlined
from hutong.kernel.lists.index import ROLE_CALLEE, ROLE_CALLER, allow_id, block_id, look_up, respond_of
from hutong.kernel.marks.table import (
    LIMIT,
    NO_ROW,
    UNTIL,
    find_row,
    limit_mark_of,
    limit_of,
    reporters_7d,
    reporters_24h,
    reporters_30d,
    wrong_blocks,
)
from hutong.kernel.numbering import COUNTRIES, key_count, key_kind, read_number
from hutong.kernel.numbering.codes import (
    AREA,
    COUNTRY,
    FAULT,
    FAULT_NONE,
    FORM,
    KEY,
    KLASS,
    KLASS_EMERGENCY,
    KLASS_PUBLIC,
    OPERATOR,
)
from hutong.kernel.numbering.keys import KIND_NUMBER
from hutong.kernel.rules.bits import lowest_bit
from hutong.kernel.rules.gates import WORD
from hutong.kernel.rules.machine import leave_possible, run_rule
from hutong.kernel.scores.table import NO_SCORE, score_of
from hutong.kernel.scores.table import look_up as score_at
from hutong.kernel.windows import (
    WindowArrays,
    day_counts,
    note_attempt,
    note_inbound,
    read_features,
    table_at,
    touch,
    touch_near,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CHINA = COUNTRIES.index("CN")
_NONE, _ONE = np.uint64(0), np.uint64(1)
# With fewer rows, one party's row may be given to the next before it is read.
_ENOUGH_ROWS = 3


def _at(name: str) -> int:
    return VOCABULARY.index(name)


_NIGHT, _HOUR, _DIVERTED = _at("call.night"), _at("call.hour"), _at("call.diverted")
_CONFLICT, _ANONYMOUS, _EMERGENCY = (
    _at("call.identity_conflict"),
    _at("call.anonymous"),
    _at("call.emergency"),
)
_TRUNK_NAME, _TRUNK_KIND = _at("trunk.name"), _at("trunk.kind")
_CALLER_CLASS, _CALLER_COUNTRY, _CALLER_OPERATOR = (
    _at("caller.class"),
    _at("caller.country"),
    _at("caller.operator"),
)
_CALLER_AREA, _CALLER_FORM, _CALLER_FAULT = _at("caller.area"), _at("caller.form"), _at("caller.fault")
_CALLER_DIGITS, _CALLER_OWN = _at("caller.digits"), _at("caller.in_own_ranges")
_DIVERTER_OWN, _ROAMING = _at("caller.diverter_in_own_ranges"), _at("caller.roaming")
_CALLER_BLOCKED, _CALLER_ALLOWED = _at("caller.listed_block"), _at("caller.listed_allow")
_CALLEE_BLOCKED, _CALLEE_ALLOWED = _at("callee.listed_block"), _at("callee.listed_allow")
_CALLER_RISK, _CALLER_RISK_KNOWN = _at("caller.risk"), _at("caller.risk_known")
_REPORTED, _REPORTERS, _WRONG_BLOCKS = _at("caller.reported"), _at("caller.reporters_24h"), _at("caller.wrong_blocks")
_LIMITED, _CALL_LIMIT, _LIMIT_MARK = _at("caller.limited"), _at("caller.call_limit"), _at("caller.limit_mark")
_CALLEE_CLASS, _CALLEE_COUNTRY, _CALLEE_OPERATOR = (
    _at("callee.class"),
    _at("callee.country"),
    _at("callee.operator"),
)
_CALLEE_AREA, _CALLEE_FORM, _CALLEE_FAULT = _at("callee.area"), _at("callee.form"), _at("callee.fault")


@inlined
def read_parties(judge: Judge, call: NDArray[np.int64], text: NDArray[np.uint8], scratch: Scratch) -> None:
    """Read the numbers that the call's spans point at. Of an absent From or diverter nothing is read."""
    abroad = 1 if judge.trunks.kinds[call[TRUNK]] == KIND_INTERNATIONAL else 0
    read_number(judge.plan, text, call[CALLER], call[CALLER + 1], abroad, scratch.caller)
    read_number(judge.plan, text, call[CALLEE], call[CALLEE + 1], 0, scratch.callee)
    if call[FROM + 1] > call[FROM]:
        read_number(judge.plan, text, call[FROM], call[FROM + 1], abroad, scratch.other)
    if call[DIVERTER + 1] > call[DIVERTER]:
        read_number(judge.plan, text, call[DIVERTER], call[DIVERTER + 1], 0, scratch.diverter)


@inlined
def _flags(call: NDArray[np.int64], scratch: Scratch) -> int:
    """What the numbers and the call say of themselves."""
    flags = call[FLAGS]
    if call[FROM + 1] > call[FROM]:
        both = key_kind(scratch.other[KEY]) == KIND_NUMBER and key_kind(scratch.caller[KEY]) == KIND_NUMBER
        if both and scratch.other[KEY] != scratch.caller[KEY]:
            flags |= FLAG_CONFLICT
    if call[DIVERTER + 1] > call[DIVERTER]:
        flags |= FLAG_DIVERTED
    if call[ANONYMOUS]:
        flags |= FLAG_ANONYMOUS
    if call[NIGHT]:
        flags |= FLAG_NIGHT
    if scratch.callee[KLASS] in (KLASS_EMERGENCY, KLASS_PUBLIC):
        flags |= FLAG_EMERGENCY
    return int(flags)


@inlined
def _roaming(judge: Judge, call: NDArray[np.int64], scratch: Scratch, now: int) -> int:
    """The answer to the roaming question, or ROAMING_ASK when an outside look-up must be awaited."""
    if judge.trunks.kinds[call[TRUNK]] != KIND_INTERNATIONAL or scratch.caller[COUNTRY] != _CHINA:
        return ROAMING_NOT_ASKED
    if call[ROAMING] != ROAMING_ASK:
        return int(call[ROAMING])
    if judge.use_table and allow_id(look_up(judge.roaming, scratch.caller[KEY], now, ROLE_CALLER)):
        return ROAMING_CONFIRMED
    if judge.look_up_roaming and scratch.caller[FAULT] == FAULT_NONE:
        return ROAMING_ASK
    return ROAMING_UNCONFIRMED if judge.use_table or judge.look_up_roaming else ROAMING_UNKNOWN


@inlined
def _fill(judge: Judge, call: NDArray[np.int64], scratch: Scratch, flags: int) -> None:
    """Write every feature that does not come from windows."""
    f, caller, callee, trunk = scratch.features, scratch.caller, scratch.callee, call[TRUNK]
    f[_NIGHT] = call[NIGHT]
    f[_HOUR] = call[HOUR]
    f[_DIVERTED] = 1.0 if flags & FLAG_DIVERTED else 0.0
    f[_CONFLICT] = 1.0 if flags & FLAG_CONFLICT else 0.0
    f[_ANONYMOUS] = 1.0 if flags & FLAG_ANONYMOUS else 0.0
    f[_EMERGENCY] = 1.0 if flags & FLAG_EMERGENCY else 0.0
    f[_TRUNK_NAME] = judge.trunks.codes[trunk]
    f[_TRUNK_KIND] = judge.trunks.kinds[trunk]
    f[_CALLER_CLASS] = caller[KLASS]
    f[_CALLER_COUNTRY] = caller[COUNTRY]
    f[_CALLER_OPERATOR] = caller[OPERATOR]
    f[_CALLER_AREA] = caller[AREA]
    f[_CALLER_FORM] = caller[FORM]
    f[_CALLER_FAULT] = caller[FAULT]
    f[_CALLER_DIGITS] = key_count(caller[KEY])
    f[_CALLER_OWN] = 1.0 if in_own_ranges(judge.trunks, trunk, caller[KEY]) else 0.0
    diverted = flags & FLAG_DIVERTED and in_own_ranges(judge.trunks, trunk, scratch.diverter[KEY])
    f[_DIVERTER_OWN] = 1.0 if diverted else 0.0
    f[_CALLEE_CLASS] = callee[KLASS]
    f[_CALLEE_COUNTRY] = callee[COUNTRY]
    f[_CALLEE_OPERATOR] = callee[OPERATOR]
    f[_CALLEE_AREA] = callee[AREA]
    f[_CALLEE_FORM] = callee[FORM]
    f[_CALLEE_FAULT] = callee[FAULT]


@inlined
def _consult_lists(judge: Judge, scratch: Scratch, now: int) -> None:
    f, verdict = scratch.features, scratch.verdict
    of_caller = look_up(judge.lists, scratch.caller[KEY], now, ROLE_CALLER)
    of_callee = look_up(judge.lists, scratch.callee[KEY], now, ROLE_CALLEE)
    verdict[V_CALLER_LISTS], verdict[V_CALLEE_LISTS] = of_caller, of_callee
    f[_CALLER_BLOCKED] = 1.0 if block_id(of_caller) else 0.0
    f[_CALLER_ALLOWED] = 1.0 if allow_id(of_caller) else 0.0
    f[_CALLEE_BLOCKED] = 1.0 if block_id(of_callee) else 0.0
    f[_CALLEE_ALLOWED] = 1.0 if allow_id(of_callee) else 0.0


@inlined
def _consult_scores(judge: Judge, scratch: Scratch) -> None:
    found = score_at(judge.scores, scratch.caller[KEY])
    scratch.features[_CALLER_RISK_KNOWN] = 0.0 if found == NO_SCORE else 1.0
    scratch.features[_CALLER_RISK] = 0.0 if found == NO_SCORE else score_of(found)


@compiled
def _consult_marks(rows: NDArray[np.int64], key: int, now: int, f: NDArray[np.float64]) -> None:
    """Write what is known of the caller beside its calls; where no table is, nothing is written at any time."""
    row = find_row(rows, key)
    limit = 0
    if row == NO_ROW:
        f[_REPORTERS : _REPORTERS + 3] = 0.0
        f[_WRONG_BLOCKS] = 0.0
    else:
        f[_REPORTERS] = reporters_24h(rows, row)
        f[_REPORTERS + 1] = reporters_7d(rows, row)
        f[_REPORTERS + 2] = reporters_30d(rows, row)
        f[_WRONG_BLOCKS] = wrong_blocks(rows, row)
        # A limit ends by itself, whoever keeps the table.
        limit = rows[row, LIMIT] if now < rows[row, UNTIL] else 0
    f[_REPORTED] = 1.0 if f[_REPORTERS + 2] > 0 else 0.0
    f[_CALL_LIMIT], f[_LIMIT_MARK] = limit_of(limit), limit_mark_of(limit)
    f[_LIMITED] = 1.0 if f[_CALL_LIMIT] > 0 else 0.0


@compiled
def note_call(windows: WindowArrays, keys: NDArray[np.int64], area: int, now: int, night: int) -> tuple[int, int, int]:
    """As `note_call_near`, with no idea where the rows may be."""
    return note_call_near(windows, keys, area, now, night, (-1, -1, -1))


@compiled
def note_call_near(
    windows: WindowArrays, keys: NDArray[np.int64], area: int, now: int, night: int, near: tuple[int, int, int]
) -> tuple[int, int, int]:
    """Count a call attempt for caller, callee and trunk.

    Args:
        windows: the table.
        keys: int64[3] caller, callee, trunk.
        area: the callee's area code index.
        now: seconds since 1970 UTC.
        night: 1 in the night hours.
        near: where their rows most likely are (`windows.find_near`).

    Returns:
        Their rows.
    """
    caller = touch_near(windows, keys[0], near[0], now)
    note_attempt(windows, caller, keys[1], area, now, night)
    callee = touch_near(windows, keys[1], near[1], now)
    note_inbound(windows, callee, now)
    trunk = touch_near(windows, keys[2], near[2], now)
    note_attempt(windows, trunk, keys[1], area, now, night)
    return caller, callee, trunk


@compiled
def _note_and_read(
    w: WindowArrays, keys: NDArray[np.int64], area: int, now: int, night: int, f: NDArray[np.float64]
) -> None:
    """`note_call` where one party's row may become another's: each is read before the next one is counted."""
    caller = touch(w, keys[0], now)
    note_attempt(w, caller, keys[1], area, now, night)
    read_features(w, caller, now, f, CALLER_WINDOWS)
    callee = touch(w, keys[1], now)
    note_inbound(w, callee, now)
    read_features(w, callee, now, f, CALLEE_WINDOWS)
    trunk = touch(w, keys[2], now)
    note_attempt(w, trunk, keys[1], area, now, night)
    read_features(w, trunk, now, f, TRUNK_WINDOWS)


@inlined
def _count_and_run(it: Judge, scratch: Scratch, now: int, night: int) -> int:
    """Count the call, and mark the rules that fire with it counted; gives how many those are."""
    w, keys, possible, rules = table_at(it.windows), scratch.keys, scratch.possible, it.rules
    leave_possible(it.program, scratch.features, possible)
    caller, callee, trunk = -1, -1, -1
    alone = keys[0] == keys[1] or w.head.capacity < _ENOUGH_ROWS
    if alone:
        _note_and_read(w, keys, scratch.callee[AREA], now, night, scratch.features)
    else:
        near = (scratch.rows[0], scratch.rows[1], scratch.rows[2])
        caller, callee, trunk = note_call_near(w, keys, scratch.callee[AREA], now, night, near)
        made, _ = day_counts(w, caller)
        _, received = day_counts(w, callee)
        for word in range(possible.shape[0]):
            possible[word] &= rules.by_calls[min(made, FEW), word] & rules.by_inbound[min(received, FEW), word]
    scratch.rows[0], scratch.rows[1], scratch.rows[2] = caller, callee, trunk
    scratch.fired[:] = 0
    unread = 0 if alone else CALLER_READ | CALLEE_READ | TRUNK_READ
    count = 0
    for word in range(possible.shape[0]):
        left = possible[word]
        while left != _NONE:
            rule = word * WORD + lowest_bit(left)
            left &= left - _ONE
            asked = rules.windows[rule] & unread
            if asked != 0:
                unread &= ~asked
                if asked & CALLER_READ:
                    read_features(w, caller, now, scratch.features, CALLER_WINDOWS)
                if asked & CALLEE_READ:
                    read_features(w, callee, now, scratch.features, CALLEE_WINDOWS)
                if asked & TRUNK_READ:
                    read_features(w, trunk, now, scratch.features, TRUNK_WINDOWS)
            if run_rule(it.program, rule, scratch.features):
                scratch.fired[rule] = 1
                count += 1
    return count


@inlined
def _decide(judge: Judge, scratch: Scratch, flags: int) -> int:
    """Turn fired rules into an action; the first rule of the strongest action decides. Gives the flags."""
    verdict, effects = scratch.verdict, judge.rules.effects
    strongest, deciding = ACTION_PASS, NO_RULE
    if verdict[V_FIRED]:
        for rule in range(effects.shape[0]):
            if scratch.fired[rule] and effects[rule] > strongest:
                strongest, deciding = int(effects[rule]), rule
    verdict[V_STAGED] = strongest
    action = strongest if strongest > ACTION_OBSERVE else ACTION_PASS
    if flags & FLAG_EMERGENCY:
        action = ACTION_PASS
    elif allow_id(verdict[V_CALLER_LISTS]) or allow_id(verdict[V_CALLEE_LISTS]):
        # A person said that these calls are wanted; every rule yields, and the record keeps what fired.
        action = ACTION_PASS
        flags |= FLAG_ALLOWED
    verdict[V_RULE] = deciding if action >= ACTION_WARN else NO_RULE
    if flags & FLAG_MIRRORED:
        # Nobody asked: the call is what it is, and the record says what would have decided.
        verdict[V_STAGED] = min(strongest, ACTION_OBSERVE)
        verdict[V_ACTION], verdict[V_CODE] = ACTION_PASS, 0
        return flags
    verdict[V_ACTION] = action
    verdict[V_CODE] = CODE_PASS
    if action == ACTION_BLOCK:
        # A list entry says itself how its calls are refused; the number's own entry before the called one's.
        listed = respond_of(judge.lists, verdict[V_CALLER_LISTS])
        if listed == 0:
            listed = respond_of(judge.lists, verdict[V_CALLEE_LISTS])
        verdict[V_CODE] = listed or judge.rules.responds[deciding]
    return flags


@inlined
def weigh(it: Judge, call: NDArray[np.int64], scratch: Scratch) -> bool:
    """Judge one call attempt whose numbers were read into `scratch` (see `read_parties`).

    Args:
        it: what is consulted; its windows are changed.
        call: int64[CALL_SLOTS]; of the spans of From and diverter only whether they are empty counts.
        scratch: working memory; `scratch.verdict` holds the verdict afterwards.

    Returns:
        False when V_PENDING says that a roaming look-up must be awaited first; then nothing was counted.
    """
    verdict = scratch.verdict
    verdict[:] = 0
    verdict[V_RULE] = NO_RULE
    verdict[V_CODE] = CODE_PASS
    now = call[TIME_MS] // 1000
    flags = _flags(call, scratch)
    verdict[V_AREA] = scratch.callee[AREA]
    if call[FAIL_OPEN]:
        verdict[V_FLAGS] = flags | FLAG_FAIL_OPEN
        scratch.fired[:] = 0
        return True
    roaming = _roaming(it, call, scratch, now)
    if roaming == ROAMING_ASK and not flags & FLAG_EMERGENCY:
        verdict[V_PENDING] = 1
        return False
    scratch.features[_ROAMING] = max(roaming, 0)
    _fill(it, call, scratch, flags)
    _consult_lists(it, scratch, now)
    _consult_scores(it, scratch)
    if it.marks.shape[0] > 1:
        _consult_marks(it.marks, scratch.caller[KEY], now, scratch.features)
    scratch.keys[0] = scratch.caller[KEY]
    scratch.keys[1] = scratch.callee[KEY]
    scratch.keys[2] = it.trunks.keys[call[TRUNK]]
    verdict[V_FIRED] = _count_and_run(it, scratch, now, call[NIGHT])
    verdict[V_FLAGS] = _decide(it, scratch, flags | max(roaming, 0) << ROAMING_SHIFT)
    return True
