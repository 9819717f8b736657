"""`/sampling`: how it goes now, for whoever is on duty at night; it looks again by itself."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar import Response, get

from hutong.kernel.web.charts import Chart, Series
from hutong.kernel.web.guard import requires
from hutong.sampling.console.parts import AnyRequest  # noqa: TC001  # Litestar reads the annotation
from hutong.sampling.counts import HOUR_MS
from hutong.sampling.figures import DAY, WAITING, Spent, mark_of

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from litestar.handlers import HTTPRouteHandler

    from hutong.sampling.console.parts import Parts
    from hutong.sampling.emergency.model import Emergency
    from hutong.sampling.model import State
    from hutong.sampling.query import StationRow

#: A tube that waits so long for its result is late.
LATE_MS: Final = DAY * HOUR_MS
_WORST: Final = 8
_STATIONS: Final = 5000


class Now(msgspec.Struct, frozen=True):
    """How sampling stands.

    Attributes:
        today: samples since midnight of the reader's zone. hourly: of the last sixty minutes, about.
        spent: of results of 24 hours. silent: stations that should have been heard of; unmerged: what stations said
            that they still have. orders: in force, or waiting for approval.
    """

    now_ms: int
    today: int
    hourly: int
    states: dict[State, int]
    oldest_ms: int
    spent: Spent
    held: int
    conflicts: dict[str, int]
    stations: list[StationRow]
    silent: list[StationRow]
    unmerged: int
    orders: list[Emergency]

    @property
    def waiting(self) -> int:
        """Tubes without a result."""
        return sum(self.states[state] for state in WAITING)

    @property
    def late(self) -> bool:
        """Whether a tube waits too long."""
        return 0 < self.oldest_ms < self.now_ms - LATE_MS

    @property
    def clocks(self) -> int:
        """Stations whose clocks are wrong."""
        return sum(it.offset_ms != 0 for it in self.stations)

    @property
    def asked(self) -> int:
        """Emergency orders that wait for a second person."""
        return sum(it.state == "requested" for it in self.orders)

    @property
    def troubles(self) -> int:
        """How many kinds of things want somebody."""
        return sum(map(bool, (self.silent, self.late, self.held, self.asked)))


def read_now(parts: Parts, zone: ZoneInfo, now_ms: int) -> Now:
    """How sampling stands at that time."""
    figures, sampling = parts.figures, parts.desk.sampling
    hour = now_ms // HOUR_MS
    midnight = datetime.fromtimestamp(now_ms / 1000, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    hours = figures.by_hour("samples", hour - DAY, hour)
    first = int(midnight.timestamp() * 1000) // HOUR_MS
    stations = sampling.stations(_STATIONS)
    return Now(
        now_ms=now_ms,
        today=sum(count for at, count in hours.items() if at >= first),
        hourly=hours.get(hour, 0) + round(hours.get(hour - 1, 0) * (1 - now_ms % HOUR_MS / HOUR_MS)),
        states=figures.states(),
        oldest_ms=figures.oldest_ms(),
        spent=figures.spent(hour - DAY + 1, hour)[-1],
        held=figures.held(),
        conflicts={rule: count for rule, count in sampling.conflict_counts().items() if count},
        stations=stations,
        silent=[it for it in stations if mark_of(it, now_ms, figures.silent_ms) == "silent"],
        unmerged=sum(it.waiting for it in stations),
        orders=parts.desk.emergencies.listing(states=("requested", "in-force")),
    )


def hours_chart(parts: Parts, request: AnyRequest, zone: ZoneInfo, now_ms: int) -> Chart:
    """Samples and results of each of the last 24 hours, beside those of the day before."""
    last = now_ms // HOUR_MS
    hours = range(last - DAY + 1, last + 1)
    samples = parts.figures.by_hour("samples", hours[0] - DAY, last)
    results = parts.figures.by_hour("results", hours[0], last)
    say = parts.say
    return Chart(
        "line",
        _labels(hours, zone),
        [
            Series(say(request, "sampling.chart.samples"), [samples.get(it, 0) for it in hours]),
            Series(say(request, "sampling.chart.results"), [results.get(it, 0) for it in hours]),
            Series(say(request, "sampling.chart.before"), [samples.get(it - DAY, 0) for it in hours], "observe"),
        ],
        x_text=say(request, "sampling.chart.hour"),
    )


def spent_chart(parts: Parts, request: AnyRequest, zone: ZoneInfo, now_ms: int) -> Chart:
    """How long results took, by the hour of the test; hours without results leave a gap."""
    last = now_ms // HOUR_MS
    hours = range(last - DAY + 1, last + 1)
    found = parts.figures.spent(hours[0], last)
    say = parts.say
    halves: list[float | int | None] = [found[it].p50_ms / HOUR_MS if it in found else None for it in hours]
    most: list[float | int | None] = [found[it].p90_ms / HOUR_MS if it in found else None for it in hours]
    return Chart(
        "line",
        _labels(hours, zone),
        [
            Series(say(request, "sampling.chart.p50"), halves),
            Series(say(request, "sampling.chart.p90"), most, "warn"),
        ],
        unit=say(request, "sampling.chart.hours"),
        x_text=say(request, "sampling.chart.hour"),
    )


def _labels(hours: range, zone: ZoneInfo) -> list[str]:
    return [datetime.fromtimestamp(it * HOUR_MS / 1000, zone).strftime("%H:00") for it in hours]


def routes(parts: Parts) -> list[HTTPRouteHandler]:
    """The page."""

    @get("/sampling", opt=requires("sampling.read"), sync_to_thread=True)
    def overview(request: AnyRequest) -> Response[Any]:
        zone, now_ms = parts.console.zone(request), parts.console.now_ms()
        now = read_now(parts, zone, now_ms)
        silent = {it.station for it in now.silent}
        return parts.page(
            request,
            "sampling_overview.html",
            now=now,
            # Those that are silent first, then those whose clock is wrong, then those that have most to send.
            worst=sorted(
                now.stations,
                key=lambda it: (it.station not in silent, it.offset_ms == 0, -it.waiting, it.contact_ms),
            )[:_WORST],
            mark=lambda it: mark_of(it, now_ms, parts.figures.silent_ms),
            hours=hours_chart(parts, request, zone, now_ms),
            spent=spent_chart(parts, request, zone, now_ms),
            late_h=LATE_MS // HOUR_MS,
        )

    return [overview]
