"""Who moved which rule to which stage, when and why: an append-only JSONL file in the data folder.

A change binds a rule's id and version: a new version starts in the stage that its file gives it. A torn last
line (a crash while writing) counts as not written; a damaged line elsewhere is an error, because a decision
would be lost. Who may move a rule up is `proposals`' business.
"""

from __future__ import annotations

import difflib
import fcntl
import os
from typing import TYPE_CHECKING

import msgspec

from hutong.kernel.errors import RuleError
from hutong.kernel.json_bytes import UNREADABLE
from hutong.kernel.rules.ruleset import LEVELS, Rule, Ruleset, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class StageChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One decision.

    Attributes:
        rule: id. version: the version it binds.
        came_from, to: stages.
        by: who decided. why: on what evidence.
        time_ms: wall time, milliseconds since 1970-01-01T00:00:00Z.
        proposal, proposed_by, evidence: of a move that one person proposed and `by` approved: the proposal's number,
            who made it, and the id of its evidence.
    """

    rule: str
    version: int
    came_from: Stage
    to: Stage
    by: str
    why: str
    time_ms: int
    proposal: int = 0
    proposed_by: str = ""
    evidence: str = ""


def read_stages(path: Path) -> list[StageChange]:
    """All changes, oldest first; none where the file is missing.

    Raises:
        RuleError: a line other than a torn last one is damaged; says which.
    """
    changes = []
    for number, line in enumerate(whole_lines(path), start=1):
        try:
            changes.append(msgspec.json.decode(line, type=StageChange))
        except UNREADABLE as error:
            raise RuleError(
                f"this stage change cannot be read: {error}.",
                where=f"{path}:{number}",
                fix="Restore the line from a backup or remove it, then decide again.",
            ) from None
    return changes


def stages_in_force(changes: Iterable[StageChange]) -> dict[tuple[str, int], Stage]:
    """The last stage of each (id, version): what `Ruleset.with_stages` takes."""
    return {(change.rule, change.version): change.to for change in changes}


def find_rule(ruleset: Ruleset, rule_id: str) -> Rule:
    """A rule by its id.

    Raises:
        RuleError: there is none; names the nearest.
    """
    index = ruleset.index(rule_id)
    if index is None:
        near = difflib.get_close_matches(rule_id, [rule.id for rule in ruleset.rules], n=1)
        fix = f"Did you mean {near[0]}?" if near else "`hutong rules list` shows all ids."
        raise RuleError(f"there is no rule {rule_id!r}.", fix=fix)
    return ruleset.rules[index]


def stage_of(rule: Rule, changes: Iterable[StageChange]) -> Stage:
    """The stage that a rule is in by these decisions."""
    wanted = stages_in_force(changes).get((rule.id, rule.version), rule.ships_in)
    return min(wanted, rule.action, key=LEVELS.__getitem__)


def check_move(ruleset: Ruleset, rule: Rule, stage: Stage, to: str, *, by: str, why: str) -> Stage:
    """The stage that `to` names, if this rule can be moved there from `stage`.

    Raises:
        RuleError: no such stage, the rule's action does not reach that far, it is there already, or no person or no
            reason is named.
    """
    known = ruleset.vocabulary.stages
    wanted = next((it for it in LEVELS if it == to and it in known), None)
    if wanted is None:
        raise RuleError(f"there is no stage {to[:40]!r}.", fix=f"One of {', '.join(known)}.")
    if LEVELS[wanted] > LEVELS[rule.action]:
        raise RuleError(
            f"{rule.id} may at most {rule.action}, not {wanted}.",
            fix="Raise its action in a new version of the rule.",
        )
    if wanted == stage:
        raise RuleError(f"{rule.id} is in stage {wanted} already.", fix="`hutong rules list` shows all stages.")
    if not by.strip() or not why.strip():
        raise RuleError("a stage change needs a person and a reason.", fix="Give --by and --why.")
    return wanted


def append_line(path: Path, line: bytes) -> None:
    """Add a line to a JSONL file; it is on disk when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)  # a torn line must not swallow this one
        file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())


def whole_lines(path: Path) -> list[bytes]:
    """The lines of a JSONL file, without a torn last one; none where there is no file."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    whole, _, _torn = content.rpartition(b"\n")
    return whole.split(b"\n") if whole else []
