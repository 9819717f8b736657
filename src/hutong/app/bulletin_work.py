"""Bulletins in the `work` process: days are counted, and a draft is made after the end of each day, week and month."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from hutong.app.bulletin_desk import bulletin_desk, daily_calls
from hutong.app.schedule import Job
from hutong.bulletins.desk import Doer
from hutong.bulletins.metrics import DAYS, MADE, WAITING
from hutong.bulletins.periods import KINDS, day_at, period_of
from hutong.kernel.records import Database, database_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.app.config import Config
    from hutong.bulletins.desk import Desk
    from hutong.bulletins.periods import Kind, Period
    from hutong.calls.daily import DailyCalls
    from hutong.kernel.reporter import Reporter

_MS: Final = 1_000_000
_MINUTE: Final = 60_000_000_000
#: Days that are counted in one run: a node that was away catches up without keeping other jobs waiting.
_DAYS_AT_ONCE: Final = 3
#: Where calls of a period cannot be counted, its bulletin says so rather than never being made.
_PATIENCE_MS: Final = 6 * 3_600_000
#: Who makes drafts here.
_WORK: Final = Doer("work")
#: Periods of a kind that are looked back at: what a node that was away has missed is made, the oldest first.
MISSED: Final[dict[Kind, int]] = {"day": 31, "week": 9, "month": 6}


class BulletinWork:
    """What `work` does for bulletins.

    Args:
        config: the node's settings.
        reporter: logs and figures.
    """

    def __init__(self, config: Config, reporter: Reporter) -> None:
        self._config, self._reporter = config, reporter
        self._database = Database(database_url(config.records.url, config.data))
        self._desk: Desk | None = None
        self._days: DailyCalls | None = None
        self._turn: _Turn | None = None
        self._since_ms: int | None = None

    def jobs(self) -> list[Job]:
        """The job. It works beside the others: a day of ten million calls takes longer than an order may wait."""
        return [Job("bulletins", 10 * _MINUTE, lambda now: self._begin(now // _MS))]

    def _begin(self, now_ms: int) -> int:
        """Begin the next turn; returns what the last one dealt with, or raises what it failed with."""
        last = self._turn
        if last is not None and last.thread.is_alive():
            return 0
        self._turn = _Turn(lambda: self.count(now_ms) + self.draft(now_ms))
        self._turn.thread.start()
        if last is None:
            return 0
        if last.error is not None:
            raise last.error
        return last.done

    def count(self, now_ms: int) -> int:
        """Count days that ended; returns how many."""
        done = self._counted().run(now_ms, _DAYS_AT_ONCE)
        self._reporter.metrics.add(DAYS, done)
        return done

    def _counted(self) -> DailyCalls:
        if self._days is None:
            self._database.open()
            self._days = daily_calls(self._config, self._database)
        return self._days

    def draft(self, now_ms: int) -> int:
        """Make drafts of the periods that ended, those that were missed among them; returns how many."""
        if self._desk is None:
            self._database.open()
            self._desk = bulletin_desk(self._config, self._database)
        desk, done = self._desk, 0
        waits: set[Kind] = set()  # a bulletin is compared with the one before, which is made first
        for period in desk.due(ended(desk, now_ms)):
            if period.kind in waits:
                continue
            if desk.counted(period) or self._waited(period.bounds(desk.zone)[1], now_ms):
                desk.make(period, _WORK, now_ms)
                done += 1
            else:
                waits.add(period.kind)
        self._reporter.metrics.add(MADE, done)
        waiting = sum(it.signed_ms is None and not it.provisional for it in desk.store.all())
        self._reporter.metrics.set(WAITING, waiting)
        return done

    def _waited(self, end_ms: int, now_ms: int) -> bool:
        """Whether calls until then were waited for long enough, by this process too while it catches up."""
        self._since_ms = now_ms if self._since_ms is None else self._since_ms
        if now_ms < end_ms + _PATIENCE_MS:
            return False
        return self._counted().settled(end_ms, now_ms) or now_ms >= self._since_ms + _PATIENCE_MS


class _Turn:
    """Work in a thread that does not keep the process from ending: what it keeps, it keeps in transactions."""

    def __init__(self, work: Callable[[], int]) -> None:
        self.done = 0
        self.error: Exception | None = None
        self._work = work
        self.thread = threading.Thread(target=self._run, name="bulletins", daemon=True)

    def _run(self) -> None:
        try:
            self.done = self._work()
        except Exception as error:  # noqa: BLE001  # told by the job that begins the next turn
            self.error = error


def ended(desk: Desk, now_ms: int) -> list[Period]:
    """The day, the week and the month that ended last; and those before, since `work` makes any, the oldest first."""
    today, first = day_at(now_ms, desk.zone), desk.store.first_made(_WORK.name)
    found: list[Period] = []
    for kind in KINDS:
        periods = [period_of(kind, today).previous]
        while len(periods) < MISSED[kind]:
            periods.append(periods[-1].previous)
        begun_ms = first.get(kind, now_ms)
        found += [it for it in reversed(periods) if it == periods[0] or it.bounds(desk.zone)[0] > begun_ms]
    return found
