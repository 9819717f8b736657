"""The Chinese working calendar: which days are worked, and arithmetic in working time. Pure but for `load_calendar`.

Holidays and make-up days are dated data, one file a year, each naming the notice of the State Council that it comes
from. A year without a file is assumed: weekends, and the statutory holidays that have fixed dates
(全国年节及纪念日放假办法 of 2024-11: 1 January, 1-2 May, 1-3 October); those of the lunar calendar are not guessed.
China keeps one time all year, UTC+8.

Times are ms since 1970 UTC. Terms follow 民法典: the day of the beginning is not counted (art. 201); the last day ends
with business hours, and where a term of calendar days ends on a day off, with the next working day (art. 203).
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from hutong.kernel.cases.errors import CaseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Unit = Literal["min", "h", "d", "wh", "wd"]
#: Data of the house: a file for each year that has a notice.
SHIPPED: Final = Path(__file__).with_name("data") / "calendar"
#: Working hours of a day, minutes since midnight: eight hours with a break.
HOURS: Final = ((9 * 60, 12 * 60), (13 * 60, 18 * 60))

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
_MINUTE_MS: Final = 60_000
_OFFSET_MS: Final = 8 * HOUR_MS
_EPOCH: Final = date(1970, 1, 1).toordinal()
_SATURDAY: Final = 5
_FIXED: Final = ((1, 1), (5, 1), (5, 2), (10, 1), (10, 2), (10, 3))
_TERM: Final = re.compile(r"([1-9]\d{0,3})(min|wh|wd|h|d)")


class Term(msgspec.Struct, frozen=True):
    """A length of time: minutes (min), hours (h) or days (d) by the clock, working hours (wh), working days (wd)."""

    amount: int
    unit: Unit

    def __str__(self) -> str:
        """As types write it, e.g. 3wd."""
        return f"{self.amount}{self.unit}"


def read_term(text: str) -> Term:
    """A term as types write it: 15min, 24h, 7d, 4wh, 3wd.

    Raises:
        CaseError: it is none.
    """
    found = _TERM.fullmatch(text)
    if not found:
        raise CaseError(f"{text!r} is no term.", fix="Write 15min, 24h, 7d, or in working time 4wh, 3wd; up to 9999.")
    return msgspec.convert({"amount": int(found[1]), "unit": found[2]}, Term)


class Due(msgspec.Struct, frozen=True):
    """A moment that a term ends at, ms; `assumed` where it rests on a year that has no notice."""

    at_ms: int
    assumed: bool


class Holiday(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Days off, and the days of weekends that are worked for them."""

    zh: str
    en: str
    first: date = msgspec.field(name="from")
    last: date = msgspec.field(name="to")
    made_up: tuple[date, ...] = ()


