"""From an approval to its effect: how long until the screening process judges calls by an order, and what it costs.

    python -m bench.orders [--orders 500] [--standing 10000]

A node screens with so many orders standing; one after the other is asked for and approved, as pages and the API do it.
The time runs from the approval's beginning, commits to disk included, to the moment at which the counter board says
that calls are judged by the list with its entry. It is read every 0.2 ms.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.peers import Hutong
from bench.tables import table
from hutong.app.config import load_config
from hutong.app.orders_work import BoardScreening, order_desk
from hutong.kernel.access.refs import Refs
from hutong.kernel.lists.store import ListStore
from hutong.kernel.records import Database, database_url
from hutong.orders.model import Actor, Deed, Wish

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.orders.desk import OrderDesk

ORDERS, STANDING = 500, 10_000
_MEMORY_MB = 256
_FIRST = 13_900_000_000
_MAY = frozenset({"orders.request", "orders.approve"})
_ONE, _OTHER = Actor("one", _MAY), Actor("other", _MAY)
_LOOK_S = 0.0002
#: Orders after which `work` comes by, which acknowledges them: as many as come in a second.
_A_SECOND = 100
_LONGEST_S = 10.0


def measure(data: Path, orders: int, standing: int) -> Iterator[tuple[str, str]]:
    """What was measured, and the figure; a screening process runs on `data`."""
    config = load_config(None, data=data, environ={})
    database, lists = Database(database_url("", data)), ListStore(data / "lists")
    database.open()
    lists.open()
    try:
        desk, screening = order_desk(config, database, lists, Refs(data / "keys" / "refs.key")), BoardScreening(data)
        began = time.perf_counter()
        for at in range(standing):
            _approve(desk, _asked(desk, at))
            if at % _A_SECOND == 0:
                desk.effects.run(_now_ms())
        yield f"orders asked for and approved a second, {standing:,} of them", f"{standing / _since(began):,.0f}"
        took, effect = [], []
        for at in range(standing, standing + orders):
            of = _asked(desk, at)
            began = time.perf_counter()
            _approve(desk, of)
            took.append(_since(began))
            change = desk.orders.order(of).change
            while screening.lists().change < change and _since(began) < _LONGEST_S:
                time.sleep(_LOOK_S)
            effect.append(_since(began))
        for what, values in (("approval, ms", took), ("approval to effect, ms", effect)):
            middle, high = np.percentile(np.array(values) * 1000, (50, 99))
            yield f"{what}, p50 / p99", f"{middle:,.1f} / {high:,.1f}"
        began = time.perf_counter()
        done = len(desk.effects.run(_now_ms()))
        yield f"a round of `work` with {done:,} to acknowledge, ms each", f"{_since(began) * 1000 / max(done, 1):,.2f}"
    finally:
        lists.close()
        database.close()


def _asked(desk: OrderDesk, at: int) -> str:
    wish = Wish(
        kind="block",
        target=str(_FIRST + at),
        agency="bench",
        document=f"bench {at}",
        basis=("fraud-act-11",),
        reason="bench",
        term_s=30 * 86_400,
    )
    return desk.request(wish, _ONE, _now_ms()).order


def _approve(desk: OrderDesk, of: str) -> None:
    desk.do(of, Deed("approve"), _OTHER, _now_ms())


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _since(began: float) -> float:
    return time.perf_counter() - began


def orders_table(folder: Path, orders: int = ORDERS, standing: int = STANDING) -> str:
    """The table of `python -m bench orders`."""
    server = Hutong(folder, memory_mb=_MEMORY_MB, name="orders")
    server.start()
    try:
        return table(("what", "figure"), list(measure(server.data, orders, standing)))
    finally:
        server.stop()


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="bench.orders", description=__doc__)
    parser.add_argument("--orders", type=int, default=ORDERS, help="measured one by one")
    parser.add_argument("--standing", type=int, default=STANDING, help="in force before")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hutong-bench-") as name:
        print(orders_table(Path(name), arguments.orders, arguments.standing))


if __name__ == "__main__":
    main()
