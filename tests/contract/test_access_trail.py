"""The trail, on each engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hutong.kernel.access.people import People
from hutong.kernel.access.trail import Reach, Trail, TrailEntry, TrailQuery

if TYPE_CHECKING:
    from hutong.kernel.records import Database

NOW = 1_650_000_000_000


@pytest.fixture
def trail(database: Database) -> Trail:
    return Trail(database)


def some_deeds(trail: Trail) -> None:
    deeds = [
        ("wang", "lists.add", "+8613800138000"),
        ("li", "people.role", "wang"),
        ("wang", "lists.remove", "100%_sure"),
        ("Wang.Fang", "listsomething.else", ""),
        ("li", "session.start", "li"),
    ]
    for at, (who, deed, target) in enumerate(deeds):
        trail.record(who, f"192.0.2.{at}", deed, target, now_ms=NOW + at)


def test_a_deed_comes_back_as_it_was_recorded(trail: Trail) -> None:
    number = trail.record(
        "wang", "192.0.2.1", "rules.promote", "calls.x", {"stage": "warn"}, ["block", 1, None], "as agreed", now_ms=NOW
    )
    expected = TrailEntry(
        number, NOW, "wang", "192.0.2.1", "rules.promote", "calls.x", {"stage": "warn"}, ["block", 1, None], "as agreed"
    )
    assert trail.page() == [expected]
    assert list(trail.entries()) == [expected]


def test_numbers_rise(trail: Trail) -> None:
    numbers = [trail.record("a", "", "b.c", now_ms=NOW) for _ in range(5)]
    assert numbers == sorted(set(numbers))


def test_a_change_and_its_line_stand_or_fall_together(trail: Trail, database: Database) -> None:
    people = People(database)
    people.first(NOW)

    def change(*, fails: bool) -> None:
        with database.write():
            people.set_title("admin", "Zhang")
            trail.record("admin", "::1", "people.title", "admin", now_ms=NOW)
            if fails:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change(fails=True)
    assert (people.account("admin").title == "Zhang", trail.count()) == (False, 0)
    change(fails=False)
    assert (people.account("admin").title, trail.count()) == ("Zhang", 1)


def test_secrets_never_enter_and_numbers_are_masked(trail: Trail) -> None:
    trail.record(
        "admin",
        "::1",
        "people.add",
        "caller 13800138000",
        before={"password": "hunter2", "note": "ring +8613800138000"},
        after=["021-6234-5678"],
        now_ms=NOW,
    )
    (entry,) = trail.page()
    assert entry.target == "caller 138****8000"
    assert entry.before == {"password": "****", "note": "ring +86138****8000"}
    assert "6234" not in str(entry.after)


@pytest.mark.parametrize("deed", ["lists.add", "lists.remove", "numbers.unmask"])
def test_deeds_about_a_whole_number_keep_it(trail: Trail, deed: str) -> None:
    trail.record("wang", "::1", deed, "+8613800138000", after={"target": "13800138000"}, now_ms=NOW)
    (entry,) = trail.page()
    assert (entry.target, entry.after) == ("+8613800138000", {"target": "13800138000"})


def test_a_purpose_is_kept_word_for_word(trail: Trail) -> None:
    trail.record("wang", "::1", "numbers.unmask", "ref", purpose="案件 3101152022030001", now_ms=NOW)
    assert trail.page()[0].purpose == "案件 3101152022030001"


def test_hostile_text_is_kept_somehow(trail: Trail) -> None:
    trail.record("a\0b", "\udcff", "x.y", "\0", {"\udcff": "\0"}, "x\0" * 5000, "p" * 9999, now_ms=NOW)
    (entry,) = trail.page()
    assert entry.who == "a\ufffdb"
    assert len(entry.purpose) == 2000


@pytest.mark.parametrize(
    ("query", "count"),
    [
        (TrailQuery(), 5),
        (TrailQuery(who="wang"), 3),
        (TrailQuery(who="WANG.F"), 1),
        (TrailQuery(deed="lists"), 2),
        (TrailQuery(deed="lists."), 2),
        (TrailQuery(deed="lists.add"), 1),
        (TrailQuery(deed="list"), 0),
        (TrailQuery(target="%"), 1),
        (TrailQuery(target="_"), 1),
        (TrailQuery(text="138001"), 1),
        (TrailQuery(since_ms=NOW + 1), 4),
        (TrailQuery(until_ms=NOW + 1), 1),
        (TrailQuery(since_ms=NOW + 1, until_ms=NOW + 3, who="wang"), 1),
        (TrailQuery(who="' or 1=1 --"), 0),
        (TrailQuery(text="\0"), 0),
    ],
)
def test_entries_are_found_by_what_they_say(trail: Trail, query: TrailQuery, count: int) -> None:
    some_deeds(trail)
    assert trail.count(query) == count
    assert len(trail.page(query)) == count
    assert len(list(trail.entries(query))) == count


def test_a_part_of_a_text_is_looked_for_in_the_latest_entries_unless_a_time_is_named(
    trail: Trail, database: Database
) -> None:
    with database.write():
        for at in range(100):
            trail.record("wang", "", "lists.add", f"no {at}", now_ms=NOW + at)
    ids = sorted(entry.id for entry in trail.entries())
    for query in (TrailQuery(text="no"), TrailQuery(target="no"), TrailQuery(text="nothing at all", who="li")):
        assert trail.reach(query, 10) == Reach(ids[-11], ids[-1] + 1000, NOW + 90)
    assert trail.reach(TrailQuery(text="no", until_ms=NOW + 50), 10) == Reach(ids[39], ids[49] + 1000, NOW + 40)
    for query in (TrailQuery(), TrailQuery(who="wang"), TrailQuery(deed="lists"), TrailQuery(text="no", since_ms=NOW)):
        assert trail.reach(query, 10) is None
    assert trail.reach(TrailQuery(text="no"), ids[-1]) is None
    assert trail.reach(TrailQuery(text="no", until_ms=1), 10) is None
    within = TrailQuery(text="no", reach=Reach(ids[39], ids[49], NOW))
    assert [entry.target for entry in trail.page(within)] == [f"no {at}" for at in range(49, 39, -1)]
    assert [entry.target for entry in trail.page(within, "target", descending=False, limit=2)] == ["no 40", "no 41"]
    assert trail.count(within) == 10


def test_pages_are_sorted_and_cut(trail: Trail) -> None:
    some_deeds(trail)
    newest_first = [entry.id for entry in trail.entries()]
    assert newest_first == sorted(newest_first, reverse=True)
    assert [entry.id for entry in trail.page(limit=2, offset=1)] == newest_first[1:3]
    assert [entry.id for entry in trail.page(descending=False)] == newest_first[::-1]
    assert next(entry.deed for entry in trail.page(sort="deed", descending=False)) == "lists.add"
    for descending in (True, False):
        by_who = [entry.who for entry in trail.page(sort="who", descending=descending)]
        assert by_who.index("li") + 1 == len(by_who) - 1 - by_who[::-1].index("li")


def test_an_export_of_many_entries_gives_each_once(trail: Trail, database: Database) -> None:
    with database.write():
        for at in range(1201):
            trail.record("wang", "", "lists.add", now_ms=NOW + at)
    found = trail.entries()
    first = next(found)
    trail.record("late", "", "lists.add", now_ms=NOW)
    numbers = [first.id, *(entry.id for entry in found)]
    assert len(numbers) == len(set(numbers)) == 1201
