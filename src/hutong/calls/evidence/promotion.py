"""What evidence a rule must have before it may warn or block. Pure: evidence, limits, time in; objections out."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import msgspec

from hutong.calls.evidence.intervals import least_calls
from hutong.calls.evidence.reading import OF_MARKS, OF_SCORES, reads
from hutong.kernel.errors import RuleError

if TYPE_CHECKING:
    from hutong.calls.evidence.model import Backtest, RuleEffect
    from hutong.kernel.rules.ruleset import Rule

_DAY_MS: Final = 86_400_000


class Limits(msgspec.Struct, frozen=True):
    """What evidence must show.

    Attributes:
        block_per_million, warn_per_million: what the end of the interval of false positives per million legitimate
            calls may be at most, by stage.
        days: how old the run may be.
    """

    block_per_million: float = 10.0
    warn_per_million: float = 100.0
    days: int = 30

    def of(self, stage: str) -> float:
        """The limit of a stage."""
        return self.block_per_million if stage == "block" else self.warn_per_million


class Objection(msgspec.Struct, frozen=True):
    """Why evidence does not do: a word for programs, a sentence in Chinese and in English."""

    code: str
    zh: str
    en: str


def objections(rule: Rule, to: str, backtest: Backtest, limits: Limits, now_ms: int) -> list[Objection]:
    """Everything that stands against moving a rule up to `to` on this evidence; empty where nothing does."""
    tested = backtest.rule(rule.id, rule.version)
    if tested is None or (tested.when, tested.action) != (rule.when, rule.action):
        return [
            Objection(
                "other-rule",
                f"该回测没有测过规则 {rule.id} 的现行版本(v{rule.version})。",
                f"This run did not test {rule.id} as it is now (v{rule.version}).",
            )
        ]
    return [
        *_of_age(backtest, limits, now_ms),
        *_of_score(rule, backtest),
        *_of_marks(rule),
        *_of_figures(tested, to, limits),
    ]


def _of_score(rule: Rule, backtest: Backtest) -> list[Objection]:
    """What a rule that reads scores would have done is shown only by the scores of each call's own time."""
    if not reads(rule, OF_SCORES) or (backtest.scores == "past" and backtest.scored_from_ms <= backtest.over.first_ms):
        return []
    if backtest.scores == "past":
        since = datetime.fromtimestamp(backtest.scored_from_ms / 1000, ZoneInfo(backtest.time_zone)).isoformat(
            " ", "minutes"
        )
        return [
            Objection(
                "score",
                f"该规则读取主叫风险评分,当时的评分自 {since} 起才完整,而所测呼叫更早开始。",
                "This rule reads the caller's risk score; those of the time are complete only from "
                f"{since} on, and the calls begin before.",
            )
        ]
    return [
        Objection(
            "score",
            "该规则读取主叫风险评分,而该回测没有呼叫当时的评分,不能作证。",
            "This rule reads the caller's risk score, and the run had no scores of the time of the calls: "
            "it is no evidence about it.",
        )
    ]


def _of_marks(rule: Rule) -> list[Objection]:
    """Nor what was known of the caller beside its calls: reports, wrong blocks, limits."""
    if not reads(rule, OF_MARKS):
        return []
    return [
        Objection(
            "marks",
            "该规则读取举报、误拦或限呼标记,历史呼叫当时的标记没有留存,回测不能作证。",
            "This rule reads what was known of the caller beside its calls (reports, wrong blocks, limits); what was "
            "known at the time is not kept: a backtest is no evidence about it.",
        )
    ]


def _of_age(backtest: Backtest, limits: Limits, now_ms: int) -> list[Objection]:
    age = (now_ms - backtest.made_ms) / _DAY_MS
    if age <= limits.days:
        return []
    return [
        Objection(
            "too-old",
            f"该回测已有 {age:.0f} 天,最多 {limits.days} 天。",
            f"This run is {age:.0f} days old; at most {limits.days} will do.",
        )
    ]


def _of_figures(tested: RuleEffect, to: str, limits: Limits) -> list[Objection]:
    found, rate, limit = [], tested.effect.rate, limits.of(to)
    protected = tested.effect.protected
    if protected.calls:
        found.append(
            Objection(
                "protected",
                f"它会命中医院或应急号码的 {protected.calls:,} 次正常呼叫({protected.numbers:,} 个主叫)。",
                f"It would hit {protected.calls:,} legitimate calls of hospitals or emergency services "
                f"({protected.numbers:,} callers).",
            )
        )
    least = least_calls(limit)
    if rate.calls < least:
        found.append(
            Objection(
                "too-few",
                f"正常呼叫只有 {rate.calls:,} 次;上限为每百万 {limit:g} 次时至少需要 {least:,} 次。",
                f"There are {rate.calls:,} legitimate calls; "
                f"a limit of {limit:g} per million takes {least:,} at least.",
            )
        )
    elif rate.bound > limit:
        found.append(
            Objection(
                "too-many",
                f"每百万次正常呼叫的误伤可能高达 {rate.bound:,.1f} 次(95 % 区间上限),超过 {limit:g}。",
                f"Up to {rate.bound:,.1f} false positives per million legitimate calls (end of the 95 % interval), "
                f"above the limit of {limit:g}.",
            )
        )
    return found


def require(rule: Rule, to: str, backtest: Backtest, limits: Limits, now_ms: int) -> None:
    """Pass, or refuse.

    Raises:
        RuleError: with every objection.
    """
    if found := objections(rule, to, backtest, limits, now_ms):
        raise RuleError(
            f"{rule.id} cannot be moved to {to} on this evidence: " + " ".join(it.en for it in found),
            fix=" ".join(it.zh for it in found),
        )
