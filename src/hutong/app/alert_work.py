"""Alerts in the `work` process: threads that follow the journal and bring events to sinks. Wiring and waiting only.

Jobs take their time; whoever must be told within a second is told from threads of their own.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from hutong.app.schedule import Job
from hutong.calls import metrics
from hutong.calls.alerts.conditions import OWN_ALERTS
from hutong.calls.alerts.follow import AT_ONCE, AlertReader, fill_table
from hutong.calls.alerts.sinks import AlertSink, Courier, FileSink, WebhookSink
from hutong.calls.alerts.table import AlertTable
from hutong.kernel.errors import HutongError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hutong.app.config import Config
    from hutong.calls.alerts.follow import Change
    from hutong.calls.alerts.table import AlertEvent
    from hutong.kernel.clock import Clock
    from hutong.kernel.metrics import Metrics
    from hutong.kernel.reporter import Reporter

#: How often the journal is looked at, seconds. Couriers are woken when something was found.
_LOOK_S = 0.1
#: How often a courier looks by itself: for what it could not bring.
_TRY_S = 0.5
#: How long threads may take to end, seconds: a sink's patience and some.
_END_S = 6.0
_FIGURES_EVERY = 2_000_000_000
_FORGET_EVERY = 600_000_000_000
_FORGET_FOR = 20_000_000_000
_TELL_EVERY = 60_000_000_000
_MS = 1_000_000
#: What may go wrong with the table, the journal and the folder: told, and tried again.
_TROUBLES = (HutongError, OSError, sqlite3.Error)


class AlertWork:
    """Follows the journal for alerts and tells sinks of them, until `stop`.

    Args:
        config: the node's settings.
        clock: the time.
        reporter: logs and figures; figures move in the jobs' thread only.
    """

    def __init__(self, config: Config, clock: Clock, reporter: Reporter) -> None:
        self._config, self._clock = config, clock
        self._log = reporter.log
        self._table = AlertTable(config.data)
        self._news: list[threading.Event] = []
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._counted: dict[tuple[str, str], int] = {}
        self._raised: dict[tuple[str, str], int] = {}
        self._told: dict[str, int] = {}

    def start(self) -> None:
        """Make the table and begin.

        Raises:
            StateError: the table cannot be made.
        """
        places = self._config.data / OWN_ALERTS
        places.mkdir(parents=True, exist_ok=True)
        self._table.create()
        self._begin("alert-table", lambda: self._follow(AlertReader(self._config.data)))
        for sink in sinks_of(self._config, self._clock):
            news = threading.Event()
            self._news.append(news)
            courier = Courier(self._table, sink, self._config.node.name, places, self._noter(sink.name))
            self._begin(f"alert-{sink.name}", lambda courier=courier, news=news: self._bring(courier, news))  # type: ignore[misc]

    def _begin(self, name: str, work: Callable[[], None]) -> None:
        self._threads.append(threading.Thread(target=work, name=name, daemon=True))
        self._threads[-1].start()

    def stop(self) -> None:
        """End the threads; what they were about is taken up by the next start."""
        self._over.set()
        for news in self._news:
            news.set()
        for thread in self._threads:
            thread.join(_END_S)

    def _follow(self, reader: AlertReader) -> None:
        while not self._over.is_set():
            changes: list[Change] = []
            read = 0
            try:
                read, changes = fill_table(reader, self._table)
            except _TROUBLES as error:
                self._trouble("table", error)
            if changes:
                self._count(changes)
                for news in self._news:
                    news.set()
            if read < AT_ONCE:
                self._over.wait(_LOOK_S)

    def _bring(self, courier: Courier, news: threading.Event) -> None:
        while not self._over.is_set():
            news.clear()
            taken = 0
            try:
                taken = courier.run(self._clock.monotonic())
            except _TROUBLES as error:
                self._trouble("courier", error)
            if not taken:
                news.wait(_TRY_S)

    def _count(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.raised is not None:
                at = (change.raised.kind, change.raised.stage)
                self._raised[at] = self._raised.get(at, 0) + 1

    def _trouble(self, what: str, error: Exception) -> None:
        now = self._clock.monotonic()
        if now >= self._told.get(what, 0):
            self._told[what] = now + _TELL_EVERY
            self._log.error("alerts are held up", what=what, trouble=str(error))

    def _noter(self, sink: str) -> Callable[[str, AlertEvent, str], None]:
        def note(result: str, event: AlertEvent, why: str) -> None:
            at = (sink, result)
            self._counted[at] = self._counted.get(at, 0) + 1
            now = self._clock.monotonic()
            if result == "refused":
                self._log.error("an alert was refused", sink=sink, event_seq=event.seq, trouble=why)
            elif result == "failed" and now >= self._told.get(sink, 0):
                self._told[sink] = now + _TELL_EVERY
                self._log.warning("an alert was not taken, it is brought again", sink=sink, trouble=why)

        return note

    def jobs(self, figures: Metrics) -> list[Job]:
        """What the worker does for alerts besides."""
        keep_ms = self._config.journal.keep_hours * 3_600_000

        def publish(_now: int) -> int:
            calls, callees = self._table.going_on()
            figures.set(metrics.ALERTS_OPEN, calls)
            figures.set(metrics.ALERTS_CALLEES, self._table.going_on("victim")[1])
            for (kind, stage), number in dict(self._raised).items():
                figures.set(metrics.ALERTS_RAISED, number, kind=kind, stage=stage)
            for (sink, result), number in dict(self._counted).items():
                figures.set(metrics.ALERTS_TOLD, number, sink=sink, result=result)
            return callees

        return [
            Job("alert-figures", _FIGURES_EVERY, publish),
            Job("alert-forgetting", _FORGET_EVERY, lambda now: self._forget(now // _MS - keep_ms)),
        ]

    def _forget(self, before_ms: int) -> int:
        """In many small steps, so that new alerts get in between, and not for longer than the other jobs may wait."""
        gone, until = 0, self._clock.monotonic() + _FORGET_FOR
        while some := self._table.forget(before_ms):
            gone += some
            if self._clock.monotonic() >= until:
                break
        return gone


def sinks_of(config: Config, clock: Clock) -> list[AlertSink]:
    """The sinks that the settings name."""
    found: list[AlertSink] = []
    if config.alerts.file:
        found.append(FileSink(Path(config.alerts.file)))
    if config.alerts.webhook_url:
        found.append(WebhookSink(config.alerts.webhook_url, config.alerts.webhook_secret, clock))
    return found
