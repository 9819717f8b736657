"""A few requests of each person at work at once: who asks for much waits for themselves, and keeps nobody waiting.

Pages and the API's queries run in the process's threads, which all people share. Without turns, one person's ten wide
searches take every thread, and nobody else's page opens until they are done.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from hutong.kernel.metrics import REQUESTS_PUT_OFF
from hutong.kernel.web.problems import Problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hutong.kernel.metrics import Metrics

AT_ONCE: Final = 3
"""A page and what it loads besides; an export takes one for as long as it is taken."""
LINE: Final = 64
"""Further requests of a person that wait: more than a second's worth of a program that may ask 50 times a second."""
PATIENCE_S: Final = 20.0


class TooManyAtOnceError(Problem):
    """This person has too many requests at work, or those at work take too long."""

    def __init__(self) -> None:
        super().__init__(
            429,
            "/problems/too-many-requests",
            "Too many requests",
            "Too many requests of this account are at work. Wait until some are done.",
            headers={"Retry-After": "5"},
        )


class _Person:
    """One person's turns; `inside` counts those at work and those that wait."""

    def __init__(self, at_once: int) -> None:
        self.turns = asyncio.Semaphore(at_once)
        self.inside = 0


class Turns:
    """Turns for each person of one event loop.

    Args:
        metrics: where requests are counted that got no turn.
        at_once: requests of a person at work.
        line: further ones that wait.
        patience_s: how long they do.
    """

    def __init__(
        self, metrics: Metrics, *, at_once: int = AT_ONCE, line: int = LINE, patience_s: float = PATIENCE_S
    ) -> None:
        self._metrics = metrics
        self._at_once = at_once
        self._most = at_once + line
        self._patience_s = patience_s
        self._people: dict[str, _Person] = {}

    @property
    def people(self) -> int:
        """Who has requests at work."""
        return len(self._people)

    @asynccontextmanager
    async def turn(self, name: str) -> AsyncIterator[None]:
        """Work within; waits for a turn.

        Raises:
            TooManyAtOnceError: too many wait already, or it took too long.
        """
        person = self._people.setdefault(name, _Person(self._at_once))
        if person.inside >= self._most:
            self._metrics.add(REQUESTS_PUT_OFF)
            raise TooManyAtOnceError
        person.inside += 1
        try:
            await self._called(person)
            try:
                yield
            finally:
                person.turns.release()
        finally:
            person.inside -= 1
            if not person.inside:
                del self._people[name]

    async def _called(self, person: _Person) -> None:
        try:
            async with asyncio.timeout(self._patience_s):
                await person.turns.acquire()
        except TimeoutError:
            self._metrics.add(REQUESTS_PUT_OFF)
            raise TooManyAtOnceError from None
