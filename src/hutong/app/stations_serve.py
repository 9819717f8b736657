"""The `stations` process: what stations of sampling speak to, on its own listener, so that no crowd can starve them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path  # noqa: TC003  # cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from hutong.app.config import load_config
from hutong.app.edge.writing import process_addresses
from hutong.app.overload import gate_before
from hutong.app.replica_work import replica_of
from hutong.app.sampling_work import open_sampling
from hutong.app.stations_site import station_page
from hutong.app.stations_verify import mounted
from hutong.app.web_server import serve_crowd
from hutong.kernel.access.tokens import Tokens
from hutong.kernel.clock import SystemClock
from hutong.kernel.errors import ConfigError
from hutong.kernel.records import MOST_CONNECTIONS, Database, database_url
from hutong.kernel.reporter import Reporter
from hutong.kernel.web.mounts import Mounts
from hutong.sampling.commit import GroupCommit
from hutong.sampling.wire import StationApp

if TYPE_CHECKING:
    from hutong.app.config import Config
    from hutong.kernel.access.viewer import Viewer
    from hutong.kernel.clock import Clock

#: Tokens are looked up there; events wait for the one thread of the group commit. As many verify, by themselves: what
#: waits for records that are away must not hold up what a replica answers.
_THREADS: Final = 4
_NS_IN_MS: Final = 1_000_000


def serve(
    *,
    config: Annotated[Path | None, Parameter(help="配置文件 (TOML) / settings file (TOML)")] = None,
    data: Annotated[Path | None, Parameter(help="数据目录 / data folder")] = None,
    process: Annotated[int, Parameter(help="第几个进程,从 1 起 / which of the processes, from 1")] = 1,
) -> int:
    """供采样点合并的服务,直到收到停止信号 / Serve the stations of sampling until told to stop."""
    settings = load_config(config, data=data)
    return run(
        settings, SystemClock(), Reporter("stations", level=settings.log.level, form=settings.log.format), process
    )


def run(config: Config, clock: Clock, reporter: Reporter, process: int = 1) -> int:
    """Serve until SIGTERM or SIGINT; 0 after a clean stop. `process`: which of those that share the work, from 1.

    Raises:
        ConfigError: no address is set. HutongError: it cannot be listened on, or the records cannot be opened.
    """
    address = config.sampling.listen
    if not address:
        fix = 'Set it, such as "127.0.0.1:8083".'
        raise ConfigError("No address is set for stations.", where="sampling.listen", fix=fix)

    address = process_addresses(address, process)[-1]

    def now_ms() -> int:
        return clock.wall() // _NS_IN_MS

    database = Database(database_url(config.records.url, config.data), kept=MOST_CONNECTIONS)
    database.open()
    replica = replica_of(config)
    replica.open()
    commit = GroupCommit(open_sampling(config, database), now_ms, reporter.metrics)
    tokens = Tokens(database, config.access.token_days)

    def recent(token: str, source: str) -> Viewer | None:
        return tokens.recent(token, source, now_ms())

    def viewer(token: str, source: str) -> Viewer | None:
        return tokens.viewer(token, source, now_ms())

    commit.start()
    try:
        with ThreadPoolExecutor(_THREADS, "stations") as threads, ThreadPoolExecutor(_THREADS, "verify") as verifying:
            page = station_page(config, database, replica, now_ms, threads, reporter)
            more = mounted(config, database, replica, viewer, clock, threads, verifying, reporter)
            application = Mounts(
                {"/station": page, "/codes": page, "/static": page, **more},
                StationApp(commit, recent, viewer, threads, reporter),
            )
            serve_crowd(
                gate_before(application, "stations", config, clock, reporter.metrics, process),
                (address, "sampling.listen"),
                config,
                reporter.metrics,
                lambda: reporter.log.info("serving stations", address=address),
                f"stations-{process}",
            )
    finally:
        commit.stop()
        replica.close()
        database.close()
    return 0
