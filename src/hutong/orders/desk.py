"""What pages, API and commands do with orders: decide in the records, then take effect at once."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from hutong.orders.errors import OrderRefused
from hutong.orders.model import SOURCE

if TYPE_CHECKING:
    from hutong.kernel.lists.store import ListStore
    from hutong.orders.effect import Effects
    from hutong.orders.model import Actor, Deed, Order, Wish
    from hutong.orders.store import Answer, Orders


class OrderDesk:
    """Where orders are asked for and decided.

    Args:
        orders: the records. effects: what makes lists and marks follow. lists: open.
    """

    def __init__(self, orders: Orders, effects: Effects, lists: ListStore) -> None:
        self.orders, self.effects, self._lists = orders, effects, lists

    def request(self, wish: Wish, actor: Actor, now_ms: int, *, key: str = "") -> Answer:
        """Ask for an order.

        Raises:
            OrderRefused: says why.
        """
        return self.orders.request(wish, actor, now_ms, key=key)

    def do(self, of: str, deed: Deed, actor: Actor, now_ms: int, *, version: int = 0, key: str = "") -> Answer:
        """Decide an order or end it; lists and marks follow at once, or within a second where they fail just now.

        Raises:
            OrderRefused: says why; nothing was done.
        """
        if deed.action == "approve":
            self._check_allowed(self.orders.order(of), now_ms)
        answer = self.orders.do(of, deed, actor, now_ms, version=version, key=key)
        if deed.action in {"approve", "lift"}:
            # It is decided and on record: what hinders its effect now, `work` overcomes or tells of. An error, of any
            # kind, would tell whoever decided that nothing was done.
            with contextlib.suppress(Exception):
                self.effects.apply(of, now_ms)
        return answer

    def _check_allowed(self, order: Order, now_ms: int) -> None:
        """Refuse to block what an allow entry covers: it would win over the order.

        Raises:
            OrderRefused: "allowed".
        """
        if order.kind != "block" or order.state != "requested":
            return
        for entry in self._lists.matching(order.key):
            exact = (entry.kind, entry.key, entry.last) == (order.target, order.key, order.last)
            covers = exact or order.target == "number"
            meets = "any" in {entry.role, order.role} or entry.role == order.role
            over = entry.expires and entry.expires * 1000 <= now_ms
            superseded = exact and entry.source.startswith(SOURCE)
            if entry.list == "allow" and covers and meets and not over and not superseded:
                raise OrderRefused(
                    "allowed",
                    f"Entry {entry.id} of the allow list covers the scope, and would win over the order.",
                    where=f"lists/{entry.id}",
                    fix="Take it off its list first, or lift the order that it is from.",
                )
