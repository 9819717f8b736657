"""Moving rules: evidence, proposals, what a second person decides, and the way down."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

from litestar import get, post, put
from litestar.params import JSONBody, PathParameter

from hutong.calls.api.bodies import (
    EvidenceItem,
    EvidenceList,
    LowerStage,
    NewProposal,
    ProposalList,
    ProposalView,
    Remarks,
    RuleView,
)
from hutong.calls.api.rule_routes import RuleId, RulesDesk, view_of
from hutong.calls.evidence.desk import Actor
from hutong.calls.evidence.model import Backtest  # noqa: TC001  # Litestar reads the annotations
from hutong.calls.evidence.store import EvidenceError
from hutong.kernel.errors import RuleError
from hutong.kernel.records import RecordsError
from hutong.kernel.rules.proposals import ProposalError
from hutong.kernel.rules.ruleset import LEVELS
from hutong.kernel.web.api.desk import (
    AnyRequest,
    Desk,
    Result,
    answered,
    not_found,
    operation,
    refused,
    trail_unavailable,
)
from hutong.kernel.web.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.handlers import HTTPRouteHandler

    from hutong.calls.evidence.desk import PromotionDesk
    from hutong.kernel.access.viewer import Viewer
    from hutong.kernel.rules.proposals import Standing

_LONGEST: Final = 16 * 1024
_STATUS: Final = {"unknown": 404, "same-person": 403, "decided": 409, "open": 409, "one-person": 409}


class StageRoutes:
    """What the routes do.

    Args:
        rules: the rules. promotion: moves them. desk: limits, time.
    """

    def __init__(self, rules: RulesDesk, promotion: PromotionDesk, desk: Desk) -> None:
        self._rules, self._promotion, self._desk = rules, promotion, desk

    def proposals(self) -> list[ProposalView]:
        """Every proposal, newest first."""
        return [_proposal_view(it) for it in self._promotion.standings()]

    def proposal(self, number: int) -> ProposalView:
        """One of them, which exists."""
        return next(it for it in self.proposals() if it.number == number)

    def propose(self, request: AnyRequest, new: NewProposal) -> ProposalView:
        """Put a promotion before a second person."""
        self._rules.rule(new.rule)
        made = self._promotion.propose(
            _actor(request), new.rule, new.to, new.evidence, _said(new.why), self._desk.now_ms()
        )
        return self.proposal(made.number)

    def approve(self, request: AnyRequest, number: int, why: str) -> ProposalView:
        """Move the rule as somebody else proposed."""
        self._promotion.approve(_actor(request), number, _said(why), self._desk.now_ms())
        return self.proposal(number)

    def refuse(self, request: AnyRequest, number: int, why: str) -> ProposalView:
        """Turn a proposal down."""
        self._promotion.refuse(_actor(request), number, _said(why), self._desk.now_ms())
        return self.proposal(number)

    def demote(self, request: AnyRequest, rule_id: str, new: LowerStage) -> RuleView:
        """Move a rule down."""
        rule = self._rules.rule(rule_id)
        if new.to == rule.stage:
            raise Problem(409, "/problems/refused", "Refused", f"{rule_id} is in stage {new.to} already.")
        if LEVELS[new.to] > LEVELS[rule.stage]:
            detail = (
                f"{rule_id} is in stage {rule.stage}. Moving up takes evidence and two persons: POST /v1/proposals."
            )
            raise Problem(422, "/problems/refused", "Refused", detail)
        change = self._promotion.demote(_actor(request), rule_id, new.to, _said(new.why), self._desk.now_ms())
        return view_of(rule, stage=change.to)

    def evidence(self) -> list[EvidenceItem]:
        """Every backtest, newest first."""
        return [
            EvidenceItem(
                id=it.id,
                made_ms=it.backtest.made_ms,
                by=it.backtest.by,
                rules=[f"{rule.id}@{rule.version}" for rule in it.backtest.rules],
                first_ms=it.backtest.over.first_ms,
                last_ms=it.backtest.over.last_ms,
                calls=it.backtest.over.calls,
            )
            for it in self._promotion.store.all()
        ]

    def one_evidence(self, evidence_id: str) -> Backtest:
        """One of them.

        Raises:
            Problem: 404.
        """
        try:
            return self._promotion.store.load(evidence_id)
        except EvidenceError as error:
            raise not_found(error.what) from error


def _actor(request: AnyRequest) -> Actor:
    viewer: Viewer = request.user
    return Actor(viewer.name, viewer.name, viewer.address)


def _said(why: str) -> str:
    if not why.strip():
        raise Problem(422, "/problems/refused", "Refused", "why: it says nothing.")
    return why.strip()


def _proposal_view(it: Standing) -> ProposalView:
    made = it.proposal
    return ProposalView(
        number=made.number,
        rule=made.rule,
        version=made.version,
        came_from=made.came_from,  # type: ignore[arg-type]  # one of STAGES
        to=made.to,  # type: ignore[arg-type]  # one of STAGES
        evidence=made.evidence,
        by=made.by,
        why=made.why,
        time_ms=made.time_ms,
        state=it.state,
        decided_by=it.by,
        decided_why=it.why,
        decided_ms=it.time_ms,
    )


def _done(work: Callable[[], Result]) -> Result:
    """What a route answers; what it may not do, as a problem."""

    def done() -> Result:
        try:
            return work()
        except ProposalError as error:
            raise refused(error, _STATUS.get(error.code, 422)) from error
        except (RuleError, EvidenceError) as error:
            raise refused(error) from error
        except RecordsError as error:
            raise trail_unavailable() from error

    return answered(done)


ProposalNumber = Annotated[int, PathParameter(ge=1, le=1_000_000_000, description="提议编号 / number of the proposal")]
EvidenceId = Annotated[str, PathParameter(min_length=1, max_length=64, description="回测编号 / id of the backtest")]


def stage_routes(stages: StageRoutes, desk: Desk) -> list[HTTPRouteHandler]:
    """The routes."""
    declared = partial(operation, desk, "rules")

    @get(
        "/v1/proposals",
        **declared("rules.read", "proposals", "listProposals", "升级提议 / Proposals to promote rules"),
    )
    def every() -> ProposalList:
        """新的在前 / Newest first."""
        return ProposalList(_done(stages.proposals))

    @post(
        "/v1/proposals",
        **declared(
            "rules.propose", "rules.propose", "proposePromotion", "提议升级规则 / Propose to promote a rule", 404, 409
        ),
        request_max_body_size=_LONGEST,
        description="须有该规则现行版本的回测,且误伤的区间上限不超过设置;由另一人批准后生效。\n\n"
        "Takes a backtest of the rule as it is now, within the limits of the settings; another person approves.",
    )
    def propose(request: AnyRequest, data: JSONBody[NewProposal]) -> ProposalView:
        return _done(lambda: stages.propose(request, data))

    @post(
        "/v1/proposals/{number:int}/approve",
        **declared("rules.approve", "rules.approve", "approveProposal", "批准升级 / Approve a proposal", 404, 409),
        status_code=200,
        request_max_body_size=_LONGEST,
        description="提议人不能批准自己的提议 (403);一秒内生效。\n\n"
        "Not for who proposed it (403). In force within a second.",
    )
    def approve(request: AnyRequest, number: ProposalNumber, data: JSONBody[Remarks]) -> ProposalView:
        return _done(lambda: stages.approve(request, number, data.why))

    @post(
        "/v1/proposals/{number:int}/refuse",
        **declared("rules.approve", "rules.approve", "refuseProposal", "驳回升级 / Refuse a proposal", 404, 409),
        status_code=200,
        request_max_body_size=_LONGEST,
    )
    def refuse(request: AnyRequest, number: ProposalNumber, data: JSONBody[Remarks]) -> ProposalView:
        """驳回后须重新提议 / It takes a new proposal afterwards."""
        return _done(lambda: stages.refuse(request, number, data.why))

    @put(
        "/v1/rules/{rule_id:str}/stage",
        **declared("rules.demote", "rules.demote", "demoteRule", "降级规则 / Demote a rule", 404, 409),
        request_max_body_size=_LONGEST,
        description="一人即可,一秒内生效;升级须经提议与批准。\n\n"
        "One person may; in force within a second. Moving up takes a proposal and an approval.",
    )
    def demote(request: AnyRequest, rule_id: RuleId, data: JSONBody[LowerStage]) -> RuleView:
        return _done(lambda: stages.demote(request, rule_id, data))

    @get(
        "/v1/evidence",
        **declared("verdicts.read", "evidence", "listEvidence", "回测 / Backtests"),
    )
    def backtests() -> EvidenceList:
        """新的在前 / Newest first."""
        return EvidenceList(_done(stages.evidence))

    @get(
        "/v1/evidence/{evidence_id:str}",
        **declared("verdicts.read", "evidence", "readEvidence", "一次回测 / One backtest", 404),
    )
    def one_backtest(evidence_id: EvidenceId) -> Backtest:
        """结果全文,号码已掩码 / The whole result, numbers masked."""
        return _done(lambda: stages.one_evidence(evidence_id))

    return [every, propose, approve, refuse, demote, backtests, one_backtest]
