"""Sampling in a node: how it is opened with its settings, and what `work` does for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hutong.app.schedule import Job
from hutong.codes.bundles import BundleStore
from hutong.kernel.records import Database, database_url
from hutong.sampling import metrics
from hutong.sampling.conflicts import conflict_rules
from hutong.sampling.emergency.store import Emergencies
from hutong.sampling.figures import WAITING, Figures
from hutong.sampling.model import SIZES, Terms
from hutong.sampling.store import Bounds, Sampling

if TYPE_CHECKING:
    from hutong.app.config import Config
    from hutong.kernel.reporter import Reporter

_MS: Final = 1_000_000
_MINUTE: Final = 60_000_000_000
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS


def open_emergencies(config: Config, database: Database) -> Emergencies:
    """The emergency orders of a node. `database`: opened by whoever made it."""
    usual = Terms(config.sampling.sizes or SIZES, config.sampling.fields)
    return Emergencies(database, config.node.name, usual, config.sampling.emergency_hours)


def open_sampling(config: Config, database: Database) -> Sampling:
    """The tubes of a node. `database`: opened by whoever made it."""
    bounds = Bounds(
        apart_ms=config.sampling.apart_hours * _HOUR_MS,
        clock_ms=config.sampling.clock_seconds * 1000,
        keep_ms=config.sampling.keep_days * _DAY_MS,
    )
    return Sampling(database, bounds, open_emergencies(config, database).terms, BundleStore(database))


class SamplingWork:
    """What `work` does for sampling: figures, emergencies that end, forgetting.

    Args:
        config: the node's settings. reporter: figures.
    """

    def __init__(self, config: Config, reporter: Reporter) -> None:
        self._config, self._reporter = config, reporter
        self._database = Database(database_url(config.records.url, config.data))

    def jobs(self) -> list[Job]:
        """The jobs."""
        return [
            Job("sampling-figures", _MINUTE, self._count),
            Job("sampling-emergencies", _MINUTE, self._expire),
            Job("sampling-codes", _MINUTE, self._resolve),
            Job("sampling-recalls", _MINUTE, lambda _now: self._opened().close_calls()),
            Job("sampling-forgetting", 10 * _MINUTE, self._forget),
        ]

    def _opened(self) -> Sampling:
        self._database.open()
        return open_sampling(self._config, self._database)

    def _count(self, now: int) -> int:
        sampling, figures, now_ms = self._opened(), self._reporter.metrics, now // _MS
        states = Figures(self._database, 0).states()
        for state in WAITING:
            figures.set(metrics.TUBES, states[state], state=state)
        counts = sampling.conflict_counts()
        for rule in conflict_rules():
            figures.set(metrics.CONFLICTS, counts.get(rule, 0), rule=rule)
        silent = sampling.stations(limit=1)
        figures.set(metrics.SILENT, (now_ms - silent[0].contact_ms) / 1000 if silent else 0)
        figures.set(metrics.TURNAROUND, sampling.turnaround_ms(now_ms - _DAY_MS) / 1000)
        return 0

    def _expire(self, now: int) -> int:
        self._database.open()
        return open_emergencies(self._config, self._database).expire(now // _MS)

    def _resolve(self, now: int) -> int:
        return self._opened().resolve(now // _MS)

    def _forget(self, now: int) -> int:
        return self._opened().forget(now // _MS)
