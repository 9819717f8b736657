"""Counts what a replay says, batch by batch, in memory bounded by the numbers that were hit or are labelled.

Arrays in, `model` values out; no file, no rule text, no number in clear.
"""

from __future__ import annotations

import zoneinfo
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from hutong.calls.evidence import intervals
from hutong.calls.evidence.labels import FRAUD, LEGITIMATE, UNLABELLED
from hutong.calls.evidence.model import PROTECTED, ClassHits, Count, Day, Hits, Overlap
from hutong.calls.model import ACTION_WARN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hutong.calls.evidence.model import Rate
    from hutong.calls.replay.batch import Judged
    from hutong.kernel.rules.ruleset import Ruleset

_MERGED_AT: Final = 1 << 20
_HOUR_MS: Final = 3_600_000
_KINDS: Final = (UNLABELLED, LEGITIMATE, FRAUD)


class Tally:
    """Calls by number; memory grows with the numbers only."""

    def __init__(self) -> None:
        self._keys = np.zeros(0, dtype=np.int64)
        self._counts = np.zeros(0, dtype=np.int64)
        self._waiting: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        self._rows = 0

    def add(self, keys: NDArray[np.int64]) -> None:
        """Count a call for each of these."""
        if len(keys):
            self._waiting.append(np.unique(keys, return_counts=True))
            self._rows += len(self._waiting[-1][0])
            if self._rows >= _MERGED_AT:
                self._merge()

    def _merge(self) -> None:
        keys = np.concatenate([self._keys, *(it[0] for it in self._waiting)])
        counts = np.concatenate([self._counts, *(it[1] for it in self._waiting)])
        self._keys, place = np.unique(keys, return_inverse=True)
        self._counts = np.bincount(place, weights=counts, minlength=len(self._keys)).astype(np.int64)
        self._waiting, self._rows = [], 0

    def items(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Numbers, ascending, and the calls of each."""
        if self._waiting:
            self._merge()
        return self._keys, self._counts

    @property
    def count(self) -> Count:
        """Calls and numbers."""
        keys, counts = self.items()
        return Count(int(counts.sum()), len(keys))


class Seen(NamedTuple):
    """A batch beside its judgement.

    Attributes:
        start_ms: int64[n]. callers: int64[n], keys.
        kinds, classes: int8[n], int16[n], of the calls. sheltered: bool[n], the callee is of a protected class.
    """

    start_ms: NDArray[np.int64]
    callers: NDArray[np.int64]
    kinds: NDArray[np.int8]
    classes: NDArray[np.int16]
    sheltered: NDArray[np.bool_]


class _Group:
    """Calls of one kind of hit: by label, class and number."""

    def __init__(self) -> None:
        self.tallies: defaultdict[tuple[int, int], Tally] = defaultdict(Tally)

    def add(self, callers: NDArray[np.int64], kinds: NDArray[np.int8], classes: NDArray[np.int16]) -> None:
        for kind in _KINDS:
            of_kind = kinds == kind
            for class_ in np.unique(classes[of_kind]).tolist():
                self.tallies[kind, class_].add(callers[of_kind & (classes == class_)])

    def count(self, *kinds: int) -> Count:
        return _sum([tally.count for (kind, _), tally in self.tallies.items() if kind in kinds])

    def hits(self, exempt: int = 0) -> Hits:
        return Hits(self.count(*_KINDS), self.count(FRAUD), self.count(LEGITIMATE), self.count(UNLABELLED), exempt)


class _Line:
    """What is counted of one rule, or of all tested ones together."""

    def __init__(self) -> None:
        self.hit, self.added, self.protected = _Group(), _Group(), Tally()
        self.exempt = 0
        self.days: defaultdict[tuple[str, int], int] = defaultdict(int)

    def add(
        self, seen: Seen, days: list[str], hit: NDArray[np.bool_], others: NDArray[np.bool_], shelter: list[int]
    ) -> None:
        callers, kinds, classes = seen.callers[hit], seen.kinds[hit], seen.classes[hit]
        self.hit.add(callers, kinds, classes)
        alone = ~others[hit]
        self.added.add(callers[alone], kinds[alone], classes[alone])
        wrong = (kinds == LEGITIMATE) & (np.isin(classes, shelter) | seen.sheltered[hit])
        self.protected.add(callers[wrong])
        for day, kind in zip([days[at] for at in np.flatnonzero(hit).tolist()], kinds.tolist(), strict=True):
            self.days[day, kind] += 1


class Figures:
    """Counts a backtest.

    Args:
        ruleset: what judged: tested rules at their own action, others in their stage.
        tested: places of the tested rules.
        names: names of the labels' classes.
        time_zone: IANA name; days are local.
    """

    def __init__(self, ruleset: Ruleset, tested: Sequence[int], names: Sequence[str], time_zone: str) -> None:
        self._tested, self._names = list(tested), names
        self._shelter = [at for at, name in enumerate(names) if name in PROTECTED]
        self._count = len(ruleset.rules)
        self._acts = ruleset.levels > 0
        self._standing = self._acts & ~np.isin(np.arange(self._count), self._tested)
        self._zone = zoneinfo.ZoneInfo(time_zone)
        self._hours: dict[int, str] = {}
        self._all = _Group()
        self._lines = {at: _Line() for at in (*self._tested, -1)}
        self._fired = np.zeros((self._count, self._count), dtype=np.int64)
        self.first_ms, self.last_ms, self.calls = 0, 0, 0

    def add(self, seen: Seen, judged: Judged) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Count a batch; gives the places of the calls that a tested rule hit, and which rules hit each of them."""
        self._all.add(seen.callers, seen.kinds, seen.classes)
        self.first_ms = min(self.first_ms or int(seen.start_ms.min()), int(seen.start_ms.min()))
        self.last_ms = max(self.last_ms, int(seen.start_ms.max()))
        self.calls += len(seen.start_ms)
        rows = np.flatnonzero(judged.fired.any(axis=1))
        fired = bits_of(judged.fired[rows], self._count)
        some = Seen(seen.start_ms[rows], seen.callers[rows], seen.kinds[rows], seen.classes[rows], seen.sheltered[rows])
        # Fired, with an effect, and passed nevertheless: an allow list or the nature of the callee forbade it.
        exempt = (judged.action[rows] < ACTION_WARN) & (fired & self._acts).any(axis=1)
        hits = fired & ~(exempt[:, None] & self._acts)
        self._fired += (hits.T.astype(np.float64) @ hits.astype(np.float64)).astype(np.int64)
        days = self._days(some.start_ms)
        others = np.any(hits & self._standing, axis=1)
        for at in self._tested:
            self._lines[at].exempt += int((fired[:, at] & ~hits[:, at]).sum())
            self._lines[at].add(some, days, hits[:, at], others, self._shelter)
        whole = np.any(hits[:, self._tested], axis=1)
        acting = [at for at in self._tested if self._acts[at]]
        self._lines[-1].exempt += int((exempt & fired[:, acting].any(axis=1)).sum())
        self._lines[-1].add(some, days, whole, others, self._shelter)
        return rows[whole], hits[whole]

    def _days(self, start_ms: NDArray[np.int64]) -> list[str]:
        days = []
        for hour in (start_ms // _HOUR_MS).tolist():
            if hour not in self._hours:
                moment = datetime.fromtimestamp(hour * _HOUR_MS / 1000, UTC).astimezone(self._zone)
                self._hours[hour] = moment.date().isoformat()
            days.append(self._hours[hour])
        return days

    # Results; `at` is a rule's place, or -1 for all tested ones together

    def total(self, *kinds: int) -> Count:
        """Calls and callers of all that was judged."""
        return self._all.count(*kinds)

    def hits(self, at: int) -> Hits:
        """What was hit."""
        return self._lines[at].hit.hits(self._lines[at].exempt)

    def adds(self, at: int) -> Hits:
        """What no other rule in force would have acted on."""
        return self._lines[at].added.hits()

    def protected(self, at: int) -> Count:
        """Legitimate calls hit of, or to, a protected class."""
        return self._lines[at].protected.count

    def rate(self, at: int) -> Rate:
        """False positives."""
        keys, calls = _joined(self._all, LEGITIMATE)
        hit_keys, hit_calls = _joined(self._lines[at].hit, LEGITIMATE)
        hits = np.zeros(len(keys), dtype=np.int64)
        hits[np.searchsorted(keys, hit_keys)] = hit_calls
        return intervals.rate(hits, calls)

    def confirmed(self, at: int) -> float | None:
        """Share of the reported numbers that called and were hit."""
        of = self.total(FRAUD).numbers
        return self._lines[at].hit.count(FRAUD).numbers / of if of else None

    def classes(self, at: int) -> tuple[ClassHits, ...]:
        """By class: protected ones first, whether hit or not, then by calls hit."""
        found = []
        hit = self._lines[at].hit.tallies
        known = {*self._all.tallies, *((LEGITIMATE, place) for place in self._shelter)}
        for kind, class_ in known:
            if kind == UNLABELLED:
                continue
            name = self._names[class_]
            of = self._all.tallies[kind, class_].count if (kind, class_) in self._all.tallies else Count()
            mine = hit[kind, class_].count if (kind, class_) in hit else Count()
            found.append(ClassHits(name, kind == FRAUD, name in PROTECTED and kind == LEGITIMATE, mine, of))
        named = {it.name for it in found if it.protected}
        found += [
            ClassHits(name, fraud=False, protected=True, hit=Count(), of=Count())
            for name in PROTECTED
            if name not in named
        ]
        return tuple(sorted(found, key=lambda it: (not it.protected, it.fraud, -it.hit.calls, it.name)))

    def days(self, at: int) -> tuple[Day, ...]:
        """By local day; days without a hit between the first and the last call stand as noughts."""
        counted = self._lines[at].days
        hours = np.arange(self.first_ms // _HOUR_MS, self.last_ms // _HOUR_MS + 1, dtype=np.int64)
        days = sorted(set(self._days(hours * _HOUR_MS)))
        return tuple(
            Day(
                day=day,
                calls=sum(counted.get((day, kind), 0) for kind in _KINDS),
                fraud=counted.get((day, FRAUD), 0),
                legitimate=counted.get((day, LEGITIMATE), 0),
            )
            for day in days
        )

    def overlap(self, at: int, rules: Sequence[str]) -> tuple[Overlap, ...]:
        """Rules that hit the same calls, most alike first."""
        mine = int(self._fired[at, at])
        found = []
        for other in range(self._count):
            both = int(self._fired[at, other])
            if other != at and both:
                either = mine + int(self._fired[other, other]) - both
                found.append(Overlap(rules[other], both, mine - both, both / either))
        return tuple(sorted(found, key=lambda it: (-it.jaccard, it.rule)))


def bits_of(fired: NDArray[np.uint64], rules: int) -> NDArray[np.bool_]:
    """Words of fired bits as bool[n, rules]."""
    octets = np.ascontiguousarray(fired).astype("<u8").view(np.uint8)
    return np.unpackbits(octets.reshape(len(fired), -1), axis=1, bitorder="little")[:, :rules].astype(bool)


def _sum(counts: Sequence[Count]) -> Count:
    return Count(sum(it.calls for it in counts), sum(it.numbers for it in counts))


def _joined(group: _Group, kind: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers and calls of a kind, whatever their class: a number whose calls have labels of their own may have two."""
    parts = [tally.items() for (of, _), tally in group.tallies.items() if of == kind]
    if not parts:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    keys, place = np.unique(np.concatenate([it[0] for it in parts]), return_inverse=True)
    counts = np.bincount(place, weights=np.concatenate([it[1] for it in parts]), minlength=len(keys))
    return keys, counts.astype(np.int64)
