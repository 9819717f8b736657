"""The working calendar: the State Council's days, and the arithmetic of deadlines."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hutong.kernel.cases.calendar import HOUR_MS, Term, WorkingCalendar, load_calendar, read_term
from hutong.kernel.cases.errors import CaseError

if TYPE_CHECKING:
    from pathlib import Path

SHANGHAI = timezone(timedelta(hours=8))
CALENDAR = load_calendar()
moments = st.datetimes(datetime(2024, 6, 1), datetime(2027, 12, 31)).map(lambda it: at(it.isoformat()))  # noqa: DTZ001
terms = st.builds(Term, st.integers(1, 300), st.sampled_from(("min", "h", "d", "wh", "wd")))


def at(text: str) -> int:
    """Ms since 1970 of a time in China."""
    return int(datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).timestamp() * 1000)


def shown(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, SHANGHAI).strftime("%Y-%m-%d %H:%M")


def day_of(at_ms: int) -> date:
    return datetime.fromtimestamp(at_ms / 1000, SHANGHAI).date()


@pytest.mark.parametrize(
    ("year", "working"),
    [(2025, 248), (2026, 248)],
)
def test_the_years_have_as_many_working_days_as_the_notices_leave(year: int, working: int) -> None:
    """Days of the year less weekends less days off that are no weekend, plus made-up days."""
    days = [date(year, 1, 1) + timedelta(n) for n in range(365)]
    weekdays = sum(day.weekday() < 5 for day in days)
    found = CALENDAR.years[year].holidays
    off = {it.first + timedelta(n) for it in found for n in range((it.last - it.first).days + 1)}
    made_up = {day for it in found for day in it.made_up}
    assert not off & made_up
    expected = weekdays - sum(day.weekday() < 5 for day in off) + len(made_up)
    assert sum(CALENDAR.is_working_day(day) for day in days) == expected == working


@pytest.mark.parametrize(
    ("day", "works"),
    [
        ("2025-01-01", False),
        ("2025-01-26", True),
        ("2025-02-04", False),
        ("2025-02-05", True),
        ("2025-10-08", False),
        ("2025-10-11", True),
        ("2026-01-02", False),
        ("2026-01-04", True),
        ("2026-02-14", True),
        ("2026-02-23", False),
        ("2026-02-24", True),
        ("2026-05-09", True),
        ("2026-09-20", True),
        ("2026-10-07", False),
        ("2026-10-10", True),
        ("2026-11-21", False),
    ],
)
def test_holidays_and_made_up_days_are_those_of_the_notices(day: str, works: bool) -> None:  # noqa: FBT001
    assert CALENDAR.is_working_day(date.fromisoformat(day)) is works


@pytest.mark.parametrize(
    ("start", "term", "end"),
    [
        ("2026-03-02T10:00", "4wh", "2026-03-02 15:00"),
        ("2026-03-02T17:30", "1wh", "2026-03-03 09:30"),
        ("2026-03-02T23:00", "8wh", "2026-03-03 18:00"),
        ("2026-02-13T10:00", "1wd", "2026-02-14 18:00"),
        ("2026-02-14T10:00", "1wd", "2026-02-24 18:00"),
        ("2026-09-30T18:00", "1wh", "2026-10-08 10:00"),
        ("2026-09-30T12:00", "3wd", "2026-10-10 18:00"),
        ("2026-09-30T12:00", "2d", "2026-10-08 18:00"),
        ("2026-03-02T10:00", "3d", "2026-03-05 18:00"),
        ("2026-10-01T10:00", "24h", "2026-10-02 10:00"),
    ],
)
def test_terms_end_as_the_civil_code_counts_them(start: str, term: str, end: str) -> None:
    assert shown(CALENDAR.end(at(start), read_term(term)).at_ms) == end


def test_a_year_without_a_notice_is_said_to_be_assumed() -> None:
    assert CALENDAR.is_assumed(2027)
    assert not CALENDAR.is_working_day(date(2027, 10, 1)), "what has a fixed date is known"
    assert CALENDAR.end(at("2026-12-30T10:00"), read_term("5wd")).assumed
    assert not CALENDAR.end(at("2026-12-01T10:00"), read_term("5wd")).assumed
    assert not CALENDAR.end(at("2027-03-01T10:00"), read_term("5h")).assumed, "hours by the clock need no calendar"


def test_a_year_that_was_announced_is_added_as_a_file(tmp_path: Path) -> None:
    text = 'year = 2027\nnotice = "made up"\n[[holidays]]\nzh = "x"\nen = "x"\nfrom = 2027-03-01\nto = 2027-03-02\n'
    (tmp_path / "2027.toml").write_text(text + "made_up = [2027-03-06]\n")
    calendar = load_calendar(tmp_path)
    assert not calendar.is_assumed(2027)
    assert not calendar.is_working_day(date(2027, 3, 1))
    assert calendar.is_working_day(date(2027, 3, 6))
    assert calendar.is_working_day(date(2026, 3, 2))


@pytest.mark.parametrize(
    "wrong",
    [
        "year = 2027",
        'year = 2027\nnotice = " "\nholidays = []',
        'year = 2027\nnotice = "x"\n[[holidays]]\nzh = "x"\nen = "x"\nfrom = 2027-03-02\nto = 2027-03-01',
        'year = 2027\nnotice = "x"\n[[holidays]]\nzh = "x"\nen = "x"\nfrom = 2017-03-01\nto = 2017-03-01',
        'year = 2027\nnotice = "x"\n[[holidays]]\nzh="x"\nen="x"\nfrom=2027-03-01\nto=2027-03-01\nmade_up=[2027-03-03]',
        'year = 2027\nnotice = "x"\n[[holidays]]\nzh="x"\nen="x"\nfrom=2027-03-01\nto=2027-03-01\nmadeup=[2027-03-06]',
        "not toml",
    ],
)
def test_a_wrong_year_is_refused_with_its_file(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "2027.toml").write_text(wrong)
    with pytest.raises(CaseError, match=r"2027\.toml"):
        load_calendar(tmp_path)


@pytest.mark.parametrize("text", ["", "0wd", "3", "wd", "-1d", "3 wd", "10000h", "1w"])
def test_what_is_no_term_is_refused(text: str) -> None:
    with pytest.raises(CaseError):
        read_term(text)


@given(terms)
def test_a_term_reads_as_it_is_written(term: Term) -> None:
    assert read_term(str(term)) == term


@given(moments, terms)
def test_a_term_ends_later_than_it_begins_and_in_working_time_where_it_is_of_that(start: int, term: Term) -> None:
    end = CALENDAR.end(start, term).at_ms
    assert end > start
    if term.unit not in {"min", "h"}:
        assert CALENDAR.is_working_time(end - 1)


@given(moments, st.integers(0, 400 * HOUR_MS))
def test_working_time_between_is_what_was_added(start: int, length: int) -> None:
    end = CALENDAR.later(start, length)
    assert CALENDAR.working_ms(start, end) == length
    begun = CALENDAR.earlier(start, length)
    assert CALENDAR.working_ms(begun, start) == length


@given(moments, st.integers(1, 200))
def test_a_term_of_days_holds_so_many_working_days(start: int, amount: int) -> None:
    end = CALENDAR.end(start, Term(amount, "wd")).at_ms
    first, last = day_of(start), day_of(end)
    between = [first + timedelta(n) for n in range(1, (last - first).days + 1)]
    assert sum(CALENDAR.is_working_day(day) for day in between) == amount
    assert CALENDAR.is_working_day(last)


@given(moments, moments, terms)
def test_who_begins_later_never_ends_earlier(one: int, other: int, term: Term) -> None:
    first, second = sorted((one, other))
    assert CALENDAR.end(first, term).at_ms <= CALENDAR.end(second, term).at_ms


@given(moments, terms)
def test_a_reminder_lies_before_what_it_reminds_of(end: int, term: Term) -> None:
    assert CALENDAR.before(end, term) < end


@given(moments)
def test_working_time_is_hours_of_working_days(moment: int) -> None:
    there = datetime.fromtimestamp(moment / 1000, UTC).astimezone(SHANGHAI)
    hours = 9 <= there.hour < 12 or 13 <= there.hour < 18
    assert CALENDAR.is_working_time(moment) is (hours and WorkingCalendar.is_working_day(CALENDAR, there.date()))
