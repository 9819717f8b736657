"""What colour a person's evidence gives: evidence, rules and now in; colour, rule, term and what it rests on out. Pure.

The gravest colour whose rule fires within its term decides; among rules of one colour the first. A judgement says how
long it stays as it is if nothing new comes: it changes by itself only when an age passes a number of a rule, a term
ends, or an order begins or ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from hutong.codes.status.colour_rules import Colour, ColourRule, ends_ms
from hutong.codes.status.features import HOUR_MS, VOCABULARY, age_name, facts_of, moments
from hutong.kernel.rules.tree import evaluate, features_read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hutong.codes.status.colour_rules import ColourRules
    from hutong.codes.status.evidence import Evidence
    from hutong.kernel.rules.tree import Boolean

#: How far ahead a judgement looks for the moment at which it changes; it is made again then, if there may be one later.
AHEAD_MS: Final = 24 * HOUR_MS


class Judgement(msgspec.Struct, frozen=True):
    """A colour and why.

    Attributes:
        since_ms: what its term counts from. until_ms: the end of the term.
        again_ms: until then it stays as it is if nothing new comes; 0 = for ever.
        rests_on: ids of the evidence that the rule looked at.
        rules: digest of the rules that it was judged by.
    """

    colour: Colour
    rule: ColourRule
    since_ms: int
    until_ms: int
    again_ms: int
    rests_on: tuple[str, ...]
    rules: str


def judge(evidence: Sequence[Evidence], rules: ColourRules, now_ms: int) -> Judgement:
    """The colour of somebody with this evidence, now."""
    rule, since_ms, rests_on = _deciding(evidence, rules, now_ms)
    again_ms = _changes_at(evidence, rules, rule, since_ms, now_ms)
    return Judgement(rule.colour, rule, since_ms, ends_ms(rule, since_ms), again_ms, rests_on, rules.digest)


def _changes_at(evidence: Sequence[Evidence], rules: ColourRules, rule: ColourRule, since_ms: int, now_ms: int) -> int:
    for at_ms in moments(evidence, rules.hours, now_ms):
        if at_ms > now_ms + AHEAD_MS:
            return now_ms + AHEAD_MS
        if _deciding(evidence, rules, at_ms)[:2] != (rule, since_ms if rule.since else at_ms):
            return at_ms
    return 0


def _deciding(evidence: Sequence[Evidence], rules: ColourRules, now_ms: int) -> tuple[ColourRule, int, tuple[str, ...]]:
    facts = facts_of(evidence, now_ms)
    for rule, tree in zip(rules.rules, rules.trees, strict=True):
        since_ms = facts.anchors.get(rule.since)
        if since_ms is not None and now_ms < ends_ms(rule, since_ms) and evaluate(tree, facts.vector):
            return rule, since_ms, _rests_on(tree, rule, facts.rests_on)
    return rules.otherwise, now_ms, ()


def _rests_on(tree: Boolean, rule: ColourRule, known: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    names = [VOCABULARY.features[place].name for place in features_read(tree)]
    ids = [id_ for name in (*names, age_name(rule.since)) for id_ in known.get(name, ())]
    return tuple(dict.fromkeys(ids))
