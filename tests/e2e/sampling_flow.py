"""What is in a node's sampling, so that its pages have something to show: late tubes, doubts, a silent station."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hutong.kernel.records import Database, database_url
from hutong.sampling.emergency.model import Actor, Wish
from hutong.sampling.emergency.store import Emergencies
from hutong.sampling.model import Batch, HandOver, Register, Result, Seal, Terms
from hutong.sampling.store import Bounds, Sampling, Taking
from sampling_samples import HOUR, MINUTE, event, person, result

if TYPE_CHECKING:
    from pathlib import Path

TUBE: Final = "XA20220415001"
BATCH: Final = "B-s1"
_ALL: Final = frozenset({"sampling.order", "sampling.approve"})
#: Districts, and how busy each is.
_PLACES: Final = (("610102", 9), ("610104", 4), ("610113", 6), ("610115", 1), ("610124", 2))


def some_samples(data: Path, now_ms: int) -> dict[str, str]:
    """Fill tubes over the last day and a half; what stands for places in addresses."""
    database = Database(database_url("", data))
    database.open()
    try:
        emergencies = Emergencies(database, "e2e", Terms(), 168)
        sampling = Sampling(database, Bounds(), emergencies.terms)
        for at, (district, busy) in enumerate(_PLACES):
            for hours in range(0, 30, 2):
                _sample(sampling, f"s{at}", district, busy, now_ms - hours * HOUR, hours, at)
        _late(sampling, now_ms)
        wish = Wish(district="610113", preset="close-contacts", term_h=48, agency="City", document="1", reason="cases")
        asked = emergencies.request(wish, Actor("analyst", _ALL), now_ms)
        wish = Wish(district="610104", preset="city-wide", term_h=48, agency="City", document="2", reason="cases")
        other = emergencies.request(wish, Actor("analyst", _ALL), now_ms)
        emergencies.do(other.id, "approve", Actor("operator", _ALL), now_ms)
        return {"tube": TUBE, "batch": BATCH, "emergency": asked.id}
    finally:
        database.close()


def _sample(sampling: Sampling, station: str, district: str, busy: int, at_ms: int, hours: int, at: int) -> None:
    """One tube of a station, sealed and handed over; those of some hours ago have results."""
    tube = f"XA{at}{hours:02}0000"
    deeds: list[Any] = [Register(tube=tube, size=10, person=person((tube, n)), district=district) for n in range(busy)]
    deeds += [
        Seal(tube=tube, people=busy),
        HandOver(tube=tube, batch=f"B-{station}-{hours}", expected=1 + (hours == 8), courier="Zhou"),
    ]
    events = [event(deed, 1000 * hours + n, at_ms + n * 1000, station, tube) for n, deed in enumerate(deeds, 1)]
    slow_ms = 12_000 if at == 1 else 0
    sampling.merge(Batch(station, at_ms + MINUTE - slow_ms, tuple(events), district=district), at_ms + MINUTE)
    if hours > 8:
        told: Result = "positive" if hours == 14 and at == 2 else "negative"
        tested_ms = at_ms + (5 + at) * HOUR
        sampling.take([Taking(result(tube, told, tested_ms), judged=False)], tested_ms)


def _late(sampling: Sampling, now_ms: int) -> None:
    """A tube whose results contradict each other, and a station that has not been heard of since."""
    at_ms = now_ms - 26 * HOUR
    deeds: list[Any] = [Register(tube=TUBE, size=5, person=person(("late", n)), district="610111") for n in range(4)]
    deeds += [Seal(tube=TUBE, people=4), HandOver(tube=TUBE, batch=BATCH, expected=3, courier="Li")]
    events = [event(deed, n, at_ms + n * MINUTE, "far-1", "late") for n, deed in enumerate(deeds, 1)]
    sampling.merge(Batch("far-1", at_ms, tuple(events), district="610111", waiting=37), at_ms + 7 * HOUR)
    for told in ("positive", "negative"):
        sampling.take([Taking(result(TUBE, told, at_ms + 9 * HOUR), judged=False)], at_ms + 9 * HOUR)
