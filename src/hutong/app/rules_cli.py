"""`hutong rules`: check rule files, show the rules in force, move a rule to another stage."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from hutong.app.config import load_config
from hutong.calls.features import SHIPPED_RULES, VOCABULARY
from hutong.calls.rule_book import STAGES_FILE, rule_paths
from hutong.kernel.clock import SystemClock
from hutong.kernel.errors import ConfigError, RuleError
from hutong.kernel.rules import (
    Ruleset,
    RulesetError,
    Stage,
    check_paths,
    load_ruleset,
    promote,
    read_anchors,
    read_stages,
    rule_files,
    stages_in_force,
)

app = App(name="rules", help="规则：检查、查看、升级 / Rules: lint, list, promote")

_STAGE_NAMES: dict[Stage, dict[str, str]] = {
    "observe": {"zh": "观察", "en": "observe"},
    "warn": {"zh": "提示", "en": "warn"},
    "block": {"zh": "拦截", "en": "block"},
    "alert": {"zh": "告警", "en": "alert"},
}
_HEADINGS = {
    "zh": ("编号", "版本", "名称", "最高动作", "阶段"),
    "en": ("id", "version", "title", "action", "stage"),
}
_NS_PER_MS = 1_000_000
_PIPE_WIDTH = 1000

DataFolder = Annotated[Path, Parameter(help="数据目录 / data folder")]
ConfigFile = Annotated[
    Path | None,
    Parameter(help="配置文件，其中 calls.rules_dir 为另加的规则目录 / settings file: names calls.rules_dir"),
]
Lang = Annotated[Literal["zh", "en"] | None, Parameter(help="语言，缺省随系统 / language; default: the system's")]


def language_of(chosen: Literal["zh", "en"] | None) -> Literal["zh", "en"]:
    """The language that was chosen, else the system's."""
    if chosen is not None:
        return chosen
    setting = os.environ.get("LC_ALL") or os.environ.get("LANG") or ""
    return "zh" if setting.startswith("zh") else "en"


def _documents() -> dict[str, frozenset[str]] | None:
    """Anchors of the documentation, where this runs from the source tree; an installed package has none."""
    return read_anchors(Path(__file__).resolve().parents[3])


def in_force(data: Path | None, config: Path | None = None) -> Ruleset:
    """The rules of a node, each in its stage: shipped, in the data folder, in `calls.rules_dir`.

    Args:
        data: the data folder; None for the shipped rules and those that the settings add.
        config: the settings file; without one, settings come from the environment.

    Raises:
        ConfigError: the settings are wrong.
        RuleError: a rule file or the stages file is refused; lists every error.
    """
    further = load_config(config, data=data).calls.rules_dir
    folders = [Path(further)] if further else []
    if data is None:
        return load_ruleset([SHIPPED_RULES, *folders], VOCABULARY)
    stages = stages_in_force(read_stages(data / STAGES_FILE))
    return load_ruleset(rule_paths(data, folders), VOCABULARY, stages=stages)


@app.command
def lint(
    *paths: Annotated[Path, Parameter(help="规则文件或目录，缺省为随附规则 / files or folders; default: shipped")],
) -> None:
    """检查规则：列出全部问题；自有规则与随附规则一并检查 / Check rules and list everything found.

    Own rules are checked together with the shipped ones, because they will run together.
    """
    for path in paths:
        if not path.exists():
            raise RuleError("there is no such file or folder.", where=str(path), fix="Check the path.")
        if not rule_files([path]):
            raise RuleError("there are no rule files here.", where=str(path), fix="Name a .yaml file or its folder.")
    own = [path for path in paths if path.resolve() != SHIPPED_RULES and SHIPPED_RULES not in path.resolve().parents]
    checked = check_paths([SHIPPED_RULES, *own], VOCABULARY, _documents())
    for finding in checked.findings:
        if finding.severity == "warning":
            sys.stdout.write(f"{finding}\n")
    if checked.errors:
        raise RulesetError(checked.findings)
    sys.stdout.write(f"ok: {len(checked.drafts)} 条规则 / rules\n")


@app.command(name="list")
def list_rules(*, data: DataFolder | None = None, config: ConfigFile = None, lang: Lang = None) -> None:
    """列出规则及其所处阶段 / List the rules and the stages they are in."""
    language = language_of(lang)
    ruleset = in_force(existing_folder(data) if data is not None else None, config)
    table = Table(box=None, pad_edge=False)
    for heading in _HEADINGS[language]:
        table.add_column(heading, no_wrap=heading == _HEADINGS[language][0])
    for rule in ruleset.rules:
        action, stage = (_STAGE_NAMES[name][language] for name in (rule.action, rule.stage))
        moved = " *" if rule.stage != rule.ships_in else ""
        table.add_row(rule.id, str(rule.version), rule.title[language], action, stage + moved)
    # In a pipe there is no window to fit into: nothing is wrapped or cut.
    Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH).print(table)


@app.command(name="promote")
def promote_rule(
    rule_id: Annotated[str, Parameter(name="ID", help="规则编号 / rule id")],
    *,
    to: Annotated[Literal["observe", "warn", "block"], Parameter(help="目标阶段 / stage")],
    by: Annotated[str, Parameter(help="决定人 / who decides")],
    why: Annotated[str, Parameter(help="依据 / the evidence")],
    data: DataFolder,
    config: ConfigFile = None,
) -> None:
    """升级或降级规则的阶段，留下决定人与依据 / Move a rule up or down a stage, with person and evidence on record."""
    folder = existing_folder(data)
    stages = folder / STAGES_FILE
    now = SystemClock().wall() // _NS_PER_MS
    change = promote(stages, in_force(folder, config), rule_id, to=to, by=by, why=why, time_ms=now)
    sys.stdout.write(f"{change.rule} v{change.version}: {change.came_from} -> {change.to}\n")


def existing_folder(data: Path) -> Path:
    """The data folder, if it is there.

    Raises:
        ConfigError: it is not.
    """
    if not data.is_dir():
        raise ConfigError("the data folder does not exist.", where=str(data), fix="Start `hutong up` there first.")
    return data
