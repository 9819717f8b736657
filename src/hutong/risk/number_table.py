"""A table of numbers out of records of calls: what `numbers.toml` says is told of each number that made calls.

Records are an archive of verdicts and outcomes, or files of call records. DuckDB works in bounded memory, beside disk.
Numbers are kept under their keys and written in canonical digits. What is told of calls is `telling`'s business.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from hutong.kernel.archive.query import ArchiveQuery
from hutong.kernel.numbering import Numbering
from hutong.risk.errors import TableError
from hutong.risk.reading import read_source
from hutong.risk.table import LABEL, USER
from hutong.risk.telling import Kind, digits, told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.risk.telling import Made

_NEEDED: Final = ("start", "trunk", "caller", "callee")
_OPTIONAL: Final = {"answered": "TINYINT", "ring_ms": "BIGINT", "talk_ms": "BIGINT"}
_SEEN: Final = ("imei", "imsi", "cell")
_MEMORY_MB: Final = 1024
# What stands for a table of the archive that has no file yet.
_EMPTY: Final = {
    "verdicts": "SELECT 0 AS era, 0 AS seq, now() AS time, 0::BIGINT AS caller_key, 0::BIGINT AS callee_key, "
    "'' AS trunk_kind, '' AS action, '' AS rule LIMIT 0",
    "outcomes": "SELECT 0 AS era, 0 AS verdict_seq, '' AS phase, 0 AS seq, 0 AS ring_ms, 0 AS talk_ms, "
    "false AS answered LIMIT 0",
}


def table_of_archive(
    folder: Path,
    since_ms: int = 0,
    kind: Kind | None = None,
    active_ms: int = 0,
    *,
    callees: int = 1,
    linked: bool = True,
) -> Made:
    """The table out of an archive's verdicts and outcomes.

    Args:
        folder: the archive.
        since_ms: calls from this moment on are counted (epoch ms).
        kind: what is known of the node.
        active_ms: only numbers that made calls from this moment on are told of.
        callees: only numbers that called so many different ones are told of.
        linked: whether edges are wanted.

    Raises:
        ArchiveError: the archive cannot be read.
    """
    kind = kind or Kind()
    query = ArchiveQuery(folder, ("verdicts", "outcomes"), _MEMORY_MB)
    with query.opened(_EMPTY) as engine:
        engine.execute("SET TimeZone = 'UTC'")
        engine.execute(
            """
            CREATE TEMP TABLE heard AS
            WITH followed AS (
                SELECT era, verdict_seq, bool_or(answered) AS answered, arg_max(ring_ms, seq) AS ring_ms,
                    arg_max(talk_ms, seq) AS talk_ms
                FROM outcomes WHERE verdict_seq > 0 AND phase <> 'answered' GROUP BY ALL
            )
            SELECT v.time::TIMESTAMPTZ AS moment, v.trunk_kind::VARCHAR AS way, v.caller_key AS caller,
                v.callee_key AS callee,
                v.action = 'block' AND v.rule::VARCHAR NOT IN (FROM unnest(?::VARCHAR[])) AS blocked,
                f.answered::TINYINT AS answered, f.ring_ms, f.talk_ms,
                NULL::VARCHAR AS imei, NULL::VARCHAR AS imsi, NULL::VARCHAR AS cell
            FROM verdicts v LEFT JOIN followed f ON v.era = f.era AND v.seq = f.verdict_seq
            WHERE epoch_ms(v.time) >= ?
            """,
            [list(kind.by_score), since_ms],
        )
        active = active_ms if active_ms > since_ms else 0
        return told(engine, kind, active_ms=active, callees=callees, linked=linked)


def table_of_records(path: Path, kind: Kind | None = None) -> Made:
    """The table out of call records: a CSV or Parquet file, or a folder of them, in the layout of docs/records.md.

    Raises:
        TableError: the files are no call records.
    """
    files = sorted(file for suffix in ("*.csv", "*.csv.gz", "*.parquet") for file in path.glob(suffix))
    files = [path] if path.is_file() else [file for file in files if not file.name.startswith("truth")]
    if not files:
        raise TableError("There are no call records here.", where=str(path), fix="Give CSV or Parquet files.")
    kind = kind or Kind()
    with _engine(path) as engine:
        skipped = _read_records(engine, files, Numbering(kind.home_area))
        return told(engine, kind, skipped=skipped)


@contextmanager
def _engine(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with tempfile.TemporaryDirectory(prefix="hutong-risk-") as spill:
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": f"{_MEMORY_MB}MB",
            "temp_directory": str(Path(spill) / "spill"),
            "threads": 2,
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "TimeZone": "UTC",
        }
        try:
            with duckdb.connect(config=config) as engine:
                yield engine
        except duckdb.Error as error:
            first = str(error).partition("\n")[0]
            raise TableError(
                f"These are no call records: {first}", where=str(path), fix="See docs/records.md."
            ) from error


def _read_records(engine: duckdb.DuckDBPyConnection, files: list[Path], numbering: Numbering) -> int:
    """Make `heard` of files; gives how many calls had no time or no number."""
    parts = []
    for file in files:
        named = str(file).replace("'", "''")
        parquet = file.suffix == ".parquet"
        source = f"read_parquet('{named}')" if parquet else f"read_csv('{named}', all_varchar = true, header = true)"
        columns = {row[0] for row in engine.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}  # noqa: S608  # quoted
        missing = [name for name in _NEEDED if name not in columns]
        if missing:
            raise TableError(
                f"The records lack the column {missing[0]!r}.", where=f"{file}:1", fix="See docs/records.md."
            )
        own = [f"{name}::VARCHAR AS {name}" for name in _NEEDED]
        own += [f"{name if name in columns else 'NULL'}::VARCHAR AS {name}" for name in (*_OPTIONAL, *_SEEN)]
        parts.append(f"SELECT {', '.join(own)} FROM {source}")  # noqa: S608  # quoted
    engine.execute(f"CREATE TEMP VIEW raw AS {' UNION ALL '.join(parts)}")
    texts = _arrow(
        engine,
        "SELECT DISTINCT caller AS text, trunk = 'international' AS abroad FROM raw WHERE caller IS NOT NULL "
        "UNION SELECT DISTINCT callee, false FROM raw WHERE callee IS NOT NULL",
    )
    keys = [
        numbering.read(text, abroad=bool(abroad)).key
        for text, abroad in zip(texts["text"].to_pylist(), texts["abroad"].to_pylist(), strict=True)
    ]
    engine.register("spelled", texts.append_column("key", pa.array(keys, pa.int64())))
    optional = ", ".join(f"try_cast(r.{name} AS {kind}) AS {name}" for name, kind in _OPTIONAL.items())
    seen = ", ".join(f"nullif(r.{name}, '') AS {name}" for name in _SEEN)
    engine.execute(
        f"""
        CREATE TEMP TABLE heard AS
        SELECT * FROM (
            SELECT coalesce(
                    CASE WHEN regexp_full_match(r.start, '\\d+') THEN timezone('UTC', epoch_ms(r.start::BIGINT)) END,
                    try_cast(r.start AS TIMESTAMPTZ)) AS moment,
                r.trunk AS way, a.key AS caller, b.key AS callee, false AS blocked, {optional}, {seen}
            FROM raw r
            LEFT JOIN spelled a ON a.text = r.caller AND a.abroad = (r.trunk = 'international')
            LEFT JOIN spelled b ON b.text = r.callee AND NOT b.abroad
        ) WHERE moment IS NOT NULL AND caller IS NOT NULL AND callee IS NOT NULL
        """  # noqa: S608  # names of our own
    )
    return _one(engine, "SELECT (SELECT count(*) FROM raw) - (SELECT count(*) FROM heard)")


def _arrow(engine: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    return engine.sql(sql).to_arrow_table()


def _one(engine: duckdb.DuckDBPyConnection, sql: str) -> int:
    found = engine.execute(sql).fetchone()
    return int(found[0]) if found else 0


def with_labels(made: Made, path: Path, numbering: Numbering) -> Made:
    """Only the numbers that a file labels, with their labels; columns `user` (a number in any form) and `label`.

    Raises:
        TableError: the file is no such table, or names no number of the records.
    """
    source = read_source(path).columns
    for name in (USER, LABEL):
        if name not in source.column_names:
            raise TableError(f"There is no column {name!r}.", where=f"{path}:1", fix="Give the columns user and label.")
    texts = source[USER].cast(pa.string()).to_pylist()
    users = [digits(numbering.read(text or "").key) for text in texts]
    labels = dict(zip(users, source[LABEL].cast(pa.string()).to_pylist(), strict=True))
    found = [labels.get(user) for user in made.table[USER].to_pylist()]
    table = made.table.append_column(LABEL, pa.array(found, pa.string())).filter(pc.field(LABEL).is_valid())
    if not table.num_rows:
        raise TableError("No number of the records has a label.", where=str(path), fix="Check the column user.")
    return made._replace(table=table)
