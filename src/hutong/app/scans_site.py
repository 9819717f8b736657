"""The listener for scans, wired: devices at doors and phones send what they kept; it stands with the public pages."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from hutong.app.codes_work import key_ring
from hutong.app.scans_work import scan_parts, venue_key
from hutong.codes.scans.doors import Known
from hutong.codes.scans.group import GroupCommit
from hutong.codes.scans.wire import ScanApp
from hutong.codes.stations.knowledge import KeptKeySet
from hutong.kernel.access.tokens import Tokens

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from litestar.types import ASGIApp

    from hutong.app.config import Config
    from hutong.kernel.access.viewer import Viewer
    from hutong.kernel.clock import Clock
    from hutong.kernel.records import Database
    from hutong.kernel.reporter import Reporter

_NS_IN_MS: Final = 1_000_000


class ScanListener:
    """What takes scans over HTTP in one process.

    Args:
        config: the node's settings. database: opened before the first request. clock: the time.
        threads: where records are waited for and signatures verified. reporter: logs and figures.
    """

    def __init__(self, config: Config, database: Database, clock: Clock, threads: Executor, reporter: Reporter) -> None:
        self._clock, self._threads, self._reporter = clock, threads, reporter
        self._tokens = Tokens(database, config.access.token_days)
        self._commit = GroupCommit(scan_parts(config, database).scans, self._now_ms, reporter.metrics)
        self.start, self.stop = self._commit.start, self._commit.stop
        self._key_set = KeptKeySet(key_ring(config).key_set)
        self._venue_key = cache(lambda: venue_key(config.data).public)

    def before(self, other: ASGIApp) -> ScanApp:
        """The listener, with another application behind it for every other path."""
        return ScanApp(other, self._commit, self._viewer, self._keys, self._threads, self._now_ms, self._reporter)

    def _now_ms(self) -> int:
        return self._clock.wall() // _NS_IN_MS

    def _viewer(self, token: str, address: str) -> Viewer | None:
        return self._tokens.viewer(token, address, self._now_ms())

    def _keys(self) -> Known:
        return Known(self._key_set(self._now_ms()), (self._venue_key(),))
