"""The API of one node, put together of what its systems bring: routes, the document, figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from hutong.kernel.web.api.document import document
from hutong.kernel.web.api.reference_page import reference_routes
from hutong.kernel.web.problems import is_for_programs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from litestar.handlers import HTTPRouteHandler
    from litestar.types import Message, Scope

    from hutong.kernel.web.api.document import Section
    from hutong.kernel.web.api.meters import Meters
    from hutong.kernel.web.frame import Frame

_NOT_KEPT: Final = (b"cache-control", b"no-store")


class WholeApi:
    """Every route of the API, and the document that describes them.

    Args:
        sections: in the document's order. version: Hutong's.
        meters: counts answers. frame: for the page of the reference.
    """

    def __init__(self, sections: Sequence[Section], version: str, meters: Meters, frame: Frame) -> None:
        self._meters = meters
        self.document: dict[str, Any] = document(sections, version)
        body = msgspec.json.encode(self.document)
        described = [route for section in sections for route in section.routes]
        self.routes: list[HTTPRouteHandler] = [*described, *reference_routes(self.document, body, frame)]

    async def before_send(self, message: Message, scope: Scope) -> None:
        """For `Litestar(before_send=…)`: counts answers, and lets nobody keep what programs are told of people."""
        if message["type"] == "http.response.start" and is_for_programs(scope["path"]):
            headers = message["headers"]
            if all(name != b"cache-control" for name, _ in headers):
                message["headers"] = [*headers, _NOT_KEPT]
        await self._meters.before_send(message, scope)
