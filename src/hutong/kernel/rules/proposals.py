"""Moving a rule up takes two persons: one proposes on evidence, another approves or refuses. Down takes one.

Proposals and refusals are lines of a JSONL file; an approval is the line in the stages file that names the proposal,
and nothing else. So there is no moment at which a rule is approved and not moved, whenever the power fails, and of two
who approve at once one comes too late. What the evidence must show is its system's business: it comes in as `check`.
"""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec

from hutong.kernel.errors import RuleError
from hutong.kernel.json_bytes import UNREADABLE
from hutong.kernel.rules.ruleset import LEVELS, Rule, Ruleset, Stage
from hutong.kernel.rules.stages import (
    StageChange,
    append_line,
    check_move,
    find_rule,
    read_stages,
    stage_of,
    whole_lines,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

PROPOSALS_FILE: Final = "proposals.jsonl"
State = Literal["open", "approved", "refused", "overtaken"]


class Proposal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="proposed", tag_field="kind"):
    """Somebody wants a rule moved up.

    Attributes:
        number: from 1. rule, version: what. came_from, to: stages.
        evidence: id of a backtest. by, why: who, on what grounds. time_ms: ms since 1970 UTC.
    """

    number: int
    rule: str
    version: int
    came_from: Stage
    to: Stage
    evidence: str
    by: str
    why: str
    time_ms: int


class Refusal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="refused", tag_field="kind"):
    """Somebody turned a proposal down."""

    number: int
    by: str
    why: str
    time_ms: int


class Standing(NamedTuple):
    """A proposal and what became of it.

    state: overtaken means that the rule was moved otherwise, or has another version now.
    by, why, time_ms: the decision.
    """

    proposal: Proposal
    state: State
    by: str = ""
    why: str = ""
    time_ms: int = 0


class Decision(NamedTuple):
    """Who decides what, why and when (ms since 1970 UTC)."""

    by: str
    why: str
    time_ms: int


class ProposalError(RuleError):
    """A proposal cannot be made or decided.

    Attributes:
        code: unknown, decided, same-person, open.
    """

    def __init__(self, code: str, what: str, *, fix: str = "") -> None:
        super().__init__(what, fix=fix)
        self.code = code


