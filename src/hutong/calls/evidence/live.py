"""Live false positives, known after the fact: calls of rightful numbers that a rule warned about or blocked.

Who knows rightful numbers is the port `Rightful`; here are its sources, the allow list and files in DATA/labels. What
follows from a drift is `watch`: the rule goes to observe, by no person.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import numpy as np

from hutong.calls.evidence.desk import HUTONG, Actor
from hutong.calls.evidence.drift import Drift, Step, drift_of
from hutong.calls.evidence.labels import LEGITIMATE, read_labels
from hutong.calls.model import ACTION_WARN, ACTIONS
from hutong.calls.own_calls import judges_display
from hutong.kernel.lists.entries import LISTS, ROLES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from hutong.calls.evidence.desk import PromotionDesk
    from hutong.calls.history import History
    from hutong.calls.index import VerdictIndex
    from hutong.calls.index.part import Part
    from hutong.calls.rule_book import Book
    from hutong.kernel.lists.store import ListStore
    from hutong.kernel.numbering import Numbering
    from hutong.kernel.rules.ruleset import Rule
    from hutong.kernel.rules.stages import StageChange

LABELS: Final = "labels"
_HOUR_MS: Final = 3_600_000
_HOUR_MINUTES: Final = 60
_EVERYTHING: Final = 1 << 62
_ALLOW: Final = LISTS.index("allow")
_NUMBER: Final = 0
_CALLEE: Final = ROLES.index("callee")
_MARKED_MS: Final = 7 * 24 * _HOUR_MS


class Rightful(Protocol):
    """Somebody who knows rightful callers."""

    def keys(self) -> set[int]:
        """Their number keys."""


class AllowList:
    """Numbers that a person put on the allow list.

    Args:
        store: the lists.
    """

    def __init__(self, store: ListStore) -> None:
        self._store = store

    def keys(self) -> set[int]:
        """See `Rightful.keys`."""
        self._store.open()
        found: set[int] = set()
        with self._store.snapshot() as snapshot:
            for rows in snapshot.chunks:
                wanted = (rows["list"] == _ALLOW) & (rows["kind"] == _NUMBER) & (rows["role"] != _CALLEE)
                for number in rows["id"][np.flatnonzero(wanted)].tolist():
                    entry = self._store.entry(number)
                    if entry is not None and not entry.who.startswith(HUTONG):
                        found.add(entry.key)
        return found


class LabelFiles:
    """Numbers that files in DATA/labels call legitimate: what complaints and inquiries came to.

    Args:
        folder: with files in the layout of `labels`; may be missing.
        numbering: reads numbers.
    """

    def __init__(self, folder: Path, numbering: Numbering) -> None:
        self._folder, self._numbering = folder, numbering

    def keys(self) -> set[int]:
        """See `Rightful.keys`.

        Raises:
            LabelError: a file cannot be used.
        """
        found: set[int] = set()
        for path in sorted(self._folder.glob("*.csv")):
            labels = read_labels(path, self._numbering)
            found.update(labels.keys[labels.kinds == LEGITIMATE].tolist())
        return found


class Acting(NamedTuple):
    """A rule that touches people, and since when it has done so (ms since 1970 UTC; 0 where that is not known)."""

    rule: Rule
    since_ms: int


def acting(book: Book) -> list[Acting]:
    """Rules in force that warn or block by what numbers do.

    That a number is rightful says nothing about calls of others that show it: whoever shows it ten times would demote
    the very rule that refuses them.
    """
    since = {(change.rule, change.version): change.time_ms for change in book.changes}
    return [
        Acting(rule, since.get((rule.id, rule.version), 0))
        for place, rule in enumerate(book.ruleset.rules)
        if rule.level > 0 and not judges_display(book.ruleset, place)
    ]


def drifted(changes: Sequence[StageChange], now_ms: int) -> dict[str, StageChange]:
    """Rules that were demoted by no person within a week, and not moved since; by id."""
    last = {change.rule: change for change in changes}
    return {it.rule: it for it in last.values() if it.by == HUTONG and now_ms - it.time_ms < _MARKED_MS}


class LiveHits:
    """Calls of rightful numbers that rules acted on, by rule and hour.

    Args:
        index: finds verdicts.
    """

    def __init__(self, index: VerdictIndex) -> None:
        self._index = index

    def find(self, rules: Mapping[str, int], rightful: Collection[int]) -> tuple[dict[str, dict[int, int]], int]:
        """How many there are by rule and hour since 1970, and the oldest verdict's time (ms; 0 where there is none).

        Args:
            rules: ids, and since when each has acted (ms since 1970 UTC).
            rightful: number keys.

        Raises:
            SidecarError: a part of the index proved damaged; it is right the next time.
        """
        wanted = np.array(sorted(rightful), dtype=np.int64)
        found: dict[str, dict[int, int]] = {rule: defaultdict(int) for rule in rules}
        oldest: list[int] = []

        def take(part: Part, rows: slice) -> None:
            if part.head.verdicts:
                oldest.append(part.head.oldest_ms)
            for place, rule in enumerate(self._index.rule_ids(part)):
                if rule in found:
                    fired = part.fired(place)
                    fired = fired[(fired >= rows.start) & (fired < rows.stop)]
                    action = part.column("action")[fired]
                    acted = (action >= ACTION_WARN) & (action < len(ACTIONS))
                    acted &= np.isin(part.column("caller")[fired], wanted)
                    time_ms = part.column("time")[fired[acted]]
                    for hour in (time_ms[time_ms >= rules[rule]] // _HOUR_MS).tolist():
                        found[rule][hour] += 1

        self._index.rows_after(0, _EVERYTHING, take)
        return found, min(oldest, default=0)


class DriftWatch:
    """Demotes rules whose live false positives have drifted.

    Args:
        promotion: moves rules; knows the limits.
        hits: what rules did to rightful numbers.
        history: how many calls there were.
        rightful: who knows such numbers.
    """

    def __init__(
        self, promotion: PromotionDesk, hits: LiveHits, history: History, rightful: Sequence[Rightful]
    ) -> None:
        self._promotion, self._hits, self._history, self._rightful = promotion, hits, history, rightful

    def run(self, book: Book, now_ms: int) -> list[str]:
        """Look at every rule that acts; gives the ids of those that were demoted.

        Raises:
            HutongError: labels, lists, records or the index cannot be read; nothing is demoted then.
        """
        rules = acting(book)
        rightful = {key for source in self._rightful for key in source.keys()}  # noqa: SIM118  # no dictionaries
        if not rules or not rightful:
            return []
        hits, oldest_ms = self._hits.find({it.rule.id: it.since_ms for it in rules}, rightful)
        demoted = []
        for it in rules:
            wrong = hits[it.rule.id]
            if not wrong:
                continue
            limit = self._promotion.limits.of(it.rule.stage)
            drift = drift_of(self._steps(wrong, max(it.since_ms, oldest_ms), now_ms), limit)
            if drift.drifted:
                actor = Actor(HUTONG, HUTONG, "local")
                self._promotion.demote(actor, it.rule.id, "observe", words_of(drift, limit), now_ms)
                demoted.append(it.rule.id)
        return demoted

    def _steps(self, wrong: dict[int, int], since_ms: int, now_ms: int) -> list[Step]:
        since_ms = since_ms // _HOUR_MS * _HOUR_MS
        series = self._history.many("action", ("pass", "warn", "block"), since_ms, now_ms, _HOUR_MINUTES)
        return [
            Step(points[0].at_ms, sum(it.attempts for it in points), wrong.get(points[0].at_ms // _HOUR_MS, 0))
            for points in zip(*series.values(), strict=True)
        ]


def words_of(drift: Drift, limit: float) -> str:
    """The figures that a demotion rests on."""
    share = drift.wrong / max(drift.calls, 1) * 1e6
    return (
        f"实际误伤超限 / live false positives drifted: {drift.wrong:,} / {drift.calls:,} "
        f"({share:,.1f} per million, limit {limit:g}; CUSUM {drift.total:.1f} ≥ {drift.alarm:.1f})"
    )
