"""A colour changed by hand: (change, action, who, now) → the change after it, or a refusal with its reason. Pure.

No one person and no one agency gives anybody a colour: whoever approves is another person of another agency. Every
change has a reason, a legal basis, a document and a term, and ends by itself. Lifting takes one person.
"""

from __future__ import annotations

import hashlib
import unicodedata
from typing import Final, Literal, get_args

import msgspec
from msgspec.structs import replace

from hutong.codes.status.bases import bases
from hutong.codes.status.colour_rules import COLOURS, Colour
from hutong.codes.status.errors import StatusRefused
from hutong.kernel import decisions
from hutong.kernel.decisions import Move, check_move, check_permission

State = Literal["requested", "in-force", "declined", "withdrawn", "lifted", "expired"]
Action = Literal["request", "approve", "decline", "withdraw", "lift", "replace", "overrule", "expire"]
STATES: Final[tuple[State, ...]] = get_args(State)
OPEN_STATES: Final[tuple[State, ...]] = ("requested", "in-force")
STATE_TITLES: Final[dict[State, dict[str, str]]] = {
    "requested": {"zh": "待另一单位批准", "en": "waits for another agency"},
    "in-force": {"zh": "生效中", "en": "in force"},
    "declined": {"zh": "已驳回", "en": "declined"},
    "withdrawn": {"zh": "已撤回", "en": "withdrawn"},
    "lifted": {"zh": "已解除", "en": "lifted"},
    "expired": {"zh": "已到期", "en": "expired"},
}
#: The name of this house where agencies are named; an account that is bound to no agency is of it.
HOUSE: Final = "house"
KEEPING: Final = "codes.keeping"
_DAY_S: Final = 86_400
_SHORTEST_S: Final = 3_600
_LONGEST: Final = {"reason": 500, "document": 100}


MOVES: Final[dict[Action, Move[State]]] = {
    "request": Move("申请改码", "request", "codes.set", (), "requested"),
    "approve": Move("批准", "approve", "codes.approve", ("requested",), "in-force", other=True),
    "decline": Move("驳回", "decline", "codes.approve", ("requested",), "declined", reason=True, other=True),
    "withdraw": Move("撤回", "withdraw", "codes.set", ("requested",), "withdrawn", reason=True, own=True),
    "lift": Move("提前解除", "lift early", "codes.lift", ("in-force",), "lifted", reason=True),
    "replace": Move("被新的改码取代", "replaced by another", "", ("in-force",), "lifted", reason=True),
    "overrule": Move("申诉裁定解除", "lifted on appeal", "", ("in-force",), "lifted", reason=True),
    "expire": Move("到期", "expire", "", OPEN_STATES, "expired"),
}


class Actor(msgspec.Struct, frozen=True):
    """Who asks: an account, what it may do, whose it is, and where from."""

    name: str
    permissions: frozenset[str]
    agency: str = HOUSE
    address: str = "local"


#: What runs by itself.
KEEPER: Final = Actor("hutong", frozenset({KEEPING}))


class Wish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A colour that somebody wants a person to have.

    Attributes:
        person: pseudonym. basis: id of a legal basis. document: number of the agency's document. term_s: seconds.
    """

    person: str
    colour: Colour
    reason: str
    basis: str
    document: str
    term_s: int


class Bounds(msgspec.Struct, frozen=True):
    """What the settings hold changes to: the longest term, and how long a request waits, in days."""

    longest_days: int = 14
    decide_days: int = 2


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A change as it stands; times are ms since 1970, 0 where there is none.

    Attributes:
        reason_key: the same for reasons that read alike. ends_ms: of a request, when it lapses.
    """

    id: str
    person: str
    colour: Colour
    state: State
    reason: str
    reason_key: str
    basis: str
    document: str
    term_s: int
    requested_by: str
    requested_agency: str
    requested_ms: int
    decided_by: str = ""
    decided_agency: str = ""
    decided_ms: int = 0
    ends_ms: int = 0
    ended_ms: int = 0
    ended_by: str = ""
    ended_why: str = ""
    version: int = 1

    @property
    def makers(self) -> frozenset[str]:
        """Accounts that made it; they judge no appeal against it."""
        return frozenset({self.requested_by, self.decided_by} - {""})

    def told(self) -> dict[str, str | int]:
        """What a commitment holds of it, and the trail: no person."""
        names = ("id", "colour", "reason", "basis", "document", "ends_ms", "requested_by", "requested_agency")
        return {name: getattr(self, name) for name in (*names, "decided_by", "decided_agency")}


