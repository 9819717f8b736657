"""The pages of the calls system: the live page with its stream, and the page for callers who were blocked.

Belongs here: routes, what they render, what a stream event holds. Not here: figures (`live_view`), the beat
(`live_feed`), the signed card (`redress`).
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litestar import MediaType, Request, Response, get
from litestar.exceptions import HTTPException
from litestar.response import Stream
from msgspec import Struct

from hutong.kernel.web.texts import choose_language

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from litestar.handlers import HTTPRouteHandler

    from hutong.calls.live_feed import LiveFeed
    from hutong.calls.live_view import LiveView
    from hutong.calls.redress import RedressCard
    from hutong.kernel.web.frame import Frame

HOME = Path(__file__).resolve().parent
STATIC = HOME / "static"

_REGIONS = ("answer", "health", "rules", "trunks", "latest", "table")
_NO_STORE = {"Cache-Control": "no-store"}
_STREAM_HEADERS = {**_NO_STORE, "X-Accel-Buffering": "no"}


class NodeFacts(Struct, frozen=True):
    """What the pages say about this node."""

    name: str
    listen: str
    """Where the SIP proxy should send its calls."""
    time_zone: ZoneInfo


class LivePages:
    """Renders the live page and its stream's events.

    Args:
        frame: made with this package's folder (`HOME`).
        facts: about the node.
    """

    def __init__(self, frame: Frame, facts: NodeFacts) -> None:
        self._frame = frame
        self._facts = facts

    def _values(self, view: LiveView) -> dict[str, Any]:
        return {
            "view": view,
            "node": self._facts.name,
            "listen": self._facts.listen,
            "local_time": self._local_time,
        }

    def _local_time(self, seconds: float) -> str:
        return datetime.fromtimestamp(seconds, self._facts.time_zone).strftime("%H:%M:%S")

    def page(self, view: LiveView, language: str) -> str:
        """The whole page."""
        return self._frame.render("live.html", language, **self._values(view))

    def draw(self, view: LiveView, language: str) -> dict[str, object]:
        """One event of the stream: the page's regions as markup, the chart as columns of figures."""
        values = self._values(view)
        return {
            "regions": {name: self._frame.render(f"live_{name}.html", language, **values) for name in _REGIONS},
            "chart": {
                "time": [self._local_time(second.at) for second in view.seconds],
                "pass": [second.passed for second in view.seconds],
                "warn": [second.warned for second in view.seconds],
                "block": [second.blocked for second in view.seconds],
            },
            "state": view.state,
        }


def reader_language(request: Request[Any, Any, Any]) -> str:
    """The language of the answer: `?lang=`, else the browser's, else Chinese."""
    return choose_language(request.query_params.get("lang"), request.headers.get("accept-language", ""))


def _html(text: str, language: str) -> Response[str]:
    headers = {**_NO_STORE, "Content-Language": language, "Vary": "Accept-Language, Accept"}
    return Response(text, media_type=MediaType.HTML, headers=headers)


def live_routes(frame: Frame, pages: LivePages, feed: LiveFeed) -> list[HTTPRouteHandler]:
    """`/` and `/live/stream`."""

    @get("/", sync_to_thread=False)
    def live(request: Request[Any, Any, Any]) -> Response[str]:
        language = reader_language(request)
        return _html(pages.page(feed.view, language), language)

    @get("/live/stream")
    async def stream(request: Request[Any, Any, Any]) -> Stream:
        language = reader_language(request)
        if feed.full:
            raise HTTPException(frame.texts.say("live.full", language), status_code=503, headers={"Retry-After": "10"})
        return Stream(feed.watch(language), media_type="text/event-stream", headers=_STREAM_HEADERS)

    return [live, stream]


def redress_routes(frame: Frame, card: RedressCard, node: str) -> list[HTTPRouteHandler]:
    """`/redress`, the target of a 608's Call-Info (RFC 8688 §4): a page for people, a signed jCard for machines."""

    def signed() -> Response[str]:
        return Response(card.signed(), media_type="application/jose", headers={**_NO_STORE, "Vary": "Accept"})

    @get("/redress", sync_to_thread=False)
    def redress(request: Request[Any, Any, Any]) -> Response[str]:
        if not _wants_page(request.headers.get("accept", "")):
            return signed()
        language = reader_language(request)
        return _html(frame.render("redress.html", language, node=node), language)

    @get("/redress/card", sync_to_thread=False)
    def redress_card() -> Response[str]:
        return signed()

    @get("/redress/certificate", sync_to_thread=False)
    def certificate() -> Response[bytes]:
        return Response(card.certificate_pem, media_type="application/pem-certificate-chain")

    return [redress, redress_card, certificate]


def _wants_page(accept: str) -> bool:
    """A browser names text/html; a SIP element that dereferences Call-Info asks for JOSE, JSON or anything."""
    kinds: Sequence[str] = [item.partition(";")[0].strip().lower() for item in accept.split(",")]
    return "text/html" in kinds
