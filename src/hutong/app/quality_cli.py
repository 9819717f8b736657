"""`hutong quality`: how well the shipped rules stop made-up fraud, and whom they hit by mistake."""

from __future__ import annotations

import os
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path  # cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple, TypeVar

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from hutong.kernel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    import pyarrow as pa

    from hutong.app.quality import Judging
    from hutong.kernel.rules.ruleset import Ruleset
    from hutong.simulation.province import Province

T = TypeVar("T")

#: The provinces of the published tables: rules were never changed after a look at them.
HELD_OUT: Final = (111, 112, 113, 114, 115)
CALLS: Final = 500_000
DAYS: Final = 7
#: The provinces that the learned score is learned from; of the same size as those judged.
LEARNED_FROM: Final = (11, 12, 13, 14)
#: In how many provinces, the first ones, rules read the score: scoring costs many times what judging does.
SCORED: Final = 5


class Way(NamedTuple):
    """A way of judging: whether rules act as if promoted, and whether they read the learned score."""

    title: str
    promoted: bool
    scored: bool

    def seeds(self, asked: Sequence[int]) -> Sequence[int]:
        """The provinces that are judged so."""
        return asked[:SCORED] if self.scored else asked


WAYS: Final = (
    Way("Every rule at its own action, with the learned score 各规则按自身处置,含学习评分", promoted=True, scored=True),
    Way("Every rule at its own action, without the score 各规则按自身处置,无学习评分", promoted=True, scored=False),
    Way("As shipped 按出厂阶段", promoted=False, scored=False),
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
        task = bar.add_task("省份 / provinces", total=len(LEARNED_FROM) + sum(len(way.seeds(chosen)) for way in WAYS))
        text = measured(chosen, calls, days, jobs or os.cpu_count() or 1, lambda: bar.advance(task))
    if page is None:
        sys.stdout.write(text)
    else:
        page.write_text(put_into(before, text, str(page)), encoding="utf-8")


def measured(seeds: Sequence[int], calls: int, days: int, jobs: int, done: Callable[[], None] = lambda: None) -> str:
    """The tables as Markdown: the same seeds, size, rules and parameters give the same bytes."""
    from hutong.app.quality_figures import figures  # noqa: PLC0415
    from hutong.app.quality_page import tables  # noqa: PLC0415

    rules = [rule.id for rule in _rules().rules]
    judged = judge_all(seeds, calls, days, jobs, done)
    asked = f"{days} days, {calls:,} calls asked of each, seeds {', '.join(map(str, seeds))}"
    parts = [f"{asked}; the score is learned from seeds {', '.join(map(str, LEARNED_FROM))}.\n\n"]
    for way in WAYS:
        which = f"Seeds {', '.join(map(str, way.seeds(seeds)))}.\n\n" if way.scored else ""
        parts.append(f"### {way.title}\n\n{which}{tables(figures(judged[way]), rules)}\n")
    return "\n" + "".join(parts)


def judge_all(
    seeds: Sequence[int], calls: int, days: int, jobs: int, done: Callable[[], None] = lambda: None
) -> dict[Way, list[Judging]]:
    """Every province in every way. The score is learned while provinces are judged that do without it."""
    from hutong.app.quality_scores import learn  # noqa: PLC0415  # learning libraries are loaded by who learns
    from hutong.risk.model_file import save_model  # noqa: PLC0415  # as above

    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        model = Path(folder) / "model"
        teachers = [pool.submit(confirmed_one, (seed, calls, days)) for seed in LEARNED_FROM]
        judged: dict[Way, list[Future[Judging]]] = {}
        for way in sorted(WAYS, key=lambda way: way.scored):
            if way.scored:
                save_model(learn(_told(teachers, done)), model)
            judged[way] = [
                pool.submit(judge_one, (seed, calls, days, way.promoted, str(model) if way.scored else ""))
                for seed in way.seeds(seeds)
            ]
        return {way: _told(judged[way], done) for way in WAYS}


def _told(futures: Sequence[Future[T]], done: Callable[[], None]) -> list[T]:
    found = []
    for future in futures:
        found.append(future.result())
        done()
    return found


def confirmed_one(asked: tuple[int, int, int]) -> pa.Table:
    """What a province teaches, judged by rules alone: seed, calls, days."""
    from hutong.app.quality import judge  # noqa: PLC0415
    from hutong.app.quality_scores import Confirmed, home_area_of  # noqa: PLC0415

    seed, calls, days = asked
    made = _province(seed, calls, days)
    with Confirmed(home_area_of(made)) as told:
        judge(made, _rules(), as_if_promoted=True, beside=told)
        return told.table(made)


def judge_one(asked: tuple[int, int, int, bool, str]) -> Judging:
    """Make and judge one province: seed, calls, days, whether rules are as if promoted, file of a model or ""."""
    from hutong.app.quality import judge  # noqa: PLC0415
    from hutong.app.quality_scores import NearLineJob, home_area_of  # noqa: PLC0415
    from hutong.risk.model_file import load_model  # noqa: PLC0415

    seed, calls, days, promoted, model = asked
    made = _province(seed, calls, days)
    if not model:
        return judge(made, _rules(), as_if_promoted=promoted)
    with NearLineJob(load_model(Path(model)), home_area_of(made)) as job:
        return judge(made, _rules(), as_if_promoted=promoted, beside=job)


def _rules() -> Ruleset:
    from hutong.calls.features import SHIPPED_RULES, VOCABULARY  # noqa: PLC0415
    from hutong.kernel.rules.loader import load_ruleset  # noqa: PLC0415

    return load_ruleset([SHIPPED_RULES], VOCABULARY)


def _province(seed: int, calls: int, days: int) -> Province:
    from hutong.simulation.parameters import load_parameters  # noqa: PLC0415
    from hutong.simulation.province import Province, size_of  # noqa: PLC0415

    shown = load_parameters()
    return Province(shown, size_of(shown, calls, days, 0), seed)


def _progress() -> Progress:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
