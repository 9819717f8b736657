"""What is handed over, to whom it is told, and what came of it. Values only; times are ms since 1970, money in yuan."""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

import msgspec
from msgspec import Meta

from hutong.kernel.errors import Refused

Answer = Literal["accepted", "reached", "not-reached"]
ANSWERS: Final[tuple[Answer, ...]] = get_args(Answer)
#: Answers that end a hand-off.
FINAL: Final[frozenset[str]] = frozenset({"reached", "not-reached"})
LARGEST: Final = 10**12
LONGEST_NOTE: Final = 1000


class HandoffRefused(Refused[Literal["no-handoff", "note", "over"]]):
    """An answer that cannot be taken; nothing was changed."""


class Victim(msgspec.Struct, frozen=True):
    """A person who is worked on, as an alert says.

    Attributes:
        id: the alert's, for ever. seq: its place among the alerts. callee, caller: number keys.
        condition: id of the alert's condition. title: its title.
        answered: whether they talk. talk_s: for how long so far.
        callers: different flagged callers of the last hour, where the condition looked at that.
    """

    id: str
    seq: int
    time_ms: int
    callee: int
    caller: int
    condition: str
    title: dict[str, str]
    answered: bool
    talk_s: float
    callers: int = 0


class Told(msgspec.Struct, frozen=True):
    """What the desk is told; numbers are whole.

    Attributes:
        id: the hand-off's, the same for every repetition. time: RFC 3339, of the alert.
        number: of the person, E.164 with +. caller: of the flagged caller.
        why: in both languages. condition: its id. answered, talk_s: of the call that the alert is about.
        case: its id. answer_to: path of the API that takes the outcome.
    """

    id: str
    node: str
    time: str
    number: str
    caller: str
    why: dict[str, str]
    condition: str
    answered: bool
    talk_s: float
    callers: int
    city: str
    operator: str
    case: str
    answer_to: str


class Outcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """劝阻结果 / What became of a hand-off: accepted by the desk, and whether the person was reached."""

    answer: Annotated[Answer, Meta(description="已接收、已劝阻、未联系上 / taken by the desk, reached, not reached")]
    saved: Annotated[
        int, Meta(ge=0, le=LARGEST, description="止损金额(元) / money that was kept from being lost, yuan")
    ] = 0
    lost: Annotated[int, Meta(ge=0, le=LARGEST, description="已损失金额(元) / money already lost, yuan")] = 0
    note: Annotated[str, Meta(max_length=LONGEST_NOTE, description="备注 / remark")] = ""


class Handoff(msgspec.Struct, frozen=True):
    """A hand-off as it stands.

    Attributes:
        number: reference of the person's number; empty once forgotten. city, operator: of the number.
        victim: what was known. alerts: how many alerts there were about the person since.
        next_ms: when it is to be brought again; None once the desk has it. tries, trouble: of bringing it.
        answer: "" while there is none; answered_by: the account. saved, lost: yuan.
    """

    id: str
    number: str
    city: str
    operator: str
    condition: str
    victim: Victim
    case: str
    found_ms: int
    alerts: int
    next_ms: int | None
    tries: int
    trouble: str
    delivered_ms: int | None
    answer: str
    answered_ms: int | None
    answered_by: str
    saved: int
    lost: int
    note: str

    @property
    def state(self) -> str:
        """The answer; before there is one "delivered", "refused" or "waiting"."""
        if self.answer:
            return self.answer
        if self.delivered_ms is not None:
            return "delivered"
        return "refused" if self.next_ms is None else "waiting"
