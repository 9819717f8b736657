"""The `work` process: scheduled jobs that keep a node's data small and lawful. A job is a few lines here."""

from __future__ import annotations

import selectors
from pathlib import Path  # noqa: TC003  # cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from hutong.app.alert_work import AlertWork
from hutong.app.appeals_work import AppealWork
from hutong.app.audit_work import AuditWork
from hutong.app.backtest_work import BacktestWork
from hutong.app.bulletin_work import BulletinWork
from hutong.app.cases_work import CaseWork
from hutong.app.codes_status_work import StatusWork
from hutong.app.codes_work import CodeWork
from hutong.app.config import load_config
from hutong.app.handoff_work import HandoffWork
from hutong.app.orders_work import OrderWork
from hutong.app.replica_work import ReplicaWork
from hutong.app.reports_work import ReportWork
from hutong.app.results_work import ResultsWork
from hutong.app.retention import (
    carry_over,
    count_calls,
    forget_access,
    forget_minutes,
    forget_one_time,
    forget_removed_entries,
    remove_expired_entries,
)
from hutong.app.risk_work import ScoringWork
from hutong.app.rule_drift import rule_drift
from hutong.app.sampling_work import SamplingWork
from hutong.app.scans_work import ScanWork
from hutong.app.schedule import Job, due, next_slot
from hutong.app.signals import signal_pipe
from hutong.calls.archiving import Archiver, stop_holding
from hutong.calls.history import History
from hutong.calls.index import VerdictIndex
from hutong.kernel.clock import SystemClock
from hutong.kernel.journal import FileJournal
from hutong.kernel.lists.store import ListStore
from hutong.kernel.metrics import JOB_FAILURES, JOB_RUNS, Metrics
from hutong.kernel.readiness import announce_ready
from hutong.kernel.records.database import Database, database_url
from hutong.kernel.reporter import Reporter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hutong.app.config import Config
    from hutong.kernel.clock import Clock

_SECOND = 1_000_000_000
_MINUTE = 60 * _SECOND
_HOUR = 60 * _MINUTE


class Worker:
    """Runs each job once in each of its slots; a job that fails is tried again in the next.

    Args:
        jobs: what to do.
        reporter: where runs are logged and counted.
        clock: wall time, which the slots follow.
        run_folder: an existing folder that gets `work.prom`.
    """

    def __init__(self, jobs: Sequence[Job], reporter: Reporter, clock: Clock, run_folder: Path) -> None:
        self._jobs = jobs
        self._reporter = reporter
        self._clock = clock
        self._run_folder = run_folder
        self._last: dict[str, int] = {}

    def run(self) -> int:
        """Work until told to stop; must be called in the main thread. Returns 0."""
        with signal_pipe() as pipe, selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            announce_ready()
            wait = 0.0
            while not selector.select(wait):
                self.run_due()
                now = self._clock.wall()
                wait = (next_slot(self._jobs, now) - now) / 1e9
        self._reporter.log.info("stopped")
        return 0

    def run_due(self) -> None:
        """Run what is due now."""
        for job in due(self._jobs, self._last, self._clock.wall()):
            now = self._clock.wall()
            self._last[job.name] = now
            self._reporter.metrics.add(JOB_RUNS, job=job.name)
            try:
                dealt_with = job.run(now)
            except Exception:  # one job's fault must not keep the others from running
                self._reporter.metrics.add(JOB_FAILURES, job=job.name)
                self._reporter.log.exception("job failed", job=job.name)
            else:
                # What runs every few seconds would fill the log with itself.
                say = self._reporter.log.info if job.every >= _MINUTE else self._reporter.log.debug
                say("job done", job=job.name, dealt_with=dealt_with)
        try:
            self._reporter.metrics.write(self._run_folder / "work.prom")
        except OSError as error:
            self._reporter.log.warning("metrics not written", folder=str(self._run_folder), reason=str(error))


