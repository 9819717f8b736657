"""A node's scans for tests: real records, real keys of days in a folder, venues in two far districts and one near."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from hutong.codes.people.day_keys import DayKeys
from hutong.codes.scans.lookup_machine import Bounds
from hutong.codes.scans.lookup_model import OrderWish, Scope, Seeker
from hutong.codes.scans.lookup_orders import LookupOrders
from hutong.codes.scans.lookups import LookupDesk
from hutong.codes.scans.model import Batch, Scan, Source
from hutong.codes.scans.notices import Notices
from hutong.codes.scans.store import Scans
from hutong.codes.scans.venue_book import CHANGE, VenueBook
from hutong.codes.venues import VenueWish
from hutong.kernel.access.agencies import Agencies, Agency
from hutong.kernel.cases.model import Actor
from hutong.kernel.districts import load_districts

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.codes.venues import Venue
    from hutong.kernel.records import Database

NOW = 1_660_032_000_000  # 2022-08-09 16:00 in China: the rule of seven days is in force
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
CLERK = Actor("clerk", frozenset({CHANGE}))
STATION = Source("gate-1", "00" * 8)
WANG = "a1" * 16  # a person's pseudonym


class Codes:
    """Pseudonyms of the day, as whoever issues codes makes them."""

    def names(self, person: str, day: int) -> tuple[bytes, ...]:
        return (hashlib.sha256(f"{person}:{day}".encode()).digest()[:12],)

    def who(self, person: str, day: int) -> str:
        return self.names(person, day)[0].hex()


class World:
    """One node."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database, self.keys = database, DayKeys(folder / "scans", folder / "node.key")
        self.codes = Codes()
        self.scans = Scans(database, self.keys, load_districts())
        self.book = VenueBook(database, "xa")
        self.orders = LookupOrders(database, "xa", Bounds())
        self.notices = Notices(database)
        self.desk = LookupDesk(database, self.scans, self.orders, self.notices, self.codes)

    def venue(self, district: str = "610104", title: str = "西仓市场") -> Venue:
        wish = VenueWish(title=title, kind="market", district=district, capacity=300, unit="莲湖区市场办")
        return self.book.issue(wish, CLERK, NOW - DAY)

    def agencies(self) -> None:
        for name, kind in (("cdc", "other"), ("police", "police")):
            self.database_agencies().add(Agency(name, f"{name}局", f"{name} office", kind, (name,)), NOW)  # type: ignore[arg-type]

    def database_agencies(self) -> Agencies:
        return Agencies(self.database)


def scan(sequence: int, venue: Venue, at_ms: int = NOW - HOUR, **fields: object) -> Scan:
    return Scan(sequence=sequence, at_ms=at_ms, venue=venue.id, verdict="valid", **fields)  # type: ignore[arg-type]


def batch(*scans: Scan, source: Source = STATION, clock_ms: int = NOW, live: bool = True) -> Batch:
    return Batch(source, clock_ms, scans, live=live)


ASKING = frozenset({"codes.lookup_request", "codes.lookup_approve", "codes.lookup"})
LI = Seeker("li", ASKING, "cdc", "other", "10.0.0.7")
ZHAO = Seeker("zhao", ASKING, "cdc", "other", "10.0.0.8")
DUTY = Seeker("duty", frozenset({"codes.lookup_approve"}))


def wish(scope: Scope, **fields: object) -> OrderWish:
    given = {"document": "陕疾控函〔2022〕8号", "basis": ("epidemic",), "basis_text": "第十二条", "reason": "流调"}
    return OrderWish(scope=scope, term_s=86_400, **given | fields)  # type: ignore[arg-type]


def of_venue(venue: Venue, since_ms: int = NOW - DAY, until_ms: int = NOW) -> Scope:
    return Scope(kind="venue", about=venue.id, since_ms=since_ms, until_ms=until_ms)