class Stages:
    """The stages of a node's rules, and the proposals to move them up. Any number of processes may use it at once.

    Args:
        stages: file of the decisions.
        proposals: file of the proposals.
    """

    def __init__(self, stages: Path, proposals: Path) -> None:
        self._stages, self._proposals = stages, proposals

    def standings(self, ruleset: Ruleset) -> list[Standing]:
        """Every proposal, newest first.

        Raises:
            RuleError: a file is damaged.
        """
        changes = read_stages(self._stages)
        return [self._standing(it, self._refusals(), changes, ruleset) for it in reversed(self._made())]

    def propose(
        self,
        ruleset: Ruleset,
        rule_id: str,
        to: str,
        evidence: str,
        said: Decision,
        check: Callable[[Rule, str, str], None],
        note: Callable[[Proposal], object],
    ) -> Proposal:
        """Put a move up before a second person.

        Args:
            evidence: id of a backtest.
            check: refuses a rule, a stage and evidence that do not go together.
            note: told of the proposal before it is made; what it raises ends it.

        Raises:
            RuleError: see `check_move`; the stage is not above the present one; one is open already; `check` refuses.
        """
        with self._held():
            changes, rule = read_stages(self._stages), find_rule(ruleset, rule_id)
            stage = stage_of(rule, changes)
            wanted = check_move(ruleset, rule, stage, to, by=said.by, why=said.why)
            if LEVELS[wanted] < LEVELS[stage]:
                raise RuleError(f"{rule.id} is in stage {stage}.", fix="Moving down takes no proposal: demote it.")
            for standing in self.standings(ruleset):
                if standing.state == "open" and standing.proposal.rule == rule.id:
                    raise ProposalError(
                        "open",
                        f"proposal {standing.proposal.number} about {rule.id} is open.",
                        fix="Have it approved or refused first.",
                    )
            check(rule, wanted, evidence)
            number = max((it.number for it in self._made()), default=0) + 1
            proposal = Proposal(
                number, rule.id, rule.version, stage, wanted, evidence, said.by.strip(), said.why.strip(), said.time_ms
            )
            note(proposal)
            append_line(self._proposals, msgspec.json.encode(proposal))
            return proposal

    def approve(
        self,
        ruleset: Ruleset,
        number: int,
        said: Decision,
        check: Callable[[Rule, str, str], None],
        note: Callable[[StageChange], object],
    ) -> StageChange:
        """Move the rule as proposed; it is on disk when this returns.

        Args:
            check: as in `propose`; asked again, since evidence grows old.
            note: told of the change before it is made; what it raises ends it.

        Raises:
            RuleError: no such proposal, it is decided, the same person made it, or `check` refuses.
        """
        with self._held():
            proposal = self._open(ruleset, number).proposal
            if said.by.strip() == proposal.by:
                raise ProposalError(
                    "same-person", f"{said.by} made this proposal; another person must approve it.", fix="Ask a second."
                )
            rule = find_rule(ruleset, proposal.rule)
            check(rule, proposal.to, proposal.evidence)
            change = StageChange(
                rule=rule.id,
                version=rule.version,
                came_from=proposal.came_from,
                to=proposal.to,
                by=said.by.strip(),
                why=said.why.strip() or proposal.why,
                time_ms=said.time_ms,
                proposal=number,
                proposed_by=proposal.by,
                evidence=proposal.evidence,
            )
            note(change)
            append_line(self._stages, msgspec.json.encode(change))
            return change

    def refuse(
        self, ruleset: Ruleset, number: int, said: Decision, note: Callable[[Proposal, Refusal], object]
    ) -> Refusal:
        """Turn a proposal down; who made it may do so too.

        Raises:
            RuleError: no such proposal, it is decided, or no reason is given.
        """
        if not said.why.strip():
            raise RuleError("a refusal needs a reason.", fix="Say why.")
        with self._held():
            proposal = self._open(ruleset, number).proposal
            refusal = Refusal(number, said.by.strip(), said.why.strip(), said.time_ms)
            note(proposal, refusal)
            append_line(self._proposals, msgspec.json.encode(refusal))
            return refusal

    def demote(
        self, ruleset: Ruleset, rule_id: str, to: str, said: Decision, note: Callable[[StageChange], object]
    ) -> StageChange:
        """Move a rule down at once; it is on disk when this returns.

        Raises:
            RuleError: see `check_move`; or the stage is above the present one.
        """
        with self._held():
            rule = find_rule(ruleset, rule_id)
            stage = stage_of(rule, read_stages(self._stages))
            wanted = check_move(ruleset, rule, stage, to, by=said.by, why=said.why)
            if LEVELS[wanted] > LEVELS[stage]:
                raise RuleError(
                    f"{rule.id} is in stage {stage}; {wanted} is above it.",
                    fix="Moving up takes evidence and a second person: propose it.",
                )
            change = StageChange(rule.id, rule.version, stage, wanted, said.by.strip(), said.why.strip(), said.time_ms)
            note(change)
            append_line(self._stages, msgspec.json.encode(change))
            return change

    def _open(self, ruleset: Ruleset, number: int) -> Standing:
        standing = next((it for it in self.standings(ruleset) if it.proposal.number == number), None)
        if standing is None:
            raise ProposalError(
                "unknown", f"there is no proposal {number}.", fix="`hutong rules proposals` lists them."
            )
        if standing.state != "open":
            raise ProposalError(
                "decided",
                f"proposal {number} is {standing.state}" + (f" by {standing.by}." if standing.by else "."),
                fix="Make a new one.",
            )
        return standing

    def _standing(
        self, proposal: Proposal, refusals: dict[int, Refusal], changes: Sequence[StageChange], ruleset: Ruleset
    ) -> Standing:
        for change in changes:
            if change.proposal == proposal.number:
                return Standing(proposal, "approved", change.by, change.why, change.time_ms)
        if refusal := refusals.get(proposal.number):
            return Standing(proposal, "refused", refusal.by, refusal.why, refusal.time_ms)
        at = ruleset.index(proposal.rule)
        rule = None if at is None else ruleset.rules[at]
        if rule is None or rule.version != proposal.version or stage_of(rule, changes) != proposal.came_from:
            return Standing(proposal, "overtaken")
        return Standing(proposal, "open")

    # The file

    def _made(self) -> list[Proposal]:
        return [it for it in self._lines() if isinstance(it, Proposal)]

    def _refusals(self) -> dict[int, Refusal]:
        return {it.number: it for it in self._lines() if isinstance(it, Refusal)}

    def _lines(self) -> list[Proposal | Refusal]:
        found: list[Proposal | Refusal] = []
        for number, line in enumerate(whole_lines(self._proposals), start=1):
            try:
                found.append(msgspec.json.decode(line, type=Proposal | Refusal))
            except UNREADABLE as error:
                raise RuleError(
                    f"this proposal cannot be read: {error}.",
                    where=f"{self._proposals}:{number}",
                    fix="Restore the line from a backup or remove it, then propose again.",
                ) from None
        return found

    @contextmanager
    def _held(self) -> Iterator[None]:
        """One decision at a time, whichever process makes it."""
        self._stages.parent.mkdir(parents=True, exist_ok=True)
        lock = self._proposals.with_name(f"{self._proposals.stem}.lock")
        with lock.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