def jobs_of(config: Config, metrics: Metrics | None = None) -> list[Job]:
    """The jobs of a node with these settings; `metrics` gets what they tell beside how often they ran."""
    journal = FileJournal(config.data / "journal")
    keep = config.journal.keep_hours * _HOUR
    lists, roaming = ListStore(config.data / "lists"), ListStore(config.data / "roaming")
    database = Database(database_url(config.records.url, config.data))
    index, history = VerdictIndex(config.data), History(database, config.node.name)
    metrics = metrics or Metrics()
    return [
        *_archiving(config, metrics),
        rule_drift(config, database, index, history, lists, metrics),
        Job("verdict-index", 2 * _SECOND, lambda _now: index.build()),
        Job("call-history", 5 * _SECOND, lambda _now: count_calls(database, history, index)),
        Job("journal-retention", 10 * _MINUTE, lambda now: journal.retain(keep, now)),
        Job("list-expiry", 10 * _MINUTE, lambda now: remove_expired_entries(lists, now)),
        Job("roaming-expiry", 10 * _MINUTE, lambda now: remove_expired_entries(roaming, now)),
        # A removed entry is kept for as long as a verdict may name it.
        Job("list-forgetting", 10 * _MINUTE, lambda now: forget_removed_entries(lists, now - keep)),
        Job("roaming-forgetting", 10 * _MINUTE, lambda now: forget_removed_entries(roaming, now - keep)),
        Job("history-forgetting", 10 * _MINUTE, lambda now: forget_minutes(database, history, now)),
        Job("access-forgetting", 10 * _MINUTE, lambda now: forget_access(database, now)),
        Job("one-time-forgetting", 10 * _MINUTE, lambda _now: forget_one_time(database, config.data / "run")),
    ]


def _archiving(config: Config, metrics: Metrics) -> list[Job]:
    if not config.archive.enabled:
        return []
    archiver = Archiver(config.data)
    return [
        Job("archive", _MINUTE, lambda now: carry_over(archiver, metrics, now)),
        Job("archive-upkeep", 10 * _MINUTE, lambda now: archiver.upkeep(now, config.archive.keep_days)),
    ]


def work(
    *,
    config: Annotated[Path | None, Parameter(help="配置文件 (TOML) / settings file (TOML)")] = None,
    data: Annotated[Path | None, Parameter(help="数据目录 / data folder")] = None,
) -> int:
    """运行定时任务,直到收到停止信号 / Run scheduled jobs until told to stop."""
    settings = load_config(config, data=data)
    run_folder = settings.data / "run"
    run_folder.mkdir(parents=True, exist_ok=True)
    if not settings.archive.enabled:
        stop_holding(settings.data)
    reporter = Reporter("work", level=settings.log.level, form=settings.log.format)
    alerts = AlertWork(settings, SystemClock(), reporter)
    scoring = ScoringWork(settings, config)
    backtests = BacktestWork(settings, config, SystemClock())
    handoffs = HandoffWork(settings, SystemClock(), reporter)
    alerts.start()
    handoffs.start()
    try:
        jobs = [*jobs_of(settings), *alerts.jobs(reporter.metrics), *scoring.jobs(), *backtests.jobs()]
        jobs += AuditWork(settings, reporter).jobs()
        jobs += CaseWork(settings, SystemClock(), reporter).jobs()
        jobs += OrderWork(settings, reporter).jobs()
        jobs += [*AppealWork(settings, SystemClock(), reporter).jobs(), *handoffs.jobs()]
        jobs += ReportWork(settings, reporter).jobs()
        jobs += [*CodeWork(settings, reporter).jobs(), *StatusWork(settings, reporter).jobs()]
        jobs += ScanWork(settings, reporter).jobs()
        jobs += [*SamplingWork(settings, reporter).jobs(), *ResultsWork(settings, reporter).jobs()]
        jobs += ReplicaWork(settings).jobs()
        jobs += BulletinWork(settings, reporter).jobs()
        return Worker(jobs, reporter, SystemClock(), run_folder).run()
    finally:
        backtests.stop()
        scoring.stop()
        handoffs.stop()
        alerts.stop()
