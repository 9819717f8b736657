"""What people and programs do with tubes at the centre, each deed with its line in the trail.

Belongs here: who may do it (by the table of actions), the event that it makes, what the trail says. Not here: what the
rules allow (`machine`), and how it is asked for.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import msgspec

from hutong.kernel.decisions import check_permission
from hutong.sampling import machine
from hutong.sampling.errors import SamplingRefused
from hutong.sampling.identity import masked_person
from hutong.sampling.model import Event, HandOver, Recall, Receive, Settle, event_id
from hutong.sampling.results_csv import take_in
from hutong.sampling.store import Taking
from hutong.sampling.table import MOVES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hutong.kernel.access.trail import Trail
    from hutong.kernel.records import Database
    from hutong.sampling.emergency.model import Actor
    from hutong.sampling.emergency.store import Emergencies
    from hutong.sampling.identity import Identities, IdentityKind
    from hutong.sampling.model import Deed, Result, Tube
    from hutong.sampling.query import BatchRow, PersonResult
    from hutong.sampling.results_csv import Imported
    from hutong.sampling.store import Sampling

_RANDOM_BYTES: Final = 8
_PERSON: Final = "sampling.person"
_RESULTS: Final = "sampling.results"


class Received(msgspec.Struct, frozen=True):
    """What became of a batch at the laboratory: the batch after it, what was refused, tubes that did not come."""

    batch: BatchRow
    refused: tuple[tuple[str, SamplingRefused], ...]
    missing: tuple[str, ...]


class SamplingDesk:
    """Sampling for those who work at the centre.

    Args:
        database: opened by whoever made it. node: the beginning of new ids. zone: IANA name, of times that name none.
        identities: turns what somebody shows into a pseudonym; made when it is first asked.
        comers: the same of whoever registers, whose code must be good now; None = as `identities`.
    """

    def __init__(
        self,
        database: Database,
        sampling: Sampling,
        emergencies: Emergencies,
        trail: Trail,
        identities: Callable[[], Identities],
        node: str,
        zone: str,
        comers: Callable[[], Identities] | None = None,
    ) -> None:
        self._database, self.sampling, self.emergencies, self.trail = database, sampling, emergencies, trail
        self.identities, self.comers = identities, comers or identities
        self._node, self._zone = node, ZoneInfo(zone)

    def do(self, deed: Deed, actor: Actor, now_ms: int, why: str = "", tube: str = "") -> None:
        """One deed; `tube`: the id of the tube, for the trail.

        Raises:
            SamplingRefused: says why not.
        """
        event = self._event(deed, actor, now_ms)
        said: dict[str, Any] = {"of": deed.of} if isinstance(deed, Settle | Recall) else {}
        if isinstance(deed, Settle):
            said |= {"result": deed.result}
        with self._database.write():
            self.sampling.do(event, now_ms)
            name = f"sampling.{event.action.replace('-', '_')}"
            target = tube or deed.tube
            self.trail.record(actor.name, actor.address, name, target, after=said or None, purpose=why, now_ms=now_ms)

    def _event(self, deed: Deed, actor: Actor, now_ms: int) -> Event:
        move = MOVES[deed.__struct_config__.tag]  # type: ignore[index]  # tags are the actions
        check_permission(move.who, actor, SamplingRefused)
        of = event_id(self._node, 0, os.urandom(_RANDOM_BYTES))
        return Event(id=of, station=self._node, at_ms=now_ms, by=actor.name, deed=deed)

    def find(self, tube: str) -> Tube:
        """The tube of a barcode, or of an id where a barcode has several. Raises SamplingRefused."""
        tubes = self.sampling.story(tube.partition("@")[0]).tubes
        found = [it for it in tubes if tube in {it.id, it.barcode}]
        if not found:
            raise SamplingRefused("no-tube", f"There is no tube {tube[:60]!r}.", fix="Check the barcode.")
        if len(found) > 1:
            ids = ", ".join(it.id for it in found)
            raise SamplingRefused(
                "at-another-station", "The barcode stands for several tubes.", fix=f"Say which: {ids}."
            )
        return found[0]

    def recall(self, tube: str, reason: str, actor: Actor, now_ms: int) -> Tube:
        """Call the people of a tube for single tests. Raises SamplingRefused."""
        found = self.find(tube)
        self.do(Recall(tube=found.barcode, of=found.known_by, reason=reason), actor, now_ms, reason, found.id)
        return found

    def settle(self, tube: str, result: Result, reason: str, actor: Actor, now_ms: int) -> Tube:
        """Decide what holds of a tube. Raises SamplingRefused."""
        found = self.find(tube)
        deed = Settle(tube=found.barcode, of=found.known_by, result=result, reason=reason)
        self.do(deed, actor, now_ms, reason, found.id)
        return found

    def receive(self, batch: str, tubes: Sequence[str], laboratory: str, actor: Actor, now_ms: int) -> Received:
        """Tubes of a batch are at the laboratory; all that are known where none is named. Raises SamplingRefused."""
        check_permission(_RESULTS, actor, SamplingRefused)
        if not laboratory.strip():
            raise SamplingRefused("field", "It needs the laboratory.", where="laboratory")
        refused = []
        known = [it.barcode for it in self.sampling.batch_tubes(batch) if not it.received_ms]
        for tube in tubes or known:
            try:
                self.do(Receive(tube=tube, batch=batch, laboratory=laboratory), actor, now_ms)
            except SamplingRefused as error:
                refused.append((tube, error))
        found = self.sampling.batch(batch)
        if found is None:
            raise SamplingRefused("no-tube", f"There is no batch {batch[:40]!r}.", where="batch")
        missing = tuple(it.id for it in self.sampling.batch_tubes(batch) if not it.received_ms)
        return Received(found, tuple(refused), missing)

    def hand_over(self, batch: str, tubes: Sequence[str], courier: str, actor: Actor, now_ms: int) -> BatchRow:
        """Tubes of the centre's own go to the courier: all of them, or none. Raises SamplingRefused."""
        deeds = [HandOver(tube=it, batch=batch, expected=len(tubes), courier=courier) for it in tubes]
        wanted = [Taking(self._event(it, actor, now_ms)) for it in deeds]
        # One group, whose barcodes are held at once and in order; the trail last, because everybody waits for that.
        with self._database.write():
            for tube, done in zip(tubes, self.sampling.take(wanted, now_ms), strict=True):
                done.check(tube)
            for tube in tubes:
                self.trail.record(actor.name, actor.address, "sampling.hand_over", tube, now_ms=now_ms)
        found = self.sampling.batch(batch)
        if found is None:
            raise SamplingRefused("no-tube", "A batch has at least one tube.", where="tubes")
        return found

    def results(self, content: bytes, laboratory: str, name: str, actor: Actor, now_ms: int) -> Imported:
        """Take a laboratory's file in, row by row. Raises SamplingError: nothing of it can be read."""
        check_permission(_RESULTS, actor, SamplingRefused)
        try:
            machine.check_station(laboratory, "")
        except SamplingRefused as wrong:
            raise SamplingRefused("field", wrong.what, where="laboratory_code") from wrong
        done = take_in(self.sampling, content, laboratory, self._zone, now_ms)
        said = {"taken": done.taken, "again": done.again, "refused": done.refused, "laboratory": laboratory}
        self.trail.record(actor.name, actor.address, _RESULTS, name, after=said, now_ms=now_ms)
        return done

    def person(
        self, kind: IdentityKind, text: str, purpose: str, actor: Actor, now_ms: int
    ) -> tuple[str, list[PersonResult]]:
        """A person, masked, and their results; on the trail first. Raises SamplingRefused."""
        check_permission(_PERSON, actor, SamplingRefused)
        if not purpose.strip():
            raise SamplingRefused("field", "It needs a purpose.", where="purpose")
        found = self.identities().person(kind, text)
        shown = masked_person(found)
        self.trail.record(actor.name, actor.address, _PERSON, shown, purpose=purpose, now_ms=now_ms)
        return shown, self.sampling.results_of(found)
