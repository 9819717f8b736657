"""Bulletins with a node's settings: which systems give figures, how rules are called, how days are counted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from hutong.appeals import figures as appeals
from hutong.bulletins.desk import Desk
from hutong.bulletins.paper import HOME
from hutong.calls.daily import DailyCalls
from hutong.calls.rule_book import RuleShelf
from hutong.handoff import figures as handoff
from hutong.kernel.access.trail import Trail
from hutong.kernel.archive.files import read_position
from hutong.kernel.errors import HutongError
from hutong.kernel.journal import FileJournal
from hutong.kernel.numbering import Numbering
from hutong.kernel.web.texts import Texts
from hutong.orders import figures as orders
from hutong.reports import figures as reports

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hutong.app.config import Config
    from hutong.kernel.figures import FigureSource
    from hutong.kernel.records import Database

#: `figures` of the systems that have some, by the systems' names.
SOURCES: Final[dict[str, FigureSource]] = {
    "reports": reports.figures,
    "orders": orders.figures,
    "appeals": appeals.figures,
    "handoff": handoff.figures,
}


def bulletin_desk(config: Config, database: Database, rules: RuleShelf | None = None) -> Desk:
    """The desk of a node.

    Args:
        database: opened before the desk works. rules: of the node; read anew unless given.
    """
    folders = (Path(config.calls.rules_dir),) if config.calls.rules_dir else ()
    shelf = rules or RuleShelf(config.data, folders)

    def titles() -> Mapping[str, dict[str, str]]:
        try:
            return {rule.id: dict(rule.title) for rule in shelf.book().ruleset.rules}
        except HutongError:
            # Without their titles rules stand under their ids.
            return {}

    desk = Desk(
        database,
        config.data,
        config.node.name,
        config.calls.time_zone,
        Trail(database),
        Texts([HOME / "texts.toml"]),
        SOURCES,
        titles,
    )
    desk.count_today = daily_calls(config, database).count_today
    return desk


def daily_calls(config: Config, database: Database) -> DailyCalls:
    """What counts a node's days."""

    def all_archived() -> bool:
        position = read_position(config.data / "archive")
        journal = FileJournal(config.data / "journal")
        try:
            return position is not None and position.seq >= journal.last_seq
        finally:
            journal.close()

    numbering = Numbering(config.calls.home_area)
    zone = ZoneInfo(config.calls.time_zone)
    return DailyCalls(database, config.data, config.node.name, zone, numbering, all_archived)
