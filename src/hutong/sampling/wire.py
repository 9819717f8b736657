"""Sampling over HTTP, for stations: whatever a station has, as often as it likes; answered once it is durable. ASGI.

A station is an account with a token: it gives its own events and nobody else's. Refusals of single events are in the
answer and concern no other; `kernel.overload` stands before this.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from hutong.kernel.errors import HutongError
from hutong.kernel.web.plain import (
    Answer,
    bearer,
    is_lifespan,
    live,
    problem,
    read_body,
    send_answer,
    told,
)
from hutong.sampling.errors import SamplingRefused
from hutong.sampling.model import Batch, MergeAnswer

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from litestar.types import Receive, Scope, Send

    from hutong.kernel.access.viewer import Viewer
    from hutong.kernel.reporter import Reporter
    from hutong.sampling.commit import GroupCommit

    Whose = Callable[[str, str], Viewer | None]

MERGE: Final = "/v1/sampling/merge"
HEALTH: Final = "/health"
#: 500 events with everything that may be asked of people.
LONGEST_BODY: Final = 1024 * 1024
_PERMISSION: Final = "sampling.register"
_KIND: Final = "sampling"
_BUSY_S: Final = 1
_AWAY_S: Final = 5


class StationApp:
    """The application that stations speak to.

    Args:
        commit: takes batches, many in one transaction. recent: whom a token stood for a moment ago, out of memory.
        viewer: the same, asked of the records. threads: where these are waited for. reporter: logs.
    """

    def __init__(
        self, commit: GroupCommit, recent: Whose, viewer: Whose, threads: Executor, reporter: Reporter
    ) -> None:
        self._commit, self._recent, self._viewer = commit, recent, viewer
        self._threads, self._reporter = threads, reporter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if is_lifespan(scope):
            await live(receive, send)
            return
        await send_answer(send, await self._answer(scope, receive))

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        if scope["path"] == HEALTH:
            return told({"stations": "ready"})
        if scope["path"] != MERGE or scope.get("method") != "POST":
            known = scope["path"] == MERGE
            return problem(405 if known else 404, _KIND, "method" if known else "path")
        body = await read_body(receive, LONGEST_BODY)
        if body is None:
            return problem(413, _KIND, "body")
        client = scope.get("client")
        return await self._done(bearer(dict(scope["headers"])), client[0] if client else "", body)

    async def _done(self, token: str, address: str, body: bytes) -> Answer:
        try:
            return await self._merge(token, address, body)
        except SamplingRefused as refused:
            busy = refused.reason == "busy"
            return problem(503 if busy else 422, _KIND, refused.reason, _BUSY_S if busy else 0)
        except msgspec.MsgspecError:
            return problem(400, _KIND, "form")
        except (HutongError, OSError) as error:
            self._reporter.log.exception("a station could not be served", errors=str(error))
            return problem(503, _KIND, "away", _AWAY_S)

    async def _merge(self, token: str, address: str, body: bytes) -> Answer:
        viewer = self._recent(token, address)
        if viewer is None:
            loop = asyncio.get_running_loop()
            viewer = await loop.run_in_executor(self._threads, self._viewer, token, address)
        if viewer is None:
            return problem(401, _KIND, "token")
        if _PERMISSION not in viewer.permissions:
            return problem(403, _KIND, "permission")
        batch = msgspec.json.decode(body, type=Batch)
        if batch.station != viewer.name:
            return problem(403, _KIND, "station")
        answer: MergeAnswer = await self._commit.merge(batch)
        return told(answer)
