"""What pages, the API and commands do with colours: explain them, and for whom that leaves a trace."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from hutong.codes.status.appeals import DECIDE
from hutong.codes.status.errors import StatusRefused
from hutong.codes.status.words import Reason, tell
from hutong.kernel.access.agencies import Agencies
from hutong.kernel.access.trail import Trail

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hutong.codes.status.appeals import Appeals
    from hutong.codes.status.changes import Actor
    from hutong.codes.status.evidence import Evidence
    from hutong.codes.status.hand import Changes
    from hutong.codes.status.model import Outcome, Standing
    from hutong.codes.status.store import Statuses
    from hutong.codes.status.words import Language, Told

EXPLAIN: Final = "codes.explain"
_LONGEST: Final = 200
#: Senders that the trail names of one batch.
_SOURCES: Final = 20


class StatusDesk:
    """Where colours are asked about.

    Args:
        statuses, changes, appeals: of one node.
    """

    def __init__(self, statuses: Statuses, changes: Changes, appeals: Appeals) -> None:
        self.statuses, self.changes, self.appeals = statuses, changes, appeals
        self._trail = Trail(statuses.database)

    def why(self, person: str, lang: Language, now_ms: int) -> tuple[Standing, Told]:
        """What the person themselves is told. Raises StateError: keys of people are not here."""
        standing = self.statuses.standing(person, now_ms)
        with self.statuses.database.read():
            agencies = {it.id: it.zh if lang == "zh" else it.en for it in Agencies(self.statuses.database).all()}
            appeals = (it for it in self.appeals.of_person(person) if it.event == standing.event)
            reason = Reason(
                standing=standing,
                rule=self.statuses.rules.rule(standing.rule),
                change=self.changes.change(standing.change) if standing.change else None,
                event=self.statuses.event(person, standing.event, now_ms),
                agencies=agencies,
                appeal=next(appeals, None),
            )
        return standing, tell(reason, lang, green=self.statuses.rules.otherwise.colour)

    def explain(self, person: str, lang: Language, purpose: str, actor: Actor, now_ms: int) -> tuple[Standing, Told]:
        """The same for somebody of an agency or of this house, for a purpose that goes on the trail.

        Raises:
            StatusRefused: "not-allowed", or "no-reason" without a purpose.
        """
        if EXPLAIN not in actor.permissions:
            raise StatusRefused("not-allowed", f"This needs the permission {EXPLAIN}.")
        purpose = " ".join(purpose.split())
        if not 0 < len(purpose) <= _LONGEST or not purpose.isprintable():
            raise StatusRefused("no-reason", "Say what for.", where="purpose")
        found = self.why(person, lang, now_ms)
        # Named by the event: the trail outlasts what is kept of the person.
        self._trail.record(actor.name, actor.address, EXPLAIN, found[0].event, purpose=purpose, now_ms=now_ms)
        return found

    def take(self, found: Mapping[str, Sequence[Evidence]], who: str, address: str, now_ms: int) -> list[Outcome]:
        """Take evidence that somebody brings; the trail says first who brought how much of what.

        Args:
            found: by pseudonym. who, address: whose deed it is.

        Raises:
            StateError: keys of people are not here.
        """
        brought = [it for items in found.values() for it in items]
        sources = sorted({it.source for it in brought if it.source})[:_SOURCES]
        after: dict[str, Any] = {"people": len(found), "sources": sources}
        after |= Counter(type(it).__name__.lower() for it in brought)
        self._trail.record(who, address, "codes.take", after=after, now_ms=now_ms)
        return self.statuses.take_all(found, now_ms)

    def forget(self, person: str, actor: Actor, purpose: str, now_ms: int) -> None:
        """Remove all that is kept of a person here; copies in backups stay unread until their days are over.

        Raises:
            StatusRefused: "not-allowed".
        """
        if DECIDE not in actor.permissions:
            raise StatusRefused("not-allowed", f"This needs the permission {DECIDE}.")
        with self.statuses.database.write():
            self.statuses.forget(person, now_ms)
            self._trail.record(actor.name, actor.address, "codes.forget", "", purpose=purpose, now_ms=now_ms)
