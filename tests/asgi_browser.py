"""Asks a web application directly, as its server would (ASGI), without a socket."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from litestar.types import ASGIApp, Message


def _scope(path: str, headers: dict[str, str]) -> dict[str, Any]:
    path, _, query = path.partition("?")
    return {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8080), "state": {},
    }  # fmt: skip


async def streamed(application: ASGIApp, path: str, headers: dict[str, str]) -> AsyncIterator[bytes]:
    """The parts of an answer's body as they come, to its end; the client stays until then."""
    parts: asyncio.Queue[bytes | None] = asyncio.Queue()
    asked, over = iter([{"type": "http.request", "body": b"", "more_body": False}]), asyncio.Event()

    async def receive() -> Message:
        message = next(asked, None)
        if message is None:
            await over.wait()
            return {"type": "http.disconnect"}
        return message  # type: ignore[return-value]

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            await parts.put(message.get("body", b""))
            if not message.get("more_body"):
                await parts.put(None)

    scope = _scope(path, {"host": "localhost", **headers})
    answering = asyncio.ensure_future(application(scope, receive, send))  # type: ignore[arg-type]
    while (part := await parts.get()) is not None:
        yield part
    over.set()
    await answering


class Reply(msgspec.Struct):
    """An answer; of an endless stream its first event."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class Browser:
    """Headers are named with underscores; `cookie` goes with every request."""

    def __init__(self, application: ASGIApp, cookie: str = "") -> None:
        self._application = application
        self._cookie = cookie

    def get(self, path: str, **headers: str) -> Reply:
        if self._cookie:
            headers = {"cookie": self._cookie, **headers}
        return asyncio.run(self._get(path, {"host": "localhost", **headers}))

    async def _get(self, path: str, headers: dict[str, str]) -> Reply:
        scope = _scope(path, headers)
        reply = Reply(0, {}, b"")
        sent = iter([{"type": "http.request", "body": b"", "more_body": False}])
        over = asyncio.Event()

        async def receive() -> Message:
            message = next(sent, None)
            if message is None:
                await over.wait()
                return {"type": "http.disconnect"}
            return message

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                reply.status = message["status"]
                reply.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
            else:
                reply.body += message.get("body", b"")
                if reply.body.count(b"event: live") or not message.get("more_body"):
                    over.set()

        await self._application(scope, receive, send)  # type: ignore[arg-type]
        return reply
