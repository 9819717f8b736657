"""The one judgement of a call attempt, compiled: numbers, lists, windows, rules → verdict and its record.

The fast lane, the reference path and replays all come through `judge`. Pure: arrays and `now` in, arrays out. What a
verdict means on the wire is decided in `answers`; where signalling is read, in `lane` and `identity`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hutong.calls import record as rec
from hutong.calls.answers import NO_RULE
from hutong.calls.features import VOCABULARY
from hutong.calls.model import (
    ACTION_BLOCK,
    ACTION_OBSERVE,
    ACTION_PASS,
    ACTION_WARN,
    ACTIONS,
    CODE_PASS,
    FLAG_ALLOWED,
    FLAG_ANONYMOUS,
    FLAG_CONFLICT,
    FLAG_DIVERTED,
    FLAG_EMERGENCY,
    FLAG_FAIL_OPEN,
    FLAG_MIRRORED,
    FLAG_NIGHT,
)
from hutong.calls.outcomes import replay_outcome
from hutong.calls.trunks import KIND_INTERNATIONAL, TrunkArrays, in_own_ranges
from hutong.kernel.compiled import compiled, signed
from hutong.kernel.lists import ROLE_CALLEE, ROLE_CALLER, ListArrays, allow_id, block_id, look_up, respond_of
from hutong.kernel.numbering import COUNTRIES, NUMBER_FIELDS, PlanArrays, key_count, key_kind, read_number
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
from hutong.kernel.rules import Program, run_rules
from hutong.kernel.windows import (
    WINDOW_FEATURES,
    WindowArrays,
    note_attempt,
    note_inbound,
    read_features,
    table_at,
    touch,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hutong.kernel.rules import Ruleset

# Slots of a call attempt (int64). Spans point into the text that goes with it.
TRUNK, CALLER, FROM, CALLEE, DIVERTER, CALL_ID = 0, 1, 3, 5, 7, 9
TIME_MS, HOUR, NIGHT, ANONYMOUS, FAIL_OPEN = 11, 12, 13, 14, 15
ROAMING = 16  # a look-up's answer (a ROAMING_… code), or ROAMING_ASK to consult the table
SOURCE_HIGH, SOURCE_LOW = 17, 18
FLAGS = 19  # flags that the reader of the signalling already knows
CALL_SLOTS = 20

#: How the roaming question was answered; positions of features.ROAMING.
ROAMING_NOT_ASKED, ROAMING_CONFIRMED, ROAMING_UNCONFIRMED, ROAMING_UNKNOWN = 0, 1, 2, 3
ROAMING_ASK = -1

# Slots of a verdict (int64).
V_ACTION, V_CODE, V_RULE, V_FIRED, V_FLAGS, V_STAGED = 0, 1, 2, 3, 4, 5
V_CALLER_LISTS, V_CALLEE_LISTS, V_AREA, V_PENDING = 6, 7, 8, 9
VERDICT_SLOTS = 10


class RuleArrays(NamedTuple):
    """What the judgement needs of a rule set beside its program.

    effects: int64[n] action codes by stage; responds: int64[n] SIP codes; reads: int64[r] feature indices that the
    rules read, read_spans: int64[n, 2] each rule's part of it; digest: the set's first 64 bits.
    """

    effects: NDArray[np.int64]
    responds: NDArray[np.int64]
    reads: NDArray[np.int64]
    read_spans: NDArray[np.int64]
    digest: int


class Judge(NamedTuple):
    """Everything a judgement consults.

    windows: handle of the table. calls: the call table (`mirror_calls`), or `no_table()` where nothing is mirrored.
    use_table: 1 when the roaming table counts. look_up_roaming: 1 when somebody outside may be asked.
    """

    plan: PlanArrays
    trunks: TrunkArrays
    lists: ListArrays
    roaming: ListArrays
    windows: NDArray[np.int64]
    calls: NDArray[np.int64]
    program: Program
    rules: RuleArrays
    use_table: int
    look_up_roaming: int


class Scratch(NamedTuple):
    """Reused working memory: two numbers, features, fired marks, a verdict."""

    caller: NDArray[np.int64]
    callee: NDArray[np.int64]
    other: NDArray[np.int64]
    features: NDArray[np.float64]
    fired: NDArray[np.uint8]
    verdict: NDArray[np.int64]


def rule_arrays(ruleset: Ruleset) -> RuleArrays:
    """A rule set's effects, responses and reads as arrays."""
    reads = [ruleset.features_of(rule) for rule in range(len(ruleset.rules))]
    ends = np.cumsum([len(r) for r in reads]).astype(np.int64) if reads else np.zeros(0, dtype=np.int64)
    starts = ends - np.array([len(r) for r in reads], dtype=np.int64)
    digest = int(ruleset.digest[:16], 16)
    return RuleArrays(
        effects=np.array([ACTIONS.index(rule.stage) for rule in ruleset.rules], dtype=np.int64),
        responds=np.array([rule.respond for rule in ruleset.rules], dtype=np.int64),
        reads=np.array([index for r in reads for index in r], dtype=np.int64),
        read_spans=np.stack([starts, ends], axis=1).reshape(-1, 2),
        digest=digest - 2**64 if digest >= 2**63 else digest,
    )


