"""Look-ups: who was at a venue, where a person was. Only under an order, and on the trail before anything is answered.

Three steps, each durable before the next: the look-up is on the trail and counted; it is carried out; whoever it found
has a notice. So nobody sees an answer that the trail does not know of, or of which the people in it will not be told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from hutong.codes.people.day_keys import day_of
from hutong.codes.scans import metrics
from hutong.codes.scans.errors import ScanRefused
from hutong.codes.scans.lookup_model import LookupAnswer
from hutong.kernel.access.trail import Trail
from hutong.kernel.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hutong.codes.scans.lookup_model import LookupGround, Scope, Seeker
    from hutong.codes.scans.model import Found
    from hutong.codes.scans.notices import Notices
    from hutong.codes.scans.store import Scans
    from hutong.kernel.records import Database

_DEED: Final = "scans.lookup"


class DayNames(Protocol):
    """What a person's codes show: given by whoever issues codes."""

    def names(self, person: str, day: int) -> Iterable[bytes]:
        """The pseudonyms (12 bytes) that the person's codes may have shown on a day: that of the day itself first."""


class LookupDesk:
    """Where look-ups are asked.

    Args:
        database: opened by whoever made it. scans, notices: the records. ground: where orders are kept.
        people: from a person to the pseudonyms of days. figures: counts look-ups.
    """

    def __init__(
        self,
        database: Database,
        scans: Scans,
        ground: LookupGround,
        notices: Notices,
        people: DayNames,
        figures: Metrics | None = None,
    ) -> None:
        self._database, self._scans, self._ground = database, scans, ground
        self._figures = figures or Metrics()
        self._notices, self._people = notices, people
        self._trail = Trail(database)

    def look_up(self, order: str, wanted: Scope, seeker: Seeker, purpose: str, now_ms: int) -> LookupAnswer:
        """Look something up.

        Args:
            wanted: within the order's scope. purpose: what for, in the seeker's words.

        Raises:
            ScanRefused: says why not; the trail has it, too. KeyGoneError: keys are not here.
        """
        try:
            with self._database.write() as connection:
                ground = self._ground.use(connection, order, wanted, seeker, now_ms)
                self._tell(_DEED, ground.order, seeker, wanted, purpose, now_ms)
            found = self._carried_out(wanted, now_ms)
        except ScanRefused as refused:
            self._tell(f"{_DEED}_refused", order, seeker, wanted, purpose, now_ms, reason=refused.reason)
            self._figures.add(metrics.LOOKUPS, outcome="refused")
            raise
        with self._database.write() as connection:
            self._notices.leave(connection, self._concerned(wanted, found), ground, self._scans.rule(now_ms), now_ms)
            self._ground.answered(connection, ground.order, len(found))
            self._tell(f"{_DEED}_answer", ground.order, seeker, wanted, "", now_ms, found=len(found))
        self._figures.add(metrics.LOOKUPS, outcome="answered")
        return LookupAnswer(ground.order, wanted, tuple(found), self._scans.rule(now_ms).since_ms(now_ms))

    def _carried_out(self, wanted: Scope, now_ms: int) -> list[Found]:
        if wanted.kind == "venue":
            return self._scans.at_venue(wanted.about, wanted.since_ms, wanted.until_ms, now_ms)
        names = self._people.names
        return self._scans.of_person(lambda day: names(wanted.about, day), wanted.since_ms, wanted.until_ms, now_ms)

    def _concerned(self, wanted: Scope, found: list[Found]) -> set[tuple[int, bytes]]:
        """Days and pseudonyms of those who are to be told; who was asked about is, even where nothing was found."""
        if wanted.kind == "venue":
            return {(day_of(it.kept.at_ms), bytes.fromhex(it.kept.who)) for it in found if it.kept.who}
        days = range(day_of(wanted.since_ms), day_of(wanted.until_ms - 1) + 1)
        return {(day, next(iter(self._people.names(wanted.about, day)))) for day in days}

    def _tell(
        self, deed: str, order: str, seeker: Seeker, wanted: Scope, purpose: str, now_ms: int, **more: object
    ) -> None:
        """Put a look-up on the trail; a person is known there by the order alone."""
        shown = {"kind": wanted.kind, "since_ms": wanted.since_ms, "until_ms": wanted.until_ms} | more
        shown |= {"venue": wanted.about[:100]} if wanted.kind == "venue" else {}
        self._trail.record(seeker.name, seeker.address, deed, order[:100], after=shown, purpose=purpose, now_ms=now_ms)
