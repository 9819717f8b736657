"""Look-ups and the orders that allow them, as values. Pure. Times are ms since 1970 UTC, 0 where there is none."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Protocol, get_args

import msgspec

from hutong.codes.scans.model import Found  # noqa: TC001  # msgspec reads the annotation
from hutong.kernel import decisions
from hutong.kernel.access.agencies import Kind  # noqa: TC001  # msgspec reads the annotation
from hutong.kernel.decisions import Move
from hutong.kernel.shipped import shipped

if TYPE_CHECKING:
    from hutong.kernel.records import Connection

#: Who was at a venue; where a person was.
ScopeKind = Literal["venue", "person"]
State = Literal["requested", "approved", "declined", "withdrawn", "revoked", "expired"]
Action = Literal["request", "approve", "decline", "withdraw", "revoke", "expire"]
SCOPE_KINDS: Final[tuple[ScopeKind, ...]] = get_args(ScopeKind)
STATES: Final[tuple[State, ...]] = get_args(State)
OPEN_STATES: Final[tuple[State, ...]] = ("requested", "approved")
BASES_FILE: Final = Path(__file__).with_name("bases.toml")

STATE_TITLES: Final[dict[State, dict[str, str]]] = {
    "requested": {"zh": "待批准", "en": "requested"},
    "approved": {"zh": "已批准", "en": "approved"},
    "declined": {"zh": "已驳回", "en": "declined"},
    "withdrawn": {"zh": "已撤回", "en": "withdrawn"},
    "revoked": {"zh": "已撤销", "en": "revoked"},
    "expired": {"zh": "已到期", "en": "expired"},
}


MOVES: Final[dict[Action, Move[State]]] = {
    "request": Move("申请", "request", "codes.lookup_request", (), "requested"),
    "approve": Move("批准", "approve", "codes.lookup_approve", ("requested",), "approved", other=True),
    "decline": Move("驳回", "decline", "codes.lookup_approve", ("requested",), "declined", reason=True, other=True),
    "withdraw": Move("撤回", "withdraw", "codes.lookup_request", ("requested",), "withdrawn", reason=True, own=True),
    "revoke": Move("撤销", "revoke", "codes.lookup_approve", ("approved",), "revoked", reason=True),
    "expire": Move("到期", "expire", "", OPEN_STATES, "expired"),
}
LOOK_UP: Final = "codes.lookup"


class Scope(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked: a venue or a person (a pseudonym), from one moment to before another."""

    kind: ScopeKind
    about: str
    since_ms: int
    until_ms: int

    def holds(self, wanted: Scope) -> bool:
        """Whether a look-up stays within this."""
        same = (self.kind, self.about) == (wanted.kind, wanted.about)
        return same and self.since_ms <= wanted.since_ms < wanted.until_ms <= self.until_ms


class OrderWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An order that somebody asks for.

    Attributes:
        document: number of the agency's document. basis: ids of `bases.toml`. basis_text: which article or document.
        term_s: for how long from the approval look-ups may be made.
        quiet_s: for how long from the approval people are not told. quiet_why: why they must not be.
    """

    scope: Scope
    document: str
    basis: tuple[str, ...]
    basis_text: str = ""
    reason: str
    term_s: int
    quiet_s: int = 0
    quiet_why: str = ""


class LookupOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order.

    Attributes:
        agency: id of the agency whose people may use it.
        ends_ms: no look-up from then on; of a request, when it expires undecided.
        quiet_until_ms: people are told from then on.
    """

    id: str
    agency: str
    scope: Scope
    document: str
    basis: tuple[str, ...]
    basis_text: str
    reason: str
    term_s: int
    quiet_s: int
    quiet_why: str
    state: State
    requested_by: str
    requested_ms: int
    decided_by: str = ""
    decided_ms: int = 0
    ends_ms: int
    quiet_until_ms: int = 0
    ended_by: str = ""
    ended_ms: int = 0
    why: str = ""
    changed_ms: int
    version: int = 1


class Seeker(msgspec.Struct, frozen=True):
    """Who asks.

    Attributes:
        name: of the account. permissions: what it may do. agency: that it is bound to, "" = this house's.
        agency_kind: what that agency is; None where it is none, or disabled.
        address: where from.
    """

    name: str
    permissions: frozenset[str]
    agency: str = ""
    agency_kind: Kind | None = None
    address: str = "local"


class Ground(msgspec.Struct, frozen=True):
    """Why a look-up is allowed: who asked for it and on what, and from when on people are told of it."""

    order: str
    agency: str
    document: str
    basis: tuple[str, ...]
    quiet_until_ms: int


class LookupGround(Protocol):
    """Where a look-up finds its order, whoever keeps it."""

    def use(self, connection: Connection, order: str, wanted: Scope, seeker: Seeker, now_ms: int) -> Ground:
        """The ground of a look-up, counted within the transaction.

        Raises:
            ScanRefused: there is no such order, or it does not allow this, now, to this seeker.
        """

    def answered(self, connection: Connection, order: str, rows: int) -> None:
        """Note how many scans the look-up was answered with."""


class LookupAnswer(msgspec.Struct, frozen=True):
    """What a look-up found, within its scope; `kept_since_ms`: nothing older is kept, whatever was asked."""

    order: str
    scope: Scope
    found: tuple[Found, ...]
    kept_since_ms: int


class Basis(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A legal basis: see `bases.toml`."""

    id: str
    zh: str
    en: str
    agencies: tuple[Kind, ...]
    needs_text: bool
    quiet: bool


@cache
def bases() -> dict[str, Basis]:
    """Every basis by its id, in the order of the file.

    Raises:
        StateError: the file is not as it must be.
    """
    return {it.id: it for it in shipped(BASES_FILE, "basis", Basis)}


def bases_table() -> str:
    """The bases as Markdown for docs/scans.md."""
    lines = ["| id | | | agencies | words | quiet |", "|---|---|---|---|:-:|:-:|"]
    for it in bases().values():
        marks = " | ".join("●" if mark else "" for mark in (it.needs_text, it.quiet))
        lines.append(f"| `{it.id}` | {it.zh} | {it.en} | {', '.join(it.agencies)} | {marks} |")
    return "\n".join(lines) + "\n"


def state_diagram() -> str:
    """The table of moves as a Mermaid diagram for docs/scans.md."""
    return decisions.moves_diagram(MOVES, STATE_TITLES, OPEN_STATES)


def moves_table() -> str:
    """The table of actions as Markdown for docs/scans.md."""
    return decisions.moves_table(MOVES)
