"""How what a station has reaches the centre: in batches over a wire, or as a file that somebody carries.

The centre takes any batch any number of times, so nothing here has to be exactly once: whatever was not answered is
sent again. A file is JSON lines: what the station is and its clock, the events, and last a digest of all before it. A
file that was cut gives the events that are whole.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from hutong.sampling.errors import SamplingError
from hutong.sampling.model import Batch, Event, MergeAnswer, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hutong.sampling.station.store import StationStore

AT_ONCE: Final = 500
_FORM: Final = "hutong-sampling-1"


class Centre(Protocol):
    """Where stations merge: the records themselves, or the node over HTTP."""

    def merge(self, batch: Batch, now_ms: int) -> MergeAnswer:
        """Take a batch; durable once this returns. Raises HutongError where it could not be taken."""


class Merged(msgspec.Struct, frozen=True):
    """What came of merging: events taken, of these known before, refused; by how much the clock was behind."""

    taken: int = 0
    again: int = 0
    refused: tuple[Refusal, ...] = ()
    offset_ms: int = 0
    cut: bool = False


class _Head(msgspec.Struct):
    form: str
    station: str
    district: str
    clock_ms: int


class _Tail(msgspec.Struct):
    sha256: str


def merge_all(
    store: StationStore, centre: Centre, station_ms: int, centre_ms: int, *, everything: bool = False
) -> Merged:
    """Give the centre what it has not taken yet, some at a time; what it answered is noted after each.

    Args:
        station_ms, centre_ms: the two clocks now. everything: also what it has taken.
    """
    about, after, done = store.about(), 0, Merged()
    while True:
        events = (store.events if everything else store.waiting)(AT_ONCE, after)
        if after and not events:
            return done
        # Asked even with nothing to give: the answer says how the district samples now.
        still = max(store.count_waiting() - len(events), 0)
        batch = Batch(about.name, station_ms, tuple(events), district=about.district, waiting=still)
        answer = centre.merge(batch, centre_ms)
        store.merged(answer.taken, answer.refused, answer.terms, station_ms)
        done = _added(done, answer)
        if not events:
            return done
        after = events[-1].sequence


def export_lines(store: StationStore, now_ms: int, *, everything: bool = False) -> Iterator[bytes]:
    """A file's lines."""
    about, after, digest = store.about(), 0, hashlib.sha256()
    head = msgspec.json.encode(_Head(_FORM, about.name, about.district, now_ms)) + b"\n"
    digest.update(head)
    yield head
    while events := (store.events if everything else store.waiting)(AT_ONCE, after):
        for event in events:
            line = msgspec.json.encode(event) + b"\n"
            digest.update(line)
            yield line
        after = events[-1].sequence
    yield msgspec.json.encode(_Tail(digest.hexdigest())) + b"\n"


def merge_lines(lines: Iterable[bytes], where: str, centre: Centre, now_ms: int) -> tuple[Merged, MergeAnswer]:
    """Give the centre a file; returns what came of it, and the answer that the station may be brought.

    Raises:
        SamplingError: this is no such file, or it was changed on the way: nothing of it was taken.
    """
    head, events, cut = read_lines(lines, where)
    done, taken, terms = Merged(cut=cut), list[str](), None
    for at in range(0, max(len(events), 1), AT_ONCE):
        part = tuple(events[at : at + AT_ONCE])
        still = max(len(events) - at - AT_ONCE, 0)
        batch = Batch(head.station, head.clock_ms, part, live=False, district=head.district, waiting=still)
        answer = centre.merge(batch, now_ms)
        done = _added(done, answer)
        taken += answer.taken
        terms = answer.terms
    return done, MergeAnswer(tuple(taken), done.again, done.refused, done.offset_ms, terms)


def read_lines(lines: Iterable[bytes], where: str) -> tuple[_Head, list[Event], bool]:
    """What a file says, and whether it was cut. Raises SamplingError as above."""
    head: _Head | None = None
    events: list[Event] = []
    digest = hashlib.sha256()
    for number, line in enumerate(lines, 1):
        try:
            if head is None:
                head = msgspec.json.decode(line, type=_Head)
                if head.form != _FORM:
                    raise SamplingError("This file is of another form.", where=f"{where}:1")
            elif line.startswith(b'{"sha256":'):
                if msgspec.json.decode(line, type=_Tail).sha256 != digest.hexdigest():
                    raise SamplingError("The file was changed.", where=f"{where}:{number}", fix="Export it again.")
                return head, events, False
            else:
                events.append(msgspec.json.decode(line, type=Event))
        except msgspec.MsgspecError as error:
            if head is None or line.endswith(b"\n"):
                raise SamplingError(
                    f"This is no line of a station's file: {error}.", where=f"{where}:{number}", fix="Export it again."
                ) from error
            break  # the last line, cut in the middle
        digest.update(line)
    if head is None:
        raise SamplingError("The file is empty.", where=where, fix="Export it again.")
    return head, events, True


def _added(done: Merged, answer: MergeAnswer) -> Merged:
    return msgspec.structs.replace(
        done,
        taken=done.taken + len(answer.taken),
        again=done.again + answer.again,
        refused=(*done.refused, *answer.refused),
        offset_ms=answer.offset_ms,
    )
