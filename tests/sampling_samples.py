"""What tests of sampling share: identities that are made up, events, and a node's sampling."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from hutong.sampling.model import Deed, Event, HandOver, Kept, Receive, Register, Report, Result, Seal, Terms, event_id
from hutong.sampling.store import Bounds, Sampling

if TYPE_CHECKING:
    from hutong.kernel.records import Database

NOW = 1_650_000_000_000
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
TUBE, OTHER = "XA20220415001", "XA20220415002"
#: The example of GB 11643-1999 itself, and one more made by its rule.
CARD, CARD_2 = "11010519491231002X", "440524188001010014"


def person(name: object) -> str:
    return hashlib.sha256(f"person {name}".encode()).hexdigest()[:32]


def chance(name: object) -> bytes:
    return hashlib.sha256(f"chance {name}".encode()).digest()[:8]


def event(deed: Deed, sequence: int, at_ms: int = NOW, station: str = "s1", salt: str = "") -> Event:
    of = event_id(station, sequence, chance((station, sequence, salt)))
    return Event(id=of, station=station, sequence=sequence, at_ms=at_ms, deed=deed)


def filled(tube: str = TUBE, size: int = 5, people: int = 3, station: str = "s1", at_ms: int = NOW) -> list[Event]:
    """A tube that was filled, sealed and handed over as the only one of its batch."""
    deeds: list[Deed] = [Register(tube=tube, size=size, person=person((tube, n))) for n in range(people)]
    deeds += [Seal(tube=tube, people=people), HandOver(tube=tube, batch=f"B-{station}", expected=1, courier="周")]
    return [event(deed, n, at_ms + n * MINUTE, station) for n, deed in enumerate(deeds, 1)]


def received(tube: str = TUBE, batch: str = "B-s1", at_ms: int = NOW + HOUR) -> Event:
    deed = Receive(tube=tube, batch=batch, laboratory="市疾控")
    return event(deed, 0, at_ms, "lab", f"{tube}{batch}{at_ms}")


def result(tube: str = TUBE, told: Result = "negative", tested_ms: int = NOW + 2 * HOUR, at_ms: int = 0) -> Event:
    deed = Report(tube=tube, result=told, tested_ms=tested_ms)
    return event(deed, 0, at_ms or tested_ms, "lab", f"{tube}{told}{tested_ms}")


def kept(*events: Event, merged_ms: int = NOW) -> list[Kept]:
    return [Kept(it, 0, merged_ms) for it in events]


def sampling(database: Database, terms: Terms | None = None, bounds: Bounds | None = None) -> Sampling:
    return Sampling(database, bounds or Bounds(), lambda _district, _now_ms: terms or Terms())
