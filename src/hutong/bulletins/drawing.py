"""Charts as SVG for paper, mail and pages: lines and bars, each said by more than its colour. Pure.

Colours are the tokens of `kernel.web` in their light form, as attributes; a page whose styles know the classes gives
them the reader's theme. Lines differ in dashes and marks, bars carry their values.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from hutong.kernel.documents import FONT
from hutong.kernel.web.frame import STATIC

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hutong.kernel.web.charts import Chart, Series

WIDTH: Final = 680
_HEIGHT: Final = 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 34, 28
_LINES: Final = 4  # of the grid
_LABELS: Final = 12  # along the x axis
_BAR: Final = 20
_NAMES: Final = 150
_VALUES: Final = 84
_LETTERS: Final = 20  # half-width letters of a name
_DASHES: Final = ("", "6 3", "2 3", "8 3 2 3")
_TOKEN: Final = re.compile(r"--([a-z0-9-]+):\s*(#[0-9a-f]{6});")


@cache
def tokens() -> dict[str, str]:
    """The light colours of `tokens.css`, by name."""
    root = (STATIC / "tokens.css").read_text(encoding="utf-8").partition("@media")[0]
    return dict(_TOKEN.findall(root))


def colour_of(series: Series, at: int) -> tuple[str, str]:
    """The class and the colour of a series: of its meaning, else of its place."""
    name = f"{series.mark}-ink" if series.mark in {"warn", "late"} else series.mark
    if name not in tokens():
        name = f"series-{at % 6 + 1}"
    return name, tokens()[name]


def draw(chart: Chart, title: str) -> Markup:
    """A chart as one <svg>; of kind "bar" it lies on its side, a row for each x."""
    return _bars(chart, title) if chart.kind == "bar" else _line(chart, title)


def _svg(height: int, title: str, parts: Iterator[Markup]) -> Markup:
    head = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" class="drawing" role="img" viewBox="0 0 {} {}" width="{}" height="{}" '
        'font-family="{}" font-size="11"><title>{}</title>'
    ).format(WIDTH, height, WIDTH, height, f"{FONT}, sans-serif", title)
    return head + Markup("").join(parts) + Markup("</svg>")


def _text(x: float, y: float, text: str, anchor: str = "start", name: str = "ink-quiet") -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}" fill="{}">{}</text>').format(
        f"of-{name}", x, y, anchor, tokens()[name], text
    )


def _rule(y: float, x: float = _LEFT, end: float = WIDTH - _RIGHT) -> Markup:
    return Markup(
        '<line class="of-line" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}" stroke="{}" stroke-width="1"/>'
    ).format(x, end, y, y, tokens()["line"])


def _line(chart: Chart, title: str) -> Markup:
    most = max((value for of in chart.series for value in of.values if value is not None), default=0)
    top = step_of(most) * _LINES
    wide, high = WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    count = len(chart.x)

    def x(at: int) -> float:
        return _LEFT + wide * ((at + 0.5) / count)

    def y(value: float) -> float:
        return _TOP + high * (1 - value / top)

    def parts() -> Iterator[Markup]:
        for at in range(_LINES + 1):
            value = top * at // _LINES
            yield _rule(y(value))
            yield _text(_LEFT - 6, y(value) + 4, f"{value:,}", "end")
        every = -(-count // _LABELS)
        for at, name in enumerate(chart.x):
            if at % every == 0:
                yield _text(x(at), _HEIGHT - 8, str(name), "middle")
        across = float(_LEFT)
        for at, of in enumerate(chart.series):
            points = [(x(place), None if value is None else y(value)) for place, value in enumerate(of.values)]
            yield from _course(of, at, points)
            yield from _course(of, at, [(across, 14.0), (across + 24, 14.0)])
            yield _text(across + 30, 18, of.name, name="ink")
            across += 48 + 12 * len(of.name)
        yield _text(WIDTH - _RIGHT, 18, chart.unit, "end")

    return _svg(_HEIGHT, title, parts())


def _course(of: Series, at: int, points: Sequence[tuple[float, float | None]]) -> Iterator[Markup]:
    """A line with a mark at each point; it breaks where nothing is known."""
    name, colour = colour_of(of, at)
    run: list[str] = []
    runs = [run]
    for x, y in points:
        if y is None:
            run = []
            runs.append(run)
            continue
        run.append(f"{x:.1f},{y:.1f}")
        yield _mark(at, name, colour, x, y)
    form = Markup('<polyline class="line-{}" points="{}" fill="none" stroke="{}" stroke-width="2"{}/>')
    dash = Markup(' stroke-dasharray="{}"').format(_DASHES[at % 4]) if _DASHES[at % 4] else Markup("")
    for one in runs:
        if len(one) > 1:
            yield form.format(name, " ".join(one), colour, dash)


def _mark(at: int, name: str, colour: str, x: float, y: float) -> Markup:
    if at % 2 == 0:
        return Markup('<circle class="of-{}" cx="{:.1f}" cy="{:.1f}" r="3" fill="{}"/>').format(name, x, y, colour)
    return Markup('<path class="of-{}" d="M{:.1f} {:.1f}l4 7h-8z" fill="{}"/>').format(name, x, y - 4, colour)


def _bars(chart: Chart, title: str) -> Markup:
    (of,) = chart.series
    name, colour = colour_of(of, 0)
    values = [value or 0 for value in of.values]
    most = max(values, default=0) or 1
    wide = WIDTH - _NAMES - _VALUES
    height = 8 + _BAR * len(values)

    form = Markup('<rect class="of-{}" x="{}" y="{}" width="{:.1f}" height="{}" fill="{}"/>')

    def parts() -> Iterator[Markup]:
        for at, (label, value) in enumerate(zip(chart.x, of.values, strict=True)):
            y = 4 + _BAR * at
            yield _text(_NAMES - 8, y + 14, shortened(str(label)), "end", "ink")
            if value is not None:
                long = wide * value / most
                yield form.format(name, _NAMES, y + 3, max(long, 1 if value else 0), _BAR - 6, colour)
                yield _text(_NAMES + long + 6, y + 14, f"{value:,}", name="ink")

    return _svg(height, title, parts())


def step_of(most: float) -> int:
    """The step of a grid of `_LINES` lines that reaches `most`: 1, 2 or 5 times a power of ten."""
    step = 1
    while True:
        for factor in (1, 2, 5):
            if step * factor * _LINES >= most:
                return step * factor
        step *= 10


def shortened(name: str) -> str:
    """A name that fits beside its bar."""
    wide = 0
    for at, letter in enumerate(name):
        wide += 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if wide > _LETTERS:
            return f"{name[: at - 1]}…"
    return name
