"""Orders, lists and marks: whatever is killed between two steps goes on from there, and others' changes are noticed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fresh_records import lay_out
from hutong.kernel.errors import StateError
from hutong.kernel.lists.store import ListStore
from hutong.kernel.lists.targets import draft
from hutong.kernel.marks import MarkFile, Marks, find_row, limit_of
from hutong.kernel.numbering import Numbering
from hutong.kernel.records import Database, database_url
from hutong.orders.effect import WHO, Effects, Taken
from hutong.orders.errors import OrderRefused
from hutong.orders.model import Deed
from hutong.orders.store import Orders
from order_samples import CHEN, DAY, LI, NOW, NUMBER, Station, wish

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hutong.kernel.lists.entries import Entry

KEY = Numbering().read(NUMBER).key
LATER = NOW + 31 * DAY
#: What changes something outside the process, or records that it did: a kill may come before or after each.
POINTS: tuple[tuple[type, str], ...] = (
    (ListStore, "add"),
    (ListStore, "exchange"),
    (Orders, "do"),
    (Marks, "add"),
    (Marks, "drop"),
    (Marks, "publish"),
)


class Killed(BaseException):
    """As a process that is killed leaves things: nothing catches this."""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(database_url("", tmp_path))
    lay_out(Path(made.place))
    made.open()
    yield made
    made.close()


@pytest.fixture
def station(database: Database, tmp_path: Path) -> Iterator[Station]:
    it = Station(database, tmp_path)
    yield it
    it.lists.close()


def asked(station: Station, **fields: object) -> str:
    return station.desk.request(wish(**fields), CHEN, NOW).order


def approved(station: Station, **fields: object) -> str:
    of = asked(station, **fields)
    station.desk.do(of, Deed("approve", confirmed=True), LI, NOW)
    return of


def dies_at(monkeypatch: pytest.MonkeyPatch, turn: int, *, after: bool) -> Callable[[], bool]:
    """Kill at the so-manieth of `POINTS` that is passed; gives whether that happened."""
    passed = [0]

    def guarded(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: object, **kwargs: object) -> object:
            passed[0] += 1
            mine = passed[0] == turn
            if mine and not after:
                raise Killed
            done = real(*args, **kwargs)
            if mine:
                raise Killed
            return done

        return call

    for owner, name in POINTS:
        monkeypatch.setattr(owner, name, guarded(getattr(owner, name)))
    return lambda: passed[0] >= turn


@pytest.mark.parametrize("kind", ["block", "limit"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_whatever_is_killed_between_two_steps_nothing_is_lost_and_nothing_twice(
    station: Station, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, when: str
) -> None:
    per_hour = 5 if kind == "limit" else 0
    for turn in range(1, 40):  # each with a number of its own
        number = f"139{turn:08d}"
        key = Numbering().read(number).key
        (before,) = station.lists.add([draft(number, reason="投诉", who="op", source="desk")], NOW // 1000)
        changes = station.lists.last_change()
        of = asked(station, kind=kind, target=number, per_hour=per_hour)
        with monkeypatch.context() as patch:
            died = dies_at(patch, turn, after=when == "after")
            try:
                station.desk.do(of, Deed("approve"), LI, NOW)
                station.effects.run(NOW)
                station.desk.do(of, Deed("lift", "查明为误封"), LI, NOW + 5000)
                station.effects.run(NOW + 5000)
            except Killed:
                pass
            through = not died()
        # Another process, which knows nothing but what is on the disk.
        again = Station(database, tmp_path, station.lists)
        again.effects.run(NOW + 6000)
        if again.orders.order(of).state == "requested":
            again.desk.do(of, Deed("approve"), LI, NOW + 6000)
        if again.orders.order(of).is_standing:
            assert again.orders.order(of).state == "in-force"
            standing = [it.source for it in again.lists.matching(key)]
            assert standing == ([f"order:{of}"] if kind == "block" else ["desk"])
            assert shown_limit(tmp_path, key) == per_hour
            again.desk.do(of, Deed("lift", "查明为误封"), LI, NOW + 7000)
        again.effects.run(NOW + 8000)
        order = again.orders.order(of)
        assert (order.state, order.effect) == ("lifted", "cleared")
        assert [it.action for it in again.orders.events(of)] in (
            ["request", "approve", "begin", "place", "acknowledge", "lift", "clear"],
            ["request", "approve", "begin", "place", "lift", "clear"],
        )
        (left,) = again.lists.matching(key)  # the operator's entry is back, once
        assert left.says_the_same(before)
        assert again.lists.last_change() - changes == (3 if kind == "block" else 0)
        assert shown_limit(tmp_path, key) == 0
        if through:
            assert turn > 8
            assert again.orders.recount() == []
            return
    pytest.fail("there is no end of steps")


def shown_limit(folder: Path, key: int) -> int:
    file = MarkFile(folder / "marks")
    file.refresh()
    row = find_row(file.rows, key)
    return 0 if row < 0 else limit_of(int(file.rows[row, 2]))


def test_an_order_is_acknowledged_when_screening_has_it(station: Station) -> None:
    station.told.list_change = 0
    of = approved(station)
    assert station.orders.order(of).state == "approved"
    assert station.effects.run(NOW + 200) == []
    station.told.list_change, station.told.at_ms = station.orders.order(of).change, NOW + 120
    (order,) = station.effects.run(NOW + 400)
    assert (order.state, order.in_force_ms, order.delay_ms) == ("in-force", NOW + 400, 120)
    assert station.effects.run(NOW + 500) == []


def test_an_order_begins_and_ends_at_its_times(station: Station) -> None:
    of = approved(station, begins_ms=NOW + 2 * DAY, term_s=3600)
    station.effects.run(NOW + DAY)
    assert station.lists.matching(KEY) == []
    station.effects.run(NOW + 2 * DAY)
    (entry,) = station.lists.matching(KEY)
    assert entry.expires == (NOW + 2 * DAY) // 1000 + 3600  # screening itself ends it, whether anybody runs or not
    station.effects.run(NOW + 2 * DAY + 3_600_000 - 1)
    assert station.orders.order(of).state == "in-force"
    station.effects.run(NOW + 2 * DAY + 3_600_000)
    order = station.orders.order(of)
    assert (order.state, order.ended_by, order.effect) == ("expired", "hutong", "cleared")
    assert station.lists.matching(KEY) == []


def test_what_nobody_decides_expires(station: Station) -> None:
    of = asked(station)
    station.effects.run(NOW + 7 * DAY)
    assert station.orders.order(of).state == "expired"
    with pytest.raises(OrderRefused, match="not possible"):
        station.desk.do(of, Deed("approve"), LI, NOW + 7 * DAY)


@pytest.mark.parametrize("how", ["removed", "replaced", "before it was recorded"])
def test_an_entry_that_somebody_else_takes_off_lifts_its_order(
    station: Station, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if how == "before it was recorded":
        of = asked(station)
        with monkeypatch.context() as patch:
            dies_at(patch, 3, after=True)  # approve, begin, add: the entry is there, and no record of it
            with pytest.raises(Killed):
                station.desk.do(of, Deed("approve"), LI, NOW)
    else:
        of = approved(station)
    (entry,) = station.lists.matching(KEY)
    station.effects.run(NOW + 100) if how == "removed" else None
    if how == "replaced":
        station.lists.add([draft(NUMBER, reason="自行列入", who="op")], NOW // 1000)
    else:
        station.lists.remove(entry, NOW // 1000, who="appeals", why="申诉成立 A-1")
    Station(database, tmp_path, station.lists).effects.run(NOW + 1000)
    order = station.orders.order(of)
    assert order.state == "lifted"
    assert (order.ended_by, order.ended_why) == (
        ("op", "replaced") if how == "replaced" else ("appeals", "申诉成立 A-1")
    )
    station.effects.run(NOW + 2000)
    assert [it.source for it in station.lists.matching(KEY)] == ([""] if how == "replaced" else [])


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_the_running_keeper_notices_from_the_changes_alone(station: Station, how: str) -> None:
    of = approved(station)
    station.effects.run(NOW)
    other = approved(station, target="13700000000")  # placed and gone between two looks
    (entry,) = station.lists.matching(station.orders.order(other).key)
    station.lists.remove(entry, NOW // 1000, who="op", why="误")
    (entry,) = station.lists.matching(KEY)
    station.lists.exchange(entry, None, NOW // 1000, who="appeals", why="申诉成立") if how == "removed" else (
        station.lists.add([draft(NUMBER, reason="自行列入", who="op")], NOW // 1000)
    )
    station.effects.run(NOW + 1000)
    assert station.orders.order(of).ended_by == ("appeals" if how == "removed" else "op")
    assert station.orders.order(other).ended_by == "op"


def test_a_block_that_an_allow_entry_would_win_over_is_refused(station: Station) -> None:
    (allow,) = station.lists.add([draft("139*", list="allow", reason="内部号段", who="op")], NOW // 1000)
    of = asked(station)
    with pytest.raises(OrderRefused, match="would win") as refused:
        station.desk.do(of, Deed("approve"), LI, NOW)
    assert refused.value.where == f"lists/{allow.id}"
    station.lists.remove(allow, NOW // 1000, who="op", why="清理")
    station.desk.do(of, Deed("approve"), LI, NOW)
    assert station.orders.order(of).state == "in-force"


def test_an_entry_that_took_the_place_of_a_dead_orders_entry_gives_back_what_was_before(station: Station) -> None:
    station.lists.add([draft(NUMBER, reason="投诉", who="op", source="desk")], NOW // 1000)
    first = approved(station)
    station.orders.do(first, Deed("lift", "换文"), LI, NOW)  # and killed before it was cleared
    second = approved(station, document="新文")
    assert station.orders.order(second).state == "in-force"
    station.desk.do(second, Deed("lift", "结案"), LI, NOW + 10)
    station.effects.run(NOW + 10)
    assert [(it.source, it.removed_by) for it in station.lists.matching(KEY)] == [("desk", "")]
    assert station.lists.entry(2).removed_by in {WHO, "op"}  # type: ignore[union-attr]


def test_an_entry_that_expired_by_itself_gives_back_what_was_before(station: Station) -> None:
    station.lists.add([draft(NUMBER, reason="投诉", who="op", source="desk")], NOW // 1000)
    of = approved(station)
    (entry,) = station.lists.matching(KEY)
    station.lists.remove(entry, LATER // 1000, who="hutong work", why="expired")
    station.effects.run(LATER)
    assert station.orders.order(of).state == "expired"
    assert [it.source for it in station.lists.matching(KEY)] == ["desk"]


def test_what_the_lists_let_go_of_at_its_time_was_not_lifted_by_anybody(station: Station) -> None:
    of = approved(station)
    station.effects.run(NOW)
    (entry,) = station.lists.matching(KEY)
    station.lists.remove(entry, LATER // 1000, who="hutong work", why="expired")
    ends = station.orders.order(of).ends_ms
    station.effects.run(ends - 1)  # the list's own job was a moment quicker
    assert station.orders.order(of).state == "in-force"
    station.effects.run(ends)
    assert station.orders.order(of).state == "expired"


def test_an_order_that_fails_or_waits_holds_up_none_behind_it(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hutong.orders.query._PAGE", 2)
    station.told.list_change = 0
    waiting = [approved(station, target=f"1390000000{at}") for at in range(3)]
    later = [approved(station, target=f"1390000001{at}", begins_ms=NOW + DAY) for at in range(3)]
    add = ListStore.add

    def failing(store: ListStore, entries: list[Entry], now: int) -> list[Entry]:
        if later[0] in entries[0].source:
            raise StateError("The lists cannot be written.")
        return add(store, entries, now)

    with monkeypatch.context() as patch:
        patch.setattr(ListStore, "add", failing)
        with pytest.raises(StateError):
            station.effects.run(NOW + DAY)
    assert {station.orders.order(it).effect for it in [*waiting, *later[1:]]} == {"placed"}
    station.told.list_change = 1 << 40
    assert {it.id for it in station.effects.run(NOW + DAY)} == {*waiting, *later}


def test_what_fails_while_others_changes_are_looked_at_is_looked_at_again(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = approved(station)
    station.effects.run(NOW)
    (entry,) = station.lists.matching(KEY)
    station.lists.remove(entry, NOW // 1000, who="op", why="误")
    with monkeypatch.context() as patch:
        dies_at(patch, 1, after=False)
        with pytest.raises(Killed):
            station.effects.run(NOW + 1000)
    station.effects.run(NOW + 2000)
    assert station.orders.order(of).ended_by == "op"


def test_lists_that_come_back_from_a_backup_get_the_entries_of_later_orders(
    station: Station, database: Database, tmp_path: Path
) -> None:
    station.lists.add([draft("13700000000", reason="投诉", who="op")], NOW // 1000)
    approved(station, target="13800000000")
    of = approved(station)
    older = Station(database, tmp_path / "restored")
    older.lists.add([draft("13700000000", reason="投诉", who="op")], NOW // 1000)
    older.effects.run(NOW + 1000)
    order = older.orders.order(of)
    assert older.lists.count() == 3
    assert (order.state, order.effect) == ("in-force", "placed")
    assert [(it.id, it.source) for it in older.lists.matching(KEY)] == [(order.entry, f"order:{of}")]
    older.lists.close()


def test_nothing_is_acknowledged_while_screening_does_not_run(
    station: Station, database: Database, tmp_path: Path
) -> None:
    class Down:
        def lists(self) -> Taken:
            return Taken()

        def marks(self) -> Taken:
            return Taken()

    lock = tmp_path / "run" / "orders.lock"
    effects = Effects(database, station.orders, station.lists, station.marks, Down(), lock)
    station.told.list_change = station.told.mark_change = 0
    one, other = approved(station), approved(station, kind="limit", per_hour=3)
    effects.run(NOW + 1000)
    assert {station.orders.order(it).effect for it in (one, other)} == {"placed"}
    assert {station.orders.order(it).state for it in (one, other)} == {"approved"}
