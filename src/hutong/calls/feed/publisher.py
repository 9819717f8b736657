"""From the journal to a topic: every verdict of this node, whichever way its call came, at least once and in order.

The place moves on when the log of messages has what was sent, so a kill repeats one turn's verdicts at most, under the
same ids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from hutong.calls.explain import Verdicts
from hutong.calls.feed.events import Fired, Source, VerdictEvent, message_id
from hutong.calls.feed.places import fed_in
from hutong.calls.feed.port import Letter
from hutong.calls.record import KIND_VERDICT
from hutong.kernel.errors import JournalError
from hutong.kernel.journal import FileJournal
from hutong.kernel.journal.frames import records_of
from hutong.kernel.numbering import digits_of
from hutong.kernel.reporter import mask_number, masked, rfc3339_ms

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hutong.calls.feed.port import Outlet
    from hutong.calls.model import Verdict
    from hutong.kernel.access.refs import Refs
    from hutong.kernel.journal import Frame

#: Records looked at in one turn, about.
AT_ONCE: Final = 2048
_FILE: Final = "feed-published"
_MOST_WAYS: Final = 20_000
_MOST_PARTIES: Final = 50_000


class _Way(NamedTuple):
    """What calls that were judged alike are told alike."""

    reason: dict[str, str]
    rules: tuple[Fired, ...]


class _Party(NamedTuple):
    """A number as it is shown, and its pseudonym."""

    shown: str
    ref: str


class VerdictPublisher:
    """Publishes verdicts; a polling object without a thread.

    Args:
        data: the data folder. node: this node's name. outlet: where to. topic: its name there.
        refs: pseudonyms of numbers. whole: whether numbers are sent whole; masked otherwise.
    """

    def __init__(self, data: Path, node: str, outlet: Outlet, topic: str, refs: Refs, *, whole: bool) -> None:
        self._journal, self._verdicts = FileJournal(data / "journal"), Verdicts(data)
        self._node, self._outlet, self._topic, self._refs, self._whole = node, outlet, topic, refs, whole
        self._ways: dict[tuple[object, ...], _Way] = {}
        self._parties: dict[int, _Party] = {}
        self._file = data / "run" / _FILE
        self._place = self._read()

    def _read(self) -> int:
        try:
            text = self._file.read_text(encoding="ascii").strip()
        except OSError:
            return 0
        return int(text) if text.isdecimal() else 0

    def behind(self) -> int:
        """Records of the journal that were not looked at yet."""
        return max(self._journal.last_seq - self._place, 0)

    def run(self) -> tuple[int, int]:
        """Publish one turn's worth; gives how many records were looked at and how many verdicts were sent.

        Raises:
            FeedError: the log of messages does not take them; the next call sends them again.
            OSError: the place cannot be kept; likewise.
        """
        before = self._place
        place = before
        letters: list[Letter] = []
        for frame in self._journal.read_frames(before + 1, skip_corrupt=True):
            letters += self._letters(frame, before)
            place = frame.next_seq - 1
            if place - before >= AT_ONCE:
                break
        if place == before:
            if self._journal.last_seq < before:
                self._keep(0)  # a journal begun anew: none of it was published
            return 0, 0
        if letters:
            self._outlet.send(letters)
        self._keep(place)
        return place - before, len(letters)

    def _keep(self, seq: int) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{seq}\n", encoding="ascii")
        fresh.replace(self._file)
        self._place = seq

    def _letters(self, frame: Frame, after: int) -> Iterator[Letter]:
        sources = [Source(it.topic, it.partition, offset) for it in fed_in(frame) for offset in it.offsets]
        told = 0
        try:
            for record in records_of(frame):
                if record.kind != KIND_VERDICT:
                    continue
                source = sources[told] if told < len(sources) else None
                told += 1
                if record.seq > after:
                    yield self._letter(self._verdicts.decoded(record.seq, record.body), source)
        except (ValueError, JournalError):
            return  # a record of another version: what can be read was sent

    def _letter(self, verdict: Verdict, source: Source | None) -> Letter:
        caller, callee = self._party(verdict.caller_key), self._party(verdict.callee_key)
        way = self._way(verdict)
        event = VerdictEvent(
            id=message_id(*msgspec.structs.astuple(source)) if source else f"{self._node}/{verdict.seq}",
            node=self._node,
            seq=verdict.seq,
            time=rfc3339_ms(verdict.time_ms),
            source=source,
            call_id=verdict.call_id if self._whole else masked(verdict.call_id),
            caller=caller.shown,
            callee=callee.shown,
            caller_ref=caller.ref,
            callee_ref=callee.ref,
            trunk=verdict.trunk,
            action=verdict.action,
            code=verdict.code,
            reason=way.reason,
            rules=way.rules,
            flags=verdict.flags,
        )
        # What has one caller goes to one partition, and the key tells no more than the message.
        key = (caller.shown if self._whole else caller.ref).encode()
        return Letter(self._topic, key, msgspec.json.encode(event), (("hutong-id", event.id.encode()),))

    def _way(self, verdict: Verdict) -> _Way:
        """What is said of calls that were judged alike, worked out once: calls of one kind come by the thousand."""
        fired = tuple(index for index, _ in verdict.fired)
        key = (verdict.ruleset, verdict.lists, verdict.action, verdict.code, verdict.rule, fired, verdict.flags)
        way = self._ways.get(key)
        if way is None:
            story = self._verdicts.explain(verdict, values=False)
            reason = {lang: masked(text) for lang, text in story.reason.items()}
            way = _Way(reason, tuple(Fired(it.id, it.decided) for it in story.fired))
            if len(self._ways) >= _MOST_WAYS:
                self._ways.clear()
            self._ways[key] = way
        return way

    def _party(self, key: int) -> _Party:
        party = self._parties.get(key)
        if party is None:
            digits = digits_of(key)
            party = _Party(digits if self._whole else mask_number(digits), self._refs.ref(key))
            if len(self._parties) >= _MOST_PARTIES:
                self._parties.clear()
            self._parties[key] = party
        return party
