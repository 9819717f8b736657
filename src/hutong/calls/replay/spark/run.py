"""A replay on Spark from end to end: read and shard, sort within shards, judge, write; whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator  # noqa: TC003  # Spark asks the annotations what kind of function it has
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pyarrow as pa
from pyspark import StorageLevel
from pyspark.errors import PySparkException
from pyspark.sql import functions as f
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition

from hutong.calls.model import ACTIONS
from hutong.calls.records.convert import Converter
from hutong.calls.records.dead_letters import DeadLetters
from hutong.calls.records.faults import CallFileError
from hutong.calls.records.piece import BadRow
from hutong.calls.records.results import PARQUET_SUFFIXES
from hutong.calls.records.run import Tally
from hutong.calls.replay.batch import BY_TIME, CALLED
from hutong.calls.replay.spark import stages
from hutong.calls.replay.spark.session import first_line

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import Column, DataFrame, SparkSession

    from hutong.calls.records.reading import Source
    from hutong.calls.replay.shards import Case

_FORMAT: Final = "hutong-call-records"
_RESULTS: Final = ("call_id", "action", "rules", "score")
#: Fields as RFC 4180 has them: Spark's own ways trim texts and write empty ones as "".
_CSV: Final[dict[str, bool | str]] = {
    "header": True,
    "escape": '"',
    "emptyValue": "",
    "ignoreLeadingWhiteSpace": False,
    "ignoreTrailingWhiteSpace": False,
}


def replay_on_spark(session: SparkSession, source: Source, case: Case, shards: int, out: Path, errors: Path) -> Tally:
    """Judge the files in `shards` shards.

    Args:
        session: Spark. source: the files and how they are read. case: what each shard's replay is made of.
        shards: how many. out: the folder of results, not there yet.
        errors: the file of bad rows.

    Raises:
        CallFileError: a file cannot be read, too many rows are bad, results cannot be written, or Spark fails.
        ConfigError: the layout does not fit.
    """
    if out.exists():
        raise CallFileError(
            "There is something here already.", where=str(out), fix="Name a folder that is not there yet."
        )
    Converter(source.layout, source.trunks, source.layout_file)
    draft, dead = out.with_name(f".hutong-replay-{out.name}"), DeadLetters(errors)
    try:
        return _replayed(session, source, case, shards, out, draft, dead)
    except PySparkException as error:
        raise CallFileError(
            f"Spark failed: {first_line(error)}.", where=f"--spark {session.sparkContext.master}"
        ) from error
    except OSError as error:
        raise CallFileError(f"The results cannot be written: {error.strerror}.", where=str(out)) from error
    finally:
        dead.close()
        shutil.rmtree(draft, ignore_errors=True)


def _replayed(
    session: SparkSession, source: Source, case: Case, shards: int, out: Path, draft: Path, dead: DeadLetters
) -> Tally:
    files = stages.Files(
        [str(path.resolve()) for path in source.files], tuple(source.trunks), source.layout, source.layout_file
    )
    packed, count = case.packed(), len(files.names)
    session.dataSource.register(_records(files, packed, shards))
    rows = session.read.format(_FORMAT).load().persist(StorageLevel.DISK_ONLY)
    counted = _checked(rows, source, dead)
    order = "seq" if counted else "start"
    placed = rows.filter("fault = 0").drop("line", "fault", "text").repartitionById(shards, f.col("shard"))
    in_order = placed.sortWithinPartitions("shard", order, "row")
    verdict = _judging(packed, in_order.columns, counted=counted).alias("verdict")
    with_verdicts = in_order.select("file", verdict).filter("verdict is not null").select("file", "verdict.*")
    judged = with_verdicts.persist(StorageLevel.DISK_ONLY)
    tally = _tally(judged, case, dead.count)
    in_files = judged.repartitionById(count, f.col("file")).sortWithinPartitions("file", "row").select(*_RESULTS)
    if out.suffix.lower() in PARQUET_SUFFIXES:
        in_files.write.parquet(str(draft), mode="overwrite")
    else:
        in_files.write.options(**_CSV).csv(str(draft), mode="overwrite")
    draft.rename(out)
    judged.unpersist()
    rows.unpersist()
    return tally


def _records(files: stages.Files, packed: bytes, shards: int) -> type[DataSource]:
    """The rows of the files as Spark reads them, a file in each partition."""

    class Reader(DataSourceReader):
        def partitions(self) -> list[InputPartition]:
            return [InputPartition(file) for file in range(len(files.names))]

        def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
            return stages.read(files, packed, shards, partition.value)

    class Records(DataSource):
        @classmethod
        def name(cls) -> str:
            return _FORMAT

        def schema(self) -> str:
            return stages.in_sql(stages.SPOOL)

        def reader(self, schema: object) -> DataSourceReader:  # noqa: ARG002  # Spark gives it
            return Reader()

    return Records


def _judging(packed: bytes, names: list[str], *, counted: bool) -> Column:
    """A column of verdicts (`stages.JUDGED`) on rows that come in order."""

    def judge(columns: Iterator[tuple[pa.Array, ...]]) -> Iterator[pa.Array]:
        rows = (pa.RecordBatch.from_arrays(list(some), names=names) for some in columns)
        return stages.judge(packed, counted=counted, rows=rows)

    # What is said to depend on more than its row is worked out once for each, in their order.
    kind = f"struct<{stages.in_sql(stages.JUDGED)}>"
    function = f.arrow_udf(judge, kind).asNondeterministic()  # type: ignore[attr-defined]  # its stubs leave it out
    column: Column = function(*names)
    return column


def _checked(rows: DataFrame, source: Source, dead: DeadLetters) -> bool:
    """Set bad rows aside and stop for too many; says whether the order of events is known for all rows."""
    once = f.coalesce(f.col("flags").bitwiseAND(CALLED), f.lit(0)) == 0
    found: Any = rows.agg(
        f.count(f.when(once, 1)).alias("all"),
        f.count(f.when(f.col("fault") != 0, 1)).alias("bad"),
        f.count(f.when(f.col("seq") == BY_TIME, 1)).alias("uncounted"),
    ).first()
    if found["bad"]:
        stopped = rows.filter(f.col("fault") == stages.STOPPED).orderBy("file").first()
        if stopped is not None:
            error = msgspec.json.decode(bytes(stopped["text"]), type=stages.Stopped)
            raise CallFileError(error.what, where=error.where, fix=error.fix)
        names = [str(path) for path in source.files]
        bad = rows.filter("fault <> 0").select("file", "line", "fault", "text").orderBy("file", "line", "fault")
        for one in bad.toLocalIterator():
            dead.put(names[one["file"]], [BadRow(one["line"], one["fault"], bytes(one["text"]).decode())])
    if not found["all"]:
        raise CallFileError("There is not one row.", where=", ".join(map(str, source.files)), fix="Check the export.")
    if found["bad"] > source.stop_share * found["all"]:
        raise CallFileError(
            f"{found['bad']:,} of {found['all']:,} rows are bad, more than {source.stop_share:.2%}. "
            "Nothing was written out.",
            fix=f"See {dead.name}; repair the export, map it with --layout, or allow more with --stop-share.",
        )
    return source.counted and not found["uncounted"]


def _tally(judged: DataFrame, case: Case, bad: int) -> Tally:
    actions = {name: 0 for name in ACTIONS if name != "observe"}
    places = {rule.id: place for place, rule in enumerate(case.ruleset.rules)}
    hits = [0] * len(places)
    for one in judged.groupBy("action", "rules").count().collect():
        actions[one["action"]] += one["count"]
        for rule in filter(None, one["rules"].split(";")):
            hits[places[rule]] += one["count"]
    return Tally(sum(actions.values()), bad, actions, hits, sorted=False)
