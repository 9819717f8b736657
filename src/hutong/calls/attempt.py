"""A call attempt, what judges it and its verdict, as compiled code takes them: slots and tuples of arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hutong.calls.features import CALLEE_WINDOWS, CALLER_WINDOWS, TRUNK_WINDOWS, VOCABULARY
from hutong.calls.model import ACTIONS
from hutong.kernel.numbering import NUMBER_FIELDS
from hutong.kernel.rules.gates import least, sets_of, words_for
from hutong.kernel.windows import RUN_SECONDS, SPAN_NAMES, WINDOW_FEATURES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from hutong.calls.trunks import TrunkArrays
    from hutong.kernel.lists.index import ListArrays
    from hutong.kernel.numbering import PlanArrays
    from hutong.kernel.rules.machine import Program
    from hutong.kernel.rules.ruleset import Ruleset

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

#: Which windows a rule reads.
CALLER_READ, CALLEE_READ, TRUNK_READ = 1, 2, 4
#: Calls beyond which a count says no more about which rules are possible.
FEW = 255

# Slots of a verdict (int64).
V_ACTION, V_CODE, V_RULE, V_FIRED, V_FLAGS, V_STAGED = 0, 1, 2, 3, 4, 5
V_CALLER_LISTS, V_CALLEE_LISTS, V_AREA, V_PENDING = 6, 7, 8, 9
VERDICT_SLOTS = 10


class RuleArrays(NamedTuple):
    """What the judgement needs of a rule set beside its program.

    effects: int64[n] action codes by stage; declared: int64[n] action codes by the rule's own action, whatever its
    stage; responds: int64[n] SIP codes; reads: int64[r] feature indices that the rules read, read_spans: int64[n, 2]
    each rule's part of it; digest: the set's first 64 bits.

    windows: int64[n], bits CALLER_READ, CALLEE_READ and TRUNK_READ of the windows that each rule reads.
    by_calls, by_inbound: uint64[FEW + 1, words], which rules can fire at most when the caller made, or the callee
    received, so many calls (FEW stands for any more) in what its windows look back on.
    """

    effects: NDArray[np.int64]
    declared: NDArray[np.int64]
    responds: NDArray[np.int64]
    reads: NDArray[np.int64]
    read_spans: NDArray[np.int64]
    windows: NDArray[np.int64]
    by_calls: NDArray[np.uint64]
    by_inbound: NDArray[np.uint64]
    digest: int


class Judge(NamedTuple):
    """Everything a judgement consults.

    windows: handle of the table. calls: the call table (`mirror.table`), or `no_table()` where nothing is mirrored.
    scores: rows of published scores (`kernel.scores`), or `no_scores()`.
    marks: rows of marks (`kernel.marks`), or `no_marks()`.
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
    scores: NDArray[np.int64]
    marks: NDArray[np.int64]
    use_table: int
    look_up_roaming: int


class Scratch(NamedTuple):
    """Reused working memory: numbers (other: From's), features, rules possible, fired marks, a verdict.

    keys: int64[3] of caller, callee and trunk. rows: int64[3], where their windows most
    likely are, -1 = no idea; afterwards where they are.
    """

    caller: NDArray[np.int64]
    callee: NDArray[np.int64]
    other: NDArray[np.int64]
    diverter: NDArray[np.int64]
    keys: NDArray[np.int64]
    rows: NDArray[np.int64]
    features: NDArray[np.float64]
    possible: NDArray[np.uint64]
    fired: NDArray[np.uint8]
    verdict: NDArray[np.int64]


def _window_features(side: str, *stems: str) -> list[int]:
    return [VOCABULARY.index(f"{side}.{stem}_{span}") for stem in stems for span in SPAN_NAMES]


# What cannot exceed the calls that a number made (received) today and yesterday (UTC), whatever the span; see
# `windows.day_counts`. A run hangs together only while no two of its calls are RUN_SECONDS apart: a day holds at least
# _LONGEST_RUN calls of a longer one.
_LONGEST_RUN = 86_400 // RUN_SECONDS - 1
_NEED_CALLS = {
    **dict.fromkeys(_window_features("caller", "attempts", "distinct_callees", "areas"), FEW),
    **dict.fromkeys((VOCABULARY.index("caller.run_sequential"), VOCABULARY.index("caller.run_same")), _LONGEST_RUN),
}
_NEED_INBOUND = dict.fromkeys(_window_features("callee", "inbound"), FEW)


def _windows_read(features: Sequence[int]) -> int:
    spans = ((CALLER_READ, CALLER_WINDOWS), (CALLEE_READ, CALLEE_WINDOWS), (TRUNK_READ, TRUNK_WINDOWS))
    return sum(bit for bit, first in spans if any(first <= f < first + len(WINDOW_FEATURES) for f in features))


def _possible_by(ruleset: Ruleset, needs: Mapping[int, int]) -> NDArray[np.uint64]:
    """Which rules are possible by a count that no feature of `needs` exceeds as long as it is below its bound."""
    wanted = [max(min(least(tree, feature), bound) for feature, bound in needs.items()) for tree in ruleset.trees]
    counts = np.arange(FEW + 1.0)[:, None]
    possible = counts >= np.array(wanted)[None, :]
    possible[FEW] = True
    return sets_of(possible)


def rule_arrays(ruleset: Ruleset) -> RuleArrays:
    """A rule set's effects, responses and reads as arrays."""
    reads = [ruleset.features_of(rule) for rule in range(len(ruleset.rules))]
    ends = np.cumsum([len(r) for r in reads]).astype(np.int64) if reads else np.zeros(0, dtype=np.int64)
    starts = ends - np.array([len(r) for r in reads], dtype=np.int64)
    digest = int(ruleset.digest[:16], 16)
    return RuleArrays(
        effects=np.array([ACTIONS.index(rule.stage) for rule in ruleset.rules], dtype=np.int64),
        declared=np.array([ACTIONS.index(rule.action) for rule in ruleset.rules], dtype=np.int64),
        responds=np.array([rule.respond for rule in ruleset.rules], dtype=np.int64),
        reads=np.array([index for r in reads for index in r], dtype=np.int64),
        read_spans=np.stack([starts, ends], axis=1).reshape(-1, 2),
        windows=np.array([_windows_read(r) for r in reads], dtype=np.int64),
        by_calls=_possible_by(ruleset, _NEED_CALLS),
        by_inbound=_possible_by(ruleset, _NEED_INBOUND),
        digest=digest - 2**64 if digest >= 2**63 else digest,
    )


def new_scratch(rules: int) -> Scratch:
    """Working memory for a rule set of this many rules."""
    return Scratch(
        caller=np.zeros(NUMBER_FIELDS, dtype=np.int64),
        callee=np.zeros(NUMBER_FIELDS, dtype=np.int64),
        other=np.zeros(NUMBER_FIELDS, dtype=np.int64),
        diverter=np.zeros(NUMBER_FIELDS, dtype=np.int64),
        keys=np.zeros(3, dtype=np.int64),
        rows=np.full(3, -1, dtype=np.int64),
        features=VOCABULARY.defaults(),
        possible=np.zeros(words_for(rules), dtype=np.uint64),
        fired=np.zeros(max(rules, 1), dtype=np.uint8),
        verdict=np.zeros(VERDICT_SLOTS, dtype=np.int64),
    )
