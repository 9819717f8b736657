"""What a system counts for bulletins: one value with its name, city and operator. How it counts is the system's own.

A system gives `figures(connection, start_ms, end_ms)` in its own `figures.py`; the app hands these to the bulletins.

- A name is `SYSTEM.WHAT`, e.g. `reports.received`; every name is explained in `bulletins/figures.toml`.
- `start_ms` belongs to the time, `end_ms` does not; both are ms since 1970 UTC.
- Counts of one name, city and operator are added up; what is not given is nought. The whole is the sum of all of them,
  so nothing is given twice, once by city and once in all.
- What stands at the end (orders in force, cases late) is counted as of `end_ms`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.kernel.records import Connection


class Count(NamedTuple):
    """So many of something.

    Attributes:
        name: `SYSTEM.WHAT`.
        city: area code with 0, e.g. "021", as `kernel.numbering` has it; "" where it is not known.
        operator: name in `kernel.numbering.OPERATORS`; "" where it is not known.
        value: not negative.
    """

    name: str
    city: str
    operator: str
    value: int


class FigureSource(Protocol):
    """A system's `figures`."""

    def __call__(self, connection: Connection, start_ms: int, end_ms: int) -> Iterator[Count]:
        """Everything that the system counts of a time; reads only, within the caller's transaction."""
