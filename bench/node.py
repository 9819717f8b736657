"""A node's data folder after a busy day: verdicts, their minutes of a month, long lists, people and a long trail."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from bench.day import mobile_key, write_verdicts
from hutong.calls.history import History
from hutong.calls.index import VerdictIndex
from hutong.kernel.access.people import People
from hutong.kernel.access.sessions import Sessions
from hutong.kernel.access.tokens import Tokens
from hutong.kernel.lists.entries import Entry
from hutong.kernel.lists.store import ListStore
from hutong.kernel.numbering.keys import key_of_digits
from hutong.kernel.records import tables
from hutong.kernel.records.database import Database, database_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hutong.kernel.access.permissions import Role

ENTRIES = 1_000_000
DEEDS = 100_000
DAYS = 30
PEOPLE = 20
_DAY_MINUTES = 24 * 60
_DAY_MS = _DAY_MINUTES * 60_000
_NODE = "node1"
_AT_ONCE = 50_000
_PASSWORD = "umbrella-tide-97-lantern"  # noqa: S105  # of an account that lives for a minute, on loopback
_DEEDS = ("lists.add", "lists.remove", "numbers.unmask", "session.start", "tables.export", "rules.demote")


class SignedIn(NamedTuple):
    """A person's session: its cookie, and what its forms send back."""

    cookie: str
    csrf: str


class Doors(NamedTuple):
    """Ways in: sessions of an operator and an auditor, and a token of the operator's."""

    operator: SignedIn
    auditor: SignedIn
    token: str


def fill(data: Path, verdicts: int, end_ms: int) -> Doors:
    """Make the folder, up to moment `end_ms` (ms since 1970), through the parts that keep such things in a node."""
    data.mkdir(parents=True)
    write_verdicts(data, verdicts, end_ms)
    index = VerdictIndex(data)
    index.build()
    _list_entries(data, end_ms // 1000)
    database = Database(database_url("", data))
    database.open()
    try:
        history = History(database, _NODE)
        while history.fold(index):
            pass
        _repeat_minutes(database)
        _fill_trail(database, end_ms)
        return _people(database, end_ms)
    finally:
        database.close()


def _list_entries(data: Path, now: int) -> None:
    """Of 1,000 entries 980 are numbers (subscribers of the day), 15 prefixes, 5 ranges; some end, some allow."""
    store = ListStore(data / "lists")
    store.open()
    try:
        for first in range(0, ENTRIES, _AT_ONCE):
            store.add([_entry(at, now) for at in range(first, min(first + _AT_ONCE, ENTRIES))], now - ENTRIES + first)
    finally:
        store.close()


def _entry(at: int, now: int) -> Entry:
    kind, key, last = "number", mobile_key(3 * at), 0
    if at % 1000 >= 995:
        kind, key, last = "range", key_of_digits(f"4477{at:08}"), key_of_digits(f"4477{at + 3:08}")
    elif at % 1000 >= 980:
        kind, key = "prefix", key_of_digits(f"23470{at:07}")
    return Entry(
        list="allow" if at % 50 == 0 else "block",
        kind=kind,
        key=key,
        last=last,
        role=("any", "caller", "callee")[at % 3],
        reason=f"case {at} 涉诈案件",
        source=("96110", "police", "operator")[at % 3],
        who=f"person{at % PEOPLE}",
        expires=now + (at % 400) * 86_400 if at % 7 == 0 else 0,
    )


def _repeat_minutes(database: Database) -> None:
    """The day's minutes once more for each of the days before it."""
    rows = tables.calls_minutes
    day = sa.select(sa.func.max(rows.c.minute)).scalar_subquery() - _DAY_MINUTES
    names = [column.name for column in rows.columns]
    for back in range(1, DAYS):
        with database.write() as connection:
            newest = connection.execute(sa.select(day)).scalar_one()
            earlier = [rows.c[name] - back * _DAY_MINUTES if name == "minute" else rows.c[name] for name in names]
            last_day = sa.select(*earlier).where(rows.c.minute > newest)
            connection.execute(sa.insert(rows).prefix_with("OR IGNORE").from_select(names, last_day))


def _fill_trail(database: Database, end_ms: int) -> None:
    def deeds() -> Iterator[dict[str, object]]:
        for at in range(DEEDS):
            deed = _DEEDS[at % len(_DEEDS)]
            yield {
                "time_ms": end_ms - (DEEDS - at) * 20_000,
                "who": f"person{at % PEOPLE}",
                "address": f"10.0.{at % 7}.{at % 250}",
                "deed": deed,
                "target": f"lists/{at}" if deed.startswith("lists") else f"calls/{at}",
                "before": None,
                "after": f'{{"list": "block", "reason": "case {at}"}}',
                "purpose": f"case {at}" if deed == "numbers.unmask" else "",
            }

    with database.write() as connection:
        connection.execute(sa.insert(tables.trail), list(deeds()))


def signed_in(database: Database, role: Role, now_ms: int) -> SignedIn:
    """Somebody in this role, made where there is none yet, and a session of theirs that has begun."""
    people, sessions = People(database), Sessions(database, 12, 60)
    known = any(it.name == role for it in people.all())
    given = people.reset_password(role, now_ms) if known else people.add(role, role.title(), role, now_ms)
    account = people.set_password(role, given, _PASSWORD, now_ms)
    began = time.time_ns() // 1_000_000
    cookie = sessions.start(account, "127.0.0.1", began)
    found = sessions.viewer(cookie, "127.0.0.1", began)
    assert found is not None  # noqa: S101  # it has just begun
    return SignedIn(cookie, found[0].csrf)


def _people(database: Database, now_ms: int) -> Doors:
    people, tokens = People(database), Tokens(database, 365)
    for at in range(PEOPLE):
        people.add(f"person{at}", f"Person {at}", "analyst", now_ms)
    operator, auditor = (signed_in(database, role, now_ms) for role in ("operator", "auditor"))
    for at in range(PEOPLE):
        _, token = tokens.make(
            "operator", f"reader {at}", ["verdicts.read", "numbers.read", "lists.read", "rules.read"],
            now_ms + _DAY_MS, now_ms,
        )  # fmt: skip
    return Doors(operator, auditor, token)
