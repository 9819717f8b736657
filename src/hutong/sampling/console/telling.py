"""What the API tells of sampling: values of the desk as bodies. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hutong.kernel.reporter import rfc3339_ms, rfc3339_or_none
from hutong.sampling.console import bodies
from hutong.sampling.counts import HOUR_MS
from hutong.sampling.figures import DAY, Spent, mark_of
from hutong.sampling.identity import masked_person
from hutong.sampling.model import told_of

if TYPE_CHECKING:
    from hutong.kernel.districts import Districts
    from hutong.sampling.console.overview import Now
    from hutong.sampling.console.parts import Parts
    from hutong.sampling.emergency.model import Emergency
    from hutong.sampling.figures import DistrictFigures
    from hutong.sampling.listing import TubeRow
    from hutong.sampling.model import Kept, Tube
    from hutong.sampling.query import BatchRow, Found, StationRow
    from hutong.sampling.results_csv import Imported

_NOTES = 1000


def spent(it: Spent) -> bodies.TurnaroundTold:
    """How long results took."""
    return bodies.TurnaroundTold(it.results, it.p50_ms // 1000, it.p90_ms // 1000)


def now(it: Now, parts: Parts) -> bodies.SamplingNow:
    """How sampling stands."""
    last = it.now_ms // HOUR_MS
    hours = range(last - DAY + 1, last + 1)
    samples, results, positives = (
        parts.figures.by_hour(what, hours[0], last) for what in ("samples", "results", "positives")
    )
    took = parts.figures.spent(hours[0], last)
    return bodies.SamplingNow(
        as_of=rfc3339_ms(it.now_ms),
        hourly=it.hourly,
        tubes={str(state): count for state, count in it.states.items()},
        oldest=rfc3339_or_none(it.oldest_ms),
        turnaround=spent(it.spent),
        held=it.held,
        conflicts=it.conflicts,
        stations=len(it.stations),
        silent=len(it.silent),
        unmerged=it.unmerged,
        emergencies=[order.id for order in it.orders],
        hours=[
            bodies.HourTold(
                rfc3339_ms(hour * HOUR_MS),
                samples.get(hour, 0),
                results.get(hour, 0),
                positives.get(hour, 0),
                spent(took.get(hour, Spent())),
            )
            for hour in hours
        ],
    )


def district(it: DistrictFigures, districts: Districts) -> bodies.DistrictTold:
    """How a district does."""
    return bodies.DistrictTold(
        code=it.code,
        zh=districts.title(it.code, "zh"),
        en=districts.title(it.code, "en"),
        hourly=it.hourly,
        samples=it.samples,
        positives=it.positives,
        waiting=it.waiting,
        oldest=rfc3339_or_none(it.oldest_ms),
        stations=it.stations,
        silent=it.silent,
        load=it.load,
    )


def station(it: StationRow, now_ms: int, silent_ms: int) -> bodies.StationTold:
    """A station."""
    mark = mark_of(it, now_ms, silent_ms)
    return bodies.StationTold(
        it.station, it.district, mark, rfc3339_or_none(it.contact_ms), it.offset_ms, it.waiting, it.sequence
    )


def listed(it: TubeRow) -> bodies.TubeListed:
    """A tube in a list."""
    fields: dict[str, Any] = {name: getattr(it, name) for name in ("id", "barcode", "station", "district", "state")}
    fields |= {"batch": it.batch, "result": it.result, "held": bool(it.held), "calls": bool(it.calls)}
    return bodies.TubeListed(
        people=it.people, opened=rfc3339_or_none(it.opened_ms), reported=rfc3339_or_none(it.reported_ms), **fields
    )


def tube(it: Tube) -> bodies.TubeTold:
    """A tube, its people masked."""
    people = [
        bodies.PersonInTube(masked_person(one.person), rfc3339_or_none(one.at_ms), told_of(it, one), one.retest)
        for one in it.members
    ]
    return bodies.TubeTold(
        id=it.id,
        station=it.station,
        district=it.district,
        size=it.size,
        state=it.state,
        result=it.result,
        held=it.is_held,
        calls=it.calls_people,
        batch=it.batch,
        laboratory=it.laboratory,
        opened=rfc3339_or_none(it.opened_ms),
        received=rfc3339_or_none(it.received_ms),
        reported=rfc3339_or_none(it.reported_ms),
        people=people,
    )


def event(it: Kept) -> bodies.TubeEvent:
    """Something that happened."""
    return bodies.TubeEvent(it.event.id, rfc3339_or_none(it.time_ms), it.event.action, it.event.station, it.event.by)


def conflict(it: Found) -> bodies.ConflictTold:
    """A conflict."""
    return bodies.ConflictTold(it.rule, it.barcode, it.tube, it.about, rfc3339_or_none(it.found_ms))


def batch(it: BatchRow) -> bodies.BatchTold:
    """A batch."""
    names = ("id", "state", "station", "courier", "laboratory", "expected", "known", "received")
    return bodies.BatchTold(**{name: getattr(it, name) for name in names}, handed=rfc3339_or_none(it.handed_ms))


def imported(it: Imported) -> bodies.ResultsTold:
    """What became of a file."""
    notes = [bodies.RowTold(one.row, one.column, one.reason, one.taken) for one in it.notes[:_NOTES]]
    return bodies.ResultsTold(it.rows, it.taken, it.again, it.refused, it.encoding, notes)


def emergency(it: Emergency) -> bodies.EmergencyTold:
    """An emergency order."""
    return bodies.EmergencyTold(
        id=it.id,
        district=it.district,
        preset=it.preset,
        agency=it.agency,
        document=it.document,
        reason=it.reason,
        term_h=it.term_h,
        state=it.state,
        requested_by=it.requested_by,
        requested=rfc3339_or_none(it.requested_ms),
        decided_by=it.decided_by,
        ends=rfc3339_or_none(it.ends_ms),
        ended=rfc3339_or_none(it.ended_ms),
    )
