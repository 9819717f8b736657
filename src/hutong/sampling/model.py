"""Tubes, people in them, and what happens to them, as values. Pure.

Times are ms since 1970 UTC, 0 where there is none. `person` is an opaque pseudonym of lower-case hex; of somebody who
showed a code away from the centre, `BY_CODE` and the code's handle until it is known whose it is.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

import msgspec

Result = Literal["negative", "positive", "inconclusive", "invalid"]
#: Of a tube: a laboratory's result, or that results contradict each other.
Finding = Literal["", "negative", "positive", "inconclusive", "invalid", "contradicting"]
#: What a person is told: come again for a single test (retest), be sampled again (again), nothing is certain (held).
Told = Literal["", "negative", "positive", "retest", "again", "held"]
State = Literal["open", "sealed", "in-transit", "received", "reported", "recalled"]
BatchState = Literal["in-transit", "partly-received", "received"]
Action = Literal["register", "seal", "hand-over", "receive", "report", "settle", "recall"]

RESULTS: Final[tuple[Result, ...]] = get_args(Result)
STATES: Final[tuple[State, ...]] = get_args(State)
ACTIONS: Final[tuple[Action, ...]] = get_args(Action)
SIZES: Final = (1, 5, 10, 20)
#: Before the handle of a code whose person is not known yet.
BY_CODE: Final = "code:"
#: What may be asked of a person beside who it is.
FIELDS: Final = ("contact", "residence", "occupation")

RESULT_TITLES: Final[dict[str, dict[str, str]]] = {
    "": {"zh": "未出结果", "en": "no result yet"},
    "negative": {"zh": "阴性", "en": "negative"},
    "positive": {"zh": "阳性", "en": "positive"},
    "inconclusive": {"zh": "可疑", "en": "inconclusive"},
    "invalid": {"zh": "无效", "en": "invalid"},
    "contradicting": {"zh": "结果矛盾", "en": "contradicting results"},
}
TOLD_TITLES: Final[dict[Told, dict[str, str]]] = {
    "": {"zh": "等待结果", "en": "waiting for the result"},
    "negative": {"zh": "阴性", "en": "negative"},
    "positive": {"zh": "阳性", "en": "positive"},
    "retest": {"zh": "请单采复核", "en": "come for a single test"},
    "again": {"zh": "请重新采样", "en": "be sampled again"},
    "held": {"zh": "结果待核实", "en": "the result is being checked"},
}


class Register(msgspec.Struct, frozen=True, kw_only=True, tag="register", omit_defaults=True):
    """Somebody's swab goes into a tube.

    Attributes:
        size: how many people the tube is for. district: where, as a code of an administrative division.
        retest: this is the single test of somebody who was recalled.
        fields: what was asked beside, of `FIELDS`.
    """

    tube: str
    size: int
    person: str
    district: str = ""
    retest: bool = False
    fields: dict[str, str] = {}


class Seal(msgspec.Struct, frozen=True, kw_only=True, tag="seal", omit_defaults=True):
    """A tube is closed; `people` is how many the station counted in it."""

    tube: str
    people: int


class HandOver(msgspec.Struct, frozen=True, kw_only=True, tag="hand-over", omit_defaults=True):
    """A tube goes to the courier as one of `expected` tubes of a batch."""

    tube: str
    batch: str
    expected: int
    courier: str


class Receive(msgspec.Struct, frozen=True, kw_only=True, tag="receive", omit_defaults=True):
    """A tube is at the laboratory."""

    tube: str
    batch: str
    laboratory: str


class Report(msgspec.Struct, frozen=True, kw_only=True, tag="report", omit_defaults=True):
    """A laboratory's result of a tube, by the tube's barcode alone."""

    tube: str
    result: Result
    tested_ms: int
    laboratory: str = ""


class Settle(msgspec.Struct, frozen=True, kw_only=True, tag="settle", omit_defaults=True):
    """A person decides what holds of one tube where results or stations contradict each other.

    `of`: the id of an event of that tube (`Tube.known_by`). The tube's own id may become another's when more is merged.
    """

    tube: str
    of: str
    result: Result
    reason: str


class Recall(msgspec.Struct, frozen=True, kw_only=True, tag="recall", omit_defaults=True):
    """The people of one tube are called for single tests; `of` as in `Settle`."""

    tube: str
    of: str
    reason: str = ""


Deed = Register | Seal | HandOver | Receive | Report | Settle | Recall


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened to a tube.

    Attributes:
        id: see `event_id`; made where it happened, so that whatever comes twice counts once.
        station: where: a station, a laboratory or the node. sequence: from 1 at a station; 0 elsewhere.
        at_ms: by the clock there. by: who did it.
    """

    id: str
    station: str
    sequence: int = 0
    at_ms: int
    by: str = ""
    deed: Deed

    @property
    def action(self) -> Action:
        """What happened."""
        return self.deed.__struct_config__.tag  # type: ignore[return-value]  # tags are the actions


class Kept(msgspec.Struct, frozen=True):
    """An event at the centre.

    Attributes:
        offset_ms: by how much the clock of its station was behind the centre's when it was merged; 0 if unknown.
        merged_ms: when it came. person: of a registration by a code, whose it is, once that is known.
    """

    event: Event
    offset_ms: int = 0
    merged_ms: int = 0
    person: str = ""

    @property
    def time_ms(self) -> int:
        """When it happened, by the centre's clock; of a result, when it was tested."""
        deed = self.event.deed
        return deed.tested_ms if isinstance(deed, Report) else self.event.at_ms + self.offset_ms

    @property
    def handle(self) -> str:
        """Of a registration by a code of which nobody knows yet whose it is: the code's handle; else empty."""
        deed = self.event.deed
        return handle_of(deed.person) if isinstance(deed, Register) and not self.person else ""


