"""What tests of orders share: wishes, people, and a node's orders with its lists and marks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hutong.kernel.lists.store import ListStore
from hutong.kernel.marks import Marks
from hutong.kernel.numbering import Numbering
from hutong.orders.desk import OrderDesk
from hutong.orders.effect import Effects, Taken
from hutong.orders.machine import Bounds
from hutong.orders.model import Actor, Wish
from hutong.orders.store import Orders

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.kernel.records import Database

NOW = 1_650_000_000_000
DAY = 86_400_000
NUMBER = "13900001111"
EVERYTHING = frozenset({"orders.request", "orders.approve", "orders.lift"})
CHEN, LI = Actor("chen", EVERYTHING), Actor("li", EVERYTHING)


def wish(**fields: object) -> Wish:
    given: dict[str, Any] = {
        "kind": "block",
        "target": NUMBER,
        "agency": "示例市公安局",
        "document": "示公反诈〔2022〕12号",
        "basis": ("fraud-act-11",),
        "reason": "涉案号码",
        "term_s": 30 * 86_400,
    }
    return Wish(**(given | fields))


class Told:
    """A screening process that has taken up whatever it was told, or nothing."""

    def __init__(self) -> None:
        self.list_change = self.mark_change = 1 << 40
        self.at_ms = NOW

    def lists(self) -> Taken:
        return Taken(self.list_change, self.at_ms)

    def marks(self) -> Taken:
        return Taken(self.mark_change, self.at_ms)


class Station:
    """A node's orders, with everything that they act through."""

    def __init__(self, database: Database, folder: Path, lists: ListStore | None = None) -> None:
        self.lists = lists or ListStore(folder / "lists")
        self.lists.open()
        self.marks = Marks(database, folder / "marks")
        self.told = Told()
        bounds = Bounds()
        self.orders = Orders(database, Numbering("0571"), bounds, "node1", lambda key: f"ref{key % 97}")
        lock = folder / "run" / "orders.lock"
        self.effects = Effects(database, self.orders, self.lists, self.marks, self.told, lock)
        self.desk = OrderDesk(self.orders, self.effects, self.lists)
