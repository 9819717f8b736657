"""`hutong rules`: check rule files, show the rules in force, test them on calls of the past, move them up and down."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from hutong.app.cli_terms import ConfigFile, DataFolder, Lang, existing_folder, in_force, language_of
from hutong.app.config import load_config
from hutong.app.stage_desk import stage_desk
from hutong.calls.features import SHIPPED_RULES, VOCABULARY
from hutong.kernel.declared.findings import RulesetError
from hutong.kernel.errors import RuleError
from hutong.kernel.rules.loader import check_paths, read_anchors, rule_files

if TYPE_CHECKING:
    from hutong.kernel.rules.ruleset import Stage

app = App(name="rules", help="规则：检查、查看、回测、升降 / Rules: lint, list, backtest, move")

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
_PROPOSAL_HEADINGS = {
    "zh": ("提议", "规则", "阶段", "提议人", "证据", "状态", "决定人"),
    "en": ("no.", "rule", "stage", "proposed by", "evidence", "state", "decided by"),
}
_STATE_NAMES = {
    "open": {"zh": "待批准", "en": "open"},
    "approved": {"zh": "已批准", "en": "approved"},
    "refused": {"zh": "已驳回", "en": "refused"},
    "overtaken": {"zh": "已失效", "en": "overtaken"},
}
_PIPE_WIDTH = 1000


def _documents() -> dict[str, frozenset[str]] | None:
    """Anchors of the documentation, where this runs from the source tree; an installed package has none."""
    return read_anchors(Path(__file__).resolve().parents[3])


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


Who = Annotated[str, Parameter(help="账号 / name of the account that decides")]
Number = Annotated[int, Parameter(name="NUMBER", help="提议编号 / number of the proposal")]


@app.command
def backtest(  # noqa: PLR0913  # what it is asked, one option each
    *rules: Annotated[str, Parameter(name="RULES", help="规则文件、目录或编号 / rule files, folders, or ids in force")],
    over: Annotated[
        tuple[Path, ...],
        Parameter(help="归档目录或话单文件 / archive folder or call records", required=True, consume_multiple=True),
    ],
    labels: Annotated[Path, Parameter(help="标注文件 (CSV、Parquet) / labels: number or call_id, label, class")],
    out: Annotated[Path | None, Parameter(help="结果另存目录 / folder for the result as JSON and text")] = None,
    data: Annotated[Path | None, Parameter(help="数据目录:名单、阶段;结果存为证据 / data folder; keeps it")] = None,
    config: ConfigFile = None,
    layout: Annotated[Path | None, Parameter(help="话单格式 (TOML) / layout of the records (TOML)")] = None,
    stop_share: Annotated[float, Parameter(help="错误行占比上限 / share of bad rows at which to stop")] = 0.01,
    by: Annotated[str, Parameter(help="经办人 / who asks; default: this machine's user")] = "",
    json: Annotated[bool, Parameter(help="输出 JSON / print JSON", negative="")] = False,
    lang: Lang = None,
) -> int:
    """回测:规则在历史呼叫上会做什么,误伤多少 / What rules would have done to calls of the past; docs/evidence.md."""
    from hutong.app.backtest import Options, run  # noqa: PLC0415  # compiled code is loaded only by who judges

    return run(
        Options(
            rules=rules,
            over=over,
            labels=labels,
            out=out,
            data=data,
            config=config,
            layout=layout,
            stop_share=stop_share,
            by=by,
            json=json,
            lang=lang,
        )
    )


@app.command(name="run-backtest", show=False)
def run_backtest(
    *,
    number: Annotated[int, Parameter(help="任务编号 / number of the job")],
    data: DataFolder,
    config: ConfigFile = None,
) -> int:
    """运行在控制台提出的回测,由 work 启动 / Run a backtest asked for at the console; started by work."""
    from hutong.app.backtest_job import run_job  # noqa: PLC0415  # compiled code is loaded only by who judges

    return run_job(load_config(config, data=existing_folder(data)), config, number)


@app.command
def propose(
    rule_id: Annotated[str, Parameter(name="ID", help="规则编号 / rule id")],
    *,
    to: Annotated[Literal["warn", "block"], Parameter(help="目标阶段 / stage")],
    by: Who,
    why: Annotated[str, Parameter(help="理由 / grounds")],
    data: DataFolder,
    evidence: Annotated[str, Parameter(help="回测编号,缺省为最近一次 / id of a backtest; default: the latest")] = "",
    config: ConfigFile = None,
) -> None:
    """提议升级规则,由第二人批准 / Propose to move a rule up; a second person approves."""
    with stage_desk(data, config) as desk:
        actor = desk.actor(by, "rules.propose")
        found = evidence or desk.latest(rule_id)
        made = desk.promotion.propose(actor, rule_id, to, found, why, desk.now_ms)
    sys.stdout.write(f"{made.number}: {made.rule} v{made.version}: {made.came_from} -> {made.to} ({made.evidence})\n")


@app.command
def approve(
    number: Number,
    *,
    by: Who,
    data: DataFolder,
    why: Annotated[str, Parameter(help="意见 / remarks")] = "",
    config: ConfigFile = None,
) -> None:
    """批准升级;提议人不能批准自己的提议 / Approve a proposal that somebody else made."""
    with stage_desk(data, config) as desk:
        it = desk.promotion.approve(desk.actor(by, "rules.approve"), number, why, desk.now_ms)
    sys.stdout.write(f"{it.rule} v{it.version}: {it.came_from} -> {it.to}\n")


@app.command
def refuse(
    number: Number,
    *,
    by: Who,
    why: Annotated[str, Parameter(help="理由 / reason")],
    data: DataFolder,
    config: ConfigFile = None,
) -> None:
    """驳回升级提议 / Turn a proposal down."""
    with stage_desk(data, config) as desk:
        desk.promotion.refuse(desk.actor(by, "rules.approve"), number, why, desk.now_ms)
    sys.stdout.write(f"{number}: refused\n")


@app.command
def demote(
    rule_id: Annotated[str, Parameter(name="ID", help="规则编号 / rule id")],
    *,
    by: Annotated[str, Parameter(help="决定人 / who decides")],
    why: Annotated[str, Parameter(help="理由 / reason")],
    data: DataFolder,
    to: Annotated[Literal["observe", "warn"], Parameter(help="目标阶段 / stage")] = "observe",
    config: ConfigFile = None,
) -> None:
    """降级规则,一人即可,立即生效 / Move a rule down at once; one person may."""
    with stage_desk(data, config) as desk:
        it = desk.promotion.demote(desk.anyone(by), rule_id, to, why, desk.now_ms)
    sys.stdout.write(f"{it.rule} v{it.version}: {it.came_from} -> {it.to}\n")


@app.command
def proposals(*, data: DataFolder, config: ConfigFile = None, lang: Lang = None) -> None:
    """列出升级提议 / List the proposals."""
    language = language_of(lang)
    with stage_desk(data, config) as desk:
        standings = desk.promotion.standings()
    table = Table(box=None, pad_edge=False)
    for heading in _PROPOSAL_HEADINGS[language]:
        table.add_column(heading, no_wrap=True)
    for it in standings:
        made = it.proposal
        move = " -> ".join(_STAGE_NAMES[stage][language] for stage in (made.came_from, made.to))
        state = _STATE_NAMES[it.state][language]
        row = (str(made.number), f"{made.rule} v{made.version}", move, made.by, made.evidence, state, it.by)
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH).print(table)
