"""Scans: merging them, and looking up under an order who was at a venue and where a person was."""

from __future__ import annotations

import hashlib
import random
from datetime import date
from typing import Final

from bench.size.asking import DAY, HOUR, MINUTE, NOW, Question, Subject
from bench.size.filling import Fill
from hutong.codes.people.day_keys import DayKeys, day_of, end_of
from hutong.codes.people.pseudonyms import Pseudonyms
from hutong.codes.scans.day_names import PersonNames
from hutong.codes.scans.lookup_machine import Bounds
from hutong.codes.scans.lookup_model import OrderWish, Scope, Seeker
from hutong.codes.scans.lookup_orders import LookupOrders
from hutong.codes.scans.lookups import LookupDesk
from hutong.codes.scans.model import Batch, Scan, Source
from hutong.codes.scans.notices import Notices
from hutong.codes.scans.retention import Rule
from hutong.codes.scans.store import Scans
from hutong.codes.scans.venue_book import CHANGE, VenueBook
from hutong.codes.venues import VenueWish
from hutong.kernel.access.agencies import Agencies, Agency
from hutong.kernel.cases.model import Actor
from hutong.kernel.districts import load_districts
from hutong.kernel.records.scan_tables import SLOTS, code_scans

_VENUES: Final = 12
_DAYS: Final = 14
_ASKING: Final = frozenset({"codes.lookup_request", "codes.lookup_approve", "codes.lookup"})
_LI, _ZHAO = (Seeker(name, _ASKING, "cdc", "other", "10.0.0.7") for name in ("li", "zhao"))
_RULE: Final = Rule(date(2020, 1, 1), _DAYS, 30, "bench", "bench", "bench")
_BATCH: Final = 200
_DAY_BEGAN: Final = end_of(day_of(NOW) - 1)


class ScansOfCity(Subject):
    """Scans of fourteen days, in their tables of days; in each venue and hour that is asked of, fifty of them."""

    name = "scans"
    row_bytes = {"sqlite": 310, "postgresql": 440}  # noqa: RUF012  # read alone

    def _wire(self) -> None:
        folder = self.folder / "scan-keys"
        self._scans = Scans(self.database, DayKeys(folder / "days"), load_districts(None), (_RULE,))
        self._names = PersonNames(Pseudonyms(folder), 1)
        self._orders = LookupOrders(self.database, "node1", Bounds())
        self._desk = LookupDesk(self.database, self._scans, self._orders, Notices(self.database), self._names)

    def make(self) -> None:
        """See `Subject.make`."""
        self.database.open()
        self._wire()
        book, clerk = VenueBook(self.database, "node1"), Actor("clerk", frozenset({CHANGE}))
        wish = VenueWish(title="西仓市场", kind="market", district="610104", capacity=300, unit="市场办")
        self._venues = [book.issue(wish, clerk, NOW - 20 * DAY).id for _ in range(_VENUES)]
        self._people = [hashlib.sha256(f"person {n}".encode()).hexdigest()[:32] for n in range(self.asked)]
        self._codes, self._sequence = random.Random(5), 0
        for day in range(_DAYS - 1, -1, -1):
            begins_ms = _DAY_BEGAN - day * DAY
            scans = [
                self._scan(n, begins_ms + hour * HOUR + n % 59 * MINUTE, day_of(begins_ms), hour)
                for n in range(self.asked)
                for hour in (7, 8, 9)
            ]
            clock_ms = begins_ms + 10 * HOUR
            self._scans.merge([Batch(Source("gate", "00" * 8), clock_ms, tuple(scans))], clock_ms)
        agencies = Agencies(self.database)
        agencies.add(Agency("cdc", "疾控", "cdc", "other", ("cdc",)), NOW)
        whole = {"since_ms": _DAY_BEGAN - (_DAYS - 1) * DAY, "until_ms": NOW}
        self._of_venues = [self._order(Scope(kind="venue", about=it, **whole)) for it in self._venues]
        self._of_people = [self._order(Scope(kind="person", about=it, **whole)) for it in self._people[:100]]
        self.database.close()

    def _scan(self, n: int, at_ms: int, day: int, hour: int) -> Scan:
        self._sequence += 1
        who, code = self._names.name(self._people[n], day).hex(), self._codes.randbytes(8).hex()
        venue = self._venues[(n + hour) % _VENUES]
        return Scan(sequence=self._sequence, at_ms=at_ms, venue=venue, verdict="valid", who=who, code=code)

    def _order(self, scope: Scope) -> tuple[str, Scope]:
        wish = OrderWish(
            scope=scope, document="1号", basis=("epidemic",), basis_text="第十二条", reason="流调", term_s=86_400
        )
        order = self._orders.request(wish, _LI, NOW).id
        self._orders.do(order, "approve", _ZHAO, NOW)
        return order, scope

    def fills(self) -> list[Fill]:
        """See `Subject.fills`."""
        noise = {"who": self.engine.noise(16), "code": self.engine.noise(16)}
        days = [day_of(NOW) - day for day in range(_DAYS)]
        return [Fill(code_scans[day % SLOTS], self.rows // _DAYS, noise) for day in days]

    def questions(self) -> list[Question]:
        """See `Subject.questions`."""
        self._wire()
        rng = random.Random(3)

        def venue(_at: int) -> object:
            order, scope = rng.choice(self._of_venues)
            begins_ms = _DAY_BEGAN - rng.randrange(_DAYS) * DAY + rng.choice((7, 8, 9)) * HOUR
            wanted = Scope(kind="venue", about=scope.about, since_ms=begins_ms, until_ms=begins_ms + HOUR)
            return _some(self._desk.look_up(order, wanted, _LI, "流调", NOW).found)

        def person(at: int) -> object:
            order, scope = self._of_people[at % len(self._of_people)]
            return _some(self._desk.look_up(order, scope, _LI, "流调", NOW).found)

        return [
            Question("who was at a venue in an hour, under an order", venue),
            Question("where a person was in 14 days, under an order", person),
            Question(f"{_BATCH} scans merged", self._merge),
            Question("how many scans there are", lambda _at: self._scans.count()),
            Question("a day let go as a whole", lambda _at: self._let_go(), once=True),
        ]

    def _let_go(self) -> None:
        assert self._scans.forget(NOW + 2 * DAY).days == 1  # noqa: S101  # else the figure would be of something else

    def _merge(self, at: int) -> object:
        scans = [self._scan(n, NOW - MINUTE, day_of(NOW), at) for n in range(min(_BATCH, self.asked))]
        return self._scans.merge([Batch(Source("gate", "00" * 8), NOW, tuple(scans))], NOW)


def _some(found: tuple[object, ...]) -> object:
    assert found, "nothing was found: the figure would be of something else"  # noqa: S101
    return found
