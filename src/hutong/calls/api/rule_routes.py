"""Rules in force, and moving one to another stage."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Annotated

from litestar import get, put
from litestar.params import JSONBody, PathParameter

from hutong.calls.api.bodies import NewStage, RuleList, RuleView
from hutong.calls.api.readers import AnyRequest, Desk, answered, not_found
from hutong.kernel.rules import LEVELS, promote
from hutong.kernel.web.guard import requires
from hutong.kernel.web.problems import Problem

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.calls.rule_book import RuleShelf
    from hutong.kernel.access.viewer import Viewer
    from hutong.kernel.rules import Rule, Ruleset


class RulesDesk:
    """Reads and promotes rules; safe for many threads.

    Args:
        shelf: the rules; the last good set where their files are refused.
        desk: limits and the trail.
    """

    def __init__(self, shelf: RuleShelf, desk: Desk) -> None:
        self._shelf, self._desk = shelf, desk
        self._lock = threading.Lock()

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

    def promote(self, request: AnyRequest, rule_id: str, new: NewStage) -> RuleView:
        """Move a rule to a stage.

        Raises:
            Problem: 404; 409 where it is there already; 422 where its action does not reach so far.
        """
        rule = self.rule(rule_id)
        viewer: Viewer = request.user
        if new.to == rule.stage:
            raise Problem(409, "/problems/refused", "Refused", f"{rule_id} is in stage {new.to} already.")
        if LEVELS[new.to] > LEVELS[rule.action]:
            raise Problem(422, "/problems/refused", "Refused", f"{rule_id} may at most {rule.action}, not {new.to}.")
        if not new.why.strip():
            raise Problem(422, "/problems/refused", "Refused", "why: a stage change needs its evidence.")
        self._desk.record(
            request,
            "rules.promote",
            target=rule_id,
            before={"stage": rule.stage, "version": rule.version},
            after={"stage": new.to, "version": rule.version},
            purpose=new.why.strip(),
        )
        time_ms = self._desk.now_ms()
        with self._lock:
            promote(
                self._shelf.stages,
                self.rules(),
                rule_id,
                to=new.to,
                by=viewer.name,
                why=new.why.strip(),
                time_ms=time_ms,
            )
        return view_of(rule, stage=new.to)


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

    @get(
        "/v1/rules",
        opt={**requires("rules.read"), "route": "rules"},
        before_request=desk.limit,
        sync_to_thread=True,
        tags=["rules"],
        summary="全部规则 / All rules",
        operation_id="listRules",
    )
    def every() -> RuleList:
        """按判决次序 / In the order in which they are judged."""
        ruleset = answered(rules.rules)
        return RuleList(ruleset.digest, [view_of(rule) for rule in ruleset.rules])

    @get(
        "/v1/rules/{rule_id:str}",
        opt={**requires("rules.read"), "route": "rule", "problems": (404,)},
        before_request=desk.limit,
        sync_to_thread=True,
        tags=["rules"],
        summary="一条规则 / One rule",
        operation_id="readRule",
    )
    def one(rule_id: RuleId) -> RuleView:
        """条件、阶段与依据 / Its condition, stage and basis."""
        return view_of(answered(lambda: rules.rule(rule_id)))

    @put(
        "/v1/rules/{rule_id:str}/stage",
        opt={**requires("rules.promote"), "route": "rules.promote", "problems": (404, 409)},
        before_request=desk.limit,
        sync_to_thread=True,
        request_max_body_size=16 * 1024,
        tags=["rules"],
        summary="升降规则阶段 / Move a rule to a stage",
        description="一秒内生效;决定人为令牌所属账号,记入操作记录。\n\n"
        "In force within a second. Who decided is the token's owner; the change is on the trail.",
        operation_id="promoteRule",
    )
    def stage(request: AnyRequest, rule_id: RuleId, data: JSONBody[NewStage]) -> RuleView:
        return answered(lambda: rules.promote(request, rule_id, data))

    return [every, one, stage]