class Year(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A year's arrangements and the notice that they come from."""

    year: int
    notice: str
    holidays: tuple[Holiday, ...]


class WorkingCalendar:
    """Which days are worked, and when terms end.

    Args:
        years: those with a notice.
    """

    def __init__(self, years: Iterable[Year]) -> None:
        self._years = {it.year: it for it in years}
        self._off: dict[int, Holiday] = {}
        self._made_up: dict[int, Holiday] = {}
        for holiday in (holiday for it in self._years.values() for holiday in it.holidays):
            for day in range(holiday.first.toordinal(), holiday.last.toordinal() + 1):
                self._off[day] = holiday
            self._made_up.update(dict.fromkeys((day.toordinal() for day in holiday.made_up), holiday))
        self._worked: dict[int, tuple[int, ...]] = {}

    @property
    def years(self) -> Mapping[int, Year]:
        """Years that have a notice."""
        return self._years

    def is_assumed(self, year: int) -> bool:
        """Whether the year has no notice here."""
        return year not in self._years

    def is_working_day(self, day: date) -> bool:
        """Whether people work on that day."""
        return self._works(day.toordinal())

    def is_working_time(self, at_ms: int) -> bool:
        """Whether people work at that moment; the last moment of a span does not count."""
        day, within = divmod(at_ms + _OFFSET_MS, DAY_MS)
        minute = within // _MINUTE_MS
        return self._works(day + _EPOCH) and any(start <= minute < end for start, end in HOURS)

    def holiday(self, day: date) -> Holiday | None:
        """The holiday that a day off, or a made-up day, belongs to."""
        number = day.toordinal()
        return self._off.get(number) or self._made_up.get(number)

    def end(self, start_ms: int, term: Term) -> Due:
        """When a term that begins at `start_ms` ends."""
        match term.unit:
            case "min":
                at_ms = start_ms + term.amount * _MINUTE_MS
            case "h":
                at_ms = start_ms + term.amount * HOUR_MS
            case "d":
                at_ms = self._close_from(_day_of(start_ms) + term.amount)
            case "wh":
                at_ms = self.later(start_ms, term.amount * HOUR_MS)
            case "wd":
                at_ms = self._close_of(self._nth_worked(_day_of(start_ms), term.amount))
        return Due(at_ms, self._rests_on_assumed(start_ms, at_ms, term.unit))

    def before(self, end_ms: int, term: Term) -> int:
        """The moment that lies a term before `end_ms`: when to remind."""
        match term.unit:
            case "min":
                return end_ms - term.amount * _MINUTE_MS
            case "h":
                return end_ms - term.amount * HOUR_MS
            case "d":
                return end_ms - term.amount * DAY_MS
            case "wh":
                return self.earlier(end_ms, term.amount * HOUR_MS)
            case "wd":
                return self._close_of(self._nth_worked(_day_of(end_ms), -term.amount))

    def later(self, start_ms: int, working_ms: int) -> int:
        """The first moment at which `working_ms` of working time have passed since `start_ms`."""
        if working_ms <= 0:
            return start_ms
        for start, end in self._spans_from(start_ms):
            if end - start >= working_ms:
                return start + working_ms
            working_ms -= end - start
        raise AssertionError  # pragma: no cover  # spans never end

    def earlier(self, end_ms: int, working_ms: int) -> int:
        """The last moment from which `working_ms` of working time pass until `end_ms`."""
        if working_ms <= 0:
            return end_ms
        day = _day_of(end_ms)
        while True:
            for start, end in reversed(self._spans_of(day)):
                end = min(end, end_ms)  # noqa: PLW2901  # the span, cut at the end
                if end - start >= working_ms:
                    return end - working_ms
                working_ms -= max(0, end - start)
            day -= 1

    def working_ms(self, start_ms: int, end_ms: int) -> int:
        """Working time between two moments, ms; 0 where the end is not later."""
        total = 0
        for start, end in self._spans_from(start_ms):
            if start >= end_ms:
                break
            total += min(end, end_ms) - start
        return total

    # Days, as ordinals

    def _works(self, day: int) -> bool:
        if day in self._made_up:
            return True
        of = date.fromordinal(day)
        if day in self._off or of.weekday() >= _SATURDAY:
            return False
        return of.year in self._years or (of.month, of.day) not in _FIXED

    def _worked_of(self, year: int) -> tuple[int, ...]:
        """Ordinals of a year's working days, ascending."""
        if year not in self._worked:
            first, last = date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal()
            self._worked[year] = tuple(day for day in range(first, last + 1) if self._works(day))
        return self._worked[year]

    def _nth_worked(self, day: int, count: int) -> int:
        """The count-th working day after `day`; before it where `count` is negative."""
        year = date.fromordinal(day).year
        worked = self._worked_of(year)
        if count > 0:
            at = bisect_left(worked, day + 1) + count - 1
            while at >= len(worked):
                at -= len(worked)
                year += 1
                worked = self._worked_of(year)
            return worked[at]
        at = bisect_left(worked, day) + count
        while at < 0:
            year -= 1
            worked = self._worked_of(year)
            at += len(worked)
        return worked[at]

    def _close_from(self, day: int) -> int:
        """Close of business of that day, or of the next working day."""
        return self._close_of(day if self._works(day) else self._nth_worked(day, 1))

    def _close_of(self, day: int) -> int:
        return _midnight(day) + HOURS[-1][1] * _MINUTE_MS

    def _spans_of(self, day: int) -> list[tuple[int, int]]:
        if not self._works(day):
            return []
        midnight = _midnight(day)
        return [(midnight + start * _MINUTE_MS, midnight + end * _MINUTE_MS) for start, end in HOURS]

    def _spans_from(self, start_ms: int) -> Iterator[tuple[int, int]]:
        """Spans of working time from a moment on, the first one cut."""
        day = _day_of(start_ms)
        while True:
            for start, end in self._spans_of(day):
                if end > start_ms:
                    yield max(start, start_ms), end
            day += 1

    def _rests_on_assumed(self, start_ms: int, end_ms: int, unit: Unit) -> bool:
        if unit in {"min", "h"}:
            return False
        first, last = (date.fromordinal(_day_of(it)).year for it in (start_ms, end_ms))
        return any(self.is_assumed(year) for year in range(first, last + 1))


def _day_of(at_ms: int) -> int:
    return (at_ms + _OFFSET_MS) // DAY_MS + _EPOCH


def _midnight(day: int) -> int:
    return (day - _EPOCH) * DAY_MS - _OFFSET_MS


def load_calendar(*folders: Path) -> WorkingCalendar:
    """The calendar of the shipped years and of further folders, whose files of the same year win.

    A year that has been announced since this version was made is added as `YEAR.toml` in such a folder.

    Raises:
        CaseError: a file is wrong; says which and why.
    """
    years: dict[int, Year] = {}
    for folder in (SHIPPED, *folders):
        for file in sorted(folder.glob("*.toml")):
            read = _read_year(file)
            years[read.year] = read
    return WorkingCalendar(years.values())


def _read_year(file: Path) -> Year:
    try:
        read = msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), Year)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise CaseError(
            f"This is no year of the calendar: {error}.", where=str(file), fix="Write it like the shipped files."
        ) from error
    if not read.notice.strip():
        raise CaseError("The year names no notice.", where=str(file), fix='Write notice = "…", number and date.')
    for holiday in read.holidays:
        wrong = _wrong_of(read.year, holiday)
        if wrong:
            raise CaseError(f"{holiday.zh}: {wrong}.", where=str(file), fix="Compare it with the notice.")
    return read


def _wrong_of(year: int, holiday: Holiday) -> str:
    if holiday.last < holiday.first or holiday.last - holiday.first > timedelta(days=15):
        return "it ends before it begins, or lasts for more than half a month"
    if not all(abs(day.year - year) <= 1 for day in (holiday.first, holiday.last, *holiday.made_up)):
        return "a day is of another year"
    if any(day.weekday() < _SATURDAY or holiday.first <= day <= holiday.last for day in holiday.made_up):
        return "a made-up day is no day of a weekend, or lies in the holiday"
    return ""


def end_of_day(day: date) -> int:
    """The last moment of a day in China's time, ms."""
    return _midnight(day.toordinal() + 1) - 1


def show_moment(at_ms: int) -> str:
    """A moment in China's time, to the minute."""
    return datetime.fromtimestamp(at_ms / 1000, timezone(timedelta(milliseconds=_OFFSET_MS))).strftime("%Y-%m-%d %H:%M")
