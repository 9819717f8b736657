"""What the API counts; names and words are declared in `kernel.metrics`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hutong.kernel.metrics import API_REQUESTS, API_THROTTLED, API_UNMASKED

if TYPE_CHECKING:
    from litestar.types import Message, Scope

    from hutong.kernel.metrics import Metrics


class Meters:
    """The API's figures in one process."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def answered(self, route: str, status: int) -> None:
        """A request to a route got its answer."""
        self._metrics.add(API_REQUESTS, route=route, status=str(status))

    def throttled(self, limit: str) -> None:
        """A request was refused for this limit, such as requests."""
        self._metrics.add(API_THROTTLED, limit=limit)

    def unmasked(self) -> None:
        """Whole numbers were shown."""
        self._metrics.add(API_UNMASKED)

    async def before_send(self, message: Message, scope: Scope) -> None:
        """Litestar's hook: counts every answer of a route."""
        if message["type"] == "http.response.start":
            handler = scope.get("route_handler")
            route = str(handler.opt.get("route", "")) if handler is not None else ""
            if route:
                self.answered(route, message["status"])
