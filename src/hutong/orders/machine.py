"""What becomes of an order: (order, deed, actor, now) → the order after it, or a refusal with its reason. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from hutong.kernel.decisions import check_move, check_permission
from hutong.orders.bases import bases
from hutong.orders.errors import OrderRefused
from hutong.orders.model import KEEPING, KINDS, ROLES, Order
from hutong.orders.protection import guard_of, scope_of
from hutong.orders.table import MOVES

if TYPE_CHECKING:
    from hutong.kernel.lists.targets import Target
    from hutong.kernel.numbering import Numbering
    from hutong.orders.model import Actor, Deed, Wish

_DAY_S: Final = 86_400
_SHORTEST_S: Final = 60
_MOST_PER_HOUR: Final = 10_000
_LONGEST: Final = {"agency": 100, "document": 100, "basis_text": 500, "reason": 1000, "case": 100, "target": 64}
_NEEDED: Final = ("agency", "document", "reason")
#: An order may begin so long after its request.
_AHEAD_MS: Final = 90 * _DAY_S * 1000


class Bounds(msgspec.Struct, frozen=True):
    """What the settings hold orders to.

    Attributes:
        longest_days: of a term. decide_days: a request that nobody decided expires after so many.
        protected: scopes that need explicit confirmation. wide: so do those of more numbers than this.
    """

    longest_days: int = 365
    decide_days: int = 7
    protected: tuple[Target, ...] = ()
    wide: int = 10_000


def request(wish: Wish, id_: str, actor: Actor, now_ms: int, bounds: Bounds, numbering: Numbering) -> Order:
    """A new order.

    Raises:
        OrderRefused: says why.
    """
    check_permission(MOVES["request"].who, actor, OrderRefused)
    _check_texts(wish)
    _check_basis(wish)
    _check_term(wish, now_ms, bounds)
    scope = scope_of(wish.kind, wish.target, wish.role, numbering)
    _check_limit(wish, scope)
    guarded = guard_of(scope, bounds.protected, bounds.wide)
    _check_confirmed(guarded, confirmed=wish.confirmed)
    return Order(
        id=id_,
        kind=wish.kind,
        target=scope.kind,
        key=scope.key,
        last=scope.last,
        role=wish.role,
        agency=wish.agency.strip(),
        document=wish.document.strip(),
        basis=wish.basis,
        basis_text=wish.basis_text.strip(),
        reason=wish.reason.strip(),
        begins_ms=wish.begins_ms,
        term_s=wish.term_s,
        per_hour=wish.per_hour,
        guarded=guarded,
        case=wish.case.strip(),
        state="requested",
        requested_by=actor.name,
        requested_ms=now_ms,
        changed_ms=now_ms,
        version=1,
    )


def decide(order: Order, deed: Deed, actor: Actor, now_ms: int, bounds: Bounds) -> Order:
    """The order after a deed.

    Raises:
        OrderRefused: says why.
    """
    move = MOVES[deed.action]
    check_permission(move.who or KEEPING, actor, OrderRefused)
    check_move(move, order, actor, deed.reason, OrderRefused)
    if len(deed.reason) > _LONGEST["reason"] or "\0" in deed.reason:
        raise OrderRefused("field", "The reason is too long, or not printable.", where="reason")
    return _after(order, deed, actor, now_ms, bounds)


def _after(order: Order, deed: Deed, actor: Actor, now_ms: int, bounds: Bounds) -> Order:
    match deed.action:
        case "approve":
            after = _approved(order, deed, actor, now_ms, bounds)
        case "decline":
            after = replace(order, state="declined", decided_by=actor.name, decided_ms=now_ms, ended_why=deed.reason)
        case "begin":
            after = replace(order, effect="placing", former=deed.former, change=deed.change)
        case "place":
            after = replace(order, effect="placed", entry=deed.entry, change=deed.change)
        case "acknowledge":
            after = replace(order, state="in-force", in_force_ms=now_ms, delay_ms=deed.delay_ms)
        case "clear":
            after = replace(order, effect="cleared")
        case _:
            after = _ended(order, deed, actor, now_ms, bounds)
    return after


def _approved(order: Order, deed: Deed, actor: Actor, now_ms: int, bounds: Bounds) -> Order:
    _check_confirmed(order.guarded, confirmed=deed.confirmed)
    # Entries end with a second, so orders begin and end with one.
    starts_ms = max(order.begins_ms, now_ms) // 1000 * 1000
    ends_ms = starts_ms + order.term_s * 1000
    if order.term_s > bounds.longest_days * _DAY_S:
        raise OrderRefused("term", "The term is longer than the settings allow now.", fix="Decline it.")
    return replace(
        order,
        state="approved",
        decided_by=actor.name,
        decided_ms=now_ms,
        starts_ms=starts_ms,
        ends_ms=ends_ms,
        effect="pending",
    )


def _ended(order: Order, deed: Deed, actor: Actor, now_ms: int, bounds: Bounds) -> Order:
    if deed.action == "expire" and now_ms < end_of(order, bounds):
        raise OrderRefused("not-from-here", "Its time is not over.", where=order.id)
    state = MOVES[deed.action].to
    if state is None:  # pragma: no cover  # those are dealt with before
        raise AssertionError
    effect = order.effect if order.effect == "none" else "cleared" if order.effect == "pending" else "clearing"
    who = deed.who or actor.name
    return replace(order, state=state, effect=effect, ended_ms=now_ms, ended_by=who, ended_why=deed.reason.strip())


def end_of(order: Order, bounds: Bounds) -> int:
    """When an open order ends by itself, ms since 1970."""
    return order.ends_ms or order.requested_ms + bounds.decide_days * _DAY_S * 1000


def wake_of(order: Order, bounds: Bounds) -> int:
    """When the keeper must look at an order again, ms since 1970; 0 = never."""
    if order.state in {"lifted", "expired"}:
        return order.ended_ms if order.effect == "clearing" else 0
    if order.state == "approved":
        return order.starts_ms
    return end_of(order, bounds) if order.state in {"requested", "in-force"} else 0


def _allow(permission: str, actor: Actor) -> None:
    if permission not in actor.permissions:
        raise OrderRefused("not-allowed", f"This needs the permission {permission}.")


def _check_texts(wish: Wish) -> None:
    for name, longest in _LONGEST.items():
        text = getattr(wish, name).strip()
        if len(text) > longest or not text.replace("\n", " ").isprintable():
            raise OrderRefused("field", f"{name} is too long, or not printable.", where=name)
        if name in _NEEDED and not text:
            raise OrderRefused("field", f"An order needs its {name}.", where=name)
    if wish.kind not in KINDS or wish.role not in ROLES:
        raise OrderRefused("field", "There is no such kind or role.", where="kind")


def _check_basis(wish: Wish) -> None:
    known = bases()
    chosen = [known.get(it) for it in wish.basis]
    if not chosen or None in chosen or len(set(wish.basis)) != len(chosen):
        raise OrderRefused("basis", "An order needs a legal basis out of the table.", where="basis")
    for it in chosen:
        if it is not None and wish.kind not in it.kinds:
            raise OrderRefused("basis", f"{it.id} is no basis of a {wish.kind} order.", where="basis")
        if it is not None and it.needs_text and not wish.basis_text.strip():
            raise OrderRefused("basis", f"{it.id} needs its provision in words.", where="basis_text")


def _check_term(wish: Wish, now_ms: int, bounds: Bounds) -> None:
    if not _SHORTEST_S <= wish.term_s <= bounds.longest_days * _DAY_S:
        raise OrderRefused("term", f"A term has a minute to {bounds.longest_days} days.", where="term_s")
    if wish.begins_ms and not now_ms - _DAY_S * 1000 <= wish.begins_ms <= now_ms + _AHEAD_MS:
        raise OrderRefused("begins", "An order begins with its approval, or within 90 days.", where="begins_ms")


def _check_limit(wish: Wish, scope: Target) -> None:
    if wish.kind != "limit":
        if wish.per_hour:
            raise OrderRefused("limit", "Only a limit has calls an hour.", where="per_hour")
        return
    if not 1 <= wish.per_hour <= _MOST_PER_HOUR:
        raise OrderRefused("limit", f"A limit allows 1 to {_MOST_PER_HOUR} calls an hour.", where="per_hour")
    if scope.kind != "number" or wish.role != "caller":
        raise OrderRefused("limit", "A limit is about the calls that one number makes.", where="target")


def _check_confirmed(guarded: str, *, confirmed: bool) -> None:
    if guarded and not confirmed:
        raise OrderRefused(
            "confirm",
            f"The scope needs explicit confirmation: {guarded}.",
            where="confirmed",
            fix="Confirm it, or narrow it.",
        )
