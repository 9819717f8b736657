"""A replay on Spark gives row for row what one machine gives with as many shards; bad rows are set aside alike."""

from __future__ import annotations

import csv
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from engines import ABROAD, NEIGHBOUR
from hutong.app.cli import run as hutong
from hutong.calls.archiving import FOLDER
from hutong.calls.identity import Parties
from hutong.calls.outcomes import PHASE_ENDED
from hutong.calls.records.faults import CallFileError
from hutong.calls.records.reading import Source
from hutong.calls.records.run import Run
from hutong.calls.replay.replay import Consulted, Terms
from hutong.calls.replay.shards import Case, Shards
from hutong.calls.replay.spark.session import missing, started
from province_records import case, province_table
from replayed import CAPACITY, SALTS, Live, archived, journalled, rules_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pyspark.sql import SparkSession

pytestmark = pytest.mark.enable_socket

_LACKING = missing()
needs_spark = pytest.mark.skipif(_LACKING is not None, reason=f"a replay on Spark: {_LACKING}")


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    with pytest.MonkeyPatch.context() as patch:
        # So little data is done before Java's better compiler has begun.
        patch.setenv("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
        with started("local[2]", tmp_path_factory.mktemp("spark")) as session:
            yield session


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The records of a province: their end before their beginning, in three ways, with bad rows among the last."""
    folder, table = tmp_path_factory.mktemp("records"), province_table()
    third = len(table) // 3
    late, middle, early = folder / "late.parquet", folder / "middle.csv", folder / "early.csv"
    pq.write_table(table.slice(2 * third), late)
    pacsv.write_csv(table.slice(third, third), middle)
    pacsv.write_csv(table.slice(0, third), early)
    with early.open("a", encoding="utf-8") as file:
        file.write('bad "row",2026-03-02T10:00:00Z,nowhere,13800138000,02112345678,,,,,,,,,0\nshort\n')
    return [late, middle, early]


def embedded(source: Source, it: Case, shards: int, folder: Path) -> pa.Table:
    """What one machine says, with as many shards."""
    out, rules = folder / "embedded.parquet", [rule.id for rule in it.ruleset.rules]
    with ExitStack() as stack:

        def make() -> Shards:
            judge = Shards(it, shards, 1)
            stack.callback(judge.close)
            return judge

        judge = it.replay if shards == 1 else make
        Run(source, rules, judge, out=out, errors=folder / "embedded.csv").run()
    return pq.read_table(out)


@needs_spark
@pytest.mark.parametrize("shards", [1, 3])
def test_a_province_is_judged_as_on_one_machine(
    spark: SparkSession, files: list[Path], tmp_path: Path, shards: int
) -> None:
    from hutong.calls.replay.spark.run import replay_on_spark  # noqa: PLC0415  # an extra

    source = Source(files, case().consulted.trunks.names)
    out = tmp_path / "out.parquet"
    tally = replay_on_spark(spark, source, case(), shards, out, tmp_path / "spark.csv")
    parts = [pq.read_table(part) for part in sorted(out.glob("part-*.parquet"))]
    expected = embedded(source, case(), shards, tmp_path)
    assert pa.concat_tables(parts).cast(expected.schema).equals(expected)
    assert [len(part) for part in parts] == [len(province_table()) - 2 * (third := len(expected) // 3), third, third]
    assert (tally.calls, tally.bad) == (len(expected), 2)
    assert tally.actions["block"] == expected.column("action").to_pylist().count("block") > 0
    assert sum(tally.hits) == sum(len(rules.split(";")) for rules in expected.column("rules").to_pylist() if rules)
    assert (tmp_path / "spark.csv").read_text() == (tmp_path / "embedded.csv").read_text()


@needs_spark
def test_our_own_archive_is_judged_in_the_order_of_its_events(spark: SparkSession, tmp_path: Path) -> None:
    from hutong.calls.replay.spark.run import replay_on_spark  # noqa: PLC0415  # an extra

    ruleset = rules_of(
        ("caller.distinct_callees_1m >= 3", "block", "block"), ("trunk.answer_share_1h < 0.6", "warn", "warn")
    )
    live = Live(tmp_path, ruleset)
    for at in range(8):
        caller, source = [(b"13800138000", NEIGHBOUR), (b"+14155550100", ABROAD)][at % 2]
        live.bench.now_ns += 1_000_000_000 if at != 5 else -3_000_000_000
        live.call(Parties(caller, b"", b"1390013900%d" % at, b"", False), source)  # noqa: FBT003
        seq, keys = live.passed[0]
        if at == 3:
            live.outcome(seq, keys, PHASE_ENDED, answered=0, ring=900, talk=0)
    journalled(live, tmp_path, 3)
    archived(tmp_path, 50)
    tables = live.bench.engine.tables
    consulted = Consulted(tables.numbering, tables.trunks, tables.lists, tables.roaming)
    it = Case(ruleset, consulted, Terms(live.bench.engine.policy, CAPACITY, salts=SALTS))
    source = Source([tmp_path / FOLDER], tables.trunks.names)
    replay_on_spark(spark, source, it, 1, tmp_path / "out", tmp_path / "spark.csv")
    (part,) = (tmp_path / "out").glob("part-*.csv")
    with part.open(newline="") as file:
        found = [(row["call_id"], row["action"], row["rules"], float(row["score"])) for row in csv.DictReader(file)]
    expected = embedded(source, it, 1, tmp_path).to_pylist()
    assert found == [(row["call_id"], row["action"], row["rules"], pytest.approx(row["score"])) for row in expected]
    assert [action for _, action, _, _ in found] == [verdict.action for verdict in live.judgements()]
    assert "block" in {action for _, action, _, _ in found}


@needs_spark
def test_nothing_is_written_where_something_is_wrong(spark: SparkSession, files: list[Path], tmp_path: Path) -> None:
    from hutong.calls.replay.spark.run import replay_on_spark  # noqa: PLC0415  # an extra

    errors, broken = tmp_path / "errors.csv", tmp_path / "broken.parquet"
    broken.write_bytes(files[0].read_bytes()[:100])
    (tmp_path / "there").mkdir()
    names = case().consulted.trunks.names
    for source, out, why in (
        (Source(files, names), "there", "already"),
        (Source([files[1], broken], names), "out", r"broken\.parquet.*damaged"),
        (Source(files, names, stop_share=0.0001), "out", "2 of .* rows are bad"),
    ):
        with pytest.raises(CallFileError, match=why):
            replay_on_spark(spark, source, case(), 2, tmp_path / out, errors)
    assert {path.name for path in tmp_path.iterdir()} == {"there", "broken.parquet", "errors.csv"}


@pytest.mark.parametrize(
    ("path", "why"), [("PATH", "needs Java"), ("", "Name one: --out")], ids=["without Java", "without a folder"]
)
def test_what_is_missing_is_said(
    files: list[Path], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], path: str, why: str
) -> None:
    if path:
        monkeypatch.setenv(path, "/nowhere")
        monkeypatch.delenv("JAVA_HOME", raising=False)
    expected = why if _LACKING is None or path else "--spark"
    assert hutong(["calls", "replay", str(files[0]), "--spark", "local[2]"]) == 1
    assert expected in capfd.readouterr().err
