"""Orders in the records. Events are the truth, only ever added to; the row is written in the transaction of its event.

Who changes an order says which version they saw, and is refused where somebody was quicker. A request with a key has
one effect however often it comes: the key stands in the event that it made, so a repetition finds that event.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa

from hutong.kernel.access.trail import Trail
from hutong.kernel.cases.model import case_id
from hutong.orders import machine
from hutong.orders.errors import OrderRefused
from hutong.orders.model import KEEPER, STANDING, Deed, Order, OrderEvent, State, changes_of, fold, fold_all
from hutong.orders.query import EVENTS, ORDERS, OrderReader, event_of, order_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hutong.kernel.numbering import Numbering
    from hutong.kernel.records import Connection, Database
    from hutong.orders.machine import Bounds
    from hutong.orders.model import Actor, Wish

_LONGEST_KEY: Final = 200
_STREAMED: Final = {"stream_results": True, "max_row_buffer": 1000}
_CONTRARY: Final = {"block": ("unblock",), "unblock": ("block",), "limit": ()}


class Answer(msgspec.Struct, frozen=True):
    """What became of a request: the order, its version and state then."""

    order: str
    version: int
    state: State


class Orders(OrderReader):
    """The orders of a node.

    Args:
        database: opened by whoever made it.
        numbering: reads numbers as this node does. bounds: what the settings hold orders to.
        node: this node's name, the beginning of new ids.
        name: names a number key on the trail without carrying it.
    """

    def __init__(
        self, database: Database, numbering: Numbering, bounds: Bounds, node: str, name: Callable[[int], str]
    ) -> None:
        super().__init__(database)
        self.numbering, self.bounds, self.node = numbering, bounds, node
        self.name = name
        self._trail = Trail(database)

    def request(self, wish: Wish, actor: Actor, now_ms: int, *, key: str = "") -> Answer:
        """Ask for an order.

        Args:
            key: of the request; a repeated one has no second effect and gets the same answer.

        Raises:
            OrderRefused: says why.
        """
        digest = _digest("", wish, actor)
        with self._database.write() as connection:
            known = self._known(connection, actor, key, digest)
            if known is not None:
                return known
            fresh = case_id(self.node, now_ms, os.urandom(8))
            order = machine.request(wish, fresh, actor, now_ms, self.bounds, self.numbering)
            said = msgspec.to_builtins(wish) | {"target": self._scope(order)}
            event = OrderEvent(order.id, 1, now_ms, actor.name, "request", said, changes_of(None, order))
            return self._keep(connection, None, event, actor, key, digest, wish.reason)

    def do(self, of: str, deed: Deed, actor: Actor, now_ms: int, *, version: int = 0, key: str = "") -> Answer:
        """Do something with an order.

        Args:
            version: that the actor saw; 0 = whatever it is.
            key: see `request`.

        Raises:
            OrderRefused: says why; "changed-meanwhile" where it has another version.
        """
        digest = _digest(of, deed, actor)
        with self._database.write() as connection:
            known = self._known(connection, actor, key, digest)
            if known is not None:
                return known
            order = self._held(connection, of)
            if version and order.version != version:
                raise OrderRefused("changed-meanwhile", "Somebody else changed the order.", where=of, fix="Look again.")
            if deed.action == "approve":
                # Decided before anything is locked or lifted: who may not approve learns and changes nothing of others.
                machine.decide(order, deed, actor, now_ms, self.bounds)
                self._make_room(connection, order, actor, now_ms)
            return self._write(connection, order, deed, actor, now_ms, key, digest)

    def _write(  # an event's own parts
        self,
        connection: Connection,
        order: Order,
        deed: Deed,
        actor: Actor,
        now_ms: int,
        key: str = "",
        digest: str = "",
    ) -> Answer:
        now_ms = max(now_ms, order.changed_ms)
        after = machine.decide(order, deed, actor, now_ms, self.bounds)
        said = {name: it for name, it in msgspec.to_builtins(deed).items() if it and name != "former"}
        event = OrderEvent(order.id, order.version + 1, now_ms, actor.name, deed.action, said, changes_of(order, after))
        return self._keep(connection, order, event, actor, key, digest, deed.reason)

    def _keep(  # an event's own parts
        self,
        connection: Connection,
        before: Order | None,
        event: OrderEvent,
        actor: Actor,
        key: str,
        digest: str,
        why: str,
    ) -> Answer:
        order = fold(before, event)
        row = self._row(order)
        if before is None:
            connection.execute(sa.insert(ORDERS).values(row))
        else:
            here = sa.and_(ORDERS.c.id == order.id, ORDERS.c.version == before.version)
            if connection.execute(sa.update(ORDERS).where(here).values(row)).rowcount != 1:
                raise OrderRefused("changed-meanwhile", "Somebody else changed the order.", where=order.id)
        values = {"order": event.order, "seq": event.seq, "time_ms": event.time_ms, "who": event.who}
        values |= {"action": event.action, "said": _json(event.said), "changes": _json(event.changes)}
        values |= {"key": _own_key(actor, key) if key else None, "digest": digest if key else None}
        connection.execute(sa.insert(EVENTS).values(values))
        was = None if before is None else {"state": before.state, "effect": before.effect}
        deed = f"orders.{event.action}"
        self._trail.record(
            actor.name, actor.address, deed, order.id, was, self._shown(order), why, now_ms=event.time_ms
        )
        return Answer(order.id, order.version, order.state)

    def _make_room(self, connection: Connection, order: Order, actor: Actor, now_ms: int) -> None:
        """Only one order stands for a scope: the same again is refused, a contrary one before it is lifted by this.

        Raises:
            OrderRefused: "taken".
        """
        self._database.hold(connection, f"order-scope:{order.key}")
        for other in self._standing_on(connection, order):
            if other.kind == order.kind and other.role == order.role:
                raise OrderRefused(
                    "taken", "An order like this stands already.", where=other.id, fix="Lift that first."
                )
            if other.kind in _CONTRARY[order.kind] and ("any" in {order.role, other.role} or order.role == other.role):
                held = self._held(connection, other.id)
                self._write(connection, held, Deed("supersede", order.id, who=actor.name), KEEPER, now_ms)

    def _standing_on(self, connection: Connection, order: Order) -> list[Order]:
        same = (ORDERS.c.key == order.key, ORDERS.c.last == order.last, ORDERS.c.target == order.target)
        chosen = sa.select(ORDERS.c.body).where(*same, ORDERS.c.state.in_(STANDING), ORDERS.c.id != order.id)
        return [order_of(body) for body in connection.execute(chosen.order_by(ORDERS.c.id)).scalars()]

    def _held(self, connection: Connection, of: str) -> Order:
        chosen = sa.select(ORDERS.c.body).where(ORDERS.c.id == of.replace("\0", "")).with_for_update()
        body = connection.execute(chosen).scalar()
        if body is None:
            raise OrderRefused("no-order", f"There is no order {of[:80]!r}.")
        return order_of(body)

    def _known(self, connection: Connection, actor: Actor, key: str, digest: str) -> Answer | None:
        if not key:
            return None
        if len(key) > _LONGEST_KEY or not key.isprintable():
            raise OrderRefused("key-used", "The key of the request is too long, or not printable.", where="key")
        own = _own_key(actor, key)
        self._database.hold(connection, f"order-request:{own}")
        row = connection.execute(sa.select(EVENTS).where(EVENTS.c.key == own)).one_or_none()
        if row is None:
            return None
        if row.digest != digest:
            raise OrderRefused("key-used", "The key stands for another request.", where="key", fix="Choose another.")
        until = sa.select(EVENTS).where(EVENTS.c.order == row.order, EVENTS.c.seq <= row.seq).order_by(EVENTS.c.seq)
        order = fold_all(map(event_of, connection.execute(until)))
        return None if order is None else Answer(order.id, order.version, order.state)

    def _scope(self, order: Order) -> str:
        """A scope on the trail and in events: numbers by their references."""
        return f"{order.target}:{self.name(order.key)}" + (f"-{self.name(order.last)}" if order.last else "")

    def _shown(self, order: Order) -> dict[str, Any]:
        """What the trail says of an order."""
        shown = {"state": order.state, "kind": order.kind, "scope": self._scope(order), "version": order.version}
        shown |= {"agency": order.agency, "document": order.document, "basis": list(order.basis)}
        shown |= {"effect": order.effect} | ({"entry": order.entry} if order.entry else {})
        return shown | ({"ends_ms": order.ends_ms} if order.ends_ms else {})

    def _row(self, order: Order) -> dict[str, Any]:
        return {
            "id": order.id,
            "kind": order.kind,
            "state": order.state,
            "target": order.target,
            "key": order.key,
            "last": order.last,
            "agency": order.agency,
            "document": order.document,
            "requested_by": order.requested_by,
            "entry": order.entry,
            "case": order.case,
            "ends_ms": order.ends_ms,
            "wake_ms": machine.wake_of(order, self.bounds),
            "changed_ms": order.changed_ms,
            "version": order.version,
            "body": _json(order),
        }

    def recount(self) -> list[str]:
        """Ids of the orders whose rows do not follow from their events."""
        chosen = sa.select(EVENTS).order_by(EVENTS.c.order, EVENTS.c.seq)
        wrong: list[str] = []
        with self._database.read() as connection:
            rows = {it.id: it.body for it in connection.execute(sa.select(ORDERS.c.id, ORDERS.c.body))}
            with connection.execute(chosen, execution_options=_STREAMED) as result:
                for events in _by_order(result):
                    order = fold_all(events)
                    if rows.pop(events[0].order, None) != _json(order):
                        wrong.append(events[0].order)
        return [*wrong, *sorted(rows)]


def _by_order(rows: sa.CursorResult[Any]) -> Iterator[list[OrderEvent]]:
    own: list[OrderEvent] = []
    for row in rows:
        if own and row.order != own[0].order:
            yield own
            own = []
        own.append(event_of(row))
    if own:
        yield own


def _own_key(actor: Actor, key: str) -> str:
    return f"{actor.name}\n{key}"


def _digest(about: str, asked: Wish | Deed, actor: Actor) -> str:
    return hashlib.sha256(msgspec.json.encode([about, asked, actor.name], order="sorted")).hexdigest()


def _json(value: object) -> str:
    return msgspec.json.encode(value, order="sorted").decode()
