"""A web process: uvicorn with bounds on connections and heads, listeners taken early, and a clean end on signals."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import uvicorn

from hutong.kernel.addresses import parse_host_port
from hutong.kernel.errors import StateError
from hutong.kernel.readiness import announce_ready
from hutong.kernel.web.port import BoundedHttp, Connections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import FrameType

    from litestar.types import ASGIApp

    from hutong.app.config import Config
    from hutong.kernel.metrics import Metrics

_GRACE_S = 3  # of the five seconds that a clean stop may take
_MAX_CONNECTIONS = 512
_BACKLOG = 128
#: The edge is on this machine, for it reads the board, and it carries everybody's requests.
_EDGE = ("127.0.0.0/8", "::1/128")
#: A crowd keeps its connections open; those that wait cost little.
_CROWD_CONNECTIONS = 4096
_FIGURES_TICKS = 50


class WebServer(uvicorn.Server):
    """Uvicorn that says when it is ready, and ends when it is told to.

    Args:
        application: what to serve. proxies: networks of the reverse proxies. metrics: where connections are counted.
        ready: called once it listens. connections: the most at once.
        certificate, key: PEM files; empty = no TLS.
    """

    def __init__(
        self,
        application: ASGIApp,
        proxies: Sequence[str],
        metrics: Metrics,
        ready: Callable[[], None],
        *,
        connections: int = _MAX_CONNECTIONS,
        certificate: str = "",
        key: str = "",
    ) -> None:
        kept = Connections(proxies, metrics)
        super().__init__(
            uvicorn.Config(
                application,
                loop="uvloop",
                http=partial(BoundedHttp, connections=kept),  # type: ignore[arg-type]  # makes a protocol
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                lifespan="on",
                limit_concurrency=connections,
                backlog=_BACKLOG,
                timeout_graceful_shutdown=_GRACE_S,
                ssl_certfile=certificate or None,
                ssl_keyfile=key or None,
            )
        )
        self._ready = ready

    async def startup(self, sockets: list[Any] | None = None) -> None:
        """Begin to listen, then say so."""
        await super().startup(sockets)
        if self.started:
            self._ready()
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


class _CrowdServer(WebServer):
    """Leaves its figures in a file, too: `serve` exposes them, for who listens to a crowd serves no `/metrics`."""

    figures: tuple[Metrics, Path]

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        if counter % _FIGURES_TICKS == 0:
            metrics, file = self.figures
            with contextlib.suppress(OSError):  # a full disk must not end the service
                await asyncio.to_thread(metrics.write, file)
        return await super().on_tick(counter)


def serve_crowd(
    application: ASGIApp,
    place: tuple[str, str],
    config: Config,
    metrics: Metrics,
    ready: Callable[[], None],
    name: str,
) -> None:
    """Serve an application that stands behind the edge, on a listener of its own, until SIGTERM or SIGINT.

    Args:
        place: the address, and the setting that names it. name: of the process, for the file of its figures.

    Raises:
        StateError: it cannot be listened on.
    """
    with bound(*place) as listener:
        proxies = (*config.serve.proxies, *_EDGE)
        server = _CrowdServer(application, proxies, metrics, ready, connections=_CROWD_CONNECTIONS)
        server.figures = metrics, config.data / "run" / f"{name}.prom"
        # What is here now stays. Looking through all of it again and again would hold up everybody for 0.3 s each time.
        gc.collect()
        gc.freeze()
        server.run([listener])


def bound(text: str, setting: str) -> socket.socket:
    """The address is taken now, so that a start fails early; nobody is let in before there is something to serve.

    Raises:
        StateError: it cannot be had; `setting` names where to choose another.
    """
    address = parse_host_port(text)
    listener = socket.socket(socket.AF_INET6 if address.is_ipv6 else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address.is_ipv6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((address.host, address.port))
    except OSError as error:
        listener.close()
        raise StateError(
            f"the pages cannot be served here: {error.strerror}.",
            where=text,
            fix=f"Choose another address in {setting}.",
        ) from None
    return listener
