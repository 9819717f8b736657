"""What a transaction makes of batches: which scans are new, when they happened, what their codes prove. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from hutong.codes.people.day_keys import day_of
from hutong.codes.scans.copies import Sighting, copy_of
from hutong.codes.scans.model import Answer, CopyFound, Kept, Merged, Refusal, Scanned
from hutong.codes.scans.ranges import Ranges
from hutong.codes.scans.times import ahead_of, timed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from hutong.codes.scans.model import Batch, Copy, Scan, Source
    from hutong.kernel.districts import Districts

#: Gaps in a device's numbers; whoever has more must send the older scans first.
MOST_GAPS: Final = 500
#: Sightings of one single code that are compared with each other; a code that is seen more often is a copy anyway.
MOST_SIGHTINGS: Final = 32


class Row(NamedTuple):
    """A new scan: as it is kept, and the id of the single code ("" where it is not to be found by it)."""

    kept: Kept
    code: str


class SourceState:
    """What is known of a device's store, and becomes known."""

    def __init__(self, ranges: Ranges | None, ahead_ms: int) -> None:
        self.is_new = ranges is None
        self.ranges, self.ahead_ms, self.wrong = ranges or Ranges(), ahead_ms, False


class Merging:
    """One transaction's work.

    Args:
        known: ranges and clock of the devices that were heard of. districts_of: of the venues that there are.
        districts: distances. since_ms: from when on scans are kept. now_ms: the centre's clock.
    """

    def __init__(
        self,
        known: Mapping[Source, tuple[Ranges, int]],
        districts_of: Mapping[str, str],
        districts: Districts,
        since_ms: int,
        now_ms: int,
    ) -> None:
        self.sources = {source: SourceState(*state) for source, state in known.items()}
        self.districts_of, self._districts = dict(districts_of), districts
        self._since_ms, self.now_ms = since_ms, now_ms
        self.rows: list[Row] = []
        self.copies: list[CopyFound] = []
        self._answers: list[Answer] = []
        self._seen: dict[str, list[Kept]] = {}

    def take(self, batch: Batch) -> None:
        """Take a batch: every scan is taken, was known, is over, or is refused with its reason."""
        state = self.sources.setdefault(batch.source, SourceState(None, 0))
        state.ahead_ms = ahead_of(batch.clock_ms, self.now_ms, state.ahead_ms, live=batch.live)
        taken, again, over, wrong, refused = [], 0, 0, [], []
        for scan in batch.scans:
            refusal = self._refusal(scan, state)
            if refusal is not None:
                refused.append(refusal)
                continue
            taken.append(scan.sequence)
            if not state.ranges.add(scan.sequence):
                again += 1
                continue
            when = timed(scan.at_ms, state.ahead_ms, self.now_ms, self._since_ms)
            if when.over:
                over += 1
                continue
            if when.clock == "wrong":
                wrong.append(scan.sequence)
            fields = (scan.who, scan.venue, when.at_ms, scan.at_ms, when.clock, scan.mode, scan.verdict, scan.serial)
            # A time that is not known proves nothing about a code.
            self.rows.append(Row(Kept(*fields), "" if when.clock == "wrong" else scan.code))
        state.wrong |= bool(wrong)
        self._answers.append(
            Answer(batch.source, tuple(taken), again, over, tuple(wrong), tuple(refused), state.ahead_ms)
        )

    def _refusal(self, scan: Scan, state: SourceState) -> Refusal | None:
        if scan.sequence in state.ranges:
            return None
        if scan.venue not in self.districts_of:
            return Refusal(scan.sequence, "no-venue", "There is no such venue here.")
        if len(state.ranges) >= MOST_GAPS and scan.sequence - 1 not in state.ranges:
            return Refusal(scan.sequence, "gaps", "Too many scans before it are missing; send those first.")
        return None

    def by_day(self) -> dict[int, list[Row]]:
        """New scans by their days."""
        days: dict[int, list[Row]] = {}
        for row in self.rows:
            days.setdefault(day_of(row.kept.at_ms), []).append(row)
        return days

    # Copies

    def know(self, code: str, kept: Kept) -> None:
        """A sighting of a code that is on record already."""
        self._seen.setdefault(code, []).append(kept)

    def unknown_venues(self) -> set[str]:
        """Venues of known sightings whose district is not here yet."""
        return {kept.venue for seen in self._seen.values() for kept in seen} - self.districts_of.keys()

    def judge_copies(self) -> list[tuple[str, CopyFound]]:
        """Hold each new sighting against all that came before: code and finding, each kind of a code once."""
        found: dict[tuple[str, Copy, int], tuple[str, CopyFound]] = {}
        for place, row in enumerate(self.rows):
            if not row.code:
                continue
            seen = self._seen.setdefault(row.code, [])
            for copy in self._copies(row.kept, seen):
                found.setdefault((row.code, copy.kind, day_of(copy.at_ms[1])), (row.code, copy))
            if len(seen) < MOST_SIGHTINGS:
                seen.append(row.kept)
            else:
                self.rows[place] = Row(row.kept, "")
        return list(found.values())

    def _copies(self, kept: Kept, seen: Iterable[Kept]) -> Iterator[CopyFound]:
        for other in seen:
            first, last = sorted((kept, other), key=lambda it: (it.at_ms, it.venue))
            kind = copy_of(self._sighting(first), self._sighting(last), self._districts)
            if kind is not None:
                yield CopyFound(kind, kept.who, (first.venue, last.venue), (first.at_ms, last.at_ms))

    def _sighting(self, kept: Kept) -> Sighting:
        return Sighting(kept.venue, self.districts_of.get(kept.venue, ""), kept.at_ms)

    def merged(self) -> Merged:
        """What came of it."""
        scanned = tuple(
            Scanned(it.venue, self.districts_of[it.venue], it.mode, it.verdict, it.at_ms)
            for it in (row.kept for row in self.rows)
        )
        return Merged(tuple(self._answers), scanned, tuple(self.copies))
