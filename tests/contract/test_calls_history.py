"""Counts by minute: each verdict exactly once whoever is killed, series that add up, old minutes forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hutong.calls.features import SHIPPED_RULES, VOCABULARY
from hutong.calls.history import KINDS, Counts, History, Point
from hutong.calls.index import VerdictIndex
from hutong.kernel.numbering import AREAS
from hutong.kernel.rules.loader import load_ruleset
from verdict_records import NOON_MS, traffic

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.kernel.records import Database

MINUTE = 60_000
END = NOON_MS + 60 * MINUTE


def all_totals(history: History) -> dict[str, dict[str, Counts]]:
    return {kind: history.totals(kind, 0, END) for kind in KINDS}


def test_every_verdict_is_counted_by_each_kind(tmp_path: Path, database: Database) -> None:
    traffic(tmp_path, 300)
    history = History(database, "n")
    assert history.fold(VerdictIndex(tmp_path)) == 350
    found = all_totals(history)
    assert found["action"] == {"pass": Counts(240, 0, 0), "warn": Counts(30, 30, 0), "block": Counts(30, 0, 30)}
    assert found["trunk"] == {"one": Counts(150, 0, 30), "two": Counts(150, 30, 0)}
    assert {name: it.attempts for name, it in found["area"].items()} == {AREAS[code]: 60 for code in range(5)}
    ids = [rule.id for rule in load_ruleset([SHIPPED_RULES], VOCABULARY).rules[:3]]
    assert {name: it.attempts for name, it in found["rule"].items()} == dict.fromkeys(ids, 20)
    assert found["mirror"] == {"judged": Counts(43, 4, 5), "ended": Counts(50, 0, 0)}


def test_counting_in_small_steps_beside_a_growing_journal_counts_the_same(tmp_path: Path, database: Database) -> None:
    at_once, stepwise = History(database, "a"), History(database, "b")
    index = VerdictIndex(tmp_path)
    traffic(tmp_path, 100)
    while stepwise.fold(index, rows_at_once=7, turns=1):
        pass
    traffic(tmp_path, 50)
    while stepwise.fold(index, rows_at_once=3, turns=2):
        pass
    assert at_once.fold(VerdictIndex(tmp_path)) == 176
    assert all_totals(at_once) == all_totals(stepwise)
    assert at_once.fold(index) == 0
    assert at_once.counted_to() == 176


def test_two_that_count_at_once_count_once(tmp_path: Path, database: Database) -> None:
    traffic(tmp_path, 100)
    index = VerdictIndex(tmp_path)
    one, other = History(database, "n"), History(database, "n")
    begun = one.counted_to()
    assert other.fold(index) > 0
    before = all_totals(other)
    assert not one._keep(begun, 5, {(0, "action", "pass"): [1, 0, 0]})  # noqa: SLF001  # what a slower one would do
    assert all_totals(one) == before


@pytest.mark.parametrize("step", [1, 3, 10, 60])
def test_series_have_every_step_and_add_up_to_the_totals(tmp_path: Path, database: Database, step: int) -> None:
    traffic(tmp_path, 300)
    history = History(database, "n")
    history.fold(VerdictIndex(tmp_path))
    for kind in KINDS:
        totals = history.totals(kind, NOON_MS, END)
        for name, points in history.many(kind, list(totals), NOON_MS, END, step).items():
            length = max(step, 10 if kind == "area" else 1)
            assert [point.at_ms for point in points] == list(range(NOON_MS, END, length * MINUTE))
            assert (
                Counts(*(sum(column) for column in zip(*(point[1:] for point in points), strict=True))) == totals[name]
            )
    assert history.series("action", "nothing", NOON_MS, NOON_MS + 2 * MINUTE) == [
        Point(NOON_MS, 0, 0, 0),
        Point(NOON_MS + MINUTE, 0, 0, 0),
    ]


def test_hours_and_the_minutes_around_them_add_up(tmp_path: Path, database: Database) -> None:
    traffic(tmp_path, 2200)  # some two hours and a half
    history = History(database, "n")
    index = VerdictIndex(tmp_path)
    while history.fold(index, rows_at_once=700):
        pass
    since, until = NOON_MS + 7 * MINUTE, NOON_MS + 143 * MINUTE
    for kind in ("rule", "trunk", "action", "mirror"):
        totals = history.totals(kind, since, until)
        assert totals
        for name, points in history.many(kind, list(totals), since, until, 1).items():
            assert Counts(*(sum(column) for column in zip(*(it[1:] for it in points), strict=True))) == totals[name]
        for name, points in history.many(kind, list(totals), NOON_MS, until, 60).items():
            assert [it[1:] for it in points] == [
                history.totals(kind, begin, min(begin + 60 * MINUTE, until)).get(name, (0, 0, 0))
                for begin in range(NOON_MS, until, 60 * MINUTE)
            ]


def test_a_name_is_said_to_be_counted_last_in_its_last_minute(tmp_path: Path, database: Database) -> None:
    traffic(tmp_path, 1000)
    history = History(database, "n")
    history.fold(VerdictIndex(tmp_path))
    newest = NOON_MS + 999 * 4000 // MINUTE * MINUTE
    assert history.last("trunk", NOON_MS) == {"one": newest, "two": newest}
    assert history.last("action", newest + MINUTE) == {}
    assert history.last("action", newest)["pass"] == newest


def test_nodes_do_not_mix_and_old_minutes_are_forgotten(tmp_path: Path, database: Database) -> None:
    traffic(tmp_path, 1000)
    history, other = History(database, "n"), History(database, "m")
    history.fold(VerdictIndex(tmp_path))
    other.fold(VerdictIndex(tmp_path))
    assert history.forget(NOON_MS + 59 * MINUTE) == 0  # an hour goes as a whole
    assert history.forget(NOON_MS + 61 * MINUTE) > 0
    assert history.forget(NOON_MS + 61 * MINUTE) == 0
    for since in (0, NOON_MS + 60 * MINUTE, NOON_MS + 1):
        kept = history.totals("action", since, END + 60 * MINUTE)
        assert sum(it.attempts for it in kept.values()) == 1000 - 900
    assert sum(it.attempts for it in other.totals("action", 0, END + 60 * MINUTE).values()) == 1000
