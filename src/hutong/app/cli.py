"""The `hutong` command. Groups are named by import string: a command pays only for the modules that it needs.

A command returns nothing or an exit status. Status 0: done; 1: a HutongError, printed without a traceback;
2: wrong usage.
"""

from __future__ import annotations

import difflib
import os
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

from cyclopts import App, CycloptsError

from hutong.kernel.errors import HutongError

if TYPE_CHECKING:
    from collections.abc import Sequence

STATUS_FAILED = 1
STATUS_USAGE = 2
_NOT_FOR_OTHERS = 0o027

COMMANDS = (
    ("up", "hutong.app.up:up", "启动并看护本节点的所有进程 / Start and supervise this node's processes"),
    ("calls", "hutong.app.calls_cli:app", "呼叫:筛查、解释判决 / Calls: screen them, explain verdicts"),
    ("lists", "hutong.app.lists_cli:app", "名单:拦截与放行 / Lists: block and allow numbers"),
    ("alerts", "hutong.app.alerts_cli:app", "通话中告警：列出、查看、跟踪 / Alerts on calls under way: list, follow"),
    ("cases", "hutong.app.cases_cli:app", "案件与台账:查看、办理、导入、核对 / Cases and registers"),
    ("report", "hutong.app.reports_cli:app", "群众举报:受理、查看、导入、列表 / Reports from people"),
    ("appeals", "hutong.app.appeals_cli:app", "误拦申诉:列出、查看、裁定、导出标注 / Appeals against blocks"),
    ("handoff", "hutong.app.appeals_cli:handoff", "劝阻移交:列出 / Hand-offs to the dissuasion desk"),
    ("bulletin", "hutong.app.bulletins_cli:app", "通报:拟写、列出、签发 / Bulletins: make, list, sign them"),
    ("losses", "hutong.app.bulletins_cli:losses", "案件与损失:导入、列出 / Fraud cases and losses of agencies"),
    ("codes", "hutong.app.codes_cli:app", "一码通:密钥、签发、核验、符合性 / Codes: keys, issuing, verifying"),
    ("sampling", "hutong.app.sampling_cli:app", "核酸采样:采样点、结果、召回、应急 / Sampling: stations, results"),
    ("replica", "hutong.app.replica_cli:app", "只读副本:跟随、查看、重建 / Read replicas: follow, look, make anew"),
    ("orders", "hutong.app.orders_cli:app", "封停、解封、限制指令与证据包 / Orders on numbers, evidence packs"),
    ("rules", "hutong.app.rules_cli:app", "规则:检查、查看、回测、升降 / Rules: lint, list, test, move"),
    ("risk", "hutong.app.risk_cli:app", "涉诈风险评分:训练、评估、评分 / Risk score: train, evaluate, score"),
    ("roaming", "hutong.app.roaming_cli:app", "漫游表 / The table of roaming subscribers"),
    ("simulate", "hutong.app.simulate_cli:app", "仿真:虚构省份的话单与信令 / A made-up province to test on"),
    (
        "quality",
        "hutong.app.quality_cli:quality",
        "衡量识别质量:虚构省份上的拦截率与误拦率 / How well the rules detect made-up fraud",
    ),
    ("people", "hutong.app.people_cli:app", "账号:查看、新增、改角色、停用、重置口令 / Accounts of the console"),
    ("audit", "hutong.app.audit_cli:app", "审计:核对操作记录、检查点、证明 / Audit: verify and prove the trail"),
    ("config", "hutong.app.config_cli:app", "配置:检查、查看 / Settings: check them, show them"),
    ("backup", "hutong.app.backup:backup", "备份,运行中亦可 / Back up a node, running or not"),
    ("restore", "hutong.app.restore:restore", "从备份恢复到空目录 / Restore a backup into an empty folder"),
    ("edge", "hutong.app.edge_cli:app", "边缘:写出 nginx 配置、轮换密钥 / The edge: nginx's configuration, keys"),
    ("serve", "hutong.app.serve:serve", "网页与接口进程 / The process that serves pages and the API"),
    ("work", "hutong.app.work:work", "定时任务进程 / The process that runs scheduled jobs"),
    (
        "feed",
        "hutong.app.feed:feed",
        "Kafka 进程:接收呼叫、发布判决 / The process that calls and verdicts of Kafka go through",
    ),
    ("demo", "hutong.app.demo:demo", "演示:样例网关与实时页面 / Demo: a sample gateway and a live page"),
)
_NAMES = tuple(name for name, _, _ in COMMANDS)


def build() -> App:
    """The command tree; nothing that it names is imported before it is run."""
    app = App(
        name="hutong",
        help="护通:守护用户的通信 / Hutong: protects the people who use a network",
        version=lambda: version("hutong"),
        help_format="plaintext",
        result_action="return_value",
    )
    for name, target, text in COMMANDS:
        app.command(target, name=name, help=text)
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit status."""
    if arguments and not arguments[0].startswith("-") and arguments[0] not in _NAMES:
        return _unknown(arguments[0])
    try:
        result = build()(arguments, exit_on_error=False, print_error=True)
    except CycloptsError:
        return STATUS_USAGE
    except HutongError as error:
        sys.stdout.flush()
        sys.stderr.write(f"{error}\n")
        return STATUS_FAILED
    return result if isinstance(result, int) else 0


def _unknown(name: str) -> int:
    """Refuse an unknown command. The library would import every command there is to find a near one."""
    near = difflib.get_close_matches(name, _NAMES, n=1)
    advice = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(_NAMES)}."
    sys.stderr.write(f"unknown command {name!r}. {advice}\n")
    return STATUS_USAGE


def main() -> None:
    """Entry point of the `hutong` command.

    What it writes is for this user and group only: numbers are personal data.
    """
    os.umask(os.umask(_NOT_FOR_OTHERS) | _NOT_FOR_OTHERS)
    try:
        status = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader went away (`hutong lists export | head`): nothing is wrong, and nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status)
