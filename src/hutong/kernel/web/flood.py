"""A gate before public pages: who asks too much is refused before anything is read, parsed or looked up. ASGI.

Counted are requests of each network address (of IPv6 its /64) and of all together, and those under way. What is refused
costs a look into two tables in memory; the answer is ready-made. A form is read whole, within a time, before it is
under way: who sends slowly holds up nobody else.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from hutong.kernel.web.api.limits import Buckets

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.types import ASGIApp, HTTPReceiveMessage, Receive, Scope, Send

_MINUTE: Final = 60
_CALM = b"""<!DOCTYPE html><html lang="zh-CN"><meta charset="utf-8">\
<meta name="viewport" content="width=device-width, initial-scale=1"><title>%s</title>\
<main><h1>%s</h1><p>%s</p><h1 lang="en">%s</h1><p lang="en">%s</p></main></html>"""
_BUSY: Final = _CALM % tuple(
    text.encode()
    for text in (
        "请稍后再试 · Please wait",
        "请稍后再试",
        "请求过多,请过一会儿再提交。紧急情况请拨打 110。",
        "Please wait",
        "There are too many requests. Try again in a little while. In an emergency call 110.",
    )
)
_LONG: Final = _CALM % tuple(
    text.encode()
    for text in ("内容过长 · Too long", "内容过长", "请缩短后再提交。", "Too long", "Please shorten it and try again.")
)


class Limits(NamedTuple):
    """How much is let through.

    Attributes:
        forms_per_minute: forms that one address may send. pages_per_minute: pages that it may look at.
        forms_per_second: forms of everybody together. at_once: forms under way at one time.
        longest: bytes of a form. read_s: how long its bytes may take to come.
    """

    forms_per_minute: int = 6
    pages_per_minute: int = 60
    forms_per_second: int = 20
    at_once: int = 16
    longest: int = 32 * 1024
    read_s: float = 10.0


class FloodGate:
    """Lets requests through to an application, or refuses them with 429 (413 for what is too long, 408 too slow).

    Args:
        application: what is behind it. prefixes: paths that it guards, with all below them; others pass.
        limits: see there. place: the network address that a request counts for; "" where none is known.
        now_ns: a clock that does not go back. refused: told why, for the figures.
    """

    def __init__(  # what is behind, what is guarded, how much, for whom, when, who is told
        self,
        application: ASGIApp,
        prefixes: tuple[str, ...],
        limits: Limits,
        place: Callable[[Scope], str],
        now_ns: Callable[[], int],
        refused: Callable[[str], None],
    ) -> None:
        self._application, self._prefixes, self._limits = application, prefixes, limits
        self._place, self._now_ns, self._refused = place, now_ns, refused
        self._pages = Buckets(limits.pages_per_minute, _MINUTE * limits.pages_per_minute)
        self._forms = Buckets(limits.forms_per_minute, _MINUTE * limits.forms_per_minute)
        self._all = Buckets(limits.forms_per_second)
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        method = str(scope.get("method", ""))
        if not method or not self._guards(scope["path"]):
            await self._application(scope, receive, send)
            return
        form = method not in {"GET", "HEAD", "OPTIONS"}
        if form and _length(scope) > self._limits.longest:
            await self._refuse(send, "too-long", 413, _LONG)
            return
        why, wait = self._weigh(self._place(scope), form=form)
        if why:
            await self._refuse(send, why, 429, _BUSY, wait)
        elif form:
            await self._pass_form(scope, receive, send)
        else:
            await self._application(scope, receive, send)

    def _guards(self, path: str) -> bool:
        # The router takes several slashes for one.
        parts = "/".join(["", *filter(None, path.split("/")), ""])
        return any(parts.startswith(f"{prefix}/") for prefix in self._prefixes)

    async def _pass_form(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(self._limits.read_s):
                body = await _read(receive, self._limits.longest)
        except TimeoutError:
            await self._refuse(send, "slow", 408, _BUSY)
            return
        if body is None:
            return
        if len(body) > self._limits.longest:
            await self._refuse(send, "too-long", 413, _LONG)
            return
        if self._under_way >= self._limits.at_once:
            await self._refuse(send, "busy", 429, _BUSY, 2.0)
            return
        self._under_way += 1
        try:
            await self._application(scope, _again(body, receive), send)
        finally:
            self._under_way -= 1

    async def _refuse(self, send: Send, why: str, status: int, body: bytes, wait_s: float = 0.0) -> None:
        self._refused(why)
        await _answer(send, status, body, math.ceil(wait_s))

    def _weigh(self, place: str, *, form: bool) -> tuple[str, float]:
        now = self._now_ns()
        wait = (self._forms if form else self._pages).take(place, _MINUTE, now)
        if wait:
            return "address", wait
        wait = self._all.take("", 1, now) if form else 0.0
        return ("everybody", wait) if wait else ("", 0.0)


async def _read(receive: Receive, longest: int) -> bytes | None:
    """What was sent, up to a little more than `longest`; None where the sender has gone."""
    body = b""
    while len(body) <= longest:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return body


def _again(body: bytes, receive: Receive) -> Receive:
    """A way to receive that first gives what was read already."""
    left: list[HTTPReceiveMessage] = [{"type": "http.request", "body": body, "more_body": False}]

    async def given() -> HTTPReceiveMessage:
        return left.pop() if left else cast("HTTPReceiveMessage", await receive())

    return cast("Receive", given)


def _length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 1 << 60
    return 0


async def _answer(send: Send, status: int, body: bytes, wait_s: int) -> None:
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if wait_s:
        headers.append((b"retry-after", str(wait_s).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
