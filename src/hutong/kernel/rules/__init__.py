"""Declared rules: vocabulary, language, compiler, machine, lint, stages. Knows no system and no feature.

A system brings a `Vocabulary` and rule files; `loader.load_ruleset` gives a frozen `Ruleset` whose
`program` the compiled `machine.run_rules` executes over a feature vector. The same program judges a live
event and a year of history.
"""

from __future__ import annotations

from hutong.kernel.rules.findings import Finding, RulesetError
from hutong.kernel.rules.loader import check_paths, load_ruleset, read_anchors, rule_files
from hutong.kernel.rules.machine import Program, leave_possible, run_rule, run_rules
from hutong.kernel.rules.proposals import (
    PROPOSALS_FILE,
    Decision,
    Proposal,
    ProposalError,
    Refusal,
    Stages,
    Standing,
)
from hutong.kernel.rules.ruleset import ALERT_STAGES, LEVELS, STAGES, Rule, Ruleset, Sample, Stage, load_saved
from hutong.kernel.rules.stages import StageChange, find_rule, read_stages, stage_of, stages_in_force
from hutong.kernel.rules.vocabulary import Enumeration, Feature, Vocabulary, open_code
from hutong.kernel.rules.watcher import RuleWatcher

__all__ = [
    "ALERT_STAGES",
    "LEVELS",
    "PROPOSALS_FILE",
    "STAGES",
    "Decision",
    "Enumeration",
    "Feature",
    "Finding",
    "Program",
    "Proposal",
    "ProposalError",
    "Refusal",
    "Rule",
    "RuleWatcher",
    "Ruleset",
    "RulesetError",
    "Sample",
    "Stage",
    "StageChange",
    "Stages",
    "Standing",
    "Vocabulary",
    "check_paths",
    "find_rule",
    "leave_possible",
    "load_ruleset",
    "load_saved",
    "open_code",
    "read_anchors",
    "read_stages",
    "rule_files",
    "run_rule",
    "run_rules",
    "stage_of",
    "stages_in_force",
]
