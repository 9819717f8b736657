"""Colours and the people behind codes as a node has them, and what `work` does: judge, end, destroy keys, forget."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hutong.app.cases_work import open_cases
from hutong.app.persons_work import key_folder, pseudonyms_of
from hutong.app.schedule import Job
from hutong.codes.bundles import BundleStore
from hutong.codes.devices import Devices
from hutong.codes.people.day_keys import DayKeys, day_of
from hutong.codes.people.family import Family
from hutong.codes.people.store import People
from hutong.codes.status import metrics
from hutong.codes.status.appeals import Appeals
from hutong.codes.status.changes import Bounds
from hutong.codes.status.desk import StatusDesk
from hutong.codes.status.guard import Limits
from hutong.codes.status.hand import Changes
from hutong.codes.status.loading import OWN, rules_of
from hutong.codes.status.store import BATCH, Statuses
from hutong.kernel.key_marks import KeyMarks
from hutong.kernel.records import Database, database_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.app.config import Config
    from hutong.codes.status.model import ColourChanged
    from hutong.kernel.cases.store import Cases
    from hutong.kernel.records import Connection
    from hutong.kernel.reporter import Reporter

#: What revoking holds (`BundleStore.revoke`).
REVOCATIONS: Final = "code-revocations"
_MS: Final = 1_000_000
_SECOND: Final = 1_000_000_000
_DAY_MS: Final = 86_400_000
_MINUTE: Final = 60 * _SECOND
#: Transactions of one run of judging: 200,000 people an hour and more, and no other job waits long.
_BATCHES: Final = 10


def people_of(config: Config, database: Database) -> People:
    """The people of a node; `database` is opened by whoever made it."""
    folder, node_key = key_folder(config), config.codes.node_key_file
    days = DayKeys(folder, Path(node_key) if node_key else None, KeyMarks(database))
    return People(database, days, pseudonyms_of(config, database), config.codes.person_days)


def family_of(config: Config, database: Database) -> Family:
    """Who may show whose code; `database` is opened by whoever made it."""
    return Family(database, config.node.name, os.urandom)


def status_desk(
    config: Config, database: Database, cases: Callable[[], Cases], people: People | None = None
) -> StatusDesk:
    """The colours of a node; codes that show a colour which changed are revoked with it.

    Args:
        database: opened by whoever made it. cases: gives where cases are, once it is asked.
        people: of the node, where whoever asks has them.

    Raises:
        RuleError: a colour rule is refused.
    """
    it = config.codes
    people, rules = people or people_of(config, database), rules_of(config.data / OWN)
    bundles, phones = BundleStore(database), Devices(database, it.person_days)

    def told(_connection: Connection, changed: ColourChanged) -> None:
        # In the transaction of the change: a code never outlives what it says. Paper shows no colour.
        bundles.revoke_person(changed.person, changed.at_ms, paper=False)

    statuses = Statuses(
        database, people, rules, config.node.name, it.evidence_days, told, (REVOCATIONS,), phones.let_go
    )
    limits = Limits(it.suspect_person, it.suspect_agency, it.suspect_reason)
    changes = Changes(statuses, cases, Bounds(it.change_days, it.change_wait_days), limits)
    return StatusDesk(statuses, changes, Appeals(statuses, changes, cases))


class StatusWork:
    """What `work` does for colours.

    Args:
        config: the node's settings. reporter: figures.
    """

    def __init__(self, config: Config, reporter: Reporter) -> None:
        self._config, self._reporter = config, reporter
        self._database = Database(database_url(config.records.url, config.data))

    def jobs(self) -> list[Job]:
        """The jobs."""
        return [
            Job("colours", 10 * _SECOND, lambda now: self.judge(now // _MS)),
            Job("colour-changes", 10 * _SECOND, lambda now: self.desk.changes.run(now // _MS)),
            Job("colour-figures", _MINUTE, lambda now: self.count(now // _MS)),
            Job("code-people-expiry", 10 * _MINUTE, lambda now: self.expire(now // _MS)),
        ]

    @cached_property
    def desk(self) -> StatusDesk:
        """The colours, once a job asks.

        Raises:
            HutongError: records or rules cannot be opened; the next run tries again.
        """
        self._database.open()
        return status_desk(self._config, self._database, lambda: open_cases(self._config, self._database))

    def judge(self, now_ms: int) -> int:
        """Judge those whose colour may be another one by now; gives how many."""
        done = 0
        for _ in range(_BATCHES):
            found = self.desk.statuses.judge_due(now_ms)
            done += found
            if found < BATCH:
                break
        self._reporter.metrics.add(metrics.JUDGED, done)
        return done

    def expire(self, now_ms: int) -> int:
        """Destroy keys and remove rows whose day is over; forget appeals, changes, links; gives how many people's."""
        gone = self.desk.statuses.expire(now_ms)
        days = self._config.codes.person_days
        self.desk.appeals.forget(now_ms, days)
        self.desk.changes.forget(now_ms, days)
        family_of(self._config, self._database).forget(now_ms - days * _DAY_MS)
        self._reporter.metrics.add(metrics.EXPIRED, gone)
        return gone

    def count(self, now_ms: int) -> int:
        """Set the gauges; gives how many keys of days there are."""
        figures, desk = self._reporter.metrics, self.desk
        for state, count in desk.changes.figures().items():
            figures.set(metrics.CHANGES, count, state=state)
        is_open, late = desk.appeals.figures(now_ms)
        figures.set(metrics.APPEALS, is_open)
        figures.set(metrics.APPEALS_LATE, late)
        days = desk.statuses.people.days.days()
        figures.set(metrics.DAY_KEYS, len(days))
        figures.set(metrics.DAY_KEYS_OVERDUE, sum(day < day_of(now_ms) for day in days))
        return len(days)
