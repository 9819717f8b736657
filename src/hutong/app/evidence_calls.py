"""Calls for evidence packs: what the calls system has of some numbers, in the words of the orders system."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hutong.calls.explain import Verdicts, told
from hutong.calls.list_targets import written
from hutong.calls.outcomes import decode_outcome
from hutong.kernel.audit.checkpoints import Checkpoints, trail_key
from hutong.kernel.errors import JournalError
from hutong.kernel.lists.csv_file import show_time
from hutong.kernel.numbering import Numbering
from hutong.kernel.reporter import rfc3339_ms
from hutong.orders.evidence.gathering import EvidenceDesk, Turns
from hutong.orders.evidence.material import CallMaterial

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.app.config import Config
    from hutong.calls.index import VerdictIndex
    from hutong.calls.model import Verdict
    from hutong.calls.outcomes import Outcome
    from hutong.calls.stories.stories import Stories
    from hutong.kernel.cases.store import Cases
    from hutong.kernel.lists.entries import Entry
    from hutong.kernel.lists.store import ListStore
    from hutong.kernel.records import Database
    from hutong.orders.store import Orders

#: Verdicts of one number, the newest; one that has more says so.
MOST: Final = 5_000


class CallEvidence:
    """Calls of a data folder.

    Args:
        data: the data folder. index, stories, lists: of it; the lists are open.
        numbering: shows numbers as this node does.
    """

    def __init__(
        self, data: Path, index: VerdictIndex, stories: Stories, lists: ListStore, numbering: Numbering
    ) -> None:
        self._index, self._stories = index, stories
        self._lists, self._numbering = lists, numbering
        self._verdicts = Verdicts(data)

    def material(self, keys: tuple[int, ...], since_ms: int, until_ms: int) -> CallMaterial:
        """Calls of these numbers in a period, with everything that they were judged with."""
        seqs: set[int] = set()
        cut: dict[str, int] = {}
        for key in keys:
            found = self._index.by_number(key, since_ms=max(since_ms, 0), until_ms=until_ms, limit=MOST + 1)
            if len(found) > MOST:
                cut[self._numbering.show(key)] = MOST
            seqs |= set(found[:MOST])
        rules: dict[str, dict[str, Any]] = {}
        entries: dict[int, Entry] = {it.id: it for key in keys for it in self._lists.matching(key)}
        calls = []
        for verdict in self._verdicts.of_rows(self._index.read(sorted(seqs))):
            calls.append(self._call(verdict, rules))
            for number in verdict.lists:
                if number and number not in entries and (entry := self._lists.entry(number)) is not None:
                    entries[number] = entry
        shown = [self._entry(entries[number]) for number in sorted(entries)]
        windows = {self._numbering.show(key): self._windows(key, since_ms, until_ms) for key in keys}
        return CallMaterial(calls, rules, shown, windows, cut)

    def _call(self, verdict: Verdict, rules: dict[str, dict[str, Any]]) -> dict[str, Any]:
        story = self._verdicts.explain(verdict)
        said: dict[str, Any] = msgspec.to_builtins(told(story, earlier=[], outcome=self._outcome(verdict)))
        said["time"], said["time_ms"] = rfc3339_ms(verdict.time_ms), verdict.time_ms
        said["rule"] = next((f"{it.id}@{it.version}" for it in story.fired if it.decided), "")
        said.pop("earlier")
        ruleset = self._verdicts.ruleset(verdict.ruleset)
        for shown, (place, values) in zip(said["rules"], verdict.fired, strict=False):
            if ruleset is not None:
                rule, names = ruleset.rules[place], ruleset.vocabulary.features
                features = ruleset.features_of(place)
                shown["values"] = {names[at].name: value for at, value in zip(features, values, strict=False)}
                rules.setdefault(f"{rule.id}@{rule.version}", msgspec.to_builtins(rule))
        return said

    def _outcome(self, verdict: Verdict) -> Outcome | None:
        """The last word of what became of a call. By the index: the journal would be searched whole for each call."""
        found = []
        for row in self._index.read(self._index.outcomes_by_call_id(verdict.call_id)):
            with suppress(JournalError):
                found.append(decode_outcome(row.seq, row.body))
        return max((it for it in found if it.verdict_seq == verdict.seq), key=lambda it: it.seq, default=None)

    def _entry(self, entry: Entry) -> dict[str, Any]:
        kept: dict[str, Any] = msgspec.to_builtins(entry)
        times = {name: show_time(kept[name]) for name in ("created", "expires", "removed")}
        return kept | times | {"target": written(entry, self._numbering)}

    def _windows(self, key: int, since_ms: int, until_ms: int) -> dict[str, Any]:
        story = self._stories.number(key, until_ms, min(until_ms - since_ms, 7 * 86_400_000))
        return {"moments_ms": story.moments_ms, "values": story.windows, "now": story.now}


def evidence_desk(  # what a pack is gathered from, one argument each
    config: Config,
    database: Database,
    orders: Orders,
    cases: Cases,
    index: VerdictIndex,
    stories: Stories,
    lists: ListStore,
    turns: Turns,
) -> EvidenceDesk:
    """Where a node's packs are made; everything is opened by whoever made it, `turns` are one for a process."""
    calls = CallEvidence(config.data, index, stories, lists, Numbering(config.calls.home_area))
    signer = trail_key(config.data, config.node.name)
    return EvidenceDesk(database, orders, cases, calls, Checkpoints(database, config.data, signer), signer, turns)
