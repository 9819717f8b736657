"""Orders of look-up in the records: the `LookupGround` of a node. Each step is on the trail, in its transaction."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import msgspec
import sqlalchemy as sa
from msgspec.structs import replace

from hutong.codes.scans import lookup_machine
from hutong.codes.scans.errors import ScanRefused
from hutong.codes.scans.lookup_model import OPEN_STATES, STATES, Ground, LookupOrder, Seeker
from hutong.kernel.access.agencies import Agencies
from hutong.kernel.access.errors import AccessError
from hutong.kernel.access.people import People
from hutong.kernel.access.permissions import permissions_of
from hutong.kernel.access.trail import Trail
from hutong.kernel.cases.model import case_id
from hutong.kernel.records.scan_tables import code_lookup_orders

if TYPE_CHECKING:
    from hutong.codes.scans.lookup_machine import Bounds
    from hutong.codes.scans.lookup_model import Action, OrderWish, Scope
    from hutong.kernel.records import Connection, Database

#: The node itself: it lets orders expire.
KEEPER: Final = Seeker("hutong", frozenset())
_ORDERS: Final = code_lookup_orders


class Used(msgspec.Struct, frozen=True):
    """How an order was used: look-ups, and scans that they were answered with."""

    lookups: int
    rows: int


class LookupOrders:
    """The orders of a node.

    Args:
        database: opened by whoever made it. node: this node's name, the beginning of new ids.
        bounds: what the settings hold orders to.
    """

    def __init__(self, database: Database, node: str, bounds: Bounds) -> None:
        self._database, self._node, self.bounds = database, node, bounds
        self._trail = Trail(database)

    def request(self, wish: OrderWish, seeker: Seeker, now_ms: int) -> LookupOrder:
        """Ask for an order; another person decides.

        Raises:
            ScanRefused: says why not.
        """
        fresh = case_id(self._node, now_ms, os.urandom(8))
        order = lookup_machine.request(wish, fresh, seeker, now_ms, self.bounds)
        with self._database.write() as connection:
            connection.execute(sa.insert(_ORDERS).values(_row(order) | {"lookups": 0, "rows": 0}))
            self._tell(seeker, "request", order, wish.reason)
        return order

    def do(
        self, of: str, action: Action, seeker: Seeker, now_ms: int, *, reason: str = "", version: int = 0
    ) -> LookupOrder:
        """Decide an order, or end it.

        Args:
            version: that the seeker saw; 0 = whatever it is.

        Raises:
            ScanRefused: says why not.
        """
        with self._database.write() as connection:
            order = self._held(connection, of, lock=True)
            if version and order.version != version:
                raise ScanRefused("changed-meanwhile", "Somebody else changed the order.", where=of, fix="Look again.")
            after = lookup_machine.decide(order, action, reason, seeker, max(now_ms, order.changed_ms))
            connection.execute(sa.update(_ORDERS).where(_ORDERS.c.id == of).values(_row(after)))
            self._tell(seeker, action, after, reason)
        return after

    def order(self, of: str, seeker: Seeker) -> LookupOrder:
        """The order of that id. Raises ScanRefused: there is none that this seeker sees."""
        _check_known(seeker)
        with self._database.read() as connection:
            order = self._held(connection, of)
        if seeker.agency not in {"", order.agency}:
            raise _no_order(of)
        return order

    def used(self, of: str) -> Used:
        """How an order was used."""
        chosen = sa.select(_ORDERS.c.lookups, _ORDERS.c.rows).where(_ORDERS.c.id == of)
        with self._database.read() as connection:
            row = connection.execute(chosen).one()
        return Used(row.lookups, row.rows)

    def listing(
        self, seeker: Seeker, limit: int, state: str = "", before: tuple[int, str] | None = None
    ) -> list[LookupOrder]:
        """Orders that a seeker sees, what changed last first.

        Args:
            before: `changed_ms` and id of the last one of the page before.

        Raises:
            ScanRefused: nobody of this house or an agency.
        """
        _check_known(seeker)
        changed = _ORDERS.c.changed_ms
        where = [_ORDERS.c.agency == seeker.agency] if seeker.agency else []
        where += [_ORDERS.c.state == state] if state else []
        if before is not None:
            older = sa.and_(changed == before[0], _ORDERS.c.id < before[1].replace("\0", ""))
            where += [changed <= before[0], sa.or_(changed < before[0], older)]
        chosen = sa.select(_ORDERS.c.body).where(*where).order_by(changed.desc(), _ORDERS.c.id.desc()).limit(limit)
        with self._database.read() as connection:
            return [_order(body) for body in connection.execute(chosen).scalars()]

    def expire(self, now_ms: int) -> int:
        """End what nobody decided, and what is over; gives how many."""
        over = (_ORDERS.c.state.in_(OPEN_STATES), _ORDERS.c.ends_ms <= now_ms)
        with self._database.read() as connection:
            found = list(connection.execute(sa.select(_ORDERS.c.id).where(*over)).scalars())
        for of in found:
            self.do(of, "expire", KEEPER, now_ms)
        return len(found)

    def forget(self, before_ms: int) -> int:
        """Take the person out of orders that ended before this, and were not about a venue; gives how many."""
        ended = (_ORDERS.c.state.not_in(OPEN_STATES), _ORDERS.c.changed_ms < before_ms)
        with self._database.read() as connection:
            found = map(_order, connection.execute(sa.select(_ORDERS.c.body).where(*ended)).scalars())
            named = [order for order in found if order.scope.kind == "person" and order.scope.about]
        if named:  # ended orders change no more, so that nobody need wait while they are read
            with self._database.write() as connection:
                for order in named:
                    after = replace(order, scope=replace(order.scope, about=""))
                    values = {"body": msgspec.json.encode(after).decode()}
                    connection.execute(sa.update(_ORDERS).where(_ORDERS.c.id == order.id).values(values))
        return len(named)

    def figures(self) -> dict[str, int]:
        """How many orders are in each state."""
        counted = sa.select(_ORDERS.c.state, sa.func.count()).group_by(_ORDERS.c.state)
        with self._database.read() as connection:
            found = {str(state): int(count) for state, count in connection.execute(counted)}
        return {state: found.get(state, 0) for state in STATES}

    # The ground of look-ups

    def use(self, connection: Connection, order: str, wanted: Scope, seeker: Seeker, now_ms: int) -> Ground:
        """As `LookupGround.use`."""
        held = self._held(connection, order, lock=True)
        lookup_machine.check_use(held, wanted, seeker, now_ms)
        counted = sa.update(_ORDERS).where(_ORDERS.c.id == held.id).values(lookups=_ORDERS.c.lookups + 1)
        connection.execute(counted)
        return Ground(held.id, held.agency, held.document, held.basis, held.quiet_until_ms)

    def answered(self, connection: Connection, order: str, rows: int) -> None:
        """As `LookupGround.answered`."""
        connection.execute(sa.update(_ORDERS).where(_ORDERS.c.id == order).values(rows=_ORDERS.c.rows + rows))

    def _held(self, connection: Connection, of: str, *, lock: bool = False) -> LookupOrder:
        chosen = sa.select(_ORDERS.c.body).where(_ORDERS.c.id == of.replace("\0", ""))
        body = connection.execute(chosen.with_for_update() if lock else chosen).scalar()
        if body is None:
            raise _no_order(of)
        return _order(body)

    def _tell(self, seeker: Seeker, action: Action, order: LookupOrder, why: str) -> None:
        shown: dict[str, object] = {
            "state": order.state,
            "agency": order.agency,
            "document": order.document,
            "basis": order.basis,
        }
        shown |= {"scope": order.scope.kind, "since_ms": order.scope.since_ms, "until_ms": order.scope.until_ms}
        shown |= {"venue": order.scope.about} if order.scope.kind == "venue" else {}
        shown |= {"quiet_s": order.quiet_s} if order.quiet_s else {}
        deed = f"scans.order_{action}"
        self._trail.record(
            seeker.name, seeker.address, deed, order.id, after=shown, purpose=why, now_ms=order.changed_ms
        )


def seeker_of(database: Database, account: str, address: str) -> Seeker:
    """An account as whoever asks; what is no account, or a disabled one, may do nothing."""
    try:
        found = People(database).account(account)
    except AccessError:
        return Seeker(account, frozenset(), address=address)
    if found.disabled:
        return Seeker(found.name, frozenset(), found.agency, address=address)
    if found.role == "partner" and not found.agency:  # whom nobody has bound yet is not of this house
        return Seeker(found.name, frozenset(), address=address)
    agency = Agencies(database).agency(found.agency) if found.agency else None
    kind = None if agency is None or agency.disabled else agency.kind
    return Seeker(found.name, permissions_of(found.role), found.agency, kind, address)


def _check_known(seeker: Seeker) -> None:
    """An agency of "" is this house's, and also that of who has no account."""
    if not seeker.permissions:
        raise ScanRefused("not-allowed", f"There is no account {seeker.name!r} in use.", where="--by")


def _no_order(of: str) -> ScanRefused:
    return ScanRefused("no-order", f"There is no order {of[:80]!r}.")


def _order(body: str) -> LookupOrder:
    return msgspec.json.decode(body, type=LookupOrder)


def _row(order: LookupOrder) -> dict[str, object]:
    names = ("id", "agency", "state", "ends_ms", "changed_ms", "version")
    return {name: getattr(order, name) for name in names} | {"body": msgspec.json.encode(order).decode()}
