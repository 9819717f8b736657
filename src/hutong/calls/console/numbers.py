"""`/numbers/{ref}`: a number's story: what it is doing, windows over time, verdicts; whole for a stated purpose."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from litestar import Request, Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath  # noqa: TC002  # Litestar reads the annotations
from litestar.response import Stream  # noqa: TC002  # Litestar reads the annotation

from hutong.calls.console.verdict_table import ACTIONS, VerdictDesk
from hutong.calls.stories.words import sentence
from hutong.kernel.numbering import NO_KEY, label
from hutong.kernel.web.charts import Chart, Mark, Series
from hutong.kernel.web.exports import asks_export
from hutong.kernel.web.guard import demand, requires
from hutong.kernel.web.unmasking import PURPOSES, Form, Unmasking, put_on_trail, read_form
from hutong.kernel.windows.features import SPAN_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable
    from zoneinfo import ZoneInfo

    from litestar.handlers import HTTPRouteHandler

    from hutong.calls.index import VerdictIndex
    from hutong.calls.stories.stories import Stories
    from hutong.calls.stories.views import NumberStory
    from hutong.kernel.access.refs import Refs
    from hutong.kernel.access.trail import Trail
    from hutong.kernel.web.console import Console

_UNFIT = 422
_HOUR_MS = 3_600_000
#: How far back windows are drawn: name in the address, hours.
SPANS: Final = {"1h": 1, "24h": 24, "72h": 72}
_FACTS: Final = ("class", "country", "operator", "area")
_MARKS: Final[dict[str, Mark]] = {"pass": "pass", "warn": "warn", "block": "block"}
_BARS = 40

#: Charts of windows: features, and whether they say something only where ends of calls are known.
_CHARTS: Final[dict[str, tuple[tuple[str, ...], bool]]] = {
    "activity": (("attempts_1h", "distinct_callees_1h", "inbound_1h"), False),
    "shares": (("answer_share_1h", "short_share_1h"), True),
    "times": (("mean_talk_1h", "mean_ring_1h"), True),
}
#: Rows of the table of present windows, by what their values are.
SPANNED: Final = {
    "attempts": "count",
    "inbound": "count",
    "distinct_callees": "count",
    "areas": "count",
    "ended": "count",
    "answer_share": "share",
    "short_share": "share",
    "mean_talk": "seconds",
    "mean_ring": "seconds",
    "night_share": "share",
    "out_share": "share",
}
#: Those that say nothing where no call ended.
OF_ENDS: Final = frozenset({"answer_share", "short_share", "mean_talk", "mean_ring"})
SINGLE: Final = {
    "active_calls": "count",
    "run_sequential": "count",
    "run_same": "count",
    "age": "duration",
    "idle": "duration",
}


def routes(
    console: Console, *, stories: Stories, index: VerdictIndex, trail: Trail, refs: Refs
) -> list[HTTPRouteHandler]:
    """`/numbers/{ref}`: GET shows it masked, POST whole."""
    desk = VerdictDesk(console, stories, index, trail)

    def key_of(ref: str) -> int:
        key = refs.key(ref)
        if key is None or key == NO_KEY:
            raise NotFoundException
        return key

    def shown(request: Request[Any, Any, Any], key: int, whole: str, said: Unmasking) -> Response[str]:
        lang, zone = console.language(request), console.zone(request)
        span = _span(request)
        story = stories.number(key, console.now_ms(), SPANS[span] * _HOUR_MS)
        words, view = desk.words(request), None
        if request.user.can("verdicts.read"):
            view, _ = desk.table(request, key)
        return console.page(
            request,
            "number.html",
            status=_UNFIT if said.trouble else 200,
            story=story,
            sentence=sentence(story, words["titles"], lang),
            facts=[(name, label(name, story.facts[name], lang)) for name in _FACTS if _is_told(story, name)],
            charts=_charts(story, lambda key_: console.say(request, key_), zone, span),
            span=span,
            spans=tuple(SPANS),
            spanned=SPANNED,
            of_ends=OF_ENDS,
            single=SINGLE,
            span_names=SPAN_NAMES,
            view=view,
            whole=whole,
            said=said,
            purposes=PURPOSES,
            **words,
        )

    @get("/numbers/{ref:str}", sync_to_thread=True, opt=requires("numbers.read"))
    def number(request: Request[Any, Any, Any], ref: FromPath[str]) -> Response[str] | Stream:
        key = key_of(ref)
        if asks_export(request, "v"):
            demand(request.user, "verdicts.read")
            return desk.export(request, f"numbers/{ref}", key)
        return shown(request, key, "", Unmasking())

    @post("/numbers/{ref:str}", status_code=200, sync_to_thread=True, opt=requires("numbers.unmask"))
    def unmask(request: Request[Any, Any, Any], ref: FromPath[str], data: Form) -> Response[str]:
        key, said = key_of(ref), read_form(data)
        if said.trouble:
            return shown(request, key, "", said)
        put_on_trail(desk, request, said, f"numbers/{ref}", numbers=[ref])
        return shown(request, key, stories.whole_number(key), said)

    return [number, unmask]


def _span(request: Request[Any, Any, Any]) -> str:
    wanted = request.query_params.get("span", "")
    return wanted if wanted in SPANS else "24h"


def _is_told(story: NumberStory, name: str) -> bool:
    return story.facts.get(name, "") not in {"", "none", "unknown"}


def _charts(story: NumberStory, say: Callable[[str], str], zone: ZoneInfo, span: str) -> list[tuple[str, Chart]]:
    """Windows as lines, verdicts as bars; charts about ends of calls only where an end is known."""
    shape = "%H:%M" if span == "1h" else "%m-%d %H:%M"
    moments = [datetime.fromtimestamp(ms / 1000, zone).strftime(shape) for ms in story.moments_ms]
    when = say("numbers.chart.time")
    charts = [("verdicts", _verdict_bars(story, moments, say, when))]
    ends = any(story.windows["ended_24h"])
    for name, (features, of_ends) in _CHARTS.items():
        if of_ends and not ends:
            continue
        # A share of nothing is no share: without an end in the hour there is no line.
        known = story.windows["ended_1h"] if of_ends else [1.0] * len(moments)
        scale = 100 if name == "shares" else 1
        series = [Series(say(f"numbers.chart.{it}"), _rounded(story.windows[it], known, scale)) for it in features]
        unit = say(f"numbers.chart.{name}_unit")
        charts.append((name, Chart("line", moments, series, unit=unit, x_text=when)))
    return charts


def _rounded(values: list[float], known: list[float], scale: int) -> list[float | int | None]:
    return [round(value * scale, 2) if there else None for value, there in zip(values, known, strict=True)]


def _verdict_bars(story: NumberStory, moments: list[str], say: Callable[[str], str], when: str) -> Chart:
    """Fewer bars than moments: each is as wide as a few of them. The first moment only begins the first bar."""
    step = max((len(moments) - 1) // _BARS, 1)
    ends = range(step, len(moments), step)
    series = [
        Series(
            say(f"verdict.{action}"),
            [sum(story.calls[action][end - step + 1 : end + 1]) for end in ends],
            _MARKS[action],
        )
        for action in ACTIONS
    ]
    return Chart("bar", [moments[end] for end in ends], series, stacked=True, x_text=when)
