"""A rule's evidence and its way up and down, on its page; and the pages of evidence.

Belongs here: routes, what the templates show of a backtest. Not here: what evidence must show (`evidence.promotion`),
who may decide and what is kept of it (`evidence.desk`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from litestar import Request, Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, URLEncodedBody
from litestar.response import Redirect

from hutong.calls.console.error_words import Said, say_error
from hutong.calls.evidence.desk import Actor
from hutong.calls.evidence.intervals import least_calls
from hutong.calls.evidence.live import drifted
from hutong.calls.evidence.store import EvidenceError
from hutong.kernel.errors import RuleError
from hutong.kernel.rules.proposals import ProposalError
from hutong.kernel.rules.ruleset import LEVELS, STAGES, Rule
from hutong.kernel.web.guard import requires

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from litestar.handlers import HTTPRouteHandler

    from hutong.calls.evidence.desk import PromotionDesk
    from hutong.calls.evidence.model import Backtest, Effect, Rate
    from hutong.calls.evidence.promotion import Objection
    from hutong.kernel.access.viewer import Viewer
    from hutong.kernel.rules.proposals import Standing
    from hutong.kernel.rules.stages import StageChange
    from hutong.kernel.web.console import Console

AnyRequest = Request[Any, Any, Any]
Form = URLEncodedBody[dict[str, str]]

_LONGEST_TEXT: Final = 500
_SEE_OTHER: Final = 303
#: The chart of a rate runs over these powers of ten, per million.
_LEAST, _MOST = -1.0, 6.0
_WIDTH: Final = 600.0
_SHOWN: Final = 6


class Bar(NamedTuple):
    """An interval in the chart, in its units: from, to, and the point itself; None where nothing is known."""

    x: float
    width: float
    point: float | None


class Picture(NamedTuple):
    """The chart of a rate: both intervals, the limits of warn and block, and powers of ten with their places."""

    exact: Bar
    clustered: Bar
    limits: list[tuple[str, float]]
    ticks: list[tuple[str, float]]
    width: float = _WIDTH


class Told(NamedTuple):
    """An effect as a page shows it: figures, the chart, and the largest bar of its days."""

    effect: Effect
    picture: Picture
    most_a_day: int


class Way(NamedTuple):
    """A stage above the present one, and what stands against it."""

    to: str
    objections: list[Objection]
    limit: float
    least: int


class StageView(NamedTuple):
    """What a rule's page shows of evidence and stages.

    Attributes:
        evidence: id of the newest backtest of the rule as it is; empty where there is none. backtest: itself.
        told: its figures for this rule. overlap: rules that hit the same calls.
        proposal: the open one. mine: the reader made it. alone: nobody could approve what the reader proposes.
        ways: upwards. lower: stages downwards.
        drifted: the demotion by no person that nobody has answered yet.
    """

    evidence: str
    backtest: Backtest | None
    told: Told | None
    overlap: tuple[Any, ...]
    proposal: Standing | None
    mine: bool
    alone: bool
    ways: list[Way]
    lower: list[str]
    drifted: StageChange | None


class StageViews:
    """Makes what pages show.

    Args:
        console: knows who looks, and when.
        promotion: evidence and proposals.
    """

    def __init__(self, console: Console, promotion: PromotionDesk) -> None:
        self._console, self._promotion = console, promotion

    def open_ones(self) -> frozenset[str]:
        """Rules with an open proposal; none where they cannot be read."""
        try:
            return frozenset(self._promotion.open_ones())
        except RuleError:
            return frozenset()

    def view(self, request: AnyRequest, rule: Rule, changes: Sequence[StageChange]) -> StageView:
        """Everything about one rule."""
        viewer: Viewer = request.user
        kept = self._promotion.latest(rule)
        tested = kept.backtest.rule(rule.id, rule.version) if kept else None
        try:
            proposal = self._promotion.open_ones().get(rule.id)
        except RuleError:
            proposal = None
        higher = [it for it in STAGES if LEVELS[rule.stage] < LEVELS[it] <= LEVELS[rule.action]]
        return StageView(
            evidence=kept.id if kept else "",
            backtest=kept.backtest if kept else None,
            told=self.told(tested.effect) if tested else None,
            overlap=tested.overlap[:_SHOWN] if tested else (),
            proposal=proposal,
            mine=proposal is not None and proposal.proposal.by == viewer.name,
            alone=viewer.can("rules.propose") and not self._promotion.seconds(viewer.name),
            ways=[self._way(rule, to, kept.id if kept else "") for to in higher],
            lower=[it for it in STAGES if LEVELS[it] < LEVELS[rule.stage]],
            drifted=drifted(changes, self._console.now_ms()).get(rule.id),
        )

    def _way(self, rule: Rule, to: str, evidence: str) -> Way:
        limit = self._promotion.limits.of(to)
        found = self._promotion.objections(rule, to, evidence, self._console.now_ms()) if evidence else []
        return Way(to, found, limit, least_calls(limit))

    def told(self, effect: Effect) -> Told:
        """The figures and the chart of an effect."""
        limits = [(stage, self._promotion.limits.of(stage)) for stage in ("block", "warn")]
        return Told(effect, picture_of(effect.rate, limits), max((it.calls for it in effect.days), default=0))


def picture_of(rate: Rate, limits: list[tuple[str, float]]) -> Picture:
    """The chart of a rate, on a logarithmic scale."""

    def at(value: float) -> float:
        power = min(max(math.log10(max(value, 10**_LEAST)), _LEAST), _MOST)
        return round((power - _LEAST) / (_MOST - _LEAST) * _WIDTH, 1)

    def bar(low: float, high: float) -> Bar:
        point = None if rate.per_million is None else at(rate.per_million)
        return Bar(at(low), round(max(at(high) - at(low), 1.0), 1), point)

    ticks = [
        (f"{10**power:,}" if power >= 0 else "≤0.1", at(10**power)) for power in range(int(_LEAST), int(_MOST) + 1)
    ]
    return Picture(
        bar(rate.low, rate.high),
        bar(rate.clustered_low, rate.clustered_high),
        [(stage, at(limit)) for stage, limit in limits],
        ticks,
    )


class StageForms:
    """What the forms of a rule's page do.

    Args:
        console: makes pages. promotion: decides. page: shows a rule with what went wrong.
    """

    def __init__(
        self,
        console: Console,
        promotion: PromotionDesk,
        page: Callable[[AnyRequest, str, Said | None, str], Response[Any]],
    ) -> None:
        self._console, self._promotion, self._page = console, promotion, page

    def decide(
        self, request: AnyRequest, rule_id: str, why: str, done: str, work: Callable[[Actor, int], object]
    ) -> Response[Any]:
        """Do something as the reader, and show the rule afterwards."""
        viewer: Viewer = request.user
        try:
            work(Actor(viewer.name, viewer.name, viewer.address), self._console.now_ms())
        except (RuleError, EvidenceError) as error:
            return self._page(request, rule_id, self._said(request, error), why)
        return Redirect(f"/rules/{rule_id}?done={done}", status_code=_SEE_OTHER)

    def _said(self, request: AnyRequest, error: RuleError | EvidenceError) -> Said:
        lang, texts = self._console.language(request), self._console.frame.texts
        key = f"rule_stage.refused.{error.code}" if isinstance(error, ProposalError) else ""
        if key in texts:
            return Said(texts.say(key, lang), "")
        if lang == "zh" and "on this evidence" in error.what:
            # The objections stand in both languages: what in English, fix in Chinese.
            return Said(texts.say("rule_stage.refused.evidence", lang), error.fix)
        if "on this evidence" in error.what:
            return Said(error.what, "")
        return say_error(texts, error, lang)


def routes(
    console: Console,
    views: StageViews,
    promotion: PromotionDesk,
    page: Callable[[AnyRequest, str, Said | None, str], Response[Any]],
) -> list[HTTPRouteHandler]:
    """The forms that move a rule, and the pages of evidence."""
    forms = StageForms(console, promotion, page)

    @post("/rules/{rule_id:str}/propose", opt=requires("rules.propose"), sync_to_thread=True, status_code=200)
    def propose(request: AnyRequest, rule_id: FromPath[str], data: Form) -> Response[Any]:
        why, to, evidence = _why(data), data.get("to", ""), data.get("evidence", "")
        return forms.decide(
            request, rule_id, why, "proposed", lambda who, now: promotion.propose(who, rule_id, to, evidence, why, now)
        )

    @post("/rules/{rule_id:str}/approve", opt=requires("rules.approve"), sync_to_thread=True, status_code=200)
    def approve(request: AnyRequest, rule_id: FromPath[str], data: Form) -> Response[Any]:
        why, number = _why(data), _number(data)
        return forms.decide(
            request, rule_id, why, "approved", lambda who, now: promotion.approve(who, number, why, now)
        )

    @post("/rules/{rule_id:str}/refuse", opt=requires("rules.approve"), sync_to_thread=True, status_code=200)
    def refuse(request: AnyRequest, rule_id: FromPath[str], data: Form) -> Response[Any]:
        why, number = _why(data), _number(data)
        return forms.decide(request, rule_id, why, "refused", lambda who, now: promotion.refuse(who, number, why, now))

    @post("/rules/{rule_id:str}/demote", opt=requires("rules.demote"), sync_to_thread=True, status_code=200)
    def demote(request: AnyRequest, rule_id: FromPath[str], data: Form) -> Response[Any]:
        why, to = _why(data), data.get("to", "")
        return forms.decide(
            request, rule_id, why, "demoted", lambda who, now: promotion.demote(who, rule_id, to, why, now)
        )

    @get("/evidence", opt=requires("verdicts.read"), sync_to_thread=True)
    def every(request: AnyRequest) -> Response[Any]:
        return console.page(request, "evidence.html", kept=promotion.store.all())

    @get("/evidence/{evidence_id:str}", opt=requires("verdicts.read"), sync_to_thread=True)
    def one(request: AnyRequest, evidence_id: FromPath[str]) -> Response[Any]:
        try:
            backtest = promotion.store.load(evidence_id)
        except EvidenceError as error:
            raise NotFoundException from error
        return console.page(
            request,
            "evidence_one.html",
            evidence=evidence_id,
            backtest=backtest,
            rules=[(rule, views.told(rule.effect)) for rule in backtest.rules],
            whole=views.told(backtest.whole),
        )

    return [propose, approve, refuse, demote, every, one]


def _why(form: dict[str, str]) -> str:
    return form.get("why", "").strip()[:_LONGEST_TEXT]


def _number(form: dict[str, str]) -> int:
    text = form.get("number", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0  # noqa: PLR2004  # 0 is none