def new_scratch(rules: int) -> Scratch:
    """Working memory for a rule set of this many rules."""
    return Scratch(
        caller=np.zeros(NUMBER_FIELDS, dtype=np.int64),
        callee=np.zeros(NUMBER_FIELDS, dtype=np.int64),
        other=np.zeros(NUMBER_FIELDS, dtype=np.int64),
        features=VOCABULARY.defaults(),
        fired=np.zeros(max(rules, 1), dtype=np.uint8),
        verdict=np.zeros(VERDICT_SLOTS, dtype=np.int64),
    )


_CHINA = COUNTRIES.index("CN")
_SPAN = len(WINDOW_FEATURES)


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
_CALLEE_CLASS, _CALLEE_COUNTRY, _CALLEE_OPERATOR = (
    _at("callee.class"),
    _at("callee.country"),
    _at("callee.operator"),
)
_CALLEE_AREA, _CALLEE_FORM, _CALLEE_FAULT = _at("callee.area"), _at("callee.form"), _at("callee.fault")
_CALLER_WINDOWS = _at(f"caller.{WINDOW_FEATURES[0]}")
_CALLEE_WINDOWS = _at(f"callee.{WINDOW_FEATURES[0]}")
_TRUNK_WINDOWS = _at(f"trunk.{WINDOW_FEATURES[0]}")


@compiled
def _read_parties(judge: Judge, call: NDArray[np.int64], text: NDArray[np.uint8], scratch: Scratch) -> tuple[int, bool]:
    """Read the numbers; gives the flags they raise and whether the callee must always be reached."""
    abroad = 1 if judge.trunks.kinds[call[TRUNK]] == KIND_INTERNATIONAL else 0
    read_number(judge.plan, text, call[CALLER], call[CALLER + 1], abroad, scratch.caller)
    read_number(judge.plan, text, call[CALLEE], call[CALLEE + 1], 0, scratch.callee)
    flags = call[FLAGS]
    if call[FROM + 1] > call[FROM]:
        read_number(judge.plan, text, call[FROM], call[FROM + 1], abroad, scratch.other)
        both = key_kind(scratch.other[KEY]) == KIND_NUMBER and key_kind(scratch.caller[KEY]) == KIND_NUMBER
        if both and scratch.other[KEY] != scratch.caller[KEY]:
            flags |= FLAG_CONFLICT
    if call[DIVERTER + 1] > call[DIVERTER]:
        flags |= FLAG_DIVERTED
    if call[ANONYMOUS]:
        flags |= FLAG_ANONYMOUS
    if call[NIGHT]:
        flags |= FLAG_NIGHT
    klass = scratch.callee[KLASS]
    reachable = klass in (KLASS_EMERGENCY, KLASS_PUBLIC)
    if reachable:
        flags |= FLAG_EMERGENCY
    return flags, reachable


@compiled
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


@compiled
def _fill(judge: Judge, call: NDArray[np.int64], text: NDArray[np.uint8], scratch: Scratch, flags: int) -> None:
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
    f[_DIVERTER_OWN] = 0.0
    if flags & FLAG_DIVERTED:
        read_number(judge.plan, text, call[DIVERTER], call[DIVERTER + 1], 0, scratch.other)
        f[_DIVERTER_OWN] = 1.0 if in_own_ranges(judge.trunks, trunk, scratch.other[KEY]) else 0.0
    f[_CALLEE_CLASS] = callee[KLASS]
    f[_CALLEE_COUNTRY] = callee[COUNTRY]
    f[_CALLEE_OPERATOR] = callee[OPERATOR]
    f[_CALLEE_AREA] = callee[AREA]
    f[_CALLEE_FORM] = callee[FORM]
    f[_CALLEE_FAULT] = callee[FAULT]


