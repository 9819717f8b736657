"""Rules in force. Moving them is `stage_routes`' business."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

from litestar import get
from litestar.params import PathParameter

from hutong.calls.api.bodies import RuleList, RuleView
from hutong.kernel.web.api.desk import Desk, answered, not_found, operation

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.calls.rule_book import RuleShelf
    from hutong.kernel.rules.ruleset import Rule, Ruleset


class RulesDesk:
    """Reads rules; safe for many threads.

    Args:
        shelf: the rules; the last good set where their files are refused.
    """

    def __init__(self, shelf: RuleShelf) -> None:
        self._shelf = shelf

    def rules(self) -> Ruleset:
        """The set as its files say now; the last good one where they are refused.

        Raises:
            RuleError: they are refused, and there was no good one.
        """
        return self._shelf.book().ruleset

    def rule(self, rule_id: str) -> Rule:
        """A rule by its id.

        Raises:
            Problem: 404.
        """
        ruleset = self.rules()
        index = ruleset.index(rule_id)
        if index is None:
            raise not_found(f"There is no rule {rule_id!r}.")
        return ruleset.rules[index]


def view_of(rule: Rule, stage: str = "") -> RuleView:
    """A rule as it is answered; `stage` where it has just been changed."""
    return RuleView(
        id=rule.id,
        version=rule.version,
        title=rule.title,
        when=rule.when,
        action=rule.action,  # type: ignore[arg-type]  # one of STAGES
        stage=stage or rule.stage,  # type: ignore[arg-type]  # one of STAGES
        ships_in=rule.ships_in,  # type: ignore[arg-type]  # one of STAGES
        respond=rule.respond,
        basis=rule.basis,
        runbook=rule.runbook,
        certain=rule.certain,
    )


RuleId = Annotated[str, PathParameter(min_length=1, max_length=128, description="规则编号 / id of the rule")]


def rule_routes(rules: RulesDesk, desk: Desk) -> list[HTTPRouteHandler]:
    """The routes."""
    declared = partial(operation, desk, "rules")

    @get(
        "/v1/rules",
        **declared("rules.read", "rules", "listRules", "全部规则 / All rules"),
    )
    def every() -> RuleList:
        """按判决次序 / In the order in which they are judged."""
        ruleset = answered(rules.rules)
        return RuleList(ruleset.digest, [view_of(rule) for rule in ruleset.rules])

    @get(
        "/v1/rules/{rule_id:str}",
        **declared("rules.read", "rule", "readRule", "一条规则 / One rule", 404),
    )
    def one(rule_id: RuleId) -> RuleView:
        """条件、阶段与依据 / Its condition, stage and basis."""
        return view_of(answered(lambda: rules.rule(rule_id)))

    return [every, one]
