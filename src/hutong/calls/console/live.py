"""The live wall: its page, its stream, and the table of cities behind its map.

Belongs here: routes, what they render, what a stream event holds. Not here: figures (`live.view`), the beat
(`live.feed`), where cities lie (`live_map`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from litestar import Request, Response, get
from litestar.response import Stream
from msgspec import Struct

from hutong.calls.console import live_map
from hutong.calls.live.feed import MAX_WATCHERS, MOST_OF_ONE, Audience, Watcher
from hutong.kernel.numbering import label
from hutong.kernel.web.console import time_element
from hutong.kernel.web.exports import asks_export
from hutong.kernel.web.guard import demand, requires
from hutong.kernel.web.problems import Problem
from hutong.kernel.web.tables import Column, Filter, TableSpec, chosen, export_csv, page_of, read_query

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.handlers import HTTPRouteHandler
    from markupsafe import Markup

    from hutong.calls.live.areas import AreaRow
    from hutong.calls.live.duty import Duty
    from hutong.calls.live.feed import LiveFeed
    from hutong.calls.live.view import LiveView
    from hutong.kernel.access.trail import Trail
    from hutong.kernel.access.viewer import Viewer
    from hutong.kernel.web.console import Console, Form
    from hutong.kernel.web.frame import Frame
    from hutong.kernel.web.guard import Guard

_SWIFT = ("duty", "answer", "health", "rules", "trunks", "latest")
_MIRRORED = ("alerts", "mirror")
_SLOW = ("table", "map", "cities")
_TOP_CITIES = 8
_REFUSED = {"full": 503, "yours": 429}
_MOST = {"full": MAX_WATCHERS, "yours": MOST_OF_ONE}
_STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

CITIES = TableSpec(
    id="cities",
    columns=(
        Column("city", "live.cities.city"),
        Column("area", "live.cities.area"),
        Column("recent", "live.cities.recent", number=True),
        Column("blocked", "live.cities.blocked", number=True),
        Column("share", "live.cities.share", number=True),
    ),
    filters=(Filter("find", "live.cities.find"),),
    sort="blocked",
    descending=True,
)


class WallFacts(Struct, frozen=True):
    """What the wall says about its node.

    Attributes:
        listen: where the SIP proxy should send its calls.
        mirrored: whether mirrored signalling is received.
        zone: the node's own zone; the stream's times are written in it, and each page turns them into its reader's.
    """

    listen: str
    mirrored: bool
    zone: str


class CityRow(Struct, frozen=True):
    """One city of the table: what the map shows of it, with all names of its area."""

    area: str
    name: str
    recent: int
    blocked: int
    share: float


class Wall:
    """Renders what the page and its stream have in common.

    Args:
        frame: with the calls package's templates and texts.
        facts: about the node.
        duty: alerts and demoted rules, as they were read last.
    """

    def __init__(self, frame: Frame, facts: WallFacts, duty: Callable[[], Duty]) -> None:
        self._frame = frame
        self._facts = facts
        self._zone = ZoneInfo(facts.zone)
        self._duty = duty
        self.regions = (*_SWIFT, *(_MIRRORED if facts.mirrored else []), *_SLOW)

    def values(self, view: LiveView, audience: Audience) -> dict[str, Any]:
        """What the templates of the wall name, besides how to write a time."""
        duty = self._duty()
        return {
            "view": view,
            "listen": self._facts.listen,
            "mirrored": self._facts.mirrored,
            "alerts": duty.alerts if self._facts.mirrored else None,
            "demoted": duty.demoted,
            "reads_verdicts": audience.verdicts,
            "map": live_map,
            "discs": live_map.discs(view.areas, audience.language),
            "top_cities": view.areas[:_TOP_CITIES],
        }

    def draw(self, view: LiveView, audience: Audience, *, whole: bool) -> dict[str, object]:
        """One event of the stream: regions as markup, the chart as columns of figures, times in seconds.

        Whoever looks at the page of alerts is told only that something changed: each has filters of their own.
        """
        if audience.page == "alerts":
            return {"newest": self._duty().newest}

        def when(ms: int, form: Form = "second") -> Markup:
            return time_element(ms, self._zone, form)

        values = {**self.values(view, audience), "when": when}
        names = [name for name in self.regions if whole or name not in _SLOW]
        return {
            "regions": {name: self._frame.render(f"live_{name}.html", audience.language, **values) for name in names},
            "chart": {
                "time": [second.at for second in view.seconds],
                "pass": [second.passed for second in view.seconds],
                "warn": [second.warned for second in view.seconds],
                "block": [second.blocked for second in view.seconds],
            },
            "state": view.state,
        }


def routes(console: Console, guard: Guard, feed: LiveFeed, wall: Wall, trail: Trail) -> list[HTTPRouteHandler]:
    """`/`, `/live/stream` and `/live/cities`."""

    def refusal_of(request: Request[Any, Any, Any]) -> str:
        """Why the reader gets no further stream, in words."""
        why = feed.refusal(request.user.name)
        return console.say(request, f"live.refused.{why}", count=_MOST[why]) if why else ""

    @get("/", opt=requires("live.read"), sync_to_thread=False)
    def live(request: Request[Any, Any, Any]) -> Response[str]:
        """The live wall; `?wall=1` for a big screen: large type, no navigation."""
        big = request.query_params.get("wall") == "1"
        values = wall.values(feed.view, _audience_of(console, request))
        return console.page(request, "live.html", big=big, refused=refusal_of(request), **values)

    @get("/live/stream", opt=requires("live.read"))
    async def stream(request: Request[Any, Any, Any]) -> Stream:
        """Server-sent events for the live wall, and for the page of alerts."""
        audience = _watched_by(console, request)
        viewer: Viewer = request.user
        if why := feed.refusal(viewer.name):
            raise Problem(
                _REFUSED[why],
                "/problems/too-many-streams",
                "Too many streams",
                refusal_of(request),
                headers={"Retry-After": "10"},
            )

        async def still() -> bool:
            """Whoever's rights have changed in any way begins anew: what is drawn depends on them."""
            now = await guard.ask_again(request)
            return now is not None and now.permissions == viewer.permissions

        watcher = Watcher(viewer.name, audience, still)
        return Stream(feed.watch(watcher), media_type="text/event-stream", headers=_STREAM_HEADERS)

    @get("/live/cities", opt=requires("live.read"), sync_to_thread=True)
    def cities(request: Request[Any, Any, Any]) -> Response[str] | Stream:
        """Calls by the callee's city, as a table; the same figures as the map."""
        view = feed.view
        query = read_query(CITIES, request.query_params)
        rows = [_city_row(row, console.language(request)) for row in view.areas]
        if asks_export(request):
            trail.record(
                request.user.name,
                request.user.address,
                "tables.export",
                target="live.cities",
                after={"filters": query.filters},
                now_ms=console.now_ms(),
            )
            header = [console.say(request, column.text) for column in CITIES.columns]
            lines = (
                (it.name, it.area, it.recent, it.blocked, round(it.share, 3))
                for it in chosen(CITIES, query, rows, _key_of)
            )
            return export_csv("cities", header, lines)
        return console.page(
            request,
            "live_cities_page.html",
            view=view,
            table=page_of(CITIES, query, rows, _key_of),
            reads_verdicts=request.user.can("verdicts.read"),
        )

    return [live, stream, cities]


def _audience_of(console: Console, request: Request[Any, Any, Any]) -> Audience:
    viewer: Viewer = request.user
    return Audience(console.language(request), viewer.can("verdicts.read"))


def _watched_by(console: Console, request: Request[Any, Any, Any]) -> Audience:
    """For whom a stream is: `?page=alerts` is that of the page of alerts."""
    if request.query_params.get("page") != "alerts":
        return _audience_of(console, request)
    demand(request.user, "verdicts.read")
    return Audience("", verdicts=True, page="alerts")


def _city_row(row: AreaRow, language: str) -> CityRow:
    return CityRow(row.area, label("area", row.area, language), row.recent, row.blocked, row.blocked_share)


def _key_of(row: CityRow, key: str) -> str | int | float:
    keys: dict[str, str | int | float] = {
        "city": row.name,
        "area": row.area,
        "recent": row.recent,
        "blocked": row.blocked,
        "share": row.share,
        "find": f"{row.name} {row.area}",
    }
    return keys[key]
