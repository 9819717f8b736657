"""`/load`: how busy the public services are, who is served and who is refused; now, and over the last hour."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from litestar import Request, Response, get

from hutong.app.console.load_facts import EVERY_S
from hutong.kernel.overload.classes import CLASSES, LEVELS
from hutong.kernel.web.charts import Chart, Series
from hutong.kernel.web.guard import requires

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from zoneinfo import ZoneInfo

    from litestar.handlers import HTTPRouteHandler

    from hutong.app.console.load_facts import LoadSource, Part, Sample
    from hutong.kernel.web.console import Console

AnyRequest = Request[Any, Any, Any]
#: A point of the charts for each half minute: what would be drawn finer nobody sees.
_STEP_MS: Final = 30_000


class LoadPages:
    """The page of load.

    Args:
        console: makes it. source: knows the load.
    """

    def __init__(self, console: Console, source: LoadSource) -> None:
        self._console, self._source = console, source

    def page(self, request: AnyRequest) -> Response[Any]:
        """`/load`, whole or the part that is looked at again and again."""
        load = self._source.now()
        zone = self._console.zone(request)
        return self._console.page(
            request,
            "load.html",
            load=load,
            every=EVERY_S,
            levels=LEVELS,
            classes=CLASSES,
            charts={it.name: self._charts(request, it.name, zone) for it in load.parts},
        )

    def _charts(self, request: AnyRequest, name: Part, zone: ZoneInfo) -> dict[str, Chart]:
        def say(key: str) -> str:
            return self._console.say(request, key)

        return load_charts(self._source.hour(name), zone, say)


def load_charts(hour: Sequence[Sample], zone: ZoneInfo, say: Callable[[str], str]) -> dict[str, Chart]:
    """Levels, places, and requests a second by class, in half minutes: of levels and refusals the worst in each."""
    steps: dict[int, list[Sample]] = {}
    for it in hour:
        steps.setdefault(it.at_ms // _STEP_MS, []).append(it)
    first, last = min(steps, default=0), max(steps, default=-1)
    spans = [steps.get(at, []) for at in range(first, last + 1)]
    x = [datetime.fromtimestamp(at * _STEP_MS / 1000, zone).strftime("%H:%M:%S") for at in range(first, last + 1)]

    def line(value: Callable[[Sample], float | int | None]) -> list[float | int | None]:
        found = ([value(it) for it in span] for span in spans)
        return [max((it for it in values if it is not None), default=None) for values in found]

    def by_class(value: Callable[[Sample], list[float]]) -> list[Series]:
        return [
            Series(say(f"load_page.class.{one.name}"), line(lambda it, at=one.kind: round(value(it)[at], 1)))  # type: ignore[misc]
            for one in CLASSES
        ]

    from_, second = say("load_page.chart.from"), say("load_page.chart.a_second")
    places = [
        Series(say("load_page.at_work"), line(lambda it: it.at_work)),
        Series(say("load_page.limit"), line(lambda it: it.limit)),
    ]
    levels = [Series(say("load_page.level_now"), line(lambda it: it.level), "warn")]
    return {
        "level": Chart("step", x, levels, x_text=from_),
        "places": Chart("line", x, places, x_text=from_),
        "served": Chart("line", x, by_class(lambda it: it.paces), unit=second, x_text=from_),
        "refused": Chart("line", x, by_class(lambda it: it.refused_s), unit=second, x_text=from_),
    }


def routes(console: Console, *, source: LoadSource) -> list[HTTPRouteHandler]:
    """`/load`; the arguments are `LoadPages`'."""
    pages = LoadPages(console, source)

    @get("/load", opt=requires("health.read"), sync_to_thread=True)
    def show(request: AnyRequest) -> Response[Any]:
        return pages.page(request)

    return [show]
