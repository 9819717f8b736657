"""`/search`: from what a person types, a number or a Call-ID, to its story. A number never stands in an address."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from litestar import Request, Response, get, post
from litestar.params import URLEncodedBody  # noqa: TC002  # Litestar reads the annotations

from hutong.kernel.numbering import NO_KEY
from hutong.kernel.web.console import see_other
from hutong.kernel.web.guard import requires

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.calls.stories.stories import Stories
    from hutong.kernel.access.refs import Refs
    from hutong.kernel.web.console import Console

_LONGEST = 2048
_NOT_FOUND = 404
_NUMBER = re.compile(r"\+?[\d\s().\-/–]+")


def routes(console: Console, *, stories: Stories, refs: Refs) -> list[HTTPRouteHandler]:
    """`/search`: GET is the form, POST finds."""

    def form(request: Request[Any, Any, Any], missed: str = "") -> Response[str]:
        return console.page(request, "search.html", status=_NOT_FOUND if missed else 200, missed=missed)

    @get("/search", sync_to_thread=False, opt=requires("numbers.read"))
    def search(request: Request[Any, Any, Any]) -> Response[str]:
        return form(request)

    @post("/search", status_code=303, sync_to_thread=True, opt=requires("numbers.read"))
    def find(request: Request[Any, Any, Any], data: URLEncodedBody[dict[str, str]]) -> Response[str]:
        text = data.get("q", "").strip()[:_LONGEST]
        if not text:
            return form(request, missed="nothing")
        seq = stories.call_of(text)
        if seq is not None:
            return see_other(f"/calls/{seq}")
        key = _number_key(stories, text)
        return form(request, missed="call") if key == NO_KEY else see_other(f"/numbers/{refs.ref(key)}")

    return [search, find]


def _number_key(stories: Stories, text: str) -> int:
    """The number that was typed, known or not; of other texts only the name of a caller or callee on record."""
    key = stories.number_of(text).key
    if _NUMBER.fullmatch(text) and any(char.isdigit() for char in text):
        return key
    return key if stories.is_on_record(key) else NO_KEY
