"""Orders in the records, on each engine: one effect, nothing lost, rows that follow from the events."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec
import pytest
import sqlalchemy as sa

from hutong.kernel.access.trail import Trail, TrailQuery
from hutong.kernel.figures import Count
from hutong.kernel.numbering import Numbering
from hutong.kernel.records import tables
from hutong.orders.errors import OrderRefused
from hutong.orders.figures import figures
from hutong.orders.model import Deed, fold_all
from hutong.orders.query import OrderQuery
from order_samples import CHEN, DAY, LI, NOW, NUMBER, Station, wish

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hutong.kernel.records import Database


@pytest.fixture
def station(database: Database, tmp_path: Path) -> Iterator[Station]:
    it = Station(database, tmp_path / "node")
    yield it
    it.lists.close()


def in_force(station: Station, at: int = NOW, **fields: object) -> str:
    of = station.desk.request(wish(**fields), CHEN, at).order
    station.desk.do(of, Deed("approve", confirmed=True), LI, at)
    assert station.orders.order(of).state == "in-force"
    return of


def test_an_order_is_what_its_events_say_and_acts_through_the_lists(station: Station, database: Database) -> None:
    of = in_force(station)
    order = station.orders.order(of)
    assert [it.action for it in station.orders.events(of)] == ["request", "approve", "begin", "place", "acknowledge"]
    assert fold_all(station.orders.events(of)) == order
    (entry,) = station.lists.matching(order.key)
    assert (entry.list, entry.role, entry.source) == ("block", "caller", f"order:{of}")
    assert "反电信网络诈骗法" in entry.reason
    assert "12号" in entry.reason
    assert entry.expires * 1000 == order.ends_ms == NOW + 30 * DAY
    assert station.orders.recount() == []
    deeds = [it.deed for it in Trail(database).page(TrailQuery(deed="orders"), descending=False)]
    assert deeds == ["orders.request", "orders.approve", "orders.begin", "orders.place", "orders.acknowledge"]
    assert not [it for it in Trail(database).page() if NUMBER in str(msgspec.to_builtins(it))]


def test_events_are_only_ever_added_to(station: Station, database: Database) -> None:
    in_force(station)
    for change in (sa.update(tables.order_events).values(who="x"), sa.delete(tables.order_events)):
        with pytest.raises(sa.exc.DatabaseError, match="only ever added to"), database.write() as connection:
            connection.execute(change)


def test_a_repeated_request_has_one_effect_and_the_same_answer(station: Station) -> None:
    first = station.desk.request(wish(), CHEN, NOW, key="k1")
    assert station.desk.request(wish(), CHEN, NOW + 5, key="k1") == first
    with pytest.raises(OrderRefused, match="another request"):
        station.desk.request(wish(reason="other"), CHEN, NOW, key="k1")
    assert station.desk.request(wish(), LI, NOW, key="k1").order != first.order  # keys are each person's own
    done = station.desk.do(first.order, Deed("approve"), LI, NOW, key="k2")
    assert station.desk.do(first.order, Deed("approve"), LI, NOW + 9, key="k2") == done
    assert done.state == "approved"


def test_two_writers_never_lose_an_update(station: Station) -> None:
    of = station.desk.request(wish(), CHEN, NOW).order
    outcomes: list[str] = []

    def decide(action: str) -> None:
        try:
            outcomes.append(station.orders.do(of, Deed(action, "why"), LI, NOW, version=1).state)  # type: ignore[arg-type]
        except OrderRefused as refused:
            outcomes.append(refused.reason)

    threads = [threading.Thread(target=decide, args=(it,)) for it in ("approve", "decline")]
    for it in threads:
        it.start()
    for it in threads:
        it.join()
    assert len({"approved", "declined"} & set(outcomes)) == 1
    assert {"changed-meanwhile", "not-from-here"} & set(outcomes)
    assert len(station.orders.events(of)) == 2


def test_one_order_stands_for_a_scope_and_a_contrary_one_lifts_it(station: Station, database: Database) -> None:
    block = in_force(station)
    again = station.desk.request(wish(document="又一份"), CHEN, NOW).order
    with pytest.raises(OrderRefused, match="stands already") as refused:
        station.desk.do(again, Deed("approve"), LI, NOW)
    assert refused.value.where == block
    unblock = in_force(station, kind="unblock", basis=("fraud-act-32",))
    lifted = station.orders.order(block)
    assert (lifted.state, lifted.ended_by, lifted.ended_why) == ("lifted", "li", unblock)
    station.effects.run(NOW)
    assert [(it.list, it.source) for it in station.lists.matching(lifted.key)] == [("allow", f"order:{unblock}")]
    with database.read() as connection:
        found = {it.name: it.value for it in figures(connection, NOW, NOW + 1)}
        assert {Count("orders.requested", "", "", 0).name} <= found.keys()
    assert found == {"orders.requested": 3, "orders.approved": 2, "orders.lifted": 1, "orders.in-force": 1}


def test_orders_are_found_by_what_they_cover_document_state_and_end(station: Station) -> None:
    one = in_force(station)
    prefix = in_force(station, target="+86139000*", document="示公反诈〔2022〕13号", term_s=3600, confirmed=True)
    span = in_force(station, target="02161230000-02161239999", role="callee", document="别的", confirmed=True)
    key = Numbering().read(NUMBER).key

    def found(**fields: object) -> set[str]:
        rows, count = station.orders.listing(msgspec.convert(fields, OrderQuery))
        assert count == len(rows)
        return {it.id for it in rows}

    assert found(number=key) == {one, prefix}
    assert found(number=Numbering().read("02161234567").key) == {span}
    assert found(text="示公反诈") == {one, prefix}
    assert found(text=span) == {span}
    assert found(states=("in-force",), kind="unblock") == set()
    rows, _ = station.orders.listing(OrderQuery(states=("in-force",), sort="ends"), limit=1)
    assert [it.id for it in rows] == [prefix]
    assert station.orders.figures()["in-force"] == 3
