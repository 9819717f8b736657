"""What happened to a number: an attempt, an inbound call, an answer, an end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hutong.kernel.compiled import compiled

if TYPE_CHECKING:
    from hutong.kernel.windows.layout import WindowArrays


@compiled
def note_attempt(w: WindowArrays, slot: int, callee: int, area: int, now: int, night: int) -> None:
    """A call attempt by this number to `callee` (key) in `area` (0 unknown); night = 1 in the night hours."""


@compiled
def note_inbound(w: WindowArrays, slot: int, now: int) -> None:
    """A call attempt to this number."""


@compiled
def note_answered(w: WindowArrays, slot: int, now: int) -> None:
    """A call of this number was answered and goes on."""


@compiled
def note_ended(w: WindowArrays, slot: int, now: int, answered: int, ring_ms: int, talk_ms: int) -> None:
    """A call of this number ended; answered = 1 when it had been answered."""
