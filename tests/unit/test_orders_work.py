"""Orders in a node: the screening process says what it has, and `work` acknowledges it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from test_calls_node import Opened

from engines import NOON_NS, invite
from hutong.app.config import load_config
from hutong.app.orders_work import BoardScreening, OrderWork, order_desk
from hutong.calls import board
from hutong.calls.explain import Verdicts
from hutong.kernel.access.refs import Refs
from hutong.kernel.lists.store import ListStore
from hutong.kernel.records import Database, database_url
from hutong.kernel.reporter import Reporter
from hutong.orders import metrics
from hutong.orders.effect import Taken
from hutong.orders.model import Deed
from order_samples import CHEN, LI, wish

if TYPE_CHECKING:
    from pathlib import Path

_MS = 1_000_000


def test_an_order_approved_is_acknowledged_by_the_screening_process_and_refuses_the_next_call(
    data_folder: Path,
) -> None:
    assert BoardScreening(data_folder).lists() == Taken()
    config = load_config(None, data=data_folder, environ={})
    it = Opened(data_folder)
    caller = "+8613900001111"
    it.call(invite(caller, call="before"))
    database, lists = Database(database_url("", data_folder)), ListStore(data_folder / "lists")
    database.open()
    lists.open()
    desk = order_desk(config, database, lists, Refs(data_folder / "keys" / "refs.key"))
    now = NOON_NS // _MS
    of = desk.request(wish(target=caller), CHEN, now).order
    desk.do(of, Deed("approve"), LI, now)
    reporter = Reporter("work", level="error")
    job, figures = OrderWork(config, reporter).jobs()
    assert job.run(NOON_NS) == 0
    assert desk.orders.order(of).state == "approved"
    it.clock.advance(200 * _MS)
    it.node.tick(it.clock.wall())
    assert it.node._board.cells[board.LISTS] == lists.last_change()  # noqa: SLF001  # what other processes map
    assert job.run(it.clock.wall() + 500 * _MS) == 1
    order = desk.orders.order(of)
    assert (order.state, order.delay_ms) == ("in-force", 200)
    figures.run(it.clock.wall())
    assert reporter.metrics.value(metrics.DELAY) == 0.2
    assert reporter.metrics.value(metrics.BY_STATE, state="in-force") == 1
    it.call(invite(caller, call="after"))
    it.node.close()
    verdicts = Verdicts(data_folder)
    [before], [after] = (verdicts.by_call_id(f"call-{name}@192.0.2.99") for name in ("before", "after"))
    assert (before.action, after.action, after.code) == ("pass", "block", 608)
    assert after.lists[0] == order.entry
    lists.close()
    database.close()
