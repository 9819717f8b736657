"""The `codes` process: the public service of codes on its own listener. What it serves is wired in `codes_site`."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path  # noqa: TC003  # cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from hutong.app.codes_site import CodesSite
from hutong.app.config import load_config
from hutong.app.edge.writing import process_addresses
from hutong.app.web_server import serve_crowd
from hutong.kernel.clock import SystemClock
from hutong.kernel.errors import ConfigError
from hutong.kernel.reporter import Reporter

if TYPE_CHECKING:
    from hutong.app.config import Config
    from hutong.kernel.clock import Clock

#: As nice as the edge before it: where both have work, stations go first.
_NICE: Final = 5


def serve(
    *,
    config: Annotated[Path | None, Parameter(help="配置文件 (TOML) / settings file (TOML)")] = None,
    data: Annotated[Path | None, Parameter(help="数据目录 / data folder")] = None,
    process: Annotated[int, Parameter(help="第几个进程,从 1 起 / which of the processes, from 1")] = 1,
) -> int:
    """提供一码通的公众服务,直到收到停止信号 / Serve the public pages of codes until told to stop."""
    settings = load_config(config, data=data)
    with suppress(OSError):
        os.nice(_NICE)
    return run(settings, SystemClock(), Reporter("codes", level=settings.log.level, form=settings.log.format), process)


def run(config: Config, clock: Clock, reporter: Reporter, process: int = 1) -> int:
    """Serve until SIGTERM or SIGINT; 0 after a clean stop. `process`: which of those that share the work, from 1.

    Raises:
        ConfigError: no address is set. HutongError: it cannot be listened on, or the records cannot be opened.
    """
    address = config.codes.listen
    if not address:
        raise ConfigError("No address is set for codes.", where="codes.listen", fix='Set it, such as "127.0.0.1:8085".')
    address = process_addresses(address, process)[-1]
    site = CodesSite(config, clock, reporter, process)
    site.open()
    try:
        serve_crowd(
            site.application(),
            (address, "codes.listen"),
            config,
            reporter.metrics,
            lambda: reporter.log.info("serving codes", page=f"http://{address}/codes/"),
            f"codes-{process}",
        )
    finally:
        site.close()
    return 0
