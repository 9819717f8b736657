"""The way from the console to a backtest: what may be chosen, who asks on the trail first, then the job."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from hutong.calls.archiving import FOLDER as ARCHIVE
from hutong.calls.evidence.jobs import MOST_DAYS, Asked, BacktestJobs, JobError
from hutong.calls.evidence.live import LABELS
from hutong.kernel.rules.stages import find_rule

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.calls.evidence.desk import Actor
    from hutong.calls.rule_book import RuleShelf
    from hutong.kernel.access.trail import Trail

#: Label files that may be chosen; others are for the command.
MOST_LABELS: Final = 100
LARGEST_LABELS: Final = 256 * 1024 * 1024
_SUFFIXES: Final = (".csv", ".parquet")
_DAY: Final = re.compile(r"day=(\d{4}-\d{2}-\d{2})")


class BacktestDesk:
    """Takes wishes for backtests. Safe for many threads.

    Args:
        data: the data folder. shelf: the rules. trail: every deed is there before it takes effect.
    """

    def __init__(self, data: Path, shelf: RuleShelf, trail: Trail) -> None:
        self.jobs = BacktestJobs(data)
        self._data, self._shelf, self._trail = data, shelf, trail

    def days(self) -> list[str]:
        """Days of the archive, oldest first, YYYY-MM-DD in UTC."""
        found = (_DAY.fullmatch(it.name) for it in (self._data / ARCHIVE / "verdicts").glob("day=*"))
        return sorted(it[1] for it in found if it)

    def label_files(self) -> list[str]:
        """Names of the files in DATA/labels that may be chosen."""
        folder = self._data / LABELS
        found = (it for it in folder.glob("*") if it.suffix in _SUFFIXES and it.is_file())
        return sorted(it.name for it in found if it.stat().st_size <= LARGEST_LABELS)[:MOST_LABELS]

    def ask(self, actor: Actor, rule_id: str, since: str, until: str, labels: str, now_ms: int) -> Asked:
        """Put a backtest of a rule before `work`.

        Raises:
            RuleError: there is no such rule.
            JobError: days or labels cannot be chosen, or too many backtests wait.
            RecordsError: the deed could not be kept; nothing is asked for then.
        """
        rule = find_rule(self._shelf.book().ruleset, rule_id)
        if labels not in self.label_files():
            raise JobError("labels", "There is no such file of labels.", "An administrator puts it into DATA/labels.")
        self._check_days(since, until)
        wish = Asked(0, rule.id, rule.version, since, until, labels, actor.by, now_ms)
        self._record(actor, "rules.backtest", rule_id, wish, now_ms)
        return self.jobs.ask(wish)

    def cancel(self, actor: Actor, rule_id: str, number: int, now_ms: int) -> None:
        """End a backtest that waits or runs.

        Raises:
            JobError: there is none such. RecordsError: the deed could not be kept; it goes on then.
        """
        it = self._of_rule(rule_id, number)
        self._record(actor, "rules.backtest_cancel", rule_id, it, now_ms)
        self.jobs.cancel(number)

    def again(self, actor: Actor, rule_id: str, number: int, now_ms: int) -> Asked:
        """Ask once more for what a job asked for, of the rule as it is now.

        Raises:
            JobError, RuleError, RecordsError: see `ask`.
        """
        it = self._of_rule(rule_id, number)
        return self.ask(actor, rule_id, it.since, it.until, it.labels, now_ms)

    def _of_rule(self, rule_id: str, number: int) -> Asked:
        it = self.jobs.find(number)
        if it is None or it.asked.rule != rule_id:
            raise JobError("over", "There is no such backtest of this rule.")
        return it.asked

    def _check_days(self, since: str, until: str) -> None:
        try:
            first, last = date.fromisoformat(since), date.fromisoformat(until)
        except ValueError:
            raise JobError("days", "Choose the first and the last day.") from None
        if last < first:
            raise JobError("days", "The last day is before the first one.")
        if last - first >= timedelta(days=MOST_DAYS):
            raise JobError("many", f"At most {MOST_DAYS} days are tested at once.", "The command tests any archive.")
        if not any(since <= day <= until for day in self.days()):
            raise JobError("empty", "The archive holds none of these days.", "Choose among those that it has.")

    def _record(self, actor: Actor, deed: str, rule_id: str, it: Asked, now_ms: int) -> None:
        after = {"since": it.since, "until": it.until, "labels": it.labels, "version": it.version}
        if it.number:
            after["job"] = it.number
        self._trail.record(actor.who, actor.address, deed, rule_id, after=after, now_ms=now_ms)
