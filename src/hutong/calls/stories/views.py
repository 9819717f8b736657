"""What stories are told in: values for people who may not see whole numbers. No gathering belongs here."""

from __future__ import annotations

import msgspec

from hutong.calls.explain import FiredRule  # noqa: TC001  # msgspec reads the annotations


class VerdictView(msgspec.Struct, frozen=True):
    """A verdict for people who may not see whole numbers.

    Attributes:
        caller, callee: masked; `caller_ref`, `callee_ref` name them.
        call_id, from_, diverter: with numbers in them masked.
        area: of the callee, a value of AREAS.
        rule: id of the deciding rule, "" for none.
        fired: ids of all rules that fired.
        reason: in both languages, one line; empty for an ordinary passed call.
    """

    seq: int
    time_ms: int
    action: str
    code: int
    caller: str
    callee: str
    caller_ref: str
    callee_ref: str
    call_id: str
    from_: str
    diverter: str
    trunk: str
    trunk_kind: str
    area: str
    source: str
    flags: tuple[str, ...]
    rule: str
    fired: tuple[str, ...]
    reason: dict[str, str]
    ruleset: str


class OutcomeView(msgspec.Struct, frozen=True):
    """An outcome; see `outcomes.Outcome`. Numbers are those of the verdict beside which it is shown."""

    seq: int
    time_ms: int
    phase: str
    answered: bool
    ring_ms: int
    talk_ms: int
    release: int
    verdict_seq: int


class ListView(msgspec.Struct, frozen=True):
    """A list entry that covers, or covered, a number. `removed_ms`: 0 while it has effect; `expires_ms`: 0 = never."""

    id: int
    list: str
    kind: str
    role: str
    reason: str
    source: str
    who: str
    created_ms: int
    expires_ms: int
    removed_ms: int
    removed_why: str


class Partner(msgspec.Struct, frozen=True):
    """A number that another one called or was called by. `blocked`: how many of these calls were."""

    number: str
    ref: str
    calls: int
    blocked: int


class RuleCount(msgspec.Struct, frozen=True):
    """On how many calls of a number a rule fired, and on how many it decided."""

    id: str
    fired: int
    decided: int


class Tally(msgspec.Struct, frozen=True):
    """Verdicts about a number in one role, by action."""

    calls: int = 0
    passed: int = 0
    warned: int = 0
    blocked: int = 0


class NumberStory(msgspec.Struct, frozen=True):
    """What is known of a number.

    Attributes:
        ref: names it; number: masked. facts: what numbering says (class, country, operator, area: values).
        first_ms, last_ms: of its records that are kept; 0 where there are none.
        made, received: its verdicts as caller and as callee.
        cut: True where only its newest records were looked at for what follows.
        ended, answered, mean_talk_s, mean_ring_s: its ended calls that are kept, as caller.
        lists: entries that have effect now; past: removed ones that its latest verdicts name.
        rules: most often fired first, of the calls it made.
        called, callers: its most frequent partners.
        now: present windows, None where it is not tracked (any more).
        moments_ms: when `windows` were drawn: values by feature.
        calls: verdicts in each span that ends at a moment, by action.
    """

    ref: str
    number: str
    facts: dict[str, str]
    first_ms: int
    last_ms: int
    made: Tally
    received: Tally
    cut: bool
    ended: int
    answered: int
    mean_talk_s: float
    mean_ring_s: float
    lists: list[ListView]
    past: list[ListView]
    rules: list[RuleCount]
    called: list[Partner]
    callers: list[Partner]
    now: dict[str, float] | None
    moments_ms: list[int]
    windows: dict[str, list[float]]
    calls: dict[str, list[int]]


class CallStory(msgspec.Struct, frozen=True):
    """What is known of a call: its verdict, why, what became of it, and what else was judged under its Call-ID."""

    verdict: VerdictView
    rules: list[FiredRule]
    lists: list[ListView]
    reason: dict[str, str]
    outcomes: list[OutcomeView]
    others: list[VerdictView]


class WholeCall(msgspec.Struct, frozen=True):
    """The texts of a call as they were signalled: for who has stated a purpose, and only in that answer."""

    caller: str
    callee: str
    call_id: str
    from_: str
    diverter: str
