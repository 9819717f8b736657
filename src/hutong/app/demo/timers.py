"""Sending again until somebody answers (RFC 3261 §17.1.1.2, §13.3.1.4), for both sides of the sample gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

T1_S = 0.5
TRIES = 5


class Timers:
    """The timers of one call; all of them end with it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._handles: list[asyncio.TimerHandle] = []
        self._ended = False

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Do it once, unless the call has ended by then."""
        if not self._ended:
            self._handles.append(self._loop.call_later(seconds, action))

    def repeat(self, send: Callable[[], None], answered: Callable[[], bool]) -> None:
        """Send now, and again at doubling intervals until answered."""
        self._again(send, answered, T1_S, TRIES)

    def _again(self, send: Callable[[], None], answered: Callable[[], bool], wait_s: float, tries: int) -> None:
        if self._ended or answered():
            return
        send()
        if tries:
            self.after(wait_s, lambda: self._again(send, answered, wait_s * 2, tries - 1))

    def end(self) -> None:
        """Stop them all."""
        self._ended = True
        for handle in self._handles:
            handle.cancel()
        self._handles.clear()
