"""Which orders there are: lists, counts and search by indexes, so that they stay quick with many. Reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import sqlalchemy as sa

from hutong.kernel.numbering.keys import KIND_NUMBER, digits_of, key_kind, key_of_digits
from hutong.kernel.records import tables
from hutong.kernel.records.reading import begins, by_key, of_keys
from hutong.orders.errors import OrderRefused
from hutong.orders.model import STANDING, STATES, Kind, Order, OrderEvent, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hutong.kernel.records import Connection, Database

ORDERS, EVENTS = tables.orders, tables.order_events
#: A count goes no further, and pages do not either.
COUNTED: Final = 10_000
#: As the partial indexes have them: SQLite uses these only where it sees the same words, not bound values.
_WAKES: Final = ORDERS.c.wake_ms > sa.literal_column("0")
_RANGES: Final = ORDERS.c.last > sa.literal_column("0")
_ENTRIES: Final = ORDERS.c.entry > sa.literal_column("0")
#: Orders that are over wake only while their entry must still be taken off (`machine.wake_of`).
_OVER: Final = ("lifted", "expired")
#: The state, asked for without its index: few orders wake, and many are over.
_STATE: Final = sa.func.coalesce(ORDERS.c.state, "")
_PAGE: Final = 500

Sort = Literal["changed", "ends"]


class OrderQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which orders: all conditions must hold, empty ones do not count.

    Attributes:
        text: an id, or the beginning of the document's number. number: key of a number that the scope covers.
        sort: "changed": what changed last stands first; "ends": what ends next stands first.
    """

    states: tuple[State, ...] = ()
    kind: Kind | Literal[""] = ""
    agency: str = ""
    case: str = ""
    text: str = ""
    number: int = 0
    sort: Sort = "changed"