@compiled
def _consult_lists(judge: Judge, scratch: Scratch, now: int) -> None:
    f, verdict = scratch.features, scratch.verdict
    of_caller = look_up(judge.lists, scratch.caller[KEY], now, ROLE_CALLER)
    of_callee = look_up(judge.lists, scratch.callee[KEY], now, ROLE_CALLEE)
    verdict[V_CALLER_LISTS], verdict[V_CALLEE_LISTS] = of_caller, of_callee
    f[_CALLER_BLOCKED] = 1.0 if block_id(of_caller) else 0.0
    f[_CALLER_ALLOWED] = 1.0 if allow_id(of_caller) else 0.0
    f[_CALLEE_BLOCKED] = 1.0 if block_id(of_callee) else 0.0
    f[_CALLEE_ALLOWED] = 1.0 if allow_id(of_callee) else 0.0


@compiled
def note_call(
    windows: WindowArrays,
    keys: NDArray[np.int64],
    area: int,
    now: int,
    night: int,
    features: NDArray[np.float64],
) -> None:
    """Count a call attempt for caller, callee and trunk, and read back the windows, this attempt included.

    Args:
        windows: the table.
        keys: int64[3] caller, callee, trunk.
        area: the callee's area code index.
        now: seconds since 1970 UTC.
        night: 1 in the night hours.
        features: the vector to write to.
    """
    caller = touch(windows, keys[0], now)
    note_attempt(windows, caller, keys[1], area, now, night)
    read_features(windows, caller, now, features, _CALLER_WINDOWS)
    callee = touch(windows, keys[1], now)
    note_inbound(windows, callee, now)
    read_features(windows, callee, now, features, _CALLEE_WINDOWS)
    trunk = touch(windows, keys[2], now)
    note_attempt(windows, trunk, keys[1], area, now, night)
    read_features(windows, trunk, now, features, _TRUNK_WINDOWS)


@compiled
def _decide(judge: Judge, scratch: Scratch, reachable: bool, flags: int) -> int:  # noqa: FBT001
    """Turn fired rules into an action; the first rule of the strongest action decides. Gives the flags."""
    verdict, effects = scratch.verdict, judge.rules.effects
    strongest, deciding = ACTION_PASS, NO_RULE
    for rule in range(effects.shape[0]):
        if scratch.fired[rule] and effects[rule] > strongest:
            strongest, deciding = int(effects[rule]), rule
    verdict[V_STAGED] = strongest
    action = strongest if strongest > ACTION_OBSERVE else ACTION_PASS
    if reachable:
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


@compiled
def judge(
    it: Judge,
    call: NDArray[np.int64],
    text: NDArray[np.uint8],
    scratch: Scratch,
    buffer: rec.RecordBuffer,
    at: int,
) -> int:
    """Judge one call attempt and write its record.

    Args:
        it: what is consulted; its windows are changed.
        call: int64[CALL_SLOTS].
        text: uint8, what the call's spans point into.
        scratch: working memory; `scratch.verdict` holds the verdict afterwards.
        buffer: where the record goes.
        at: first free byte, a multiple of 8.

    Returns:
        The next free byte; `at` itself when V_PENDING says that a roaming look-up must be awaited first, in which case
        nothing was counted.
    """
    verdict = scratch.verdict
    verdict[:] = 0
    verdict[V_RULE] = NO_RULE
    verdict[V_CODE] = CODE_PASS
    now = call[TIME_MS] // 1000
    flags, reachable = _read_parties(it, call, text, scratch)
    verdict[V_AREA] = scratch.callee[AREA]
    if call[FAIL_OPEN]:
        verdict[V_FLAGS] = flags | FLAG_FAIL_OPEN
        scratch.fired[:] = 0
        return _write(it, call, text, scratch, buffer, at)
    roaming = _roaming(it, call, scratch, now)
    if roaming == ROAMING_ASK and not reachable:
        verdict[V_PENDING] = 1
        return at
    scratch.features[_ROAMING] = max(roaming, 0)
    _fill(it, call, text, scratch, flags)
    _consult_lists(it, scratch, now)
    scratch.other[0] = scratch.caller[KEY]
    scratch.other[1] = scratch.callee[KEY]
    scratch.other[2] = it.trunks.keys[call[TRUNK]]
    note_call(table_at(it.windows), scratch.other, scratch.callee[AREA], now, call[NIGHT], scratch.features)
    verdict[V_FIRED] = run_rules(it.program, scratch.features, scratch.fired)
    verdict[V_FLAGS] = _decide(it, scratch, reachable, flags)
    return _write(it, call, text, scratch, buffer, at)


