"""Outside roaming look-ups as an edge of the loop: who asked is called back with the answer. Never waits."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.calls.loop import ScreeningLoop


class Roaming(Protocol):
    """An outside roaming look-up that answers later (`calls.roaming`)."""

    def fileno(self) -> int:
        """Readable when answers wait."""

    def ask(self, ticket: int, number: str) -> bool:
        """Ask about a number; False when too much is under way (the call then fails open)."""

    def answers(self) -> list[tuple[int, int]]:
        """(ticket, ROAMING_… code) of what was answered or ran out of time."""


class LookUps:
    """Asks outside and calls back.

    Args:
        loop: the loop.
        roaming: whom to ask; None = nobody, `ask` then refuses.
    """

    def __init__(self, loop: ScreeningLoop, roaming: Roaming | None) -> None:
        self._loop, self._roaming = loop, roaming
        self._tickets = count(1)
        self._waiting: dict[int, Callable[[int], None]] = {}

    def ask(self, number: str, answered: Callable[[int], None]) -> bool:
        """Ask about a number; `answered` gets a ROAMING_… code later. False: nobody can be asked now."""
        ticket = next(self._tickets)
        if self._roaming is None or not self._roaming.ask(ticket, number):
            return False
        self._waiting[ticket] = answered
        return True

    def open(self) -> None:
        """Begin to watch."""
        if self._roaming is not None:
            self._loop.watch(self._roaming.fileno(), self)

    def serve(self, _descriptor: int, _events: int) -> None:
        """Answers wait."""
        if self._roaming is not None:
            for ticket, code in self._roaming.answers():
                self._waiting.pop(ticket)(code)

    def tick(self, now: int) -> None:
        """Nothing is due here."""

    def close(self) -> None:
        """Whoever made the look-up stops it."""
