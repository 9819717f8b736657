"""Change events in the records: told in the transaction of what changed, followed by number, forgotten after days.

Whoever tells of a topic holds its name to the end of the transaction, so numbers become visible in their order and a
follower that has seen one has seen all before it. They rise with the time and are not dense: a follower knows that it
missed none because the last event that it has is still there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import sqlalchemy as sa

from hutong.kernel.records import change_tables

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hutong.kernel.records import Connection, Database

_ROWS: Final = change_tables.changes
#: A replica's keys have a largest size.
LONGEST_KEY: Final = 200
#: Events that one transaction forgets, so that nobody waits long for it.
_AT_ONCE: Final = 5_000
_LANES: Final = "0123456789abcdef"


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a key.

    Attributes:
        value: what stands there now, JSON; null where nothing does.
        until_ms: from then on nothing stands there, whoever tells of it or not; 0 = it stays.
    """

    key: str
    value: msgspec.Raw = msgspec.Raw(b"null")
    until_ms: int = 0

    @property
    def is_gone(self) -> bool:
        """Whether nothing stands there any more."""
        return bytes(self.value) == b"null"


class Topic(NamedTuple):
    """What changes are told of.

    Attributes:
        held: the name that its writers hold; a topic that is only written where something else is held names that.
        spread: by the first letter of the key, 16 of them (hex), each with numbers of its own: for what many write at
            once.
    """

    name: str
    held: str = ""
    spread: bool = False

    @property
    def parts(self) -> tuple[str, ...]:
        """The names that events are numbered under."""
        return tuple(f"{self.name}/{lane}" for lane in _LANES) if self.spread else (self.name,)

    def part_of(self, key: str) -> str:
        """Under which of them a key is."""
        return f"{self.name}/{key[:1]}" if self.spread else self.name


class News(msgspec.Struct, frozen=True):
    """What is new after a number: (number, change) in order, and the newest number there is."""

    newest: int
    changes: tuple[tuple[int, Change], ...] = ()


def value_of(content: object) -> msgspec.Raw:
    """A value for a `Change`."""
    return msgspec.Raw(msgspec.json.encode(content))


def tell(database: Database, connection: Connection, topic: Topic, changes: Iterable[Change], now_ms: int) -> None:
    """Tell of changes within the transaction that makes them; as late in it as may be, for others wait meanwhile."""
    sorted_: dict[str, list[Change]] = {}
    for it in changes:
        if not 0 < len(it.key.encode()) <= LONGEST_KEY:
            raise ValueError(f"A key of {topic.name} has 1 to {LONGEST_KEY} bytes.")
        sorted_.setdefault(topic.part_of(it.key), []).append(it)
    if not sorted_:
        return
    database.hold(connection, *([topic.held] if topic.held else (f"changes:{part}" for part in sorted_)))
    rows: list[dict[str, Any]] = []
    for part, told in sorted_.items():
        first = max(newest(connection, part) + 1, now_ms)
        rows += [
            {"topic": part, "number": first + at, "at_ms": now_ms, "body": msgspec.json.encode(it).decode()}
            for at, it in enumerate(told)
        ]
    connection.execute(sa.insert(_ROWS), rows)


def newest(connection: Connection, part: str) -> int:
    """The number of the last event; 0 where there is none."""
    found = connection.execute(sa.select(sa.func.max(_ROWS.c.number)).where(_ROWS.c.topic == part)).scalar()
    return int(found or 0)


def news(connection: Connection, part: str, number: int, limit: int) -> News | None:
    """At most `limit` events after a number, in one view of the records; None where not all of them are kept."""
    here = _ROWS.c.topic == part
    chosen = sa.select(_ROWS.c.number, _ROWS.c.body).where(here, _ROWS.c.number >= number)
    rows = connection.execute(chosen.order_by(_ROWS.c.number).limit(limit + 1)).all()
    if not rows:
        # Nothing was ever told, or these are other records than those that the number came from.
        return News(0) if number == 0 and not newest(connection, part) else None
    if rows[0].number != number:
        return None
    found = tuple((int(row.number), _decode(row.body)) for row in rows[1:])
    return News(newest(connection, part), found)


def last(connection: Connection, part: str) -> Change | None:
    """The last event: it is never forgotten."""
    chosen = sa.select(_ROWS.c.body).where(_ROWS.c.topic == part).order_by(_ROWS.c.number.desc()).limit(1)
    body = connection.execute(chosen).scalar()
    return None if body is None else _decode(body)


def forget(database: Database, parts: Iterable[str], before_ms: int, now_ms: int) -> int:
    """Forget events from before a time, some thousand of each part and never its last; gives how many.

    Their order is that of their numbers: what comes before an old one is old, whatever a clock that was ahead said.
    """
    done = 0
    for part in parts:
        with database.write() as connection:
            # Those that say a time to come tell no age; they go with the first old one after them.
            here = (_ROWS.c.topic == part, _ROWS.c.number < newest(connection, part), _ROWS.c.at_ms <= now_ms)
            first = sa.select(_ROWS.c.number, _ROWS.c.at_ms).where(*here).order_by(_ROWS.c.number).limit(_AT_ONCE)
            its = first.subquery().c
            upto = connection.execute(sa.select(sa.func.max(its.number)).where(its.at_ms < before_ms)).scalar()
            if upto is not None:
                gone = sa.delete(_ROWS).where(_ROWS.c.topic == part, _ROWS.c.number <= upto)
                done += connection.execute(gone).rowcount
    return done


_decode: Final = msgspec.json.Decoder(Change).decode
