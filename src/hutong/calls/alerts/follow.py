"""Following the journal for alerts and taking them into their table. Run by `work`; the journal is the truth.

The reader goes on from its place in the journal after any stop, so nothing is missed. Who is told of alerts elsewhere
is `alerts.sinks`' business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from hutong.calls.alerts.conditions import OWN_ALERTS, SETS
from hutong.calls.alerts.record import KIND_ALERT, PHASES, Alert, decode_alert, find_alerts
from hutong.calls.alerts.table import AlertRow, row_of
from hutong.calls.explain import Verdicts
from hutong.calls.record import KIND_VERDICT
from hutong.kernel.errors import HutongError
from hutong.kernel.journal import FileJournal
from hutong.kernel.rules.ruleset import load_saved

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hutong.calls.alerts.table import AlertTable
    from hutong.calls.model import Verdict
    from hutong.kernel.journal import Frame
    from hutong.kernel.rules.ruleset import Ruleset

#: Records (of any kind) that are read at a turn.
AT_ONCE = 20_000
_RECORD_HEADER = 8
_RAISED = PHASES[1]
_MOST_SETS = 64


class Change(msgspec.Struct, frozen=True):
    """Something about alerts in the journal: a record of theirs, or `lost`: every call was lost from sight.

    `seq` is the record's number, `time_ms` when it was written.
    """

    seq: int
    time_ms: int
    alert: Alert | None

    @property
    def raised(self) -> Alert | None:
        """The alert, where it is a new one."""
        return self.alert if self.alert is not None and self.alert.phase == _RAISED else None


class AlertReader:
    """Reads the journal for changes of alerts; one thread uses it.

    Args:
        data: the data folder.
    """

    def __init__(self, data: Path) -> None:
        self._journal = FileJournal(data / "journal")
        self._verdicts = Verdicts(data)
        self._sets_folder = data / OWN_ALERTS / SETS
        self._sets: dict[str, Ruleset | None] = {}
        self._found = np.zeros((1024, 2), dtype=np.int64)

    def read(self, after: int, most: int = AT_ONCE) -> tuple[list[Change], int]:
        """Changes after a record, and the last record that was looked at.

        Args:
            after: a journal sequence number; 0 = from the oldest record that is kept.
            most: how many records to look at, about.
        """
        changes: list[Change] = []
        place = after
        for frame in self._journal.read_frames(after + 1, skip_corrupt=True):
            changes += self._changes(frame, after)
            place = frame.next_seq - 1
            if place - after >= most:
                break
        return changes, place

    def _changes(self, frame: Frame, after: int) -> Iterator[Change]:
        words = np.frombuffer(frame.payload, dtype=np.int64)
        skip = max(after + 1 - frame.first_seq, 0)
        while True:
            count = find_alerts(words, words.view(np.uint16), skip, self._found)
            for start, number in self._found[:count].tolist():
                alert = self._decoded(frame, start, frame.first_seq + number)
                if alert is not None:
                    yield alert
            if count < len(self._found):
                return
            skip = int(self._found[count - 1, 1]) + 1

    def _decoded(self, frame: Frame, start: int, seq: int) -> Change | None:
        header = frame.payload[start : start + _RECORD_HEADER]
        length, kind = int.from_bytes(header[:4], "little"), int.from_bytes(header[4:6], "little")
        if kind != KIND_ALERT:
            return Change(seq, frame.wall_ns // 1_000_000, None)
        try:
            alert = decode_alert(seq, frame.payload[start + _RECORD_HEADER : start + length])
        except HutongError:
            return None
        return Change(seq, alert.time_ms, alert)

    def verdict_of(self, alert: Alert) -> Verdict | None:
        """The call's verdict; None where it is not kept any more."""
        record = self._journal.record(alert.verdict_seq)
        if record is None or record.kind != KIND_VERDICT:
            return None
        try:
            return self._verdicts.decoded(record.seq, record.body)
        except HutongError:
            return None

    def row(self, alert: Alert) -> AlertRow:
        """A raised alert with what else is known of it."""
        verdict = self.verdict_of(alert)
        return row_of(alert, "" if verdict is None else verdict.call_id, self.figures(alert))

    def figures(self, alert: Alert) -> dict[str, float | str | bool]:
        """What the condition read, by name, in the words of its vocabulary; empty where the set was not kept."""
        ruleset = self._set(alert.conditions)
        rule = None if ruleset is None else ruleset.index(alert.rule)
        if ruleset is None or rule is None:
            return {}
        figures: dict[str, float | str | bool] = {}
        for place, value in zip(ruleset.features_of(rule), alert.values, strict=False):
            feature = ruleset.vocabulary.features[place]
            if feature.kind == "flag":
                figures[feature.name] = bool(value)
            elif feature.kind == "enum" and not ruleset.vocabulary.enumeration(place).open:
                figures[feature.name] = ruleset.vocabulary.value_text(place, value)
            elif feature.name == "trunk.name":
                figures[feature.name] = alert.trunk
            else:
                figures[feature.name] = round(value, 3)
        return figures

    def _set(self, digest: str) -> Ruleset | None:
        if digest not in self._sets:
            if len(self._sets) >= _MOST_SETS:
                self._sets.clear()
            try:
                self._sets[digest] = load_saved(self._sets_folder, digest)
            except HutongError:
                self._sets[digest] = None
        return self._sets[digest]


def fill_table(reader: AlertReader, table: AlertTable) -> tuple[int, list[Change]]:
    """Take into the table what the journal holds beyond it, one turn's worth at most.

    Returns:
        How many records were looked at, and the changes among them.
    """
    before = table.place()
    changes, place = reader.read(before)
    if place != before:
        table.take([_taken(reader, change) for change in changes], place)
    return place - before, changes


def _taken(reader: AlertReader, change: Change) -> AlertRow | Alert | tuple[int, int]:
    if change.alert is None:
        return change.seq, change.time_ms
    return change.alert if change.raised is None else reader.row(change.alert)
