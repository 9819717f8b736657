"""Puts a rule into a stage as if two persons had decided so: for tests of what a stage does, not of who decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hutong.app.cli_terms import in_force
from hutong.calls.rule_book import STAGES_FILE
from hutong.kernel.clock import SystemClock
from hutong.kernel.rules.stages import StageChange, append_line, check_move, find_rule, read_stages, stage_of

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.kernel.rules.ruleset import Ruleset


def put(
    stages: Path, ruleset: Ruleset, rule_id: str, to: str, *, by: str = "Li", why: str = "March", ms: int = 0
) -> None:
    """Add a decision to a stages file."""
    rule = find_rule(ruleset, rule_id)
    stage = stage_of(rule, read_stages(stages))
    wanted = check_move(ruleset, rule, stage, to, by=by, why=why)
    change = StageChange(rule.id, rule.version, stage, wanted, by, why, ms or SystemClock().wall() // 1_000_000)
    append_line(stages, msgspec.json.encode(change))


def put_stage(data: Path, rule_id: str, to: str, *, by: str = "Li") -> None:
    """The same in a data folder."""
    put(data / STAGES_FILE, in_force(data), rule_id, to, by=by)
