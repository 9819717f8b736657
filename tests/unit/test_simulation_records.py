from __future__ import annotations

import hashlib
import json
import tomllib
from typing import TYPE_CHECKING

import duckdb
import pyarrow.parquet as pq
import pytest

from hutong.app.cli import run
from hutong.app.config import load_config
from hutong.kernel.numbering import Numbering
from hutong.simulation.records import Records, RecordsError
from hutong.simulation.rows import CLASSES, joined
from provinces import small

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = [
    *("call_id", "start", "trunk", "caller", "callee", "answered", "ring_ms", "talk_ms", "release"),
    *("imei", "imsi", "cell", "roaming", "anonymous"),
]
SIZE = ("--calls", "20k", "--days", "2")


def _made(folder: Path, *more: str, seed: int = 11) -> Path:
    assert run(["simulate", "province", "--out", str(folder), "--seed", str(seed), *SIZE, *more]) == 0
    return folder


def _digests(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _made(tmp_path_factory.mktemp("province") / "out")


def _tables(folder: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    for name, files in (("calls", "calls*"), ("truth", "truth"), ("numbers", "numbers")):
        connection.read_parquet(str(folder / f"{files}.parquet")).create_view(name)
    return connection


def test_the_same_seed_writes_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    assert _digests(folder) == _digests(_made(tmp_path / "again"))
    other = _digests(_made(tmp_path / "other", seed=12))
    assert other["truth.parquet"] != _digests(folder)["truth.parquet"]


def test_call_records_have_what_signalling_shows_and_nothing_of_the_truth(folder: Path) -> None:
    days = sorted(folder.glob("calls*.parquet"))
    assert [file.name for file in days] == ["calls-2026-03-02.parquet", "calls-2026-03-03.parquet"]
    for file in days:
        table = pq.read_table(file)
        assert table.column_names == COLUMNS
        assert str(table.schema.field("start").type) == "timestamp[ms, tz=UTC]"
        words = set(CLASSES) - {"enterprise"} | set(json.loads((folder / "province.json").read_bytes())["campaigns"])
        for name in ("call_id", "trunk", "caller", "callee", "imei", "imsi", "cell", "roaming"):
            assert not words & set(table[name].unique().to_pylist()), name


def test_ids_tell_nothing_but_the_order_of_starts(folder: Path) -> None:
    rows = _tables(folder).sql("select call_id, epoch_ms(start) from calls order by call_id").fetchall()
    assert [int(call_id[1:]) for call_id, _ in rows] == list(range(len(rows)))
    starts = [start for _, start in rows]
    assert starts == sorted(starts)


def test_there_is_one_truth_for_each_call_and_one_for_each_number(folder: Path) -> None:
    tables = _tables(folder)
    (calls,), (truth,), (both,) = tables.sql(
        "select count(*) from calls union all select count(*) from truth "
        "union all select count(*) from calls join truth using (call_id)"
    ).fetchall()
    assert calls == truth == both
    least, most, kinds = tables.sql(
        "select min(fraud), max(fraud), count(distinct campaign) from truth where campaign <> ''"
    ).fetchall()[0]
    assert (least, most) == (1, 1)
    assert kinds >= 8
    numbers = tables.sql("select number, fraud, shown_by_fraud, area from numbers").fetchall()
    assert len({number for number, *_ in numbers}) == len(numbers)
    assert all(number.startswith("+") for number, *_ in numbers)
    assert all(shown for _, fraud, shown, _ in numbers if fraud)
    assert {area for *_, area in numbers} >= {"028", "0816", ""}


def test_every_caller_has_a_row_among_the_numbers(folder: Path) -> None:
    numbering, tables = Numbering("028"), _tables(folder)
    known = {row[0] for row in tables.sql("select number from numbers").fetchall()}
    callers = tables.sql("select distinct caller, trunk = 'international' from calls where anonymous = 0").fetchall()
    assert {f"+{numbering.read(caller, abroad=abroad).digits}" for caller, abroad in callers} <= known


def test_csv_says_the_same(folder: Path, tmp_path: Path) -> None:
    other = _made(tmp_path / "csv", "--format", "csv")
    texts = dict.fromkeys(("caller", "callee", "imei", "imsi", "cell"), "varchar") | {"start": "timestamptz"}
    tables = _tables(folder)
    tables.read_csv(str(other / "calls*.csv"), dtype=texts).create_view("written")
    assert tables.sql("select count(*) from calls").fetchall() == tables.sql("select count(*) from written").fetchall()
    assert tables.sql("select * from calls except select * from written").fetchall() == []
    start = (other / "calls-2026-03-02.csv").read_text().splitlines()[1].split(",")[1].strip('"')
    assert start[10] == "T"
    assert start[-1] == "Z"


def test_the_settings_beside_the_records_are_a_nodes(folder: Path) -> None:
    config = load_config(folder / "hutong.toml", environ={})
    assert [trunk.kind for trunk in config.trunks] == ["international", "inter-network", "local", "enterprise"]
    low, _, high = config.trunks[3].ranges[0].partition("-")
    least, most = (
        _tables(folder).sql("select min(caller), max(caller) from calls where trunk = 'enterprise'").fetchall()[0]
    )
    assert low <= least <= most <= high
    assert tomllib.loads((folder / "hutong.toml").read_text())["calls"]["home_area"] == "028"


def _fail(folder: Path) -> None:
    province = small(calls=5_000)
    with Records(folder, province, "parquet") as records:
        records.take(joined(list(province.run())))
        raise ZeroDivisionError


def test_a_run_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        _fail(tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(RecordsError, match="not empty"), Records(tmp_path, small(calls=5_000), "csv"):
        pass
    assert run(["simulate", "province", "--out", str(tmp_path), *SIZE]) == 1
    assert "not empty" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--out", "{new}", "--calls", "many"), "no count of calls"),
        (("--out", "{new}", "--calls", "0"), "no count of calls"),
        (("--out", "{new}", "--calls", "100"), "cannot be made"),
        (("--out", "{new}", "--calls", "20k", "--days", "-1"), "0 or more"),
        (("--out", "{new}", "--calls", "20k", "--days", "4000"), "--days"),
        (("--out", "{new}", "--calls", "3000", "--days", "2", "--population", "50000"), "no room"),
        (("--calls", "20k"), "nowhere to write"),
        (("--out", "{new}", "--parameters", "{wrong}"), "wrong.toml:2"),
        (("--live", "udp:192.0.2.1:5060"), "no place for made-up calls"),
        (("--live", "tcp:127.0.0.1:5060"), "no place for made-up calls"),
        (("--live", "udp:[::1]:5060"), "no place for made-up calls"),
        (("--live", "udp:127.0.0.1:5060", "--calls", "3k", "--days", "1", "--speed", "0"), "speed"),
    ],
)
def test_wrong_wishes_are_refused_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "wrong.toml").write_text("[fraud]\nshares = 0.1\n")
    filled = [it.format(new=tmp_path / "new", wrong=tmp_path / "wrong.toml") for it in arguments]
    assert run(["simulate", "province", *filled]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
