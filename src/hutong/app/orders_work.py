"""Orders as a node has them, from its settings, and their job in the `work` process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hutong.app.schedule import Job
from hutong.calls import board
from hutong.calls.board import Board
from hutong.kernel.access.refs import Refs
from hutong.kernel.errors import StateError
from hutong.kernel.lists.store import ListStore
from hutong.kernel.lists.targets import read_target
from hutong.kernel.marks import MARKS, Marks
from hutong.kernel.numbering import Numbering
from hutong.kernel.records import Database, database_url
from hutong.orders import metrics
from hutong.orders.desk import OrderDesk
from hutong.orders.effect import Effects, Taken
from hutong.orders.machine import Bounds
from hutong.orders.store import Orders

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.app.config import Config
    from hutong.kernel.reporter import Reporter

_MS: Final = 1_000_000
_SECOND: Final = 1_000_000_000
_LATE_MS: Final = 5_000
_LOCK: Final = "run/orders.lock"


class BoardScreening:
    """What the screening process says of lists and marks on the counter board.

    Args:
        data: the data folder.
    """

    def __init__(self, data: Path) -> None:
        self._path = data / "board.bin"

    def lists(self) -> Taken:
        """Up to which change of the lists calls are judged by; nothing where it never ran."""
        return self._read(board.LISTS, board.LISTS_NS)

    def marks(self) -> Taken:
        """Up to which change of the marks, as of its last beat."""
        return self._read(board.MARKS, board.BEAT_NS)

    def _read(self, change: int, at: int) -> Taken:
        found = Board(self._path)
        try:
            found.open_existing()
        except StateError:
            return Taken()
        try:
            return Taken(int(found.cells[change]), int(found.cells[at]) // _MS)
        finally:
            found.close()


def order_desk(config: Config, database: Database, lists: ListStore, refs: Refs) -> OrderDesk:
    """Where a node's orders are asked for and decided; `database` and `lists` are opened by whoever made them."""
    it = config.orders
    numbering = Numbering(config.calls.home_area)
    protected = tuple(read_target(text, numbering) for text in it.protected)
    bounds = Bounds(it.longest_days, it.decide_days, protected, it.wide)
    orders = Orders(database, numbering, bounds, config.node.name, refs.ref)
    marks = Marks(database, config.data / MARKS)
    effects = Effects(database, orders, lists, marks, BoardScreening(config.data), config.data / _LOCK)
    return OrderDesk(orders, effects, lists)


class OrderWork:
    """What `work` does for orders: every second, whatever is due.

    Args:
        config: the node's settings. reporter: logs and figures.
    """

    def __init__(self, config: Config, reporter: Reporter) -> None:
        self._config, self._reporter = config, reporter
        self._database = Database(database_url(config.records.url, config.data))
        self._lists = ListStore(config.data / "lists")
        self._desk = order_desk(config, self._database, self._lists, Refs(config.data / "keys" / "refs.key"))

    def jobs(self) -> list[Job]:
        """The jobs."""
        return [
            Job("orders", _SECOND, lambda now: self.run(now // _MS)),
            Job("order-figures", 60 * _SECOND, lambda now: self.count(now // _MS)),
        ]

    def run(self, now_ms: int) -> int:
        """Let lists and marks follow the orders; gives how many were acknowledged.

        Raises:
            HutongError: records or lists fail.
        """
        self._open()
        done = self._desk.effects.run(now_ms)
        for order in done:
            self._reporter.metrics.add(metrics.ACKNOWLEDGED)
            self._reporter.metrics.add(metrics.DELAY, order.delay_ms / 1000)
            self._reporter.log.info("order in force", order=order.id, kind=order.kind, delay_ms=order.delay_ms)
        return len(done)

    def count(self, now_ms: int) -> int:
        """Set the gauges; gives how many orders there are."""
        self._open()
        found = self._desk.orders.figures()
        for state, count in found.items():
            self._reporter.metrics.set(metrics.BY_STATE, count, state=state)
        late = [it for it in self._desk.orders.waking(now_ms, clearing=False) if it.effect == "placed"]
        late = [it for it in late if now_ms - max(it.decided_ms, it.starts_ms) > _LATE_MS]
        self._reporter.metrics.set(metrics.WAITING, len(late))
        return sum(found.values())

    def _open(self) -> None:
        self._database.open()
        self._lists.open()
