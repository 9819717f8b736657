"""What a request's ticket is worth, and what the refused are told. Pure: times and draws come in as arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from hutong.kernel.overload.places import SOONEST_MS
from hutong.kernel.overload.tickets import Standing, Ticket, sign, verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.kernel.overload.classes import Kind
    from hutong.kernel.overload.places import Places, Spent
    from hutong.kernel.overload.tickets import Keys

_EARLY: Final = 429
_BUSY: Final = 503


class Shown(NamedTuple):
    """What came with a request: the text, what it is worth, and what it says where it is a true ticket."""

    text: str
    standing: Standing
    ticket: Ticket | None

    @property
    def due(self) -> bool:
        """Whether the request goes before those that have none."""
        return self.standing is Standing.DUE


class Told(NamedTuple):
    """An answer to who is refused: status, seconds of Retry-After, a ticket or "".

    429 (RFC 6585 §4) is for who was told a time and came before it; 503 (RFC 9110 §15.6.4) for everybody else.
    """

    status: int
    retry_after_s: int
    ticket: str


class Desk:
    """Takes tickets and gives them out.

    Args:
        keys: asked for the present keys. places: times that are free. spent: tickets that were let in.
    """

    def __init__(self, keys: Callable[[], Keys], places: Places, spent: Spent) -> None:
        self._keys, self._places, self._spent = keys, places, spent

    @property
    def window_s(self) -> int:
        """How long a ticket is good from its time on, in whole seconds."""
        return -(-self._places.window_ms // 1000)

    def outstanding(self, kind: Kind, pace: float, now_ms: int) -> int:
        """How many of a class hold a ticket whose time has not come."""
        return self._places.outstanding(kind, pace, now_ms)

    def show(self, text: str, holder_secret: str, kind: Kind, now_ms: int) -> Shown:
        """What a ticket is worth now; one that was let in before is worth nothing."""
        if not text:
            return Shown("", Standing.NONE, None)
        standing, ticket = verify(text, holder_secret, kind, self._keys(), now_ms)
        if ticket is not None and ticket.id in self._spent:
            return Shown("", Standing.NONE, None)
        return Shown(text, standing, ticket)

    def take(self, shown: Shown, now_ms: int) -> None:
        """The request has a place, or waits for one: its ticket is not good a second time."""
        if shown.due and shown.ticket is not None:
            self._spent.add(shown.ticket.id, shown.ticket.due_ms + shown.ticket.window_ms, now_ms)

    def refuse(  # who, how fast, when, and two draws
        self, shown: Shown, kind: Kind, pace: float, holder: str, now_ms: int, draw: float, number: str
    ) -> Told:
        """What somebody is told.

        Args:
            shown: what came with the request. kind: its class. pace: how many of it are served a second.
            holder: as of `tickets.holder_of`. now_ms: ms since 1970 UTC. draw: from [0, 1).
            number: 8 random bytes, hex.
        """
        if shown.ticket is not None and shown.standing in {Standing.EARLY, Standing.DUE}:
            # The same ticket again: nobody loses a place by asking or by our fault, nobody gets a second one for it,
            # and nothing has to be signed.
            self._spent.drop(shown.ticket.id)
            due = max(shown.ticket.due_ms, now_ms + SOONEST_MS)
            status = _EARLY if shown.standing is Standing.EARLY else _BUSY
            return Told(status, self._places.retry_after_s(due, now_ms, draw), shown.text)
        free = self._places.take(kind, pace, now_ms)
        wait = self._places.retry_after_s(free, now_ms, draw)
        if free is None:
            return Told(_BUSY, wait, "")
        text = sign(Ticket(kind, free, self._places.window_ms, number, holder), self._keys(), now_ms)
        return Told(_BUSY, wait, text)
