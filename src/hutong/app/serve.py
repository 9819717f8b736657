"""The `serve` process: listens, and ends when it is told to. What it serves is wired in `site`."""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
import threading
from functools import partial
from pathlib import Path  # noqa: TC003  # cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import uvicorn
from cyclopts import Parameter

from hutong.app.config import load_config
from hutong.app.first_sign_in import announce_first
from hutong.app.services import Services
from hutong.app.site import Site
from hutong.kernel.addresses import parse_host_port
from hutong.kernel.clock import SystemClock
from hutong.kernel.errors import StateError
from hutong.kernel.readiness import announce_ready
from hutong.kernel.reporter import Reporter
from hutong.kernel.web.port import BoundedHttp, Connections

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from hutong.app.config import Config

_GRACE_S = 3  # of the five seconds that a clean stop may take
_MAX_CONNECTIONS = 512
_BACKLOG = 128
_MS = 1_000_000


class Server(uvicorn.Server):
    """Uvicorn that says when it is ready, and ends the endless streams when it is told to stop.

    Args:
        site: what to serve.
        config: certificate, and the address to tell.
        reporter: told of the start.
    """

    def __init__(self, site: Site, config: Config, reporter: Reporter) -> None:
        serve = config.serve
        connections = Connections(serve.proxies, reporter.metrics)
        super().__init__(
            uvicorn.Config(
                site.application,
                loop="uvloop",
                http=partial(BoundedHttp, connections=connections),  # type: ignore[arg-type]  # makes a protocol
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                lifespan="on",
                limit_concurrency=_MAX_CONNECTIONS,
                backlog=_BACKLOG,
                timeout_graceful_shutdown=_GRACE_S,
                ssl_certfile=serve.tls_certificate or None,
                ssl_keyfile=serve.tls_key or None,
            )
        )
        self._site = site
        scheme = "https" if serve.tls_certificate else "http"
        self._pages = f"{scheme}://{serve.listen}/", f"{scheme}://{serve.public_listen}/"
        self._reporter = reporter

    async def startup(self, sockets: list[Any] | None = None) -> None:
        """Begin to listen, then say so."""
        await super().startup(sockets)
        if self.started:
            self._reporter.log.info("serving", page=self._pages[0], public=self._pages[1])
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
) -> int:
    """提供控制台、接口和公众页面,直到收到停止信号 / Serve console, API and public pages until told to stop."""
    settings = load_config(config, data=data)
    reporter = Reporter("serve", level=settings.log.level, form=settings.log.format)
    return run(Services(settings, SystemClock(), reporter, file=config))


def run(services: Services) -> int:
    """Serve until SIGTERM or SIGINT; 0 after a clean stop.

    Raises:
        HutongError: an address cannot be listened on, or something cannot be opened.
    """
    config, reporter = services.config, services.reporter
    services.open()
    try:
        run_folder = config.data / "run"
        run_folder.mkdir(exist_ok=True)
        announce_first(services.people, run_folder, sys.stderr, reporter, services.clock.wall() // _MS)
        with _bound(config.serve.listen) as console, _bound(config.serve.public_listen) as public:
            site = Site(services, int(public.getsockname()[1]))
            Server(site, config, reporter).run([console, public])
    finally:
        services.close()
    return 0


def _bound(text: str) -> socket.socket:
    """The address is taken now, so that a start fails early; nobody is let in before there is something to serve."""
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
            f"the pages cannot be served here: {error.strerror}.", where=text, fix="Choose another address in [serve]."
        ) from None
    return listener
