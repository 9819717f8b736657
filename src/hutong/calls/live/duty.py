"""What a duty officer must see beside the counters: calls under alert, and rules that were demoted by themselves.

Read in a thread for all who watch, and only where something changed; whoever draws takes what was read last.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from hutong.calls.alerts.views import Wall as AlertsNow
from hutong.calls.evidence.live import drifted
from hutong.kernel.errors import HutongError

if TYPE_CHECKING:
    from hutong.calls.alerts.views import AlertViews
    from hutong.calls.rule_book import RuleShelf
    from hutong.kernel.clock import Clock

#: How often it is read, seconds: what changed is on the wall with the next beat.
REFRESH_S: Final = 0.25
_NS_PER_MS: Final = 1_000_000


class Demoted(Struct, frozen=True):
    """A rule that drifted: its id, its title by language, when it was demoted (ms since 1970 UTC)."""

    rule: str
    title: dict[str, str]
    time_ms: int


class Duty(Struct, frozen=True):
    """One reading.

    Attributes:
        newest: number of the newest event of an alert; whatever changes about alerts, it moves on.
        alerts: calls under alert now. demoted: rules that drifted within a week and that nobody has answered yet.
    """

    newest: int = 0
    alerts: AlertsNow = AlertsNow(0, 0, [])
    demoted: tuple[Demoted, ...] = ()


class DutyReader:
    """Keeps the last reading.

    Args:
        alerts: finds alerts. rules: the rules and their stages. clock: the time.

    Attributes:
        now: the last reading; what could not be read stands as before. Replaced, never changed.
    """

    def __init__(self, alerts: AlertViews, rules: RuleShelf, clock: Clock) -> None:
        self._alerts, self._rules, self._clock = alerts, rules, clock
        self._read = False
        self.now = Duty()

    def refresh(self) -> None:
        """Read again what changed. One thread calls it."""
        before = self.now
        newest, alerts, demoted = before.newest, before.alerts, before.demoted
        with contextlib.suppress(HutongError, OSError, sqlite3.Error):
            found = self._alerts.table.newest_event()
            if found != newest or not self._read:
                alerts = self._alerts.wall()
                newest, self._read = found, True
        with contextlib.suppress(HutongError, OSError):
            demoted = self._demoted()
        self.now = Duty(newest, alerts, demoted)

    def _demoted(self) -> tuple[Demoted, ...]:
        book = self._rules.book()
        found = drifted(book.changes, self._clock.wall() // _NS_PER_MS)
        if not found:
            return ()
        titles = {rule.id: rule.title for rule in book.ruleset.rules}
        return tuple(
            Demoted(it.rule, titles.get(it.rule, {"zh": it.rule, "en": it.rule}), it.time_ms)
            for it in sorted(found.values(), key=lambda it: -it.time_ms)
        )
