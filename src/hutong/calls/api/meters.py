"""What the API counts, declared in `calls.metrics`' manner and added to its exposition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hutong.kernel.metrics import Metric, Metrics

if TYPE_CHECKING:
    from litestar.types import Message, Scope

API_REQUESTS = Metric(
    "hutong_api_requests_total",
    "counter",
    "requests",
    "接口请求数,按路由与状态码",
    "Requests to the HTTP API by route and status",
    ("route", "status"),
)
API_CALLS = Metric(
    "hutong_api_calls_total",
    "counter",
    "calls",
    "经接口筛查的呼叫数,按结果",
    "Calls screened over HTTP: judged, repeated, refused (wrong in themselves), unavailable (to be passed)",
    ("result",),
)
API_THROTTLED = Metric(
    "hutong_api_throttled_total",
    "counter",
    "requests",
    "因超过令牌限额而拒绝的请求数",
    "Requests refused because their token asked too much",
    ("limit",),
)
API_UNMASKED = Metric(
    "hutong_api_unmasked_total",
    "counter",
    "requests",
    "经接口查看完整号码的次数",
    "Requests that were shown whole numbers, each on the trail",
)


class Meters:
    """The API's figures in one process."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def answered(self, route: str, status: int) -> None:
        """A request to a route got its answer."""
        self._metrics.add(API_REQUESTS, route=route, status=str(status))

    def calls(self, result: str, count: int) -> None:
        """So many calls fared so."""
        if count:
            self._metrics.add(API_CALLS, count, result=result)

    def throttled(self, limit: str) -> None:
        """A request was refused for this limit: calls or requests."""
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
