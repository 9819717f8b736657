"""Verification over HTTP, for stations: with the station's token, answered from the records or a replica. ASGI.

It is critical (`kernel.overload`): whoever stands in front of a station must not wait for a crowd elsewhere.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from hutong.kernel.errors import HutongError
from hutong.kernel.web.plain import Answer, bearer, problem, read_body, send_answer, told
from hutong.kernel.web.texts import choose_language

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from litestar.types import Receive, Scope, Send

    from hutong.codes.stations.desk import VerifyDesk
    from hutong.kernel.access.viewer import Viewer
    from hutong.kernel.clock import Clock
    from hutong.kernel.reporter import Reporter

VERIFY: Final = "/v1/codes/verify"
#: What a station may do anyway.
PERMISSION: Final = "sampling.register"
LONGEST_BODY: Final = 8 * 1024
_KIND: Final = "codes"
_AWAY_S: Final = 5
_NS_IN_MS: Final = 1_000_000


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A code, as its QR holds it."""

    code: Annotated[str, msgspec.Meta(max_length=4_000)]


class VerifyApp:
    """The application.

    Args:
        desk: judges. viewer: whom a token stands for. clock: the time. threads: where the records are waited for.
        reporter: logs.
    """

    def __init__(
        self,
        desk: VerifyDesk,
        viewer: Callable[[str, str], Viewer | None],
        clock: Clock,
        threads: Executor,
        reporter: Reporter,
    ) -> None:
        self._desk, self._viewer, self._clock = desk, viewer, clock
        self._threads, self._reporter = threads, reporter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        await send_answer(send, await self._answer(scope, receive))

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        if scope["path"] != VERIFY or scope.get("method") != "POST":
            known = scope["path"] == VERIFY
            return problem(405 if known else 404, _KIND, "method" if known else "path")
        body = await read_body(receive, LONGEST_BODY)
        if body is None:
            return problem(413, _KIND, "body")
        headers, client = dict(scope["headers"]), scope.get("client")
        language = choose_language("", headers.get(b"accept-language", b"").decode("latin-1"))
        address = client[0] if client else ""
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, self._done, bearer(headers), address, body, language
        )

    def _done(self, token: str, address: str, body: bytes, language: str) -> Answer:
        try:
            viewer = self._viewer(token, address)
            if viewer is None:
                return problem(401, _KIND, "token")
            if PERMISSION not in viewer.permissions:
                return problem(403, _KIND, "permission")
            asked = msgspec.json.decode(body, type=Asked)
            return told(self._desk.verify(asked.code, language, self._clock.wall() // _NS_IN_MS))
        except msgspec.MsgspecError:
            return problem(400, _KIND, "form")
        except (HutongError, OSError) as error:
            self._reporter.log.exception("a code could not be verified", errors=str(error))
            return problem(503, _KIND, "away", _AWAY_S)
