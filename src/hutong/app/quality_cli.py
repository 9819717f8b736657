"""`hutong quality`: how well the shipped rules stop made-up fraud, and whom they hit by mistake."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path  # noqa: TC003  # cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from hutong.kernel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hutong.app.quality import Judging

#: The provinces of the published tables: rules were never changed after a look at them.
HELD_OUT: Final = (101, 102, 103, 104, 105)
CALLS: Final = 500_000
DAYS: Final = 7
_WAYS: Final = (
    (True, "Every rule at its own action 各规则按自身处置"),
    (False, "As shipped 按出厂阶段"),
)


def quality(
    *,
    page: Annotated[Path | None, Parameter(help="把表格写入此文档 / page to write the tables into")] = None,
    seeds: Annotated[list[int] | None, Parameter(help="随机种子 / seeds of the provinces", negative="")] = None,
    calls: Annotated[int, Parameter(help="每个省的呼叫数 / calls in each province")] = CALLS,
    days: Annotated[int, Parameter(help="天数 / days")] = DAYS,
    jobs: Annotated[int, Parameter(help="并行进程数,缺省为 CPU 数 / processes; default: as many as CPUs")] = 0,
) -> None:
    """在虚构省份上衡量识别质量:各类诈骗拦截率、各类正常用户误拦率 / Detection quality on made-up provinces."""
    from hutong.app.quality_page import put_into  # noqa: PLC0415  # only this command pays for it

    chosen = tuple(seeds or HELD_OUT)
    if calls < 1 or days < 1 or jobs < 0 or min(chosen) < 0:
        raise ConfigError("Calls and days are 1 or more, seeds and jobs not negative.", where="--calls, --days, …")
    before = page.read_text(encoding="utf-8") if page is not None else ""
    if page is not None:
        put_into(before, "", str(page))
    with _progress() as bar:
        task = bar.add_task("省份 / provinces", total=2 * len(chosen))
        text = measured(chosen, calls, days, jobs or os.cpu_count() or 1, lambda: bar.advance(task))
    if page is None:
        sys.stdout.write(text)
    else:
        page.write_text(put_into(before, text, str(page)), encoding="utf-8")


def measured(seeds: Sequence[int], calls: int, days: int, jobs: int, done: Callable[[], None] = lambda: None) -> str:
    """The tables as Markdown: the same seeds, size, rules and parameters give the same bytes."""
    from hutong.app.quality_figures import figures  # noqa: PLC0415
    from hutong.app.quality_page import tables  # noqa: PLC0415
    from hutong.calls.features import SHIPPED_RULES, VOCABULARY  # noqa: PLC0415
    from hutong.kernel.rules import load_ruleset  # noqa: PLC0415

    rules = [rule.id for rule in load_ruleset([SHIPPED_RULES], VOCABULARY).rules]
    asked = [(seed, calls, days, promoted) for promoted, _ in _WAYS for seed in seeds]
    judged: list[Judging] = []
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for one in pool.map(judge_one, asked):
            judged.append(one)
            done()
    said = f"{days} days, {calls:,} calls asked of each, seeds {', '.join(map(str, seeds))}.\n\n"
    parts = [said]
    for at, (_, title) in enumerate(_WAYS):
        mine = judged[at * len(seeds) : (at + 1) * len(seeds)]
        parts.append(f"### {title}\n\n{tables(figures(mine), rules)}\n")
    return "\n" + "".join(parts)


def judge_one(asked: tuple[int, int, int, bool]) -> Judging:
    """Make and judge one province: seed, calls, days, whether rules are as if promoted."""
    from hutong.app.quality import judge_seed  # noqa: PLC0415
    from hutong.calls.features import SHIPPED_RULES, VOCABULARY  # noqa: PLC0415
    from hutong.kernel.rules import load_ruleset  # noqa: PLC0415
    from hutong.simulation.parameters import load_parameters  # noqa: PLC0415
    from hutong.simulation.province import size_of  # noqa: PLC0415

    seed, calls, days, promoted = asked
    shown = load_parameters()
    ruleset = load_ruleset([SHIPPED_RULES], VOCABULARY)
    return judge_seed(shown, size_of(shown, calls, days, 0), seed, ruleset, as_if_promoted=promoted)


def _progress() -> Progress:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
