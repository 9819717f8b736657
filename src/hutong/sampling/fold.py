"""What the events of a barcode make, whatever order they came in. Pure.

The same set of events gives the same story: station events count in the order of their station's own sequence, what
laboratories and the centre say by time. Nothing that happened is thrown away; what does not fit is said as a conflict.

One barcode at two stations is two tubes. A result names only the barcode, so the tubes of a barcode are divided into
rounds by time: a tube that is opened after a round has a result begins the next one (the barcode is used again), and a
result belongs to the round at its time. Two tubes in one round are contested: which of them was tested, nobody knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from hutong.sampling.model import (
    Conflict,
    HandOver,
    Kept,
    Member,
    Recall,
    Receive,
    Register,
    Report,
    Seal,
    Settle,
    Tube,
    told_of,
)
from hutong.sampling.table import advanced

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hutong.sampling.model import Action, Told

AT_STATIONS: Final = (Register, Seal, HandOver)


class Story(msgspec.Struct, frozen=True):
    """What is known of a barcode.

    Attributes:
        waiting: ids of results and receipts that are no tube's. within: the tube (its id) of each event at stations.
    """

    barcode: str
    tubes: tuple[Tube, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    waiting: tuple[str, ...] = ()
    within: dict[str, str] = {}

    def find(self, of: str) -> Tube | None:
        """The tube that the event with this id happened to."""
        found = self.within.get(of)
        return next((it for it in self.tubes if it.id == found), None)

    def told(self) -> dict[tuple[str, str], Told]:
        """What each person of each tube (its id) is told."""
        return {(it.id, member.person): told_of(it, member) for it in self.tubes for member in it.members}


class _Round:
    """Tubes of a barcode that a result of these may be of."""

    def __init__(self) -> None:
        self.tubes: list[Tube] = []
        self.receipts: list[Kept] = []
        self.reports: list[Kept] = []


def fold(barcode: str, kept: Iterable[Kept]) -> Story:
    """The story that these events of one barcode make."""
    own: dict[str, list[Kept]] = {}
    far: list[Kept] = []
    deeds: list[Kept] = []
    for it in kept:
        deed = it.event.deed
        if isinstance(deed, AT_STATIONS):
            own.setdefault(it.event.station, []).append(it)
        else:
            (deeds if isinstance(deed, Settle | Recall) else far).append(it)
    found: list[Conflict] = []
    tubes: list[Tube] = []
    within: dict[str, str] = {}
    for station in sorted(own):
        tubes += _of_station(barcode, station, sorted(own[station], key=_by_sequence), found, within)
    rounds, orphans = _rounds(tubes, far)
    done: list[Tube] = []
    for number, own_round in enumerate(rounds, 1):
        done += _reported(number, own_round, found)
    found += (_orphan(barcode, it, done) for it in orphans)
    deeds.sort(key=lambda it: (it.time_ms, it.event.id))
    done = [_decided(tube, deeds, within, found) for tube in done]
    return Story(barcode, tuple(done), tuple(sorted(set(found))), tuple(it.event.id for it in orphans), within)


def _by_sequence(kept: Kept) -> tuple[int, int, int, str]:
    # The centre's own events have no sequence: of those of one millisecond, the earlier step came first.
    event = kept.event
    return event.sequence, kept.time_ms, AT_STATIONS.index(type(event.deed)), event.id


def _of_station(
    barcode: str, station: str, kept: list[Kept], found: list[Conflict], within: dict[str, str]
) -> list[Tube]:
    tubes: list[Tube] = []
    for it in kept:
        deed = it.event.deed
        begins = not tubes or (isinstance(deed, Register) and tubes[-1].state != "open")
        if begins:
            by = "" if isinstance(deed, Register) else it.event.id
            number = len(tubes) + 1
            tubes.append(Tube(barcode=barcode, station=station, number=number, opened_ms=it.time_ms, begun_by=by))
            if len(tubes) > 1:
                found.append(Conflict("tube-reused", barcode, tubes[-1].id, tubes[-2].id))
        tube = tubes[-1]
        within[it.event.id] = tube.id
        if it.offset_ms:
            found.append(Conflict("clock-wrong", barcode, tube.id, station))
        # Registering is the first step; anything else that comes first lacks it.
        state: str = "" if begins else tube.state
        tube = _moved(tube, state, it.event.action, found)
        match deed:
            case Register():
                tube = _with_member(tube, it, deed, found)
            case Seal() if not tube.sealed_ms:
                tube = replace(tube, sealed_ms=it.time_ms, counted=deed.people)
            case HandOver() if not tube.batch:
                tube = replace(
                    tube, batch=deed.batch, courier=deed.courier, expected=deed.expected, handed_ms=it.time_ms
                )
            case _:
                pass
        tubes[-1] = replace(tube, opened_ms=min(tube.opened_ms, it.time_ms))
    found += (
        Conflict("count-differs", barcode, it.id, f"{len(it.members)}/{it.counted}")
        for it in tubes
        if it.sealed_ms and it.counted != len(it.members)
    )
    return tubes


def _moved(tube: Tube, state: str, action: Action, found: list[Conflict]) -> Tube:
    to, missing = advanced(state, action)
    if missing:
        found.append(Conflict("step-missing", tube.barcode, tube.id, action))
    return replace(tube, state=to)


def _with_member(tube: Tube, kept: Kept, deed: Register, found: list[Conflict]) -> Tube:
    size = tube.size or deed.size
    if deed.size != size:
        found.append(Conflict("size-differs", tube.barcode, tube.id, kept.event.id))
    person = kept.person or deed.person
    if kept.handle:
        found.append(Conflict("code-unknown", tube.barcode, tube.id, kept.event.id))
    if any(it.person == person for it in tube.members):
        found.append(Conflict("person-twice", tube.barcode, tube.id, kept.event.id))
        return replace(tube, size=size)
    event = kept.event
    members = (*tube.members, Member(person, event.id, kept.time_ms, event.at_ms, kept.merged_ms, deed.retest))
    if len(members) > size:
        found.append(Conflict("over-size", tube.barcode, tube.id, kept.event.id))
    return replace(tube, size=size, members=members, district=tube.district or deed.district)


def _rounds(tubes: list[Tube], far: list[Kept]) -> tuple[list[_Round], list[Kept]]:
    """Tubes, receipts and results of a barcode by time; results and receipts before any tube are nobody's."""
    line: list[tuple[int, int, str, Tube | Kept]] = [(it.opened_ms, 0, it.id, it) for it in tubes]
    line += [(it.time_ms, 1, it.event.id, it) for it in far]
    rounds: list[_Round] = []
    orphans: list[Kept] = []
    for _, _, _, it in sorted(line, key=lambda row: row[:3]):
        if isinstance(it, Tube):
            if not rounds or rounds[-1].reports:
                rounds.append(_Round())
            rounds[-1].tubes.append(it)
        elif not rounds:
            orphans.append(it)
        elif isinstance(it.event.deed, Report):
            rounds[-1].reports.append(it)
        else:
            rounds[-1].receipts.append(it)
    return rounds, orphans


