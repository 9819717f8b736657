"""The one way to a rule's stage for command, console and API: evidence, a second person, the trail, then the change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from hutong.calls.evidence.promotion import Limits, Objection, objections, require
from hutong.kernel.access.permissions import PERMISSIONS
from hutong.kernel.errors import RuleError
from hutong.kernel.rules.proposals import Decision, Proposal, ProposalError, Refusal, Stages, Standing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hutong.calls.evidence.store import EvidenceStore, Kept
    from hutong.calls.rule_book import RuleShelf
    from hutong.kernel.access.people import People
    from hutong.kernel.access.trail import Trail
    from hutong.kernel.rules.ruleset import Rule, Ruleset
    from hutong.kernel.rules.stages import StageChange

#: Stands for a rule that was demoted by no person.
HUTONG: Final = "hutong"

__all__ = ["HUTONG", "Actor", "Limits", "PromotionDesk"]


class Actor(NamedTuple):
    """Who decides: `by` as it stands beside the stage; who and where from, as it stands on the trail."""

    by: str
    who: str
    address: str


class PromotionDesk:
    """Proposals, approvals, refusals and demotions of a node. Safe for many threads and processes.

    Args:
        shelf: the rules. store: the evidence. limits: what it must show.
        proposals: file of the proposals.
        trail: every deed is there before it takes effect.
        people: who there is to be a second person.
    """

    def __init__(
        self, shelf: RuleShelf, store: EvidenceStore, limits: Limits, proposals: Path, trail: Trail, people: People
    ) -> None:
        self.store, self.limits = store, limits
        self._shelf, self._trail, self._people = shelf, trail, people
        self._stages = Stages(shelf.stages, proposals)

    # Asking

    def standings(self) -> list[Standing]:
        """Every proposal, newest first.

        Raises:
            RuleError: a file is damaged, or there are no rules.
        """
        return self._stages.standings(self._rules())

    def open_ones(self) -> dict[str, Standing]:
        """Open proposals by rule."""
        return {it.proposal.rule: it for it in self.standings() if it.state == "open"}

    def latest(self, rule: Rule) -> Kept | None:
        """The newest evidence about a rule as it is now."""
        for kept in self.store.of_rule(rule.id, rule.version):
            tested = kept.backtest.rule(rule.id, rule.version)
            if tested is not None and (tested.when, tested.action) == (rule.when, rule.action):
                return kept
        return None

    def objections(self, rule: Rule, to: str, evidence: str, now_ms: int) -> list[Objection]:
        """What stands against moving a rule up on this evidence.

        Raises:
            EvidenceError: there is none such.
        """
        return objections(rule, to, self.store.load(evidence), self.limits, now_ms)

    def seconds(self, by: str) -> list[str]:
        """Accounts that may approve what this person proposes."""
        allowed = PERMISSIONS["rules.approve"].roles
        return [it.name for it in self._people.all() if it.role in allowed and not it.disabled and it.name != by]

    # Deciding

    def propose(self, actor: Actor, rule_id: str, to: str, evidence: str, why: str, now_ms: int) -> Proposal:
        """Put a promotion before a second person.

        Raises:
            RuleError: it cannot be; says everything that stands against it.
            EvidenceError: there is no such evidence.
        """
        if not self.seconds(actor.by):
            raise ProposalError(
                "one-person",
                "Nobody but you could approve this: a promotion takes two persons.",
                fix="Have an administrator add an account with the role operator for a second person.",
            )

        def note(it: Proposal) -> None:
            after = {"stage": it.to, "version": it.version, "proposal": it.number, "evidence": it.evidence, "by": it.by}
            self._record(actor, "rules.propose", it.rule, _before(it), after, why, now_ms)

        return self._stages.propose(
            self._rules(), rule_id, to, evidence, Decision(actor.by, why, now_ms), self._check(now_ms), note
        )

    def approve(self, actor: Actor, number: int, why: str, now_ms: int) -> StageChange:
        """Move the rule as somebody else proposed; in force within a second.

        Raises:
            RuleError: it cannot be.
        """

        def note(it: StageChange) -> None:
            after = {
                "stage": it.to,
                "version": it.version,
                "proposal": it.proposal,
                "evidence": it.evidence,
                "proposed_by": it.proposed_by,
                "by": it.by,
            }
            before = {"stage": it.came_from, "version": it.version}
            self._record(actor, "rules.approve", it.rule, before, after, it.why, now_ms)

        return self._stages.approve(self._rules(), number, Decision(actor.by, why, now_ms), self._check(now_ms), note)

    def refuse(self, actor: Actor, number: int, why: str, now_ms: int) -> Refusal:
        """Turn a proposal down.

        Raises:
            RuleError: it cannot be.
        """

        def note(it: Proposal, _refusal: Refusal) -> None:
            after = {"stage": it.came_from, "version": it.version, "proposal": number, "refused": it.to, "by": actor.by}
            self._record(actor, "rules.refuse", it.rule, _before(it), after, why, now_ms)

        return self._stages.refuse(self._rules(), number, Decision(actor.by, why, now_ms), note)

    def demote(self, actor: Actor, rule_id: str, to: str, why: str, now_ms: int) -> StageChange:
        """Move a rule down at once; in force within a second.

        Raises:
            RuleError: it cannot be.
        """

        def note(it: StageChange) -> None:
            before = {"stage": it.came_from, "version": it.version}
            after = {"stage": it.to, "version": it.version, "by": it.by}
            self._record(actor, "rules.demote", it.rule, before, after, it.why, now_ms)

        return self._stages.demote(self._rules(), rule_id, to, Decision(actor.by, why, now_ms), note)

    def _rules(self) -> Ruleset:
        return self._shelf.book().ruleset

    def _check(self, now_ms: int) -> Callable[[Rule, str, str], None]:
        def check(rule: Rule, to: str, evidence: str) -> None:
            if not evidence:
                raise RuleError(
                    f"{rule.id} v{rule.version} has no evidence.",
                    fix=f"Run `hutong rules backtest {rule.id} --over ARCHIVE --labels FILE --data DIR` first.",
                )
            require(rule, to, self.store.load(evidence), self.limits, now_ms)

        return check

    def _record(
        self,
        actor: Actor,
        deed: str,
        rule_id: str,
        before: object,
        after: object,
        why: str,
        now_ms: int,
    ) -> None:
        self._trail.record(
            actor.who,
            actor.address,
            deed,
            target=rule_id,
            before=before,
            after=after,
            purpose=why.strip(),
            now_ms=now_ms,
        )


def _before(it: Proposal) -> dict[str, object]:
    return {"stage": it.came_from, "version": it.version}
