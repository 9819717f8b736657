"""Colours for tests: a desk with records, keys in a folder, two agencies, people who were born on paper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from case_samples import CALENDAR, EVERYTHING, HOUR, MONDAY, TYPES
from hutong.codes.devices import Devices
from hutong.codes.people.day_keys import DayKeys
from hutong.codes.people.documents import read_document
from hutong.codes.people.errors import PersonRefused
from hutong.codes.people.pseudonyms import Pseudonyms
from hutong.codes.people.store import People
from hutong.codes.status.appeals import Appeals
from hutong.codes.status.changes import Actor, Bounds, Wish
from hutong.codes.status.desk import StatusDesk
from hutong.codes.status.errors import StatusRefused
from hutong.codes.status.evidence import Order, Result, Visit
from hutong.codes.status.guard import Limits
from hutong.codes.status.hand import Changes
from hutong.codes.status.loading import rules_of
from hutong.codes.status.store import Statuses
from hutong.kernel.access.agencies import Agencies, Agency
from hutong.kernel.cases.purview import WHOLE
from hutong.kernel.cases.store import Cases
from hutong.kernel.key_marks import KeyMarks

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.codes.status.changes import Change
    from hutong.codes.status.colour_rules import Colour
    from hutong.codes.status.model import ColourChanged
    from hutong.kernel.records import Connection, Database

#: Of made-up people: a place code that no county has.
NUMBER = "999999199001011238"
OTHER = "999999200002292348"
RULES = rules_of()
HEALTH = Actor("wang", EVERYTHING, "health")
POLICE = Actor("li", EVERYTHING, "police")
HOUSE = Actor("zhao", EVERYTHING)
EVIDENCE_DAYS, PERSON_DAYS = 14, 30


def positive(at_ms: int = MONDAY - HOUR, id_: str = "tube-1") -> Result:
    return Result(id=id_, at_ms=at_ms, result="positive", source="市一医院")


def negative(at_ms: int, id_: str) -> Result:
    return Result(id=id_, at_ms=at_ms, result="negative")


def stay(at_ms: int = MONDAY - HOUR, id_: str = "venue-1") -> Visit:
    return Visit(id=id_, at_ms=at_ms, risk="high", place="某商场")


def isolation(at_ms: int, until_ms: int, id_: str = "order-1") -> Order:
    return Order(id=id_, at_ms=at_ms, until_ms=until_ms, order="isolation", document="卫隔〔2026〕1号")


def refused(work: Any) -> str:  # noqa: ANN401
    """Why something was refused."""
    try:
        work()
    except (StatusRefused, PersonRefused) as error:
        return error.reason
    return "not refused"


def wish(person: str, **given: Any) -> Wish:  # noqa: ANN401
    """A red code that an agency may ask for."""
    said = {"colour": "red", "reason": "密切接触者", "basis": "epidemic-act", "document": "卫2号", "term_s": 86_400}
    return Wish(person=person, **(said | given))  # type: ignore[arg-type]


class Desk:
    """Everything about colours of one node, over records that are open."""

    def __init__(self, database: Database, folder: Path, limits: Limits = Limits()) -> None:  # noqa: B008  # frozen
        self.database, self.folder = database, folder
        self.told: list[ColourChanged] = []
        marks = KeyMarks(database)
        self.days = DayKeys(folder, marks=marks)
        self.people = People(database, self.days, Pseudonyms(folder, marks), PERSON_DAYS)
        phones = Devices(database, PERSON_DAYS)
        self.statuses = Statuses(database, self.people, RULES, "node1", EVIDENCE_DAYS, self._tell, gone=phones.let_go)
        self.cases = Cases(database, TYPES, CALENDAR, "node1", WHOLE)
        self.changes = Changes(self.statuses, lambda: self.cases, Bounds(), limits)
        self.appeals = Appeals(self.statuses, self.changes, lambda: self.cases)
        self.desk = StatusDesk(self.statuses, self.changes, self.appeals)

    def _tell(self, _connection: Connection, changed: ColourChanged) -> None:
        self.told.append(changed)

    def agencies(self) -> None:
        for id_, zh, kind in (("health", "卫健委", "other"), ("police", "公安局", "police")):
            Agencies(self.database).add(Agency(id_, zh, id_, kind, (zh,)), MONDAY)  # type: ignore[arg-type]

    def person(self, number: str = NUMBER, name: str = "王小明", now_ms: int = MONDAY) -> str:
        return self.people.register(read_document("id", number), name, "13800138000", now_ms)

    def by_hand(self, person: str, colour: Colour = "red", now_ms: int = MONDAY, reason: str = "密切接触者") -> Change:
        """A colour that two agencies have given."""
        asked = wish(person, colour=colour, reason=reason, term_s=3 * 86_400)
        return self.changes.do(self.changes.request(asked, HEALTH, now_ms).id, "approve", POLICE, now_ms)