def _orphan(barcode: str, kept: Kept, tubes: list[Tube]) -> Conflict:
    if tubes and isinstance(kept.event.deed, Report):
        return Conflict("result-before-sampling", barcode, "", kept.event.id)
    return Conflict("unknown-tube", barcode, "", kept.event.id)


def _reported(number: int, it: _Round, found: list[Conflict]) -> list[Tube]:
    """The tubes of a round with what laboratories said."""
    contested = len(it.tubes) > 1
    done: list[Tube] = []
    for begun in it.tubes:
        tube = replace(begun, round=number, contested=contested)
        if contested:
            found.append(Conflict("tube-at-two-stations", tube.barcode, tube.id))
        if number > 1 and tube.number == 1:
            found.append(Conflict("tube-reused", tube.barcode, tube.id))
        tube = _with_receipt(tube, it.receipts, found)
        if it.reports:
            tube = _with_reports(tube, it.reports, found)
        done.append(tube)
    return done


def _with_receipt(tube: Tube, receipts: list[Kept], found: list[Conflict]) -> Tube:
    """A receipt of another batch is another tube's, where the barcode is contested."""
    for kept in receipts:
        deed = kept.event.deed
        if not isinstance(deed, Receive) or tube.received_ms:
            continue
        if tube.contested and tube.batch and deed.batch != tube.batch:
            continue
        tube = _moved(tube, tube.state, "receive", found)
        tube = replace(tube, received_ms=kept.time_ms, laboratory=deed.laboratory, batch=tube.batch or deed.batch)
    return tube


def _with_reports(tube: Tube, reports: list[Kept], found: list[Conflict]) -> Tube:
    told = [it.event.deed for it in reports if isinstance(it.event.deed, Report)]
    heard_ms = min(it.merged_ms for it in reports)
    values = sorted({it.result for it in told})
    if len(values) > 1:
        found.append(Conflict("contradicting-results", tube.barcode, tube.id, " ".join(values)))
    tube = _moved(tube, tube.state, "report", found)
    tested = told[0].tested_ms
    for it in tube.members:
        if it.at_ms > tested:
            found.append(Conflict("sample-after-result", tube.barcode, tube.id, it.event))
        elif it.merged_ms > heard_ms:
            found.append(Conflict("late-after-result", tube.barcode, tube.id, it.event))
    laboratory = tube.laboratory or told[0].laboratory
    result = values[0] if len(values) == 1 else "contradicting"
    return replace(tube, result=result, reported_ms=tested, laboratory=laboratory)


def _decided(tube: Tube, deeds: list[Kept], within: dict[str, str], found: list[Conflict]) -> Tube:
    """A tube with what people at the centre did with it, in the order of time."""
    for kept in deeds:
        deed = kept.event.deed
        if not isinstance(deed, Settle | Recall) or within.get(deed.of) != tube.id:
            continue
        if isinstance(deed, Settle):
            tube = replace(_moved(tube, tube.state, "settle", found), result=deed.result, settled=True)
        else:
            tube = replace(_moved(tube, tube.state, "recall", found), recalled_ms=kept.time_ms)
    return tube
