"""The public pages for callers who were blocked: what happened, what they can do, and a signed card for machines.

Belongs here: routes and headers. Not here: the signed card (`redress`), the console.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import MediaType, Request, Response, get

from hutong.kernel.web.guard import OPEN
from hutong.kernel.web.texts import choose_language

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.calls.redress import RedressCard
    from hutong.kernel.web.frame import Frame

_NO_STORE = {"Cache-Control": "no-store"}


def routes(frame: Frame, card: RedressCard, node: str) -> list[HTTPRouteHandler]:
    """`/redress`, the target of a 608's Call-Info (RFC 8688 §4): a page for people, a signed jCard for machines."""

    def signed() -> Response[str]:
        return Response(card.signed(), media_type="application/jose", headers={**_NO_STORE, "Vary": "Accept"})

    @get("/redress", opt=OPEN, sync_to_thread=False)
    def redress(request: Request[Any, Any, Any]) -> Response[str]:
        """What a blocked caller can do."""
        if not _wants_page(request.headers.get("accept", "")):
            return signed()
        language = choose_language(request.query_params.get("lang"), request.headers.get("accept-language", ""))
        headers = {**_NO_STORE, "Content-Language": language, "Vary": "Accept-Language, Accept"}
        text = frame.render("redress.html", language, node=node)
        return Response(text, media_type=MediaType.HTML, headers=headers)

    @get("/redress/card", opt=OPEN, sync_to_thread=False)
    def redress_card() -> Response[str]:
        """The signed card."""
        return signed()

    @get("/redress/certificate", opt=OPEN, sync_to_thread=False)
    def certificate() -> Response[bytes]:
        """What the card is signed with."""
        return Response(card.certificate_pem, media_type="application/pem-certificate-chain")

    return [redress, redress_card, certificate]


def _wants_page(accept: str) -> bool:
    """A browser names text/html; a SIP element that dereferences Call-Info asks for JOSE, JSON or anything."""
    kinds = [item.partition(";")[0].strip().lower() for item in accept.split(",")]
    return "text/html" in kinds
