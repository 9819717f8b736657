"""The `serve` process: listens, and ends when it is told to. What it serves is wired in `site`."""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003  # cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from hutong.app.config import load_config
from hutong.app.first_sign_in import announce_first
from hutong.app.services import Services
from hutong.app.site import Site
from hutong.app.web_server import WebServer, bound
from hutong.kernel.clock import SystemClock
from hutong.kernel.reporter import Reporter

if TYPE_CHECKING:
    from types import FrameType

    from hutong.app.config import Config

_MS = 1_000_000


class Server(WebServer):
    """The server of console, API and public pages, which ends the endless streams when it is told to stop.

    Args:
        site: what to serve.
        config: certificate, and the address to tell.
        reporter: told of the start.
    """

    def __init__(self, site: Site, config: Config, reporter: Reporter) -> None:
        serve = config.serve
        scheme = "https" if serve.tls_certificate else "http"
        pages = f"{scheme}://{serve.listen}/", f"{scheme}://{serve.public_listen}/"
        super().__init__(
            site.application,
            serve.proxies,
            reporter.metrics,
            lambda: reporter.log.info("serving", page=pages[0], public=pages[1]),
            certificate=serve.tls_certificate,
            key=serve.tls_key,
        )
        self._site = site

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
        listen = config.serve.listen, config.serve.public_listen
        with bound(listen[0], "[serve]") as console, bound(listen[1], "[serve]") as public:
            site = Site(services, int(public.getsockname()[1]))
            Server(site, config, reporter).run([console, public])
    finally:
        services.close()
    return 0