class OrderReader:
    """Reads orders.

    Args:
        database: opened by whoever made it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def order(self, of: str) -> Order:
        """The order of that id.

        Raises:
            OrderRefused: "no-order".
        """
        with self._database.read() as connection:
            body = connection.execute(sa.select(ORDERS.c.body).where(ORDERS.c.id == of.replace("\0", ""))).scalar()
        if body is None:
            raise OrderRefused("no-order", f"There is no order {of[:80]!r}.")
        return order_of(body)

    def events(self, of: str) -> list[OrderEvent]:
        """What happened to an order, the first event first."""
        chosen = sa.select(EVENTS).where(EVENTS.c.order == of).order_by(EVENTS.c.seq)
        with self._database.read() as connection:
            return [event_of(row) for row in connection.execute(chosen)]

    def listing(self, query: OrderQuery, limit: int = 50, offset: int = 0) -> tuple[list[Order], int]:
        """Orders that the query is about, and how many there are; `COUNTED` + 1 stands for more."""
        conditions = _conditions(query)
        chosen = sa.select(ORDERS.c.body).where(*conditions).order_by(*_order_by(query)).limit(limit).offset(offset)
        some = sa.select(sa.literal(1)).select_from(ORDERS).where(*conditions).limit(COUNTED + 1)
        with self._database.read() as connection:
            bodies = list(connection.execute(chosen).scalars()) if offset <= COUNTED else []
            count = connection.execute(sa.select(sa.func.count()).select_from(some.subquery())).scalar_one()
        return [order_of(body) for body in bodies], int(count)

    def every(self, query: OrderQuery) -> Iterator[Order]:
        """All orders that the query is about, read in pages: as listed up to `COUNTED`, the oldest first beyond."""
        listed = sa.select(ORDERS.c.id).where(*_conditions(query)).order_by(*_order_by(query)).limit(COUNTED + 1)
        chosen = sa.select(ORDERS.c.id, ORDERS.c.body)
        with self._database.read() as connection:
            ids = list(connection.execute(listed).scalars())
        if len(ids) <= COUNTED:
            rows = of_keys(self._database, chosen, ORDERS.c.id, ids)
        else:
            rows = by_key(self._database, chosen.where(*_conditions(query, walked=True)), ORDERS.c.id)
        return (order_of(row.body) for row in rows)

    def figures(self) -> dict[State, int]:
        """How many orders are in each state."""
        chosen = sa.select(ORDERS.c.state, sa.func.count()).group_by(ORDERS.c.state)
        with self._database.read() as connection:
            counts = {state: int(count) for state, count in connection.execute(chosen)}
        return {state: counts.get(state, 0) for state in STATES}

    def waking(self, now_ms: int, *, clearing: bool | None = None) -> Iterator[Order]:
        """Orders that the keeper must look at by now, the longest waiting first; what waits holds up nothing behind.

        Args:
            now_ms: the time.
            clearing: only those whose effect is taken back, or only the others; all where it is not said.
        """
        row, after, last = ORDERS.c, -1, ""
        over = _STATE.in_(_OVER)
        wanted = () if clearing is None else (over,) if clearing else (~over,)
        while True:
            behind = sa.or_(row.wake_ms > after, sa.and_(row.wake_ms == after, row.id > last))
            due = (_WAKES, row.wake_ms >= after, row.wake_ms <= now_ms, behind)
            chosen = sa.select(row.wake_ms, row.id, row.body).where(*due, *wanted)
            chosen = chosen.order_by(row.wake_ms, row.id).limit(_PAGE)
            with self._database.read() as connection:
                page = connection.execute(chosen).all()
            if not page:
                return
            yield from (order_of(it.body) for it in page)
            after, last = page[-1].wake_ms, page[-1].id

    def of_entries(self, entries: Sequence[int], keys: Sequence[int] = ()) -> list[Order]:
        """The orders whose list entries these are, and those that have entries with one of these keys."""
        found: list[Order] = []
        with self._database.read() as connection:
            for column, values in ((ORDERS.c.entry, entries), (ORDERS.c.key, keys)):
                if values:
                    chosen = sa.select(ORDERS.c.body).where(_ENTRIES, column.in_(values))
                    found += [order_of(body) for body in connection.execute(chosen).scalars()]
        return found

    def placed(self, after: str = "", limit: int = _PAGE) -> list[Order]:
        """Orders in force that have list entries, by id, those after an id."""
        mine = (ORDERS.c.state.in_(STANDING), ORDERS.c.entry > 0, ORDERS.c.id > after)
        chosen = sa.select(ORDERS.c.body).where(*mine).order_by(ORDERS.c.id).limit(limit)
        with self._database.read() as connection:
            return [order_of(body) for body in connection.execute(chosen).scalars()]


def covering(connection: Connection, number: int) -> list[Order]:
    """Every order whose scope covers a number, the newest first; at most a thousand."""
    chosen = sa.select(ORDERS.c.body).where(_covers(number)).order_by(ORDERS.c.changed_ms.desc()).limit(1000)
    return [order_of(body) for body in connection.execute(chosen).scalars()]


def _order_by(query: OrderQuery) -> tuple[sa.ColumnElement[Any], ...]:
    return (ORDERS.c.ends_ms.asc() if query.sort == "ends" else ORDERS.c.changed_ms.desc(), ORDERS.c.id)


def _conditions(query: OrderQuery, *, walked: bool = False) -> list[sa.ColumnElement[bool]]:
    """What must hold; `walked`: of rows read by their key, in a form that draws no other index."""

    def column(name: str) -> sa.ColumnElement[str]:
        return sa.func.coalesce(ORDERS.c[name], "") if walked else ORDERS.c[name]

    found: list[sa.ColumnElement[bool]] = []
    if query.states:
        found.append(column("state").in_(query.states))
    exact = {name: getattr(query, name).replace("\0", "") for name in ("kind", "agency", "case")}
    found += [column(name) == value for name, value in exact.items() if value]
    text = query.text.strip().replace("\0", "")
    if text:
        found.append(sa.or_(ORDERS.c.id == text, begins(ORDERS.c.document, text)))
    if query.number:
        found.append(_covers(query.number))
    return found


def _covers(key: int) -> sa.ColumnElement[bool]:
    ways = [sa.and_(ORDERS.c.key == key, ORDERS.c.target == "number")]
    if key_kind(key) == KIND_NUMBER:
        digits = digits_of(key)
        prefixes = [key_of_digits(digits[:length]) for length in range(1, len(digits) + 1)]
        ways.append(sa.and_(ORDERS.c.key.in_(prefixes), ORDERS.c.target == "prefix"))
    ways.append(sa.and_(_RANGES, ORDERS.c.key <= key, ORDERS.c.last >= key))
    return sa.or_(*ways)


_order = msgspec.json.Decoder(Order)


def order_of(body: str) -> Order:
    """An order out of its row's body."""
    return _order.decode(body)


def event_of(row: sa.Row[Any]) -> OrderEvent:
    """An event out of its row."""
    said, changes = msgspec.json.decode(row.said), msgspec.json.decode(row.changes)
    return OrderEvent(row.order, row.seq, row.time_ms, row.who, row.action, said, changes)
