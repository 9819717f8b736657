"""A gate before public pages: who asks too much is refused before anything is read, parsed or looked up. ASGI.

Counted are requests of each network address (of IPv6 its /64) and of all together, and those under way. What is refused
costs a look into two tables in memory; the answer is ready-made.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from hutong.kernel.web.api.limits import Buckets

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.types import ASGIApp, Receive, Scope, Send

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
        longest: bytes of a form.
    """

    forms_per_minute: int = 6
    pages_per_minute: int = 60
    forms_per_second: int = 20
    at_once: int = 16
    longest: int = 32 * 1024


class FloodGate:
    """Lets requests through to an application, or refuses them with 429 (413 for what is too long).

    Args:
        application: what is behind it. prefixes: of paths that it guards; others pass.
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
        self._pages = Buckets(1, _MINUTE)
        self._forms = Buckets(1, _MINUTE)
        self._all = Buckets(limits.forms_per_second)
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        method = str(scope.get("method", ""))
        if not method or not scope["path"].startswith(self._prefixes):
            await self._application(scope, receive, send)
            return
        form = method not in {"GET", "HEAD", "OPTIONS"}
        if form and _length(scope) > self._limits.longest:
            self._refused("too-long")
            await _answer(send, 413, _LONG, 0)
            return
        why, wait = self._weigh(self._place(scope), form=form)
        if why:
            self._refused(why)
            await _answer(send, 429, _BUSY, math.ceil(wait))
            return
        self._under_way += form
        try:
            await self._application(scope, receive, send)
        finally:
            self._under_way -= form

    def _weigh(self, place: str, *, form: bool) -> tuple[str, float]:
        now, limits = self._now_ns(), self._limits
        if form and self._under_way >= limits.at_once:
            return "busy", 2.0
        bucket, rate = (self._forms, limits.forms_per_minute) if form else (self._pages, limits.pages_per_minute)
        wait = bucket.take(place, max(_MINUTE // rate, 1), now)
        if wait:
            return "address", wait
        wait = self._all.take("", 1, now) if form else 0.0
        return ("everybody", wait) if wait else ("", 0.0)


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
        headers.append((b"retry-after", str(max(wait_s, 1)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