def request(wish: Wish, id_: str, actor: Actor, now_ms: int, bounds: Bounds) -> Change:
    """A new change.

    Raises:
        StatusRefused: says why.
    """
    check_permission(MOVES["request"].who, actor, StatusRefused)
    reason, document = _text("reason", wish.reason), _text("document", wish.document)
    if wish.colour not in COLOURS:
        raise StatusRefused("field", "There is no such colour.", where="colour", fix=f"One of {', '.join(COLOURS)}.")
    basis = bases().get(wish.basis)
    if basis is None or wish.colour not in basis.colours:
        fix = f"One of {', '.join(it.id for it in bases().values() if wish.colour in it.colours)}."
        raise StatusRefused("basis", f"This is no legal basis of a {wish.colour} code.", where="basis", fix=fix)
    if not _SHORTEST_S <= wish.term_s <= bounds.longest_days * _DAY_S:
        raise StatusRefused("term", f"A term has an hour to {bounds.longest_days} days.", where="term_s")
    return Change(
        id=id_,
        person=wish.person,
        colour=wish.colour,
        state="requested",
        reason=reason,
        reason_key=reason_key(reason),
        basis=wish.basis,
        document=document,
        term_s=wish.term_s,
        requested_by=actor.name,
        requested_agency=actor.agency,
        requested_ms=now_ms,
        ends_ms=now_ms + bounds.decide_days * _DAY_S * 1000,
    )


def decide(change: Change, action: Action, actor: Actor, now_ms: int, why: str = "") -> Change:
    """The change after an action.

    Raises:
        StatusRefused: says why.
    """
    move = MOVES[action]
    check_permission(move.who or KEEPING, actor, StatusRefused)
    check_move(move, change, actor, why, StatusRefused)
    if move.other and actor.agency == change.requested_agency:
        what = "A change needs two agencies: another one must decide it."
        raise StatusRefused("same-agency", what, where=change.id)
    why = _text("reason", why) if move.reason else why
    if action == "expire" and now_ms < change.ends_ms:
        raise StatusRefused("not-from-here", "Its time is not over.", where=change.id)
    if action == "approve" and now_ms >= change.ends_ms:
        raise StatusRefused("not-from-here", "Nobody decided it in time.", where=change.id, fix="Ask for it again.")
    if action == "approve":
        after = replace(change, ends_ms=now_ms + change.term_s * 1000)
    else:
        after = replace(change, ended_ms=now_ms, ended_by=actor.name, ended_why=why)
    if action in {"approve", "decline"}:
        after = replace(after, decided_by=actor.name, decided_agency=actor.agency, decided_ms=now_ms)
    return replace(after, state=move.to, version=change.version + 1)


def _text(name: str, text: str) -> str:
    kept = " ".join(unicodedata.normalize("NFC", text).split())
    if not kept:
        raise StatusRefused("no-reason" if name == "reason" else "field", f"It needs its {name}.", where=name)
    if len(kept) > _LONGEST[name] or not kept.isprintable():
        raise StatusRefused("field", f"{name} is too long, or not printable.", where=name)
    return kept


def reason_key(reason: str) -> str:
    """The same for reasons that read alike: digits, blanks, marks and widths of letters do not count."""
    letters = "".join(c for c in unicodedata.normalize("NFKC", reason).casefold() if c.isalpha())
    return hashlib.sha256(letters.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def state_diagram() -> str:
    """The table as a Mermaid diagram for docs/status.md."""
    return decisions.moves_diagram(MOVES, STATE_TITLES, OPEN_STATES)


def moves_table() -> str:
    """The table of actions as Markdown for docs/status.md."""
    return decisions.moves_table(MOVES, "another person of another agency 另一单位的另一人")
