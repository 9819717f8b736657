"""`hutong simulate`: makes a province that does not exist, to test judgement on."""

from __future__ import annotations

import re
import sys
from pathlib import Path  # noqa: TC003  # cyclopts reads the annotations
from typing import Annotated, Literal

from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hutong.kernel.errors import ConfigError

app = App(name="simulate", help="仿真:生成一个虚构省份的话单或信令 / Simulation: a province that does not exist")

_COUNT = re.compile(r"(\d+(?:\.\d+)?)([kKmM]?)")
_TIMES = {"": 1, "k": 1_000, "m": 1_000_000}
_MOST_CALLS = 10**10


def read_count(text: str) -> int:
    """A count of calls such as 250000, 500k or 10M.

    Raises:
        ConfigError: it is none.
    """
    found = _COUNT.fullmatch(text.strip())
    count = round(float(found[1]) * _TIMES[found[2].lower()]) if found else 0
    if not 0 < count <= _MOST_CALLS:
        raise ConfigError(
            f"{text!r} is no count of calls.", where="--calls", fix="Write one such as 250000, 500k or 10M."
        )
    return count


@app.command
def province(  # one option each
    *,
    out: Annotated[Path, Parameter(help="写入的目录,须为空 / folder to write to; new or empty")],
    calls: Annotated[str, Parameter(help="呼叫数,如 500k、10M / how many calls")] = "",
    days: Annotated[int, Parameter(help="天数,缺省 7 / days; default: 7")] = 0,
    population: Annotated[int, Parameter(help="人口,缺省由呼叫数推算 / persons; default: what the calls need")] = 0,
    seed: Annotated[int, Parameter(help="随机种子 / seed")] = 1,
    format_: Annotated[
        Literal["parquet", "csv"], Parameter(name="--format", help="文件格式 / format of the files")
    ] = "parquet",
    parameters: Annotated[
        Path | None, Parameter(help="参数文件,只写要改的 / file with what to change of the parameters")
    ] = None,
) -> None:
    """生成话单与真值 / Make call records, and the truth about them in files of its own."""
    from hutong.simulation.parameters import load_parameters  # noqa: PLC0415  # only this command pays for it
    from hutong.simulation.province import Province, size_of  # noqa: PLC0415
    from hutong.simulation.records import Records  # noqa: PLC0415

    if min(days, population, seed) < 0:
        raise ConfigError("Days, population and seed are 0 or more.", where="--days, --population, --seed")
    shown = load_parameters(parameters)
    size = size_of(shown, read_count(calls) if calls or not population else 0, days, population)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("小时 / hours", total=size.days * 24)
        made = Province(shown, size, seed)
        with Records(out, made, format_) as records:
            for hour in made.run():
                records.take(hour)
                bar.advance(task)
    sys.stdout.write(
        f"{records.written} 次呼叫,其中诈骗 {records.fraud} 次,{size.days} 天,{size.persons} 人;写入 {out}\n"
        f"{records.written} calls, {records.fraud} of them fraud, {size.days} days, {size.persons} persons; in {out}\n"
    )
