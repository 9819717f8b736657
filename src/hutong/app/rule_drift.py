"""The job that demotes rules whose live false positives have drifted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from hutong.app.schedule import Job
from hutong.app.stage_desk import promotion_desk
from hutong.appeals.store import wrongly_blocked
from hutong.calls.evidence.live import LABELS, AllowList, DriftWatch, LabelFiles, LiveHits, drifted
from hutong.calls.rule_book import RuleShelf
from hutong.kernel.access.people import People
from hutong.kernel.access.refs import Refs
from hutong.kernel.access.trail import Trail
from hutong.kernel.metrics import RULES_DRIFTED
from hutong.kernel.numbering import Numbering

if TYPE_CHECKING:
    from hutong.app.config import Config
    from hutong.calls.history import History
    from hutong.calls.index import VerdictIndex
    from hutong.kernel.lists.store import ListStore
    from hutong.kernel.metrics import Metrics
    from hutong.kernel.records import Database

_EVERY: Final = 10 * 60 * 1_000_000_000
_NS_PER_MS: Final = 1_000_000


class Appealed:
    """Numbers whose block was found wrong on appeal.

    Args:
        database: opened by whoever made it. refs: names numbers in it.
    """

    def __init__(self, database: Database, refs: Refs) -> None:
        self._database, self._refs = database, refs

    def keys(self) -> set[int]:
        """See `Rightful.keys`."""
        return {key for key, _ in wrongly_blocked(self._database, self._refs)}


def rule_drift(  # what a node has
    config: Config, database: Database, index: VerdictIndex, history: History, lists: ListStore, metrics: Metrics
) -> Job:
    """The job; it deals with the rules that it demotes."""
    shelf = RuleShelf(config.data, (Path(config.calls.rules_dir),) if config.calls.rules_dir else ())
    desk = promotion_desk(config, shelf, Trail(database), People(database))
    numbering, refs = Numbering(config.calls.home_area), Refs(config.data / "keys" / "refs.key")
    rightful = (AllowList(lists), LabelFiles(config.data / LABELS, numbering), Appealed(database, refs))
    watch = DriftWatch(desk, LiveHits(index), history, rightful)

    def run(now: int) -> int:
        database.open()
        now_ms = now // _NS_PER_MS
        demoted = watch.run(shelf.book(), now_ms)
        metrics.set(RULES_DRIFTED, len(drifted(shelf.book().changes, now_ms)))
        return len(demoted)

    return Job("rule-drift", _EVERY, run)
