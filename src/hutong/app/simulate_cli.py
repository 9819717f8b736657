"""`hutong simulate`: makes a province that does not exist, to test judgement on."""

from __future__ import annotations

import re
import sys
from pathlib import Path  # noqa: TC003  # cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hutong.kernel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.simulation.province import Province

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
def province(  # noqa: PLR0913  # one option each
    *,
    out: Annotated[Path | None, Parameter(help="写入的目录,须为空 / folder to write to; new or empty")] = None,
    live: Annotated[
        str, Parameter(help="改为向本机发送 SIP,如 udp:127.0.0.1:5060 / send SIP to this machine instead")
    ] = "",
    speed: Annotated[
        float, Parameter(help="实时发送的时间倍数 / how much faster than time live calls are made")
    ] = 60.0,
    arrivals: Annotated[
        str, Parameter(help="放行的呼叫到达之处 / where live calls that pass arrive")
    ] = "127.0.0.1:5080",
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
    """生成话单与真值,或向本机发送 SIP / Make call records with the truth in files of its own, or live SIP."""
    from hutong.app.simulate_live import live_summary, play_live, read_target  # noqa: PLC0415
    from hutong.simulation.parameters import load_parameters  # noqa: PLC0415  # only this command pays for it
    from hutong.simulation.province import Province, size_of  # noqa: PLC0415

    if min(days, population, seed) < 0:
        raise ConfigError("Days, population and seed are 0 or more.", where="--days, --population, --seed")
    if out is None and not live:
        raise ConfigError("There is nowhere to write to.", where="--out", fix="Name a folder, or --live.")
    target = read_target(live) if live else None
    shown = load_parameters(parameters)
    size = size_of(shown, read_count(calls) if calls or not population else 0, days, population)
    with _progress() as bar:
        task = bar.add_task("小时 / hours", total=size.days * 24)
        made = Province(shown, size, seed)
        if target is not None:
            fates = play_live(made, target, arrivals, speed, out, lambda hours: bar.update(task, completed=hours))
            sys.stdout.write(live_summary(fates))
        elif out is not None:
            _write(made, out, format_, lambda: bar.advance(task))


def _progress() -> Progress:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _write(made: Province, out: Path, form: Literal["parquet", "csv"], hour_done: Callable[[], None]) -> None:
    from hutong.simulation.records import Records  # noqa: PLC0415

    size = made.size
    with Records(out, made, form) as records:
        for calls in made.run():
            records.take(calls)
            hour_done()
    sys.stdout.write(
        f"{records.written} 次呼叫,其中诈骗 {records.fraud} 次,{size.days} 天,{size.persons} 人;写入 {out}\n"
        f"{records.written} calls, {records.fraud} of them fraud, {size.days} days, {size.persons} persons; in {out}\n"
    )
