"""The result of a backtest: frozen values, as they stand in a file and on a page. Numbers in it are masked."""

from __future__ import annotations

import hashlib
from typing import Final, Literal

import msgspec

from hutong.kernel.rules.ruleset import Stage  # noqa: TC001  # msgspec reads the annotations

#: Classes of callers that no rule may ever hit by mistake. Always named in a result.
PROTECTED: Final = ("emergency", "hospital")
FORMAT: Final = 1


class Count(msgspec.Struct, frozen=True):
    """Calls, and the different callers among them."""

    calls: int = 0
    numbers: int = 0


class Hits(msgspec.Struct, frozen=True):
    """Calls that would have been hit, apart by what the labels say of them.

    Attributes:
        all, fraud, legitimate, unlabelled: what was hit.
        exempt: calls on which the rule fired and that pass all the same (allow list, emergency); in no other figure.
    """

    all: Count
    fraud: Count
    legitimate: Count
    unlabelled: Count
    exempt: int = 0


class Rate(msgspec.Struct, frozen=True):
    """False positives per million legitimate calls with two 95 % intervals; see `intervals`.

    Attributes:
        hits, calls: legitimate calls hit, of how many. numbers: callers of all of them.
        per_million: None without a legitimate call.
        low, high: exact for independent calls (Clopper and Pearson).
        clustered_low, clustered_high: the same with the effective number of calls (Korn and Graubard).
        design_effect: by how much calls of one caller are alike; 1 where that cannot be told.
    """

    hits: int
    calls: int
    numbers: int
    per_million: float | None
    low: float
    high: float
    clustered_low: float
    clustered_high: float
    design_effect: float

    @property
    def bound(self) -> float:
        """What the rate is below with 97.5 % confidence, by either interval."""
        return max(self.high, self.clustered_high)


class ClassHits(msgspec.Struct, frozen=True):
    """A class of labelled callers: what was hit, of how much. Without a name: labelled without a class."""

    name: str
    fraud: bool
    protected: bool
    hit: Count
    of: Count


class Overlap(msgspec.Struct, frozen=True):
    """Another rule that fired on the same calls. only: calls on which of the two this rule alone fired."""

    rule: str
    both: int
    only: int
    jaccard: float


class Day(msgspec.Struct, frozen=True):
    """Hits of a local day, YYYY-MM-DD."""

    day: str
    calls: int
    fraud: int
    legitimate: int


class Case(msgspec.Struct, frozen=True):
    """One call that was hit.

    Attributes:
        time_ms: start, ms since 1970 UTC. caller, callee: masked.
        label: fraud, legitimate or unlabelled. class_: of its caller, or of a protected callee.
        zh, en: the conditions that held, with the values that the rule read.
    """

    call_id: str
    time_ms: int
    trunk: str
    caller: str
    callee: str
    label: str
    class_: str = msgspec.field(name="class")
    score: float = 0.0
    rule: str = ""
    zh: tuple[str, ...] = ()
    en: tuple[str, ...] = ()


class Effect(msgspec.Struct, frozen=True):
    """What a rule, or all tested ones together, would have done.

    Attributes:
        hits: what was hit. confirmed: share of the reported (labelled fraud) numbers that called and were hit; None
            where none called.
        rate: false positives.
        protected: legitimate calls hit whose caller, or callee, is of a protected class.
        classes: by class, protected ones first.
        adds: hits on which no other rule in force would have warned or blocked.
        days: by local day.
        cases: the most telling ones, false positives first.
    """

    hits: Hits
    confirmed: float | None
    rate: Rate
    protected: Count
    classes: tuple[ClassHits, ...]
    adds: Hits
    days: tuple[Day, ...]
    cases: tuple[Case, ...]


class RuleEffect(msgspec.Struct, frozen=True):
    """A tested rule: its name, what it says (`when`), the most it may do, the stage it was in, what it would do."""

    id: str
    version: int
    title: dict[str, str]
    when: str
    action: Stage
    stage: Stage
    effect: Effect
    overlap: tuple[Overlap, ...]


class Over(msgspec.Struct, frozen=True):
    """The call records. digest: of their files' content. first_ms, last_ms: of the calls. bad: rows set aside."""

    files: tuple[str, ...]
    digest: str
    first_ms: int
    last_ms: int
    calls: int
    bad: int


class Labelled(msgspec.Struct, frozen=True):
    """The labels: file, digest of its content, labels of either kind, rows set aside, and the calls that they fit."""

    file: str
    digest: str
    fraud: int
    legitimate: int
    bad: int
    fraud_calls: Count
    legitimate_calls: Count
    unlabelled_calls: Count


class Backtest(msgspec.Struct, frozen=True):
    """A whole result.

    Attributes:
        made_ms: when. by: who asked for it.
        ruleset: digest of the rules that judged. over, labels: what was judged, what it was held against.
        rules: each tested rule. whole: all of them together.
        scores: which learned scores were consulted: "none"; "past", those of each call's own time; or "published",
            those of the day of the test, as results made before this was told apart did: a score that is learned later
            knows what became of the calls.
        scored_from_ms: from when on those of the time were known; calls before it had none.
    """

    format: int
    made_ms: int
    by: str
    ruleset: str
    time_zone: str
    over: Over
    labels: Labelled
    rules: tuple[RuleEffect, ...]
    whole: Effect
    scores: Literal["none", "past", "published"] = "published"
    scored_from_ms: int = 0

    def rule(self, rule_id: str, version: int) -> RuleEffect | None:
        """The effect of one rule; None where it was not tested in this version."""
        return next((it for it in self.rules if (it.id, it.version) == (rule_id, version)), None)


def encoded(backtest: Backtest) -> bytes:
    """The one way to write a result down."""
    return msgspec.json.encode(backtest, order="deterministic")


def id_of(content: bytes) -> str:
    """The name of a result: a digest of its content."""
    return hashlib.blake2b(content, digest_size=8).hexdigest()
