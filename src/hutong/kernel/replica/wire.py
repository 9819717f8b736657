"""The source over HTTP, for followers on other machines: with a token, in JSON. ASGI; `remote` is the other side."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from hutong.kernel.errors import HutongError
from hutong.kernel.replica.source import MOST
from hutong.kernel.web.plain import Answer, bearer, problem, read_body, send_answer, told

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from litestar.types import Receive, Scope, Send

    from hutong.kernel.access.viewer import Viewer
    from hutong.kernel.replica.source import Source
    from hutong.kernel.reporter import Reporter

HOME: Final = "/v1/replica"
PARTS, NEWS, PAGE = f"{HOME}/parts", f"{HOME}/news", f"{HOME}/page"
PERMISSION: Final = "replica.follow"
LONGEST_BODY: Final = 64 * 1024
_KIND: Final = "replica"
_AWAY_S: Final = 5
_Limit = Annotated[int, msgspec.Meta(ge=1, le=MOST)]
_Number = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
#: PostgreSQL takes no NUL in a text.
_Text = Annotated[str, msgspec.Meta(max_length=200, pattern=r"^[^\x00]*$")]


class NewsAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Asks for what is new after these numbers, by part."""

    positions: dict[_Text, _Number]
    limit: _Limit = MOST


class PageAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Asks for what stands in the records of a part, after a place."""

    part: _Text
    after: _Text = ""
    limit: _Limit = MOST


class ReplicaApp:
    """The application that followers ask.

    Args:
        source: answers. viewer: whom a token stands for. threads: where the records are waited for. reporter: logs.
    """

    def __init__(
        self, source: Source, viewer: Callable[[str, str], Viewer | None], threads: Executor, reporter: Reporter
    ) -> None:
        self._source, self._viewer, self._threads, self._reporter = source, viewer, threads, reporter
        self._work: dict[str, Callable[[bytes], object]] = {PARTS: self._parts, NEWS: self._news, PAGE: self._page}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        await send_answer(send, await self._answer(scope, receive))

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        work = self._work.get(str(scope["path"]))
        if work is None:
            return problem(404, _KIND, "path")
        if scope.get("method") != "POST":
            return problem(405, _KIND, "method")
        body = await read_body(receive, LONGEST_BODY)
        if body is None:
            return problem(413, _KIND, "body")
        client = scope.get("client")
        token, address = bearer(dict(scope["headers"])), client[0] if client else ""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._done, work, token, address, body)

    def _done(self, work: Callable[[bytes], object], token: str, address: str, body: bytes) -> Answer:
        try:
            viewer = self._viewer(token, address)
            if viewer is None:
                return problem(401, _KIND, "token")
            if PERMISSION not in viewer.permissions:
                return problem(403, _KIND, "permission")
            return told(work(body))
        except (msgspec.MsgspecError, ValueError):
            return problem(400, _KIND, "form")
        except (HutongError, OSError) as error:
            self._reporter.log.exception("a follower could not be served", errors=str(error))
            return problem(503, _KIND, "away", _AWAY_S)

    def _parts(self, _body: bytes) -> object:
        return self._source.parts()

    def _news(self, body: bytes) -> object:
        asked = msgspec.json.decode(body, type=NewsAsked)
        return self._source.news(asked.positions, asked.limit)

    def _page(self, body: bytes) -> object:
        asked = msgspec.json.decode(body, type=PageAsked)
        return self._source.page(asked.part, asked.after, asked.limit)
