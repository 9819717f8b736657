"""Charts as data: what `static/charts.js` draws, and the table that says the same.

Belongs here: the figures of a chart and their meaning. Not here: colours (tokens.css) and drawing (charts.js).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

Mark = Literal["", "pass", "warn", "block", "late", "observe"]


class Series(msgspec.Struct, frozen=True):
    """One line, or one colour of bars.

    Attributes:
        name: what it is, in the reader's language.
        values: one for each x; None leaves a gap.
        mark: gives the colour of that meaning; "" takes the next neutral one.
    """

    name: str
    values: list[float | int | None]
    mark: Mark = ""


class Chart(msgspec.Struct, frozen=True):
    """A chart.

    Attributes:
        x: labels (already in the reader's language and zone), or figures.
        unit: of all values, in the reader's language; "" for plain counts.
        stacked: whether series lie on each other.
        x_text: heading of the first column of the table, in the reader's language.
    """

    kind: Literal["line", "bar", "step", "scatter"]
    x: list[str] | list[float]
    series: list[Series]
    unit: str = ""
    stacked: bool = False
    x_text: str = ""

    def __post_init__(self) -> None:
        """Refuse series that do not fit.

        Raises:
            ValueError: a series has more or fewer values than there are x.
        """
        for it in self.series:
            if len(it.values) != len(self.x):
                raise ValueError(f"series {it.name!r} has {len(it.values)} values for {len(self.x)} x")

    @property
    def json(self) -> str:
        """For `data-chart`."""
        return msgspec.json.encode(self).decode()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return all(value is None for it in self.series for value in it.values)

    def table(self) -> Iterator[tuple[object, list[float | int | None]]]:
        """The same figures, a row for each x."""
        for at, x in enumerate(self.x):
            yield x, [it.values[at] for it in self.series]
