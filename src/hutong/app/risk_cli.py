"""`hutong risk`: learn a score from a table with labels, judge it by cross-validation, score tables, show a model."""

from __future__ import annotations

import csv
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from hutong.app.config import load_config
from hutong.kernel.archive.files import ArchiveError
from hutong.kernel.clock import SystemClock
from hutong.risk.errors import ModelError, TableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from hutong.risk.evaluation import Fold
    from hutong.risk.model_file import Stored
    from hutong.risk.training import Scored

app = App(name="risk", help="涉诈风险评分:训练、评估、评分 / Risk score: train, evaluate, score")

TableFile = Annotated[Path, Parameter(name="TABLE", help="用户表 (CSV、CSV.gz、Parquet) / table of users")]
EdgesFile = Annotated[Path | None, Parameter(help="关系表:每行两个用户 / edges: two users in each row")]
ModelFile = Annotated[Path, Parameter(help="模型文件 / model file")]
Seed = Annotated[int, Parameter(help="随机种子 / seed")]
Precision = Annotated[float, Parameter(help="要求的精确率 / the precision asked for")]

_WRONG_INPUT = 2
_NS = 1_000_000_000


def _refusing(command: Callable[..., int]) -> Callable[..., int]:
    """A table or a model that cannot be used is wrong usage: told in one line, status 2."""

    @wraps(command)
    def run(*arguments: Any, **named: Any) -> int:  # noqa: ANN401  # whatever the command takes
        try:
            return command(*arguments, **named)
        except (TableError, ModelError, ArchiveError) as error:
            sys.stdout.flush()
            sys.stderr.write(f"{error}\n")
            return _WRONG_INPUT

    return run


