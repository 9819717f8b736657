"""What becomes of an order of look-up: (order, action, who, now) → the order after it, or a refusal. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from hutong.codes.people.pseudonyms import is_pseudonym
from hutong.codes.scans.errors import ScanRefused
from hutong.codes.scans.lookup_model import LOOK_UP, MOVES, SCOPE_KINDS, LookupOrder, bases
from hutong.kernel.decisions import check_move, check_permission

if TYPE_CHECKING:
    from hutong.codes.scans.lookup_model import Action, OrderWish, Scope, Seeker

_DAY_MS: Final = 86_400_000
_SHORTEST_S: Final = 60
_LONGEST: Final = {"document": 100, "basis_text": 500, "reason": 1000, "quiet_why": 500}
_LONGEST_ID: Final = 100


class Bounds(msgspec.Struct, frozen=True):
    """What the settings hold orders to.

    Attributes:
        longest_days: of a term. scope_days: between the ends of a scope. quiet_days: of a term without telling.
        decide_days: a request that nobody decided expires after so many.
    """

    longest_days: int = 7
    scope_days: int = 14
    quiet_days: int = 90
    decide_days: int = 3


def request(wish: OrderWish, id_: str, seeker: Seeker, now_ms: int, bounds: Bounds) -> LookupOrder:
    """A new order.

    Raises:
        ScanRefused: says why not.
    """
    check_permission(MOVES["request"].who, seeker, ScanRefused)
    if seeker.agency_kind is None:
        raise ScanRefused("no-agency", "Only people of an agency ask for look-ups.", fix="Bind the account to one.")
    _check_texts(wish)
    _check_scope(wish.scope, now_ms, bounds)
    _check_basis(wish, seeker)
    if not _SHORTEST_S <= wish.term_s <= bounds.longest_days * _DAY_MS // 1000:
        raise ScanRefused("term", f"A term has a minute to {bounds.longest_days} days.", where="term_s")
    if not 0 <= wish.quiet_s <= bounds.quiet_days * _DAY_MS // 1000:
        raise ScanRefused("quiet", f"People are told after {bounds.quiet_days} days at most.", where="quiet_s")
    return LookupOrder(
        id=id_,
        agency=seeker.agency,
        **{name: getattr(wish, name) for name in msgspec.structs.asdict(wish)},
        state="requested",
        requested_by=seeker.name,
        requested_ms=now_ms,
        ends_ms=now_ms + bounds.decide_days * _DAY_MS,
        changed_ms=now_ms,
    )


def decide(order: LookupOrder, action: Action, reason: str, seeker: Seeker, now_ms: int) -> LookupOrder:
    """The order after an action.

    Raises:
        ScanRefused: says why not.
    """
    move = MOVES[action]
    if move.who:
        check_permission(move.who, seeker, ScanRefused)
    if seeker.agency not in {"", order.agency} or (seeker.agency and seeker.agency_kind is None):
        raise ScanRefused("agency", "This order is another agency's.", where=order.id)
    check_move(move, order, seeker, reason, ScanRefused)
    if len(reason) > _LONGEST["reason"] or "\0" in reason:
        raise ScanRefused("field", "The reason is too long, or not printable.", where="reason")
    if (action == "expire") != (now_ms >= order.ends_ms):
        raise ScanRefused("over", "Its time is over, or not yet.", where=order.id, fix="Ask for another.")
    after = replace(order, state=move.to, changed_ms=now_ms, version=order.version + 1, why=reason.strip())
    if action in {"approve", "decline"}:
        after = replace(after, decided_by=seeker.name, decided_ms=now_ms)
    if action == "approve":
        return replace(after, ends_ms=now_ms + order.term_s * 1000, quiet_until_ms=now_ms + order.quiet_s * 1000)
    return replace(after, ended_by=seeker.name, ended_ms=now_ms)


def check_use(order: LookupOrder, wanted: Scope, seeker: Seeker, now_ms: int) -> None:
    """Whether an order allows a look-up.

    Raises:
        ScanRefused: says why not.
    """
    check_permission(LOOK_UP, seeker, ScanRefused)
    if seeker.agency_kind is None or seeker.agency != order.agency:
        raise ScanRefused("agency", "Only people of the agency that it was given to use an order.", where=order.id)
    if order.state != "approved":
        raise ScanRefused("not-approved", f"The order is {order.state}, not approved.", where=order.id)
    if now_ms >= order.ends_ms:
        raise ScanRefused("over", "The term of the order is over.", where=order.id, fix="Ask for another.")
    if not order.scope.holds(wanted):
        raise ScanRefused("scope", "This is not within the order's scope.", where=order.id, fix="Ask for less.")


def _check_texts(wish: OrderWish) -> None:
    for name, longest in _LONGEST.items():
        text = getattr(wish, name).strip()
        if len(text) > longest or not text.replace("\n", " ").isprintable():
            raise ScanRefused("field", f"{name} is too long, or not printable.", where=name)
        if name in {"document", "reason"} and not text:
            raise ScanRefused("field", f"An order needs its {name}.", where=name)


def _check_scope(scope: Scope, now_ms: int, bounds: Bounds) -> None:
    good = is_pseudonym(scope.about) if scope.kind == "person" else 0 < len(scope.about) <= _LONGEST_ID
    if scope.kind not in SCOPE_KINDS or not good:
        raise ScanRefused("scope", "A scope is a venue's id, or a person's pseudonym.", where="scope")
    if not 0 < scope.until_ms - scope.since_ms <= bounds.scope_days * _DAY_MS:
        raise ScanRefused("scope", f"A scope has a minute to {bounds.scope_days} days.", where="scope")
    if scope.until_ms > now_ms + bounds.longest_days * _DAY_MS:
        raise ScanRefused("scope", "A scope does not reach beyond the longest term.", where="scope")


def _check_basis(wish: OrderWish, seeker: Seeker) -> None:
    chosen = [bases().get(it) for it in wish.basis]
    if not chosen or None in chosen or len(set(wish.basis)) != len(chosen):
        raise ScanRefused("basis", "An order needs a legal basis out of the table.", where="basis")
    for it in chosen:
        if it is not None and seeker.agency_kind not in it.agencies:
            raise ScanRefused("basis", f"{it.id} is no basis for this kind of agency.", where="basis")
        if it is not None and it.needs_text and not wish.basis_text.strip():
            raise ScanRefused("basis", f"{it.id} needs its article or document in words.", where="basis_text")
    if wish.quiet_s and not (wish.quiet_why.strip() and any(it is not None and it.quiet for it in chosen)):
        raise ScanRefused("quiet", "Not telling people needs a basis that allows it, and a reason.", where="quiet_why")
