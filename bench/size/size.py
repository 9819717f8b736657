"""The section `size`: every subject on every engine at every size, and the table of it."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bench.size.asking import Taken, ask
from bench.size.engines import ENGINES
from bench.size.filling import fill
from bench.size.of_codes import Codes
from bench.size.of_sampling import People, Tubes
from bench.size.of_scans import ScansOfCity
from bench.tables import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.size.asking import Subject
    from bench.size.engines import Engine

ROWS: Final = (1_000_000, 10_000_000, 100_000_000)
SUBJECTS: Final[tuple[type[Subject], ...]] = (Codes, ScansOfCity, Tubes, People)
ROUNDS: Final = 300
ASKED: Final = 400
DISK_GB: Final = 45
_SPARE: Final = 5 << 30
_Cell = tuple[int, Taken]


def size_table(
    folder: Path,
    rows: Sequence[int] = ROWS,
    engines: Sequence[str] = tuple(ENGINES),
    disk_gb: int = DISK_GB,
    rounds: int = ROUNDS,
    asked: int = ASKED,
) -> str:
    """The figures as a table.

    Args:
        folder: on the disk to be measured. rows: of the tables concerned. disk_gb: never takes more.
        asked: how many people are asked about, in so many rounds.
    """
    console = Console(stderr=True)
    cells: dict[tuple[str, str], dict[int, _Cell]] = {}
    for kind in SUBJECTS:
        for engine in engines:
            for wanted in rows:
                count = _that_fit(folder, kind, engine, wanted, disk_gb, console)
                for name, taken in _measure(folder, kind, ENGINES[engine], count, (rounds, asked), console).items():
                    cells.setdefault((name, engine), {})[wanted] = (count, taken)
    head = [f"ms, {it:,} rows: p50 / p99 (cold)" for it in rows]
    told = [(name, engine, *(_cell(by.get(it), it) for it in rows)) for (name, engine), by in cells.items()]
    return table(("question", "records", *head), told)


def _that_fit(folder: Path, kind: type[Subject], engine: str, wanted: int, disk_gb: int, console: Console) -> int:
    """So many rows as asked, or as the disk has room for."""
    room = min(shutil.disk_usage(folder).free - _SPARE, disk_gb * 10**9)
    count = min(wanted, room // kind.row_bytes[engine])
    need = count * kind.row_bytes[engine] / 1e9
    console.print(f"{kind.name}, {engine}: {count:,} rows need about {need:.1f} GB of {room / 1e9:.0f} GB")
    return count


def _measure(
    folder: Path, kind: type[Subject], engine: type[Engine], rows: int, amount: tuple[int, int], console: Console
) -> dict[str, Taken]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        tempfile.TemporaryDirectory(prefix="hutong-size-", dir=folder) as data,
        closing(engine(folder)) as records,
    ):
        with closing(kind(records, Path(data), rows, amount[1])) as subject:
            subject.make()
            with Progress(*columns, console=console, transient=True) as progress:
                fill(records, subject.fills(), progress)
            console.print(f"  filled: {records.size() / max(rows, 1):.0f} bytes a row; asking")
            found = ask(subject, amount[0])
        for name, it in found.items():
            console.print(f"  {name}: {it.p50:.2f} / {it.p99:.2f} ({it.cold:.2f})")
        return found


def _cell(cell: _Cell | None, wanted: int) -> str:
    if cell is None:
        return ""
    count, it = cell
    fewer = "" if count == wanted else f" of {count:,}"
    return f"{_ms(it.p50)} / {_ms(it.p99)} ({_ms(it.cold)}){fewer}"


def _ms(value: float) -> str:
    return f"{value:,.2f}" if value < 10 else f"{value:,.0f}"  # three figures
