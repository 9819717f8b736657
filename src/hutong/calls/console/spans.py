"""Spans of time that pages offer for their charts, and how a moment is written under one."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from zoneinfo import ZoneInfo

    from hutong.calls.history import Point

_MINUTE_MS: Final = 60_000


class Span(NamedTuple):
    """So many minutes up to now, in steps of so many; `form` writes a moment (strftime)."""

    name: str
    minutes: int
    step: int
    form: str

    def since(self, now_ms: int) -> int:
        """Ms at which the span begins that ends at `now_ms`."""
        return now_ms - self.minutes * _MINUTE_MS

    def ended(self, points: Sequence[Point], now_ms: int) -> list[Point]:
        """The steps that are over at `now_ms`: one that still runs would look like a fall."""
        return [point for point in points if point.at_ms + self.step * _MINUTE_MS <= now_ms]

    def label(self, ms: int, zone: ZoneInfo) -> str:
        """A moment under a chart."""
        return datetime.fromtimestamp(ms / 1000, zone).strftime(self.form)


SPANS: Final = (
    Span("1h", 60, 1, "%H:%M"),
    Span("24h", 24 * 60, 10, "%H:%M"),
    Span("7d", 7 * 24 * 60, 60, "%m-%d %H:%M"),
    Span("30d", 30 * 24 * 60, 360, "%m-%d %H:%M"),
)
USUAL: Final = SPANS[1]


def span_of(params: Mapping[str, str]) -> Span:
    """The span that `?span=` asks for, else 24 hours."""
    return next((span for span in SPANS if span.name == params.get("span")), USUAL)
