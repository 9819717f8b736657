"""Hand-offs as a node has them, and the thread of the `work` process that makes and brings them.

Jobs take their time; the dissuasion desk must hear within seconds, so a thread of its own looks.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hutong.app.cases_work import open_cases
from hutong.app.schedule import Job
from hutong.calls.alerts.record import alert_id
from hutong.calls.alerts.views import AlertViews
from hutong.handoff import metrics
from hutong.handoff.model import Victim
from hutong.handoff.ports import FileDesk, WebhookDesk
from hutong.handoff.store import Handoffs
from hutong.kernel.access.refs import Refs
from hutong.kernel.errors import HutongError
from hutong.kernel.numbering import Numbering
from hutong.kernel.records import Database, database_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.app.config import Config
    from hutong.calls.alerts.table import AlertRow
    from hutong.handoff.ports import HandoffPort
    from hutong.kernel.cases.store import Cases
    from hutong.kernel.clock import Clock
    from hutong.kernel.reporter import Reporter

#: A person whom nobody has worked on for so long is not handed over any more: at the first start, after a long stop.
FRESH_MS: Final = 15 * 60_000
_LOOK_S: Final = 0.2
_END_S: Final = 6.0
_AT_ONCE: Final = 500
_MS: Final = 1_000_000
_SECOND: Final = 1_000_000_000
_TELL_EVERY: Final = 60 * _SECOND
_MINUTE_MS: Final = 60_000
_VICTIM: Final = "victim"
_CALLERS: Final = "callee.flagged_callers_1h"
_KNOWN = (HutongError, OSError, sqlite3.Error)


def handoffs_of(config: Config, database: Database, cases: Callable[[], Cases], refs: Refs) -> Handoffs:
    """A node's hand-offs; `database` is opened by whoever made it."""
    numbering, again_ms = Numbering(config.calls.home_area), config.handoff.again_minutes * _MINUTE_MS
    return Handoffs(database, cases, refs, numbering, config.node.name, again_ms)


def desks_of(config: Config, clock: Clock) -> list[HandoffPort]:
    """The ports that the settings name; none = nobody is handed over."""
    found: list[HandoffPort] = []
    if config.handoff.file:
        found.append(FileDesk(Path(config.handoff.file)))
    if config.handoff.webhook_url:
        found.append(WebhookDesk(config.handoff.webhook_url, config.handoff.webhook_secret, clock))
    return found


class HandoffWork:
    """Hands people over, from the alerts on calls under way, until `stop`.

    Args:
        config: the node's settings. clock: the time. reporter: logs and figures; figures move in the jobs' thread only.
    """

    def __init__(self, config: Config, clock: Clock, reporter: Reporter) -> None:
        self._config, self._clock, self._reporter = config, clock, reporter
        self._database = Database(database_url(config.records.url, config.data))
        self._refs = Refs(config.data / "keys" / "refs.key")
        numbering = Numbering(config.calls.home_area)
        self._alerts = AlertViews(config.data, config.node.name, numbering, self._refs.ref)
        self._ports = desks_of(config, clock)
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._handoffs: Handoffs | None = None
        self._results: dict[str, int] = {}
        self._told = 0

    def start(self) -> None:
        """Begin, where there is a desk."""
        if self._ports:
            self._thread = threading.Thread(target=self._run, name="handoffs", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread; what it was about is taken up by the next start."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(_END_S)

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self.look(self._clock.wall() // _MS)
            except Exception as error:  # noqa: BLE001  # a thread that ended would hand nobody over any more
                now = self._clock.monotonic()
                if now >= self._told:
                    self._told = now + _TELL_EVERY
                    trouble = str(error) if isinstance(error, _KNOWN) else type(error).__name__
                    self._reporter.log.error("hand-offs are held up", trouble=trouble)  # noqa: TRY400  # as it says
            self._over.wait(_LOOK_S)

    def look(self, now_ms: int) -> int:
        """Take what is new of the alerts, bring what waits; gives how many hand-offs the desk has since.

        Raises:
            HutongError: alerts or records fail; the next look goes on.
        """
        handoffs = self._opened()
        place = handoffs.place()
        if self._alerts.table.newest_event() > place:
            events = self._alerts.table.events(place, _AT_ONCE, "alert")
            seqs = [seq for event in events if event.phase == "raised" for seq in event.alerts]
            rows = [row for row in self._alerts.table.by_seqs(seqs) if row.kind == _VICTIM and row.stage == "alert"]
            victims = [self._victim(row) for row in rows if now_ms - row.time_ms < FRESH_MS]
            if events:
                handoffs.take(victims, events[-1].seq, now_ms)
        return handoffs.deliver(self._ports, now_ms, self._note)

    def _victim(self, row: AlertRow) -> Victim:
        return Victim(
            id=alert_id(self._config.node.name, row.seq),
            seq=row.seq,
            time_ms=row.time_ms,
            callee=row.callee,
            caller=row.caller,
            condition=row.rule,
            title=self._alerts.view(row).title,
            answered=row.answered,
            talk_s=row.talk_ms / 1000,
            callers=int(row.figures.get(_CALLERS, 0)),
        )

    def _note(self, result: str, why: str) -> None:
        self._results[result] = self._results.get(result, 0) + 1
        now = self._clock.monotonic()
        if result == "refused":
            self._reporter.log.error("a hand-off was refused", trouble=why)
        elif result != "delivered" and now >= self._told:
            self._told = now + _TELL_EVERY
            self._reporter.log.warning("a hand-off was not taken, it is brought again", trouble=why)

    def jobs(self) -> list[Job]:
        """What the worker does for hand-offs besides."""
        return [
            Job("handoff-figures", 5 * _SECOND, lambda _now: self.count()),
            Job("handoff-forgetting", 600 * _SECOND, lambda now: self.forget(now // _MS)),
        ]

    def count(self) -> int:
        """Set the gauges; gives how many hand-offs wait for the desk."""
        handoffs, figures = self._opened(), self._reporter.metrics
        totals = handoffs.totals()
        for answer in ("", "accepted", "reached", "not-reached"):
            figures.set(metrics.HANDOFFS, totals[answer], answer=answer or "none")
        for what in ("saved", "lost"):
            figures.set(metrics.HANDOFF_MONEY, totals[what], what=what)
        for result, number in dict(self._results).items():
            figures.set(metrics.HANDOFFS_TOLD, number, result=result)
        waiting = handoffs.waiting()
        figures.set(metrics.HANDOFFS_WAITING, waiting)
        return waiting

    def forget(self, now_ms: int) -> int:
        """Forget whom old hand-offs were about; gives how many."""
        return self._opened().forget(now_ms, self._config.handoff.keep_days)

    def _opened(self) -> Handoffs:
        if self._handoffs is None:
            self._database.open()
            cases = open_cases(self._config, self._database)
            self._handoffs = handoffs_of(self._config, self._database, lambda: cases, self._refs)
        return self._handoffs