class Member(msgspec.Struct, frozen=True):
    """A person whose sample is in a tube.

    Attributes:
        at_ms: when, by the centre's clock. said_ms: by the station's own. merged_ms: when the centre heard of it.
    """

    person: str
    event: str
    at_ms: int
    said_ms: int
    merged_ms: int = 0
    retest: bool = False


class Tube(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tube as its events have made it. One barcode at two stations is two tubes, until somebody shows otherwise.

    Attributes:
        number: of this barcode at this station, from 1. round: of this barcode; a result belongs to one round.
        counted: people that the seal counted. expected: tubes in its batch.
        result: of the round; or as settled. contested: another station used the barcode in the same round.
        settled: a person decided. reported_ms: of the first result, when it was tested.
        begun_by: the event that began it, where that was no registration.
    """

    barcode: str
    station: str
    number: int = 1
    round: int = 1
    district: str = ""
    size: int = 0
    state: State = "open"
    members: tuple[Member, ...] = ()
    opened_ms: int = 0
    sealed_ms: int = 0
    counted: int = 0
    batch: str = ""
    courier: str = ""
    expected: int = 0
    handed_ms: int = 0
    laboratory: str = ""
    received_ms: int = 0
    result: Finding = ""
    reported_ms: int = 0
    contested: bool = False
    settled: bool = False
    recalled_ms: int = 0
    begun_by: str = ""

    @property
    def id(self) -> str:
        """Barcode and station, and which of them where there are several: that may change as more is merged."""
        return f"{self.barcode}@{self.station}" + (f".{self.number}" if self.number > 1 else "")

    @property
    def known_by(self) -> str:
        """The id of an event of it, that names it whatever is merged later: somebody's swab, if there is one."""
        return self.members[0].event if self.members else self.begun_by

    @property
    def is_mixed(self) -> bool:
        """Whether a positive result does not yet say who."""
        return self.size > 1 or len(self.members) > 1 or (self.contested and not self.settled)

    @property
    def is_held(self) -> bool:
        """Whether its result is not certain enough to be told."""
        return not self.settled and (self.result == "contradicting" or (self.contested and self.result == "negative"))

    @property
    def calls_people(self) -> bool:
        """Whether its people must be tested singly."""
        return self.is_mixed and self.result in {"positive", "inconclusive", "contradicting"}


class Conflict(msgspec.Struct, frozen=True, order=True):
    """Events that do not fit: the rule of `conflicts.toml`, the barcode, the tube (its id, or ""), what about."""

    rule: str
    barcode: str
    tube: str = ""
    about: str = ""


class ResultReported(msgspec.Struct, frozen=True):
    """What a person is to be told of a tube from now on: given to whoever tells people, and to codes.

    What was said last of a person and a tube holds; "" takes back what was said before.
    """

    person: str
    tube: str
    result: Told
    at_ms: int


class Terms(msgspec.Struct, frozen=True):
    """How a district samples at present.

    Attributes:
        sizes: of tubes that may be used. fields: what is asked of people beside who they are.
        offline_first: stations keep locally first and merge when they can, whatever the network says.
        until_ms: 0 = until told otherwise. order: id of the emergency order that says so; "" = the settings do.
    """

    sizes: tuple[int, ...] = SIZES
    fields: tuple[str, ...] = ()
    offline_first: bool = False
    until_ms: int = 0
    order: str = ""


class Batch(msgspec.Struct, frozen=True):
    """What a station sends: any of its events, in any order, as often as it likes.

    Attributes:
        clock_ms: the station's clock when it was sent. live: it was sent just now, so that the clock can be measured.
        district: the station's. waiting: how many events it still has to send after these.
    """

    station: str
    clock_ms: int
    events: tuple[Event, ...]
    live: bool = True
    district: str = ""
    waiting: int = 0


class Refusal(msgspec.Struct, frozen=True):
    """An event that the centre does not take, and why; the station keeps it."""

    id: str
    reason: str
    what: str


class MergeAnswer(msgspec.Struct, frozen=True):
    """What became of a batch.

    Attributes:
        taken: ids of events that are durable at the centre, whether new or known. again: how many were known.
        offset_ms: by how much the station's clock is behind; 0 within the tolerance. terms: of its district now.
    """

    taken: tuple[str, ...]
    again: int = 0
    refused: tuple[Refusal, ...] = ()
    offset_ms: int = 0
    terms: Terms | None = None


def handle_of(person: str) -> str:
    """The handle of somebody who is known by a code alone; empty for everybody else."""
    handle = person.removeprefix(BY_CODE)
    return handle if handle != person else ""


def event_id(station: str, sequence: int, randomness: bytes) -> str:
    """The id of an event: station, sequence, and 8 random bytes, for a store that was lost counts from 1 again."""
    return f"{station}.{sequence}.{randomness.hex()}"


def told_of(tube: Tube, member: Member) -> Told:
    """What a person of a tube is told."""
    if not tube.result:
        return ""
    if tube.is_held:
        return "retest" if tube.calls_people else "held"
    if tube.result == "invalid" or (member.at_ms > tube.reported_ms and not tube.settled):
        return "again"
    if tube.result == "positive":
        return "retest" if tube.is_mixed else "positive"
    return "negative" if tube.result == "negative" else "retest"