@compiled
def _write(
    it: Judge,
    call: NDArray[np.int64],
    text: NDArray[np.uint8],
    scratch: Scratch,
    buffer: rec.RecordBuffer,
    start: int,
) -> int:
    verdict, words, cells, trunk = scratch.verdict, buffer.words, buffer.cells, call[TRUNK]
    word, cell = start // 8, start // 2
    words[word + rec.W_TIME] = call[TIME_MS]
    words[word + rec.W_CALLER] = scratch.caller[KEY]
    words[word + rec.W_CALLEE] = scratch.callee[KEY]
    words[word + rec.W_TRUNK] = it.trunks.keys[trunk]
    words[word + rec.W_CALLER_LISTS] = verdict[V_CALLER_LISTS]
    words[word + rec.W_CALLEE_LISTS] = verdict[V_CALLEE_LISTS]
    words[word + rec.W_DIGEST] = it.rules.digest
    words[word + rec.W_SOURCE_HIGH] = call[SOURCE_HIGH]
    words[word + rec.W_SOURCE_LOW] = call[SOURCE_LOW]
    cells[cell + rec.C_CODE] = verdict[V_CODE]
    cells[cell + rec.C_ACTION] = verdict[V_ACTION] | (verdict[V_FLAGS] & 0xFF) << 8
    cells[cell + rec.C_RULE] = verdict[V_RULE]
    cells[cell + rec.C_FIRED] = verdict[V_FIRED]
    cells[cell + rec.C_AREA] = verdict[V_AREA]
    cells[cell + rec.C_KIND] = it.trunks.kinds[trunk] | (verdict[V_FLAGS] & 0xFF00)
    at = start + rec.HEAD_WORDS * 8
    slot = cell + rec.C_TEXTS
    for span in (CALL_ID, CALLER, CALLEE, FROM, DIVERTER):
        after = rec.put_text(buffer, at, text, call[span], call[span + 1])
        cells[slot] = after - at
        slot += 1
        at = after
    names = it.trunks.name_spans
    after = rec.put_text(buffer, at, it.trunks.names, names[trunk, 0], names[trunk, 1])
    cells[slot] = after - at
    return rec.finish(buffer, start, _write_fired(it, scratch, buffer, after), rec.KIND_VERDICT)


@compiled
def _write_fired(it: Judge, scratch: Scratch, buffer: rec.RecordBuffer, at: int) -> int:
    if scratch.verdict[V_FIRED] == 0:
        return at
    at = rec.pad(buffer, at)
    count = it.rules.effects.shape[0]
    for rule in range(count):
        if scratch.fired[rule]:
            buffer.cells[at // 2] = rule
            at += 2
    at = rec.pad(buffer, at)
    for rule in range(count):
        if scratch.fired[rule]:
            for i in range(it.rules.read_spans[rule, 0], it.rules.read_spans[rule, 1]):
                buffer.floats[at // 8] = scratch.features[it.rules.reads[i]]
                at += 8
    return at


@compiled
def replay_windows(
    windows: WindowArrays,
    words: NDArray[np.int64],
    cells: NDArray[np.uint16],
    start: int,
    features: NDArray[np.float64],
) -> None:
    """Count again what a verdict record says was counted; `start` is the record's first byte."""
    word, cell = start // 8, start // 2
    flags = signed(cells[cell + rec.C_ACTION]) >> 8
    if flags & FLAG_FAIL_OPEN:
        return
    keys = words[word + rec.W_CALLER : word + rec.W_TRUNK + 1]
    night = 1 if flags & FLAG_NIGHT else 0
    note_call(windows, keys, signed(cells[cell + rec.C_AREA]), words[word + rec.W_TIME] // 1000, night, features)


@compiled
def replay_records(
    windows: WindowArrays, words: NDArray[np.int64], cells: NDArray[np.uint16], skip: int, features: NDArray[np.float64]
) -> int:
    """Count again all records of a row but the first `skip`; gives how many there were of a kind that counts."""
    start, counted = 0, 0
    while start < words.shape[0] * 8:
        length = words[start // 8] & 0xFFFFFFFF
        if skip > 0:
            skip -= 1
        elif cells[start // 2 + 2] == rec.KIND_VERDICT:
            replay_windows(windows, words, cells, start, features)
            counted += 1
        elif cells[start // 2 + 2] == rec.KIND_OUTCOME:
            replay_outcome(windows, words, cells, start)
            counted += 1
        start += length
    return counted
