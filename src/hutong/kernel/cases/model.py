"""What a case is: its row, its events, what may be asked of it. Values only; times are ms since 1970, 0 = none.

An event holds what was said and the fields of the case that it changed, so the case is the fold of its events
(`fold`) and of nothing else. Ids and events of several nodes never clash: an id begins with its node's name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

State = Literal["found", "assigned", "accepted", "acted", "verified", "closed", "risk", "merged"]
STATES: Final[tuple[State, ...]] = get_args(State)
#: States in which somebody still has something to do.
OPEN_STATES: Final[tuple[State, ...]] = ("found", "assigned", "accepted", "acted", "verified", "risk")

Action = Literal[
    "find",
    "assign",
    "accept",
    "act",
    "verify",
    "close",
    "return",
    "transfer",
    "split",
    "merge",
    "reopen",
    "accept-risk",
    "end-risk",
    "amend",
    "attach",
    "comment",
    "supervise",
    "countersign",
    "decline",
    "absorb",
    "remind",
    "escalate",
]
ACTIONS: Final[tuple[Action, ...]] = get_args(Action)

ProofKind = Literal["attachment", "retest", "reference", "statement"]
PROOF_KINDS: Final[tuple[ProofKind, ...]] = get_args(ProofKind)
#: Kinds that show something; a statement only says it.
SHOWING: Final[frozenset[ProofKind]] = frozenset({"attachment", "retest", "reference"})

Value: TypeAlias = "str | int | float | bool"
Priority = Literal[1, 2, 3]


class Proof(msgspec.Struct, frozen=True):
    """What shows that something was done.

    Attributes:
        kind: "attachment" (ref: its SHA-256), "retest" (ref: the test; `passed`), "reference" (ref: an order, a verdict
            or a document elsewhere), "statement" (a text alone).
        note: what it shows.
    """

    kind: ProofKind
    ref: str = ""
    note: str = ""
    passed: bool = True


class Part(msgspec.Struct, frozen=True):
    """What a split makes of a case: a title, and fields that differ from the whole's."""

    title: str
    fields: dict[str, Value] = {}
    unit: str = ""


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody asks of a case.

    Attributes:
        reason: why; comments are reasons too.
        owner, unit: an account, and the operator or department whose it is.
        fields: new values; of `amend`.
        until_ms: the end of an accepted risk.
        parts: of `split`, two or more. into: the case that this one is merged into.
        attachment: SHA-256 of what is attached.
    """

    action: Action
    reason: str = ""
    owner: str = ""
    unit: str = ""
    proofs: tuple[Proof, ...] = ()
    fields: dict[str, Value] = {}
    until_ms: int = 0
    parts: tuple[Part, ...] = ()
    into: str = ""
    attachment: str = ""


class Finding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a new case begins with.

    Attributes:
        source: which part of the house found it, and by what, e.g. "calls.rules:calls.one-ring".
        register, item: the campaign register and its row's key, where it is of one.
    """

    type: str
    title: str
    fields: dict[str, Value] = {}
    priority: Priority = 2
    source: str = ""
    owner: str = ""
    unit: str = ""
    register: str = ""
    item: str | None = None
    parent: str = ""


class Pending(msgspec.Struct, frozen=True):
    """An action that waits for a second person."""

    request: Request
    who: str
    time_ms: int


