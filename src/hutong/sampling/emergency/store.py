"""Emergency orders in the records, each change with its line in the trail; and how a district samples now."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa

from hutong.kernel.access.trail import Trail
from hutong.kernel.cases.model import case_id
from hutong.kernel.records.sampling_tables import sampling_emergencies as table
from hutong.sampling.emergency import machine
from hutong.sampling.emergency.machine import KEEPING, EmergencyRefused
from hutong.sampling.emergency.model import EMERGENCY_STATES, Actor, Emergency, terms_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hutong.kernel.records import Connection, Database
    from hutong.sampling.emergency.model import EmergencyAction, EmergencyState, Wish
    from hutong.sampling.model import Terms

KEEPER: Final = Actor("hutong", frozenset({KEEPING}))
_DISTRICT: Final = 6
_order = msgspec.json.Decoder(Emergency)


class Emergencies:
    """The emergency orders of a node.

    Args:
        database: opened by whoever made it. node: the beginning of new ids. usual: how districts sample without one.
        longest_h: the longest term, in hours.
    """

    def __init__(self, database: Database, node: str, usual: Terms, longest_h: int) -> None:
        self._database, self._node, self._usual, self._longest_h = database, node, usual, longest_h
        self._trail = Trail(database)

    def request(self, wish: Wish, actor: Actor, now_ms: int) -> Emergency:
        """Ask for an order; another person must approve it. Raises EmergencyRefused."""
        order = machine.request(wish, case_id(self._node, now_ms, os.urandom(8)), actor, now_ms, self._longest_h)
        with self._database.write() as connection:
            connection.execute(sa.insert(table).values(_row(order)))
            self._record("request", None, order, actor, order.reason, now_ms)
        return order

    def do(self, of: str, action: EmergencyAction, actor: Actor, now_ms: int, reason: str = "") -> Emergency:
        """Approve, decline, lift or let expire. One order is in force in a district: a new one ends the former.

        Raises:
            EmergencyRefused: says why not.
        """
        with self._database.write() as connection:
            # Before any row: an approval ends another order, which may be waiting for this name.
            self._database.hold(connection, "sampling-emergency")
            order = self._held(connection, of)
            after = machine.decide(order, action, reason, actor, now_ms)
            if action == "approve":
                for other in self._in_force(connection, order.district):
                    ended = msgspec.structs.replace(
                        other, state="lifted", ended_by=actor.name, ended_ms=now_ms, ended_why=f"→ {order.id}"
                    )
                    self._keep(connection, "lift", other, ended, actor, ended.ended_why, now_ms)
            self._keep(connection, action, order, after, actor, reason, now_ms)
        return after

    def terms(self, district: str, now_ms: int) -> Terms:
        """How a district, or the part of one whose code is longer, samples now."""
        chosen = (
            sa.select(table.c.body)
            .where(table.c.district == district[:_DISTRICT], table.c.state == "in-force", table.c.ends_ms > now_ms)
            .order_by(table.c.changed_ms.desc())
            .limit(1)
        )
        with self._database.read() as connection:
            body = connection.execute(chosen).scalar()
        return self._usual if body is None else terms_of(_order.decode(body))

    def order(self, of: str) -> Emergency:
        """An order by its id. Raises EmergencyRefused."""
        chosen = sa.select(table.c.body).where(table.c.id == of.replace("\0", ""))
        with self._database.read() as connection:
            body = connection.execute(chosen).scalar()
        if body is None:
            raise EmergencyRefused("no-order", f"There is no emergency order {of[:80]!r}.")
        return _order.decode(body)

    def listing(self, limit: int = 50, states: Sequence[EmergencyState] = EMERGENCY_STATES) -> list[Emergency]:
        """Orders in these states, what changed last stands first."""
        chosen = sa.select(table.c.body).where(table.c.state.in_(states))
        chosen = chosen.order_by(table.c.changed_ms.desc(), table.c.id).limit(limit)
        with self._database.read() as connection:
            return [_order.decode(body) for body in connection.execute(chosen).scalars()]

    def expire(self, now_ms: int) -> int:
        """Let orders expire whose time is over; returns how many."""
        chosen = sa.select(table.c.body).where(table.c.state.in_(("requested", "in-force")), table.c.ends_ms <= now_ms)
        with self._database.read() as connection:
            over = [_order.decode(body) for body in connection.execute(chosen).scalars()]
        gone = 0
        for order in over:
            with suppress(EmergencyRefused):  # somebody decided meanwhile
                self.do(order.id, "expire", KEEPER, now_ms)
                gone += 1
        return gone

    def _in_force(self, connection: Connection, district: str) -> list[Emergency]:
        chosen = sa.select(table.c.body).where(table.c.district == district, table.c.state == "in-force")
        return [_order.decode(body) for body in connection.execute(chosen.order_by(table.c.id)).scalars()]

    def _held(self, connection: Connection, of: str) -> Emergency:
        chosen = sa.select(table.c.body).where(table.c.id == of.replace("\0", "")).with_for_update()
        body = connection.execute(chosen).scalar()
        if body is None:
            raise EmergencyRefused("no-order", f"There is no emergency order {of[:80]!r}.")
        return _order.decode(body)

    def _keep(  # a change's own parts
        self,
        connection: Connection,
        action: EmergencyAction,
        before: Emergency,
        after: Emergency,
        actor: Actor,
        why: str,
        now_ms: int,
    ) -> None:
        connection.execute(sa.update(table).where(table.c.id == after.id).values(_row(after)))
        self._record(action, before, after, actor, why, now_ms)

    def _record(
        self, action: EmergencyAction, before: Emergency | None, after: Emergency, actor: Actor, why: str, now_ms: int
    ) -> None:
        was = None if before is None else {"state": before.state}
        said: dict[str, Any] = {"state": after.state, "district": after.district, "preset": after.preset}
        said |= {"agency": after.agency, "document": after.document, "term_h": after.term_h, "ends_ms": after.ends_ms}
        deed = f"sampling.emergency_{action}"
        self._trail.record(actor.name, actor.address, deed, after.id, was, said, why, now_ms=now_ms)


def _row(order: Emergency) -> dict[str, Any]:
    return {
        "id": order.id,
        "district": order.district,
        "state": order.state,
        "ends_ms": machine.over_ms(order),
        "changed_ms": order.changed_ms,
        "version": order.version,
        "body": msgspec.json.encode(order).decode(),
    }