@contextmanager
def _progress(text: str) -> Iterator[Callable[[int, int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(text, total=None)
        yield lambda done, of: progress.update(task, completed=done, total=of)


def _tell(notes: Iterable[str]) -> None:
    for note in notes:
        sys.stderr.write(f"注意 / note: {note}\n")


def _check_share(precision: float | None) -> None:
    if precision is not None and not 0 < precision < 1:
        raise TableError(f"{precision:g} is no precision.", where="--precision", fix="Give one between 0 and 1.")


@app.command
@_refusing
def train(table: TableFile, *, model: ModelFile, edges: EdgesFile = None, seed: Seed = 0) -> int:
    """从带标签的用户表学习 / Learn from a table with labels.

    The column label is 1 for fraud and 0 for everybody else; user identifies users.
    """
    from hutong.risk.model_file import save_model  # noqa: PLC0415  # learning libraries are loaded by who learns
    from hutong.risk.training import read_given, train  # noqa: PLC0415  # as above

    given = read_given(table, edges, labelled=True)
    _tell(given.notes)
    now = datetime.fromtimestamp(SystemClock().wall() // _NS, UTC).isoformat().replace("+00:00", "Z")
    with _progress("训练 / training") as tell:
        stored = train(given, seed=seed, trained=now, hutong=version("hutong"), tell=tell)
    saved = save_model(stored, model)
    for name, value in stored.card.held_out.items():
        sys.stdout.write(f"{name:26} {value:.4f}\n")
    sys.stdout.write(f"{model}: {saved}\n")
    return 0


@app.command
@_refusing
def score(  # each an option of its own
    table: TableFile,
    *,
    model: ModelFile,
    out: Annotated[Path, Parameter(help="结果 CSV:user, score, fraud / result")],
    edges: EdgesFile = None,
    precision: Annotated[
        float | None, Parameter(help="fraud 按此精确率取阈值;缺省取宏平均 F1 最优 / threshold for this precision")
    ] = None,
    reasons: Annotated[Path | None, Parameter(help="写出被标记用户的理由 (CSV) / write why users were flagged")] = None,
) -> int:
    """为用户表评分 / Score a table of users; drift from the training table is told and written to OUT.drift.csv."""
    _check_share(precision)
    from hutong.risk.model_file import load_model  # noqa: PLC0415  # as in `train`
    from hutong.risk.training import read_given, score_given  # noqa: PLC0415  # as above

    stored = load_model(model)
    given = read_given(table, edges, labelled=False)
    scored = score_given(stored, given)
    _tell(scored.notes)
    threshold = stored.model.threshold(precision)
    if threshold > 1:
        _tell([f"no threshold reached precision {precision:g} on held-out users: nobody is flagged"])
    flagged = scored.scores >= threshold
    users = given.table.users
    _write(
        out,
        ("user", "score", "fraud"),
        ((user, f"{value:.9g}", int(flag)) for user, value, flag in zip(users, scored.scores, flagged, strict=True)),
    )
    _write(
        out.with_name(out.name + ".drift.csv"), ("column", "psi"), ((n, f"{p:.6f}") for n, p in scored.moved.items())
    )
    if reasons is not None:
        _write_reasons(reasons, stored, scored, users, [int(at) for at in flagged.nonzero()[0]])
    sys.stdout.write(f"{len(users):,} 名用户 / users, {int(flagged.sum()):,} 名标记 / flagged (>= {threshold:.4f})\n")
    return 0


@app.command(name="table")
@_refusing
def make_table(
    source: Annotated[Path, Parameter(name="SOURCE", help="归档目录,或话单文件、目录 / archive, or call records")],
    *,
    out: Annotated[Path, Parameter(help="号码表 (.csv 或 .parquet) / the table of numbers")],
    edges_out: Annotated[Path | None, Parameter(help="关系表:有共同被叫的号码 / pairs who share callees")] = None,
    labels: Annotated[Path | None, Parameter(help="标签:user, label;只留有标签的号码 / labels of numbers")] = None,
    config: Annotated[Path | None, Parameter(help="配置文件 (TOML) / settings file (TOML)")] = None,
) -> int:
    """由呼叫记录生成号码表 / Make a table of numbers out of records of calls."""
    from hutong.kernel.numbering import Numbering  # noqa: PLC0415  # as in `train`
    from hutong.risk.number_table import table_of_archive, table_of_records, with_labels  # noqa: PLC0415  # as above
    from hutong.risk.telling import Kind  # noqa: PLC0415  # as above

    own = load_config(config).calls
    kind = Kind(own.time_zone, own.night_from, own.night_to, own.home_area)
    archived = (source / "verdicts").is_dir()
    made = table_of_archive(source, 0, kind) if archived else table_of_records(source, kind)
    if not made.table.num_rows:
        raise TableError("There are no calls of telephone numbers.", where=str(source), fix="Check the path.")
    if labels is not None:
        made = with_labels(made, labels, Numbering(kind.home_area))
    _write_table(out, made.table)
    if edges_out is not None:
        _write_table(edges_out, made.edges)
    if made.skipped:
        _tell([f"{made.skipped:,} calls have no time or no number: passed over"])
    sys.stdout.write(f"{made.table.num_rows:,} 个号码 / numbers, {made.edges.num_rows:,} 对 / pairs\n")
    return 0


@app.command(name="rescore")
@_refusing
def rescore_numbers(
    *,
    config: Annotated[Path | None, Parameter(help="配置文件 (TOML) / settings file (TOML)")] = None,
    data: Annotated[Path | None, Parameter(help="数据目录 / data folder")] = None,
) -> int:
    """为活跃号码重新评分并发布,通常由 work 进程启动 / Score active numbers anew and publish; `work` starts it."""
    from hutong.app.risk_work import rescore  # noqa: PLC0415  # as in `train`

    settings = load_config(config, data=data)
    if not settings.risk.model:
        raise ModelError("No model is installed.", where="risk.model", fix="Set it to a file of `hutong risk train`.")
    sys.stdout.write(f"{rescore(settings, SystemClock()):,} 个号码 / numbers\n")
    return 0


def _write_table(path: Path, table: Any) -> None:  # noqa: ANN401  # a pyarrow.Table
    import pyarrow.csv  # noqa: PLC0415  # as in `train`
    import pyarrow.parquet  # noqa: PLC0415  # as above

    fresh = path.with_name(path.name + ".new")
    try:
        if path.suffix == ".parquet":
            pyarrow.parquet.write_table(table, fresh)
        else:
            pyarrow.csv.write_csv(table, fresh)
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise TableError(f"The file cannot be written: {error.strerror}.", where=str(path), fix="Check it.") from error


def _write_reasons(path: Path, stored: Stored, scored: Scored, users: Sequence[str], rows: Sequence[int]) -> None:
    from hutong.risk.reasons import reasons  # noqa: PLC0415  # as in `train`

    told = reasons(stored.model, scored.matrix[list(rows)]) if rows else []
    _write(
        path,
        ("user", "score", "place", "column", "contribution", "zh", "en"),
        (
            (users[row], f"{scored.scores[row]:.9g}", place, one.column, f"{one.contribution:.4f}", one.zh, one.en)
            for row, own in zip(rows, told, strict=True)
            for place, one in enumerate(own, start=1)
        ),
    )


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A CSV file, whole or not at all."""
    fresh = path.with_name(path.name + ".new")
    try:
        with fresh.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise TableError(f"The file cannot be written: {error.strerror}.", where=str(path), fix="Check it.") from error


@app.command
@_refusing
def evaluate(  # each an option of its own
    table: TableFile,
    *,
    edges: EdgesFile = None,
    precision: Precision = 0.99,
    seed: Seed = 0,
    repeats: Annotated[int, Parameter(help="以相继的种子重复的次数 / repeat with so many seeds in a row")] = 1,
    out: Annotated[Path | None, Parameter(help="将表写入 CSV / write the table as CSV")] = None,
) -> int:
    """五折交叉验证 / Five-fold cross-validation: every choice is made inside the training folds.

    Links between users of all folds are used, labels of the test fold never.
    """
    _check_share(precision)
    if not 1 <= repeats <= 100:  # noqa: PLR2004
        raise TableError(f"{repeats} repeats make no sense.", where="--repeats", fix="Give 1 to 100.")
    from hutong.risk.evaluation import cross_validate  # noqa: PLC0415  # as in `train`
    from hutong.risk.training import read_given  # noqa: PLC0415  # as above

    given = read_given(table, edges, labelled=True)
    _tell(given.notes)
    with _progress("交叉验证 / cross-validation") as tell:
        seeds = range(seed, seed + repeats)
        folds = cross_validate(given.table, given.graph, seeds=seeds, precision=precision, tell=tell)
    sys.stdout.write(_page(folds, precision))
    if out is not None:
        _write(out, folds[0]._fields, folds)
    return 0


def _page(folds: Sequence[Fold], precision: float) -> str:
    """The table as Markdown: a row for each fold, then mean and spread."""
    from hutong.risk.evaluation import MEASURES, spread  # noqa: PLC0415  # as in `train`

    heads = ["seed", "fold", "users", "fraud", *(head.format(precision=precision) for _, head in MEASURES)]
    lines = [f"| {' | '.join(heads)} |", "|" + "--:|" * len(heads)]
    for fold in folds:
        facts = [f"{fold.seed}", f"{fold.fold}", f"{fold.users:,}", f"{fold.fraud:,}"]
        lines.append(f"| {' | '.join([*facts, *(f'{getattr(fold, name):.4f}' for name, _ in MEASURES)])} |")
    for title, at in (("平均 mean", 0), ("标准差 spread", 1)):
        cells = [f"**{spread(folds, name)[at]:.4f}**" for name, _ in MEASURES]
        lines.append(f"| **{title}** | | | | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


@app.command
@_refusing
def card(*, model: ModelFile, lang: Annotated[Literal["zh", "en"], Parameter(help="语言 / language")] = "zh") -> int:
    """显示模型卡 / Show a model's card."""
    from hutong.risk.card import card_page  # noqa: PLC0415  # as in `train`
    from hutong.risk.model_file import load_model  # noqa: PLC0415  # as above

    sys.stdout.write(card_page(load_model(model), lang))
    return 0
