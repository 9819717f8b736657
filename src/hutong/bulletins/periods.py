"""Days, weeks and months that bulletins are about: how they are written, when they begin and end, what came before.

Pure: days of a calendar, and a zone in which they begin. A week is one of ISO 8601, from Monday to Sunday.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from hutong.bulletins.errors import BulletinError

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

Kind = Literal["day", "week", "month"]
KINDS: Final[tuple[Kind, ...]] = ("day", "week", "month")

_FORMS: Final = (
    ("day", re.compile(r"(\d{4})-(\d{2})-(\d{2})")),
    ("week", re.compile(r"(\d{4})-W(\d{2})")),
    ("month", re.compile(r"(\d{4})-(\d{2})")),
)
_YEARS: Final = range(2000, 3000)


class Period(msgspec.Struct, frozen=True, order=True):
    """A day, an ISO week or a month.

    Attributes:
        first, last: its days, both of it.
    """

    kind: Kind
    first: date
    last: date

    @property
    def key(self) -> str:
        """2026-11-20, 2026-W47 or 2026-11."""
        if self.kind == "day":
            return self.first.isoformat()
        if self.kind == "week":
            year, week, _ = self.first.isocalendar()
            return f"{year:04d}-W{week:02d}"
        return f"{self.first:%Y-%m}"

    @property
    def days(self) -> list[date]:
        """Every day of it."""
        return [self.first + timedelta(days=at) for at in range((self.last - self.first).days + 1)]

    @property
    def previous(self) -> Period:
        """The one that ends the day before."""
        return period_of(self.kind, self.first - timedelta(days=1))

    @property
    def year_before(self) -> Period | None:
        """The same day, week or month of the year before; None where that year has none (29 February, week 53)."""
        try:
            if self.kind == "week":
                year, week, _ = self.first.isocalendar()
                return period_of("week", date.fromisocalendar(year - 1, week, 1))
            return period_of(self.kind, self.first.replace(year=self.first.year - 1))
        except ValueError:
            return None

    def bounds(self, zone: ZoneInfo) -> tuple[int, int]:
        """Where it begins and where the next one does, ms since 1970 UTC."""
        return begin_of(self.first, zone), begin_of(self.last + timedelta(days=1), zone)


def period_of(kind: Kind, day: date) -> Period:
    """The period of that kind that a day lies in."""
    if kind == "day":
        return Period(kind, day, day)
    if kind == "week":
        monday = day - timedelta(days=day.weekday())
        return Period(kind, monday, monday + timedelta(days=6))
    first = day.replace(day=1)
    after = (first + timedelta(days=31)).replace(day=1)
    return Period(kind, first, after - timedelta(days=1))


def read_period(text: str) -> Period:
    """The period that a text names.

    Raises:
        BulletinError: it names none.
    """
    for kind, form in _FORMS:
        found = form.fullmatch(text)
        if found is None or int(found[1]) not in _YEARS:
            continue
        numbers = [int(it) for it in found.groups()]
        try:
            if kind == "day":
                return period_of("day", date(*numbers))
            if kind == "week":
                return period_of("week", date.fromisocalendar(numbers[0], numbers[1], 1))
            return period_of("month", date(numbers[0], numbers[1], 1))
        except ValueError:
            break
    raise BulletinError(
        f"{text[:40]!r} is no day, week or month.",
        reason="period",
        where="period",
        fix="Write 2026-11-20, 2026-W47 or 2026-11.",
    )


def begin_of(day: date, zone: ZoneInfo) -> int:
    """When a day begins in a zone, ms since 1970 UTC."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)


def day_at(ms: int, zone: ZoneInfo) -> date:
    """The day that a moment lies in."""
    return datetime.fromtimestamp(ms / 1000, zone).date()
