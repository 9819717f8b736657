"""The `serve` process: pages, stream, metrics and health over HTTP. Wires; judges nothing, writes only its key."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
from pathlib import Path  # noqa: TC003  # cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import uvicorn
from cyclopts import Parameter
from litestar import Litestar, Response, get
from litestar.exceptions import HTTPException
from litestar.static_files import create_static_files_router
from msgspec.structs import replace

from hutong.app.config import Config, ServeConfig, load_config
from hutong.calls import metrics, pages
from hutong.calls.live import LiveSource
from hutong.calls.live_feed import LiveFeed, SnapshotSource
from hutong.calls.redress import RedressCard
from hutong.kernel.addresses import parse_host_port
from hutong.kernel.clock import Clock, SystemClock
from hutong.kernel.errors import StateError
from hutong.kernel.readiness import announce_ready
from hutong.kernel.reporter import Reporter
from hutong.kernel.web import frame as web
from hutong.kernel.web.security import with_security_headers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from types import FrameType

    from litestar.types import ASGIApp, Scope

_GRACE_S = 3  # of the five seconds that a clean stop may take
_MAX_CONNECTIONS = 256
_BACKLOG = 128


class Site:
    """The web application of one node and the feed behind its live page.

    The key of its card is opened before it serves (`card.open`).

    Args:
        config: the node's settings.
        source: the live counters.
        clock: for the age of what is shown and for the card's `iat`.
        reporter: told of requests that went wrong here.
    """

    def __init__(self, config: Config, source: SnapshotSource, clock: Clock, reporter: Reporter) -> None:
        self._reporter = reporter
        frame = web.Frame([pages.HOME])
        facts = pages.NodeFacts(
            name=config.node.name,
            listen=", ".join(config.sip.listen),
            time_zone=ZoneInfo(config.calls.time_zone),
        )
        live_pages = pages.LivePages(frame, facts)
        self.feed = LiveFeed(source, clock, live_pages.draw)
        self.card = RedressCard(config.data / "keys", config.node.name, config.sip.redress_url, clock)
        static = create_static_files_router(path="/static", directories=[web.STATIC, pages.STATIC], cache_control=None)
        litestar = Litestar(
            route_handlers=[
                *pages.live_routes(frame, live_pages, self.feed),
                *pages.redress_routes(frame, self.card, config.node.name),
                *_service_routes(self.feed),
                static,
            ],
            lifespan=[self._life],
            after_exception=[self._went_wrong],
            openapi_config=None,
            logging_config=None,
        )
        self.application: ASGIApp = with_security_headers(litestar)

    @contextlib.asynccontextmanager
    async def _life(self, _application: Litestar) -> AsyncIterator[None]:
        beat = asyncio.create_task(self.feed.run())
        try:
            yield
        finally:
            self.feed.close()
            await beat

    async def _went_wrong(self, error: Exception, scope: Scope) -> None:
        if not isinstance(error, HTTPException):
            self._reporter.log.error("request failed", path=scope.get("path", ""), exc_info=error)


def _service_routes(feed: LiveFeed) -> list[Any]:
    """`/healthz`, `/readyz`, `/metrics`: for machines."""

    @get("/healthz", sync_to_thread=False)
    def healthz() -> Response[str]:
        return Response("ok\n", media_type="text/plain")

    @get("/readyz", sync_to_thread=False)
    def readyz() -> dict[str, str]:
        """Whether this process serves. It must also serve while screening is down: that is when people look."""
        return {"serve": "ready", "screening": feed.view.state}

    @get("/metrics", sync_to_thread=False)
    def exposition() -> Response[bytes]:
        return Response(metrics.exposition(feed.view, feed.watchers), media_type=metrics.CONTENT_TYPE)

    return [healthz, readyz, exposition]


class Server(uvicorn.Server):
    """Uvicorn that says when it is ready, and ends the endless streams when it is told to stop.

    Args:
        site: what to serve.
        config: where to listen.
        reporter: told of the start.
    """

    def __init__(self, site: Site, config: Config, reporter: Reporter) -> None:
        address = parse_host_port(config.serve.listen)
        super().__init__(
            uvicorn.Config(
                site.application,
                host=address.host,
                port=address.port,
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="on",
                limit_concurrency=_MAX_CONNECTIONS,
                timeout_graceful_shutdown=_GRACE_S,
            )
        )
        self._site = site
        self._page = f"http://{address}/"
        self._reporter = reporter

    async def startup(self, sockets: list[Any] | None = None) -> None:
        """Begin to listen, then say so."""
        await super().startup(sockets)
        if self.started:
            self._reporter.log.info("serving", page=self._page)
            announce_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Without uvicorn's raising the signal again at the end: a clean stop has exit status 0."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """On SIGTERM or SIGINT."""
        super().handle_exit(sig, frame)
        self._site.feed.close()


def serve(
    *,
    config: Annotated[Path | None, Parameter(help="配置文件 (TOML) / settings file (TOML)")] = None,
    data: Annotated[Path | None, Parameter(help="数据目录 / data folder")] = None,
    listen: Annotated[str, Parameter(help="监听地址 主机:端口 / address to listen on, host:port")] = "",
) -> int:
    """提供网页、实况流和指标,直到收到停止信号 / Serve pages, the live stream and metrics until told to stop."""
    settings = load_config(config, data=data)
    if listen:
        parse_host_port(listen)
        settings = replace(settings, serve=ServeConfig(listen=listen))
    reporter = Reporter("serve", level=settings.log.level, form=settings.log.format)
    return run(Site(settings, LiveSource(settings.data), SystemClock(), reporter), settings, reporter)


def run(site: Site, config: Config, reporter: Reporter) -> int:
    """Serve until SIGTERM or SIGINT; 0 after a clean stop.

    Raises:
        StateError: the address cannot be listened on, or the key cannot be read.
    """
    site.card.open()
    with _listen(config.serve.listen) as listener:
        Server(site, config, reporter).run([listener])
    return 0


def _listen(text: str) -> socket.socket:
    address = parse_host_port(text)
    family = socket.AF_INET6 if address.is_ipv6 else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise StateError(
            f"the pages cannot be served here: {error.strerror}.", where=text, fix="Choose another serve.listen."
        ) from None
