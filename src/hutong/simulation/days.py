"""The calendar of a province: hours of local time, days of work and of rest."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, NamedTuple

from hutong.kernel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hutong.simulation.parameters import Calendar

HOUR_MS = 3_600_000
HOURS = 24
_SATURDAY = 5


class Hour(NamedTuple):
    """One hour: its number from the beginning, its begin (ms since 1970 UTC), local hour of day, rest or work."""

    number: int
    begin_ms: int
    of_day: int
    rest: bool

    @property
    def end_ms(self) -> int:
        """When it is over."""
        return self.begin_ms + HOUR_MS


class Days:
    """All hours of the records.

    Args:
        calendar: the parameters.
        days: how many days.

    Raises:
        ConfigError: a date is none.
    """

    def __init__(self, calendar: Calendar, days: int) -> None:
        self._first = _date(calendar.start, "start")
        self._rest = {_date(text, "rest_days") for text in calendar.rest_days}
        self._work = {_date(text, "working_days") for text in calendar.working_days}
        zone = dt.timezone(dt.timedelta(hours=calendar.utc_offset_hours))
        self.begin_ms = int(dt.datetime.combine(self._first, dt.time(), zone).timestamp() * 1000)
        self.days = days
        self.end_ms = self.begin_ms + days * HOURS * HOUR_MS

    def hours(self) -> Iterator[Hour]:
        """Every hour, in order."""
        for day in range(self.days):
            rest = self.is_rest(day)
            for of_day in range(HOURS):
                number = day * HOURS + of_day
                yield Hour(number, self.begin_ms + number * HOUR_MS, of_day, rest)

    def is_rest(self, day: int) -> bool:
        """Whether the day, counted from 0, is one of rest."""
        date = self.date(day)
        if date in self._work:
            return False
        return date in self._rest or date.weekday() >= _SATURDAY

    def date(self, day: int) -> dt.date:
        """The local date of a day."""
        return self._first + dt.timedelta(days=day)

    def rest_days(self) -> int:
        """How many of the days are of rest."""
        return sum(self.is_rest(day) for day in range(self.days))

    def day_of(self, when_ms: int) -> int:
        """The day that holds a time."""
        return (when_ms - self.begin_ms) // (HOURS * HOUR_MS)

    def hour_of_day(self, when_ms: int) -> int:
        """The local hour of a time."""
        return (when_ms - self.begin_ms) // HOUR_MS % HOURS


def shares(weights: Sequence[float]) -> tuple[float, ...]:
    """Weights of hours as shares of a day."""
    total = sum(weights)
    return tuple(weight / total for weight in weights) if total > 0 else tuple(0.0 for _ in weights)


def _date(text: str, key: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{text!r} is no date.", where=f"calendar.{key}", fix="Write it as 2026-03-02.") from None
