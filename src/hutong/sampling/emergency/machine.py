"""What becomes of an emergency order: (order, action, actor, now) → the order after it, or a refusal. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from hutong.kernel.decisions import check_move, check_permission
from hutong.kernel.errors import Refused
from hutong.sampling.emergency.model import EMERGENCY_MOVES, Emergency, presets

if TYPE_CHECKING:
    from hutong.sampling.emergency.model import Actor, EmergencyAction, Wish

KEEPING: Final = "sampling.keeping"
_HOUR_MS: Final = 3_600_000
_LONGEST: Final = {"agency": 100, "document": 100, "reason": 1000}
_DISTRICT: Final = re.compile(r"[1-9][0-9]{5}")


class EmergencyRefused(Refused[str]):
    """What the rules of emergency orders do not allow; nothing was changed. `reason`: a word for pages."""


def request(wish: Wish, id_: str, actor: Actor, now_ms: int, longest_h: int) -> Emergency:
    """A new order. `longest_h`: the longest term, in hours. Raises EmergencyRefused."""
    check_permission(EMERGENCY_MOVES["request"].who, actor, EmergencyRefused)
    if _DISTRICT.fullmatch(wish.district) is None:
        raise EmergencyRefused("field", "A district is six digits, such as 610100.", where="district")
    if wish.preset not in presets():
        raise EmergencyRefused(
            "field", "There is no such preset.", where="preset", fix=f"Known: {', '.join(presets())}."
        )
    if not 1 <= wish.term_h <= longest_h:
        raise EmergencyRefused("term", f"A term has 1 to {longest_h} hours.", where="term_h")
    for name, longest in _LONGEST.items():
        text = getattr(wish, name).strip()
        if not text or len(text) > longest or not text.isprintable():
            raise EmergencyRefused("field", f"An order needs its {name}, in printable letters.", where=name)
    return Emergency(
        id=id_,
        district=wish.district,
        preset=wish.preset,
        agency=wish.agency.strip(),
        document=wish.document.strip(),
        reason=wish.reason.strip(),
        term_h=wish.term_h,
        state="requested",
        requested_by=actor.name,
        requested_ms=now_ms,
        changed_ms=now_ms,
    )


def decide(order: Emergency, action: EmergencyAction, reason: str, actor: Actor, now_ms: int) -> Emergency:
    """The order after an action. Raises EmergencyRefused."""
    move = EMERGENCY_MOVES[action]
    check_permission(move.who or KEEPING, actor, EmergencyRefused)
    check_move(move, order, actor, reason, EmergencyRefused)
    if action == "expire" and now_ms < over_ms(order):
        raise EmergencyRefused("not-from-here", "Its term is not over.", where=order.id)
    if len(reason) > _LONGEST["reason"] or not reason.isprintable():
        raise EmergencyRefused("field", "The reason is too long, or not printable.", where="reason")
    after = replace(order, state=move.to, changed_ms=now_ms, version=order.version + 1)
    if action in {"approve", "decline"}:
        after = replace(after, decided_by=actor.name, decided_ms=now_ms)
    if action == "approve":
        return replace(after, ends_ms=now_ms + order.term_h * _HOUR_MS)
    return replace(after, ended_by=actor.name, ended_ms=now_ms, ended_why=reason.strip())


def over_ms(order: Emergency) -> int:
    """When an order is over by itself; a request that nobody decides, after its term."""
    return order.ends_ms or order.requested_ms + order.term_h * _HOUR_MS
