"""Who moved which rule to which stage, when and why: an append-only JSONL file in the data folder.

A change binds a rule's id and version: a new version starts in the stage that its file gives it. A torn last
line (a crash while writing) counts as not written; a damaged line elsewhere is an error, because a decision
would be lost.
"""

from __future__ import annotations

import difflib
import fcntl
import os
from typing import TYPE_CHECKING

import msgspec

from hutong.kernel.errors import RuleError
from hutong.kernel.rules.ruleset import LEVELS, Ruleset, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class StageChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One decision.

    Attributes:
        rule: id. version: the version it binds.
        came_from, to: stages.
        by: who decided. why: on what evidence.
        time_ms: wall time, milliseconds since 1970-01-01T00:00:00Z.
    """

    rule: str
    version: int
    came_from: Stage
    to: Stage
    by: str
    why: str
    time_ms: int


def read_stages(path: Path) -> list[StageChange]:
    """All changes, oldest first; none where the file is missing.

    Raises:
        RuleError: a line other than a torn last one is damaged; says which.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    whole, _, _torn = content.rpartition(b"\n")
    changes = []
    for number, line in enumerate(whole.split(b"\n") if whole else [], start=1):
        try:
            changes.append(msgspec.json.decode(line, type=StageChange))
        except msgspec.DecodeError as error:
            raise RuleError(
                f"this stage change cannot be read: {error}.",
                where=f"{path}:{number}",
                fix="Restore the line from a backup or remove it, then promote again.",
            ) from None
    return changes


def stages_in_force(changes: Iterable[StageChange]) -> dict[tuple[str, int], Stage]:
    """The last stage of each (id, version): what `Ruleset.with_stages` takes."""
    return {(change.rule, change.version): change.to for change in changes}


def promote(path: Path, ruleset: Ruleset, rule_id: str, *, to: str, by: str, why: str, time_ms: int) -> StageChange:
    """Move a rule to a stage, up or down, and keep the decision; it is on disk when this returns.

    Args:
        path: the stages file.
        ruleset: the rules with their stages in force.
        rule_id: which rule.
        to: one of the vocabulary's stages.
        by: the person who decides.
        why: the evidence.
        time_ms: wall time of the decision.

    Raises:
        RuleError: no such rule or stage, the rule's action does not reach that far, it is there already, or
            no person or no reason is named.
    """
    index = ruleset.index(rule_id)
    if index is None:
        near = difflib.get_close_matches(rule_id, [rule.id for rule in ruleset.rules], n=1)
        fix = f"Did you mean {near[0]}?" if near else "`hutong rules list` shows all ids."
        raise RuleError(f"there is no rule {rule_id!r}.", fix=fix)
    rule = ruleset.rules[index]
    known = ruleset.vocabulary.stages
    stage = next((stage for stage in LEVELS if stage == to and stage in known), None)
    if stage is None:
        raise RuleError(f"there is no stage {to!r}.", fix=f"One of {', '.join(known)}.")
    if LEVELS[stage] > LEVELS[rule.action]:
        raise RuleError(
            f"{rule_id} may at most {rule.action}, not {stage}.",
            fix="Raise its action in a new version of the rule.",
        )
    if stage == rule.stage:
        raise RuleError(f"{rule_id} is in stage {stage} already.", fix="`hutong rules list` shows all stages.")
    if not by.strip() or not why.strip():
        raise RuleError("a stage change needs a person and a reason.", fix="Give --by and --why.")
    change = StageChange(rule_id, rule.version, rule.stage, stage, by.strip(), why.strip(), time_ms)
    _append(path, change)
    return change


def _append(path: Path, change: StageChange) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)  # a torn line must not swallow this one
        file.write(msgspec.json.encode(change) + b"\n")
        file.flush()
        os.fsync(file.fileno())
