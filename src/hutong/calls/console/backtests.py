"""`/rules/{id}/backtests`: start a backtest of a rule, see how far it is, cancel it, see what came out.

The rule's page shows the same part of it, which looks again by itself while something waits or runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from litestar import Request, Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, URLEncodedBody
from litestar.response import Redirect

from hutong.calls.console.error_words import Said
from hutong.calls.evidence.desk import Actor
from hutong.calls.evidence.jobs import MOST_DAYS, MOST_WAITING, JobError
from hutong.calls.evidence.store import EvidenceError
from hutong.kernel.errors import RuleError
from hutong.kernel.rules.stages import find_rule
from hutong.kernel.web.guard import requires

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.handlers import HTTPRouteHandler

    from hutong.calls.console.rule_stages import StageViews
    from hutong.calls.evidence.asking import BacktestDesk
    from hutong.calls.evidence.jobs import Backtesting
    from hutong.calls.evidence.model import RuleEffect
    from hutong.calls.evidence.store import EvidenceStore
    from hutong.calls.rule_book import RuleShelf
    from hutong.kernel.access.viewer import Viewer
    from hutong.kernel.rules.ruleset import Rule
    from hutong.kernel.web.console import Console

AnyRequest = Request[Any, Any, Any]
Form = URLEncodedBody[dict[str, str]]

#: Jobs of a rule that its page shows.
_SHOWN: Final = 8
_SEE_OTHER: Final = 303
_REFUSED: Final = 422


class Shown(NamedTuple):
    """A job, its rule's effect where it is done, and whether what it tested is still the rule as it is now."""

    job: Backtesting
    effect: RuleEffect | None
    current: bool


class BacktestPages:
    """What the routes share.

    Args:
        console: makes pages. shelf: the rules. desk: takes wishes. store: the results. views: charts of effects.
    """

    def __init__(
        self, console: Console, shelf: RuleShelf, desk: BacktestDesk, store: EvidenceStore, views: StageViews
    ) -> None:
        self._console, self._shelf, self._desk, self._store, self._views = console, shelf, desk, store, views

    def page(self, request: AnyRequest, rule_id: str, said: Said | None = None, **given: str) -> Response[Any]:
        """The page; `given` fills the form in again."""
        rule = self._rule(rule_id)
        known = self._desk.jobs.all()
        own = [self._shown(it, rule) for it in known if it.asked.rule == rule.id][:_SHOWN]
        days = self._desk.days()
        newest = next((it for it in own if it.effect is not None), None)
        told = self._views.told(newest.effect.effect) if newest is not None and newest.effect is not None else None
        return self._console.page(
            request,
            "rules_backtests.html",
            status=200 if said is None else _REFUSED,
            rule=rule,
            title=rule.title[self._console.language(request)],
            own=own,
            newest=newest,
            told=told,
            others=sum(it.unfinished and it.asked.rule != rule.id for it in known),
            moving=any(it.job.unfinished for it in own),
            full=sum(it.unfinished for it in known) >= MOST_WAITING,
            days=days,
            labels=self._desk.label_files(),
            most_days=MOST_DAYS,
            given={
                "since": days[max(len(days) - 7, 0)] if days else "",
                "until": days[-1] if days else "",
                "labels": "",
            }
            | given,
            trouble=said,
            # On the rule's page the newest result stands already.
            part=request.query_params.get("part") == "jobs",
        )

    def _rule(self, rule_id: str) -> Rule:
        try:
            return find_rule(self._shelf.book().ruleset, rule_id)
        except RuleError as error:
            raise NotFoundException from error

    def _shown(self, it: Backtesting, rule: Rule) -> Shown:
        effect = None
        if it.note.evidence:
            try:
                effect = self._store.load(it.note.evidence).rule(it.asked.rule, it.asked.version)
            except EvidenceError:
                effect = None
        current = effect is not None and (effect.version, effect.when) == (rule.version, rule.when)
        return Shown(it, effect, current)

    def do(
        self, request: AnyRequest, rule_id: str, work: Callable[[Actor, int], object], **given: str
    ) -> Response[Any]:
        """Do something as the reader, and show the page afterwards."""
        viewer: Viewer = request.user
        self._rule(rule_id)
        try:
            work(Actor(viewer.name, viewer.name, viewer.address), self._console.now_ms())
        except JobError as error:
            words = self._console.say(request, f"backtests.refused.{error.code}", days=MOST_DAYS)
            return self.page(request, rule_id, Said(words, ""), **given)
        return Redirect(f"/rules/{rule_id}/backtests", status_code=_SEE_OTHER)


def routes(
    console: Console, *, shelf: RuleShelf, desk: BacktestDesk, store: EvidenceStore, views: StageViews
) -> list[HTTPRouteHandler]:
    """The page and its forms; see `BacktestPages`."""
    pages = BacktestPages(console, shelf, desk, store, views)
    may = requires("rules.propose")

    @get("/rules/{rule_id:str}/backtests", opt=may, sync_to_thread=True)
    def show(request: AnyRequest, rule_id: FromPath[str]) -> Response[Any]:
        return pages.page(request, rule_id)

    @post("/rules/{rule_id:str}/backtests/new", opt=may, sync_to_thread=True, status_code=200)
    def begin(request: AnyRequest, rule_id: FromPath[str], data: Form) -> Response[Any]:
        since, until, labels = (data.get(name, "")[:200] for name in ("since", "until", "labels"))
        given = {"since": since, "until": until, "labels": labels}
        return pages.do(request, rule_id, lambda who, now: desk.ask(who, rule_id, since, until, labels, now), **given)

    @post("/rules/{rule_id:str}/backtests/{number:int}/cancel", opt=may, sync_to_thread=True, status_code=200)
    def cancel(request: AnyRequest, rule_id: FromPath[str], number: FromPath[int]) -> Response[Any]:
        return pages.do(request, rule_id, lambda who, now: desk.cancel(who, rule_id, number, now))

    @post("/rules/{rule_id:str}/backtests/{number:int}/again", opt=may, sync_to_thread=True, status_code=200)
    def again(request: AnyRequest, rule_id: FromPath[str], number: FromPath[int]) -> Response[Any]:
        return pages.do(request, rule_id, lambda who, now: desk.again(who, rule_id, number, now))

    return [show, begin, cancel, again]