class Case(msgspec.Struct, frozen=True):
    """A case as its events have made it.

    Attributes:
        due_ms: of the whole; kept for ever, also when the case is opened again. step_due_ms: of the present state.
        assumed: a due time rests on a year whose holidays nobody has announced.
        wake_ms: when the watch has to look at it. reminded_ms: the due time that was reminded of.
        level: how many steps of the chain supervise it (督办).
        proofs: given since it was found or last opened again, or the work was sent back.
        acted_by: who acted, for whoever verifies must be somebody else.
        risk_ms: how long risks have been accepted in all.
        version: number of its latest event.
    """

    id: str
    node: str
    type: str
    type_version: int
    title: str
    state: State
    found_ms: int
    changed_ms: int
    priority: Priority = 2
    fields: dict[str, Value] = {}
    source: str = ""
    owner: str = ""
    unit: str = ""
    register: str = ""
    item: str | None = None
    due_ms: int = 0
    step_due_ms: int = 0
    assumed: bool = False
    wake_ms: int = 0
    reminded_ms: int = 0
    closed_ms: int = 0
    level: int = 0
    returns: int = 0
    reopened: int = 0
    proofs: tuple[Proof, ...] = ()
    attachments: tuple[str, ...] = ()
    acted_by: str = ""
    pending: Pending | None = None
    risk_until_ms: int = 0
    risk_ms: int = 0
    parent: str = ""
    children: tuple[str, ...] = ()
    into: str = ""
    version: int = 0

    @property
    def is_open(self) -> bool:
        """Whether somebody still has something to do."""
        return self.state in OPEN_STATES

    @property
    def next_due_ms(self) -> int:
        """When something must be done next; 0 where nothing is awaited."""
        if self.state == "risk":
            return self.risk_until_ms
        if not self.is_open:
            return 0
        return min((it for it in (self.due_ms, self.step_due_ms) if it), default=0)


class CaseEvent(msgspec.Struct, frozen=True):
    """Something that happened to a case.

    Attributes:
        case: its id. seq: 1 for the first.
        who: account, or the part of the house that did it.
        said: what was asked, as given. changes: fields of the case that have new values since.
    """

    case: str
    seq: int
    time_ms: int
    who: str
    action: Action
    said: dict[str, Any]
    changes: dict[str, Any]


class Actor(msgspec.Struct, frozen=True):
    """Who asks: an account, what it may do, and where from."""

    name: str
    permissions: frozenset[str]
    address: str = "local"


def fold(case: Case | None, event: CaseEvent) -> Case:
    """The case after an event; the first event makes it."""
    before = {} if case is None else msgspec.to_builtins(case)
    return msgspec.convert(before | event.changes | {"version": event.seq, "changed_ms": event.time_ms}, Case)


def fold_all(events: Iterable[CaseEvent]) -> Case | None:
    """The case that events make, in their order; None of none."""
    case: Case | None = None
    for event in events:
        case = fold(case, event)
    return case


def changes_between(before: Case | None, after: Case) -> dict[str, Any]:
    """The fields that differ, as plain values; all of a new case's that are not their defaults."""
    skipped = {"version", "changed_ms"}
    if before is None:
        return {name: it for name, it in plain(after).items() if name not in skipped}
    new: Mapping[str, Any] = msgspec.to_builtins(after)
    old: Mapping[str, Any] = msgspec.to_builtins(before)
    return {name: it for name, it in new.items() if name not in skipped and old[name] != it}


def plain(case: Case) -> dict[str, Any]:
    """A case as plain values, without those that are their defaults."""
    return {name: it for name, it in msgspec.to_builtins(case).items() if _DEFAULTS.get(name, _ABSENT) != it}


def _defaults() -> dict[str, Any]:
    bare = Case(id="", node="", type="", type_version=0, title="", state="found", found_ms=0, changed_ms=0)
    return {name: it for name, it in msgspec.to_builtins(bare).items() if name in _WITH_DEFAULTS}


_ABSENT: Final = object()
_WITH_DEFAULTS: Final = frozenset(Case.__struct_fields__[-len(Case.__struct_defaults__) :])
_DEFAULTS: Final = _defaults()
#: Consonants, so that no id is a word.
_ALPHABET: Final = "bcdfghjkmnpqrstvwxyz"
_LETTERS: Final = 24
_RANDOM_BITS: Final = 55


def case_id(node: str, now_ms: int, randomness: bytes) -> str:
    """An id: the node's name, a dash, and 24 letters; ids of later times sort later.

    Letters alone, for what looks like a telephone number is masked in logs and in the trail.

    Args:
        randomness: at least 7 bytes that nobody can predict (`os.urandom`).
    """
    rest = now_ms << _RANDOM_BITS | int.from_bytes(randomness[:7]) & ((1 << _RANDOM_BITS) - 1)
    letters = []
    for _ in range(_LETTERS):
        rest, at = divmod(rest, len(_ALPHABET))
        letters.append(_ALPHABET[at])
    return f"{node}-{''.join(reversed(letters))}"
