"""Alerts for people who may not see whole numbers: values for pages and the API. No markup belongs here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from hutong.calls.alerts.conditions import OWN_ALERTS, SETS
from hutong.calls.alerts.queries import AlertFilters
from hutong.calls.alerts.record import alert_id
from hutong.calls.alerts.table import AlertTable
from hutong.kernel.errors import HutongError
from hutong.kernel.reporter import masked
from hutong.kernel.rules.ruleset import load_saved

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hutong.calls.alerts.table import AlertRow
    from hutong.kernel.numbering import Numbering

#: Alerts of one call that its page shows.
_OF_A_CALL: Final = 62
#: Alerts that the live wall shows.
ON_WALL: Final = 8


class AlertView(msgspec.Struct, frozen=True):
    """One alert; units as in `AlertRow`.

    Attributes:
        id: what it is known by. title: of its condition, by language. caller, callee: masked; the refs name them.
        seconds: of talk: so far when it was raised, or in all once the call ended.
    """

    seq: int
    id: str
    time_ms: int
    kind: str
    stage: str
    rule: str
    version: int
    title: dict[str, str]
    caller: str
    callee: str
    caller_ref: str
    callee_ref: str
    trunk: str
    verdict: int
    call_id: str
    answered: bool
    seconds: float
    figures: dict[str, float | str | bool]
    goes_on: bool
    ended_ms: int
    end_phase: str
    release: int


class Wall(msgspec.Struct, frozen=True):
    """What the live wall says: calls under alert now, people who are worked on, and the newest of these alerts."""

    calls: int
    victims: int
    latest: list[AlertView]


class AlertViews:
    """Puts alerts into words for people; safe for many threads.

    Args:
        data: the data folder.
        node: this node's name.
        numbering: masks numbers. ref: names a number key without carrying it.
    """

    def __init__(self, data: Path, node: str, numbering: Numbering, ref: Callable[[int], str]) -> None:
        self.table = AlertTable(data)
        self.node = node
        self._numbering, self._ref = numbering, ref
        self._sets = data / OWN_ALERTS / SETS
        self._titles: dict[tuple[str, str], dict[str, str]] = {}

    def view(self, row: AlertRow) -> AlertView:
        """A row with its numbers masked."""
        return AlertView(
            seq=row.seq,
            id=alert_id(self.node, row.seq),
            time_ms=row.time_ms,
            kind=row.kind,
            stage=row.stage,
            rule=row.rule,
            version=row.version,
            title=self._title(row.conditions, row.rule),
            caller=self._numbering.mask(row.caller),
            callee=self._numbering.mask(row.callee),
            caller_ref=self._ref(row.caller),
            callee_ref=self._ref(row.callee),
            trunk=row.trunk,
            verdict=row.verdict,
            call_id=masked(row.call_id),
            answered=row.answered,
            seconds=(row.talk_ms if row.goes_on else row.total_ms) / 1000,
            figures=row.figures,
            goes_on=row.goes_on,
            ended_ms=row.ended_ms,
            end_phase=row.end_phase,
            release=row.release,
        )

    def of_call(self, verdict: int) -> list[AlertView]:
        """What was told of a call, oldest first."""
        try:
            rows = self.table.rows(AlertFilters(verdict=verdict), limit=_OF_A_CALL, descending=False)
        except HutongError:
            return []
        return [self.view(row) for row in rows]

    def wall(self) -> Wall:
        """What goes on now.

        Raises:
            StateError: it cannot be read.
        """
        calls, _ = self.table.going_on()
        rows = self.table.rows(AlertFilters(state="on", stage="alert"), limit=ON_WALL)
        return Wall(calls, self.table.going_on("victim")[1], [self.view(row) for row in rows])

    def titles(self) -> dict[str, dict[str, str]]:
        """Titles of every condition that was told of, by id; the id itself where its set was not kept."""
        found = {}
        for rule in self.table.rules():
            row = next(iter(self.table.rows(AlertFilters(rule=rule), limit=1)), None)
            found[rule] = self._title(row.conditions, rule) if row is not None else {"zh": rule, "en": rule}
        return found

    def _title(self, conditions: str, rule: str) -> dict[str, str]:
        """A condition's title in the set that was in force."""
        at = conditions, rule
        if at not in self._titles:
            self._titles[at] = {"zh": rule, "en": rule}
            try:
                kept = load_saved(self._sets, conditions)
                self._titles.update({(conditions, it.id): it.title for it in kept.rules})
            except HutongError:
                pass
        return self._titles[at]
