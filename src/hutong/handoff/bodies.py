"""The bodies of the API of hand-offs, as the document describes them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from hutong.kernel.web.api.bodies import Words  # noqa: TC001  # msgspec reads it

State = Literal["waiting", "refused", "delivered", "accepted", "reached", "not-reached"]


class HandoffTold(msgspec.Struct, frozen=True):
    """劝阻移交 / A hand-off, its number masked."""

    id: str
    number: str
    why: Words
    condition: str
    found_ms: int
    alerts: int
    state: State
    delivered_ms: int | None
    answered_ms: int | None
    answered_by: str
    saved: Annotated[int, Meta(description="元 / yuan")]
    lost: Annotated[int, Meta(description="元 / yuan")]
    note: str
    case: str


class HandoffPage(msgspec.Struct, frozen=True):
    """劝阻移交,新的在前 / Hand-offs, newest first."""

    handoffs: list[HandoffTold]
    total: int
