"""Moving rules from the command line: records open, accounts looked up. Deeds are this machine's user's, as elsewhere.

Whoever reaches the data folder could write the files by hand; what is asked here keeps honest people from mistakes.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hutong.app.cli_records import machine_user, open_records
from hutong.app.config import load_config
from hutong.calls.evidence.desk import Actor, PromotionDesk
from hutong.calls.evidence.promotion import Limits
from hutong.calls.evidence.store import FOLDER, EvidenceStore
from hutong.calls.rule_book import RuleShelf
from hutong.kernel.access.errors import AccessError
from hutong.kernel.access.people import People
from hutong.kernel.access.permissions import PERMISSIONS
from hutong.kernel.access.trail import Trail
from hutong.kernel.clock import SystemClock
from hutong.kernel.errors import ConfigError, RuleError
from hutong.kernel.rules.proposals import PROPOSALS_FILE
from hutong.kernel.rules.stages import find_rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.app.config import Config

_NS_PER_MS: Final = 1_000_000


class StageDesk:
    """What the commands need.

    Args:
        promotion: where rules are moved.
        people: the accounts.
        shelf: the rules.
    """

    def __init__(self, promotion: PromotionDesk, people: People, shelf: RuleShelf) -> None:
        self.promotion = promotion
        self._people, self._shelf = people, shelf
        self.now_ms = SystemClock().wall() // _NS_PER_MS

    def anyone(self, by: str) -> Actor:
        """Somebody who needs no account here."""
        return Actor(by, machine_user(), "local")

    def actor(self, by: str, permission: str) -> Actor:
        """The person with this account.

        Raises:
            RuleError: there is none, it is disabled, or may not do this.
        """
        roles = PERMISSIONS[permission].roles
        try:
            account = self._people.account(by)
        except AccessError:
            raise RuleError(
                f"there is no account {by!r}.", where="--by", fix="`hutong people list` shows all."
            ) from None
        if account.disabled or account.role not in roles:
            raise RuleError(
                f"the account {by!r} may not do this.",
                where="--by",
                fix=f"It takes the role {' or '.join(sorted(roles))}.",
            )
        return Actor(account.name, machine_user(), "local")

    def latest(self, rule_id: str) -> str:
        """Id of the newest evidence about a rule as it is now; empty where there is none."""
        found = self.promotion.latest(find_rule(self._shelf.book().ruleset, rule_id))
        return found.id if found else ""


def promotion_desk(config: Config, shelf: RuleShelf, trail: Trail, people: People) -> PromotionDesk:
    """A node's desk, from its settings."""
    it = config.evidence
    limits = Limits(it.block_per_million, it.warn_per_million, it.days)
    store = EvidenceStore(config.data / FOLDER)
    return PromotionDesk(shelf, store, limits, config.data / PROPOSALS_FILE, trail, people)


@contextmanager
def stage_desk(data: Path, file: Path | None) -> Iterator[StageDesk]:
    """The desk of a data folder.

    Raises:
        ConfigError: there is no such folder.
        RecordsError: the records cannot be opened, or never were.
    """
    if not data.is_dir():
        raise ConfigError("the data folder does not exist.", where=str(data), fix="Start `hutong up` there first.")
    config = load_config(file, data=data)
    with open_records(config, missing="There are no accounts yet.") as database:
        people = People(database)
        shelf = RuleShelf(config.data, (Path(config.calls.rules_dir),) if config.calls.rules_dir else ())
        yield StageDesk(promotion_desk(config, shelf, Trail(database), people), people, shelf)
