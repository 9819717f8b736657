"""Orders and their events as values, and how events make an order. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import msgspec

from hutong.kernel.cases import model as cases
from hutong.kernel.lists.entries import Entry  # noqa: TC001  # msgspec reads the annotation

if TYPE_CHECKING:
    from collections.abc import Iterable

Kind = Literal["block", "unblock", "limit"]
Role = Literal["caller", "callee", "any"]
State = Literal["requested", "approved", "in-force", "declined", "withdrawn", "lifted", "expired"]
Action = Literal[
    "request",
    "approve",
    "decline",
    "withdraw",
    "lift",
    "begin",
    "place",
    "acknowledge",
    "supersede",
    "notice",
    "expire",
    "clear",
]
Effect = Literal["none", "pending", "placing", "placed", "clearing", "cleared"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
ROLES: Final[tuple[Role, ...]] = get_args(Role)
STATES: Final[tuple[State, ...]] = get_args(State)
#: States in which an order has its effect, or will have it without anybody's doing.
STANDING: Final[tuple[State, ...]] = ("approved", "in-force")
#: States in which something may still become of it.
OPEN_STATES: Final[tuple[State, ...]] = ("requested", *STANDING)


#: Who asks; the same for cases and orders.
Actor = cases.Actor

#: What nobody's role allows.
KEEPING: Final = "orders.keeping"
#: What runs by itself: it begins, acknowledges, expires and clears.
KEEPER: Final = Actor("hutong", frozenset({KEEPING}))
#: What the source of an order's list entry begins with.
SOURCE: Final = "order:"


class Wish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody asks for.

    Attributes:
        target: a number, prefix or range, as `lists.read_target` reads it. role: whose number it is in a call.
        agency: the issuing agency; document: the number of its document.
        basis: ids of legal bases (`bases`); basis_text: further words, needed where a basis asks for them.
        begins_ms: ms since 1970; 0 = with the approval. term_s: seconds from then on.
        per_hour: of a limit, the calls that may be made in an hour; 0 for other kinds.
        confirmed: the requester knows that the scope is protected, or wide.
        case: id of the case that it belongs to.
    """

    kind: Kind
    target: str
    role: Role = "caller"
    agency: str
    document: str
    basis: tuple[str, ...]
    basis_text: str = ""
    reason: str
    begins_ms: int = 0
    term_s: int
    per_hour: int = 0
    confirmed: bool = False
    case: str = ""


class Deed(msgspec.Struct, frozen=True):
    """What somebody does with an order that is there.

    Attributes:
        reason: why; the order or the person behind a change of the lists for what the keeper notices.
        confirmed: the approver, too, knows that the scope is protected, or wide.
        who: of what the keeper notices, who changed the lists.
        entry, change: of what was placed: the list entry's id, and the number of the last change of the lists (of a
            limit: of the marks).
        former: the entry whose place is taken.
        delay_ms: from the approval, or the beginning, to the acknowledgement.
    """

    action: Action
    reason: str = ""
    confirmed: bool = False
    who: str = ""
    entry: int = 0
    change: int = 0
    former: Entry | None = None
    delay_ms: int = 0


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order as its events have made it. Times are ms since 1970 UTC, 0 where there is none.

    Attributes:
        target: the scope's kind: number, prefix or range; key, last: its number keys as in `lists.Entry`.
        guarded: why the scope needs explicit confirmation: "" or one of `protection.GUARDS`.
        starts_ms, ends_ms: known from the approval on.
        effect: what the lists or marks have of it. entry: the id of its list entry.
        change: of the lists (of a limit, the marks), with which it was placed. former: the entry whose place it took.
        delay_ms: from the approval, or the beginning, until it was in force in the screening process.
        ended_by, ended_why: who ended it, and why.
    """

    id: str
    kind: Kind
    target: str
    key: int
    last: int = 0
    role: Role
    agency: str
    document: str
    basis: tuple[str, ...]
    basis_text: str = ""
    reason: str
    begins_ms: int = 0
    term_s: int
    per_hour: int = 0
    guarded: str = ""
    case: str = ""
    state: State
    requested_by: str
    requested_ms: int
    decided_by: str = ""
    decided_ms: int = 0
    starts_ms: int = 0
    ends_ms: int = 0
    effect: Effect = "none"
    entry: int = 0
    change: int = 0
    former: Entry | None = None
    in_force_ms: int = 0
    delay_ms: int = 0
    ended_ms: int = 0
    ended_by: str = ""
    ended_why: str = ""
    changed_ms: int
    version: int

    @property
    def source(self) -> str:
        """The source of its list entry."""
        return f"{SOURCE}{self.id}"

    @property
    def list(self) -> str:
        """The list that it acts through; empty for a limit, which acts through a mark."""
        return {"block": "block", "unblock": "allow", "limit": ""}[self.kind]

    @property
    def is_standing(self) -> bool:
        """Whether it has its effect, or will have it without anybody's doing."""
        return self.state in STANDING


class OrderEvent(msgspec.Struct, frozen=True):
    """Something that happened to an order.

    Attributes:
        seq: from 1; the version that it made. said: the wish or deed as plain values. changes: fields as they became.
    """

    order: str
    seq: int
    time_ms: int
    who: str
    action: Action
    said: dict[str, Any]
    changes: dict[str, Any]


_OWN: Final = {"version", "changed_ms"}


def changes_of(before: Order | None, after: Order) -> dict[str, Any]:
    """The fields that differ, as plain values; of a new order all."""
    new: dict[str, Any] = msgspec.to_builtins(after)
    old: dict[str, Any] = {} if before is None else msgspec.to_builtins(before)
    return {name: it for name, it in new.items() if name not in _OWN and (name not in old or old[name] != it)}


def fold(order: Order | None, event: OrderEvent) -> Order:
    """The order after an event; the first event makes it."""
    before = {} if order is None else msgspec.to_builtins(order)
    return msgspec.convert(before | event.changes | {"version": event.seq, "changed_ms": event.time_ms}, Order)


def fold_all(events: Iterable[OrderEvent]) -> Order | None:
    """The order that all its events make; None where there are none."""
    order = None
    for event in events:
        order = fold(order, event)
    return order
