"""Active numbers are scored beside the calls: what is published is the model's score of what the archive tells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from hutong.kernel.archive import Archive
from hutong.kernel.metrics import Metrics
from hutong.kernel.numbering.keys import key_of_digits
from hutong.kernel.scores import NO_SCORE, ScoreFile, look_up, score_of
from hutong.kernel.scores.past import PastScores
from hutong.risk import metrics as declared
from hutong.risk.errors import ModelError
from hutong.risk.model_file import save_model
from hutong.risk.nearline import NearLine, Place
from hutong.risk.number_table import table_of_archive
from hutong.risk.reading import Source
from hutong.risk.table import table_of
from hutong.risk.telling import Kind
from hutong.risk.training import Given, train

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
DAY = timedelta(days=1)
SECOND = 1_000_000_000


def _ns(at: datetime) -> int:
    return int(at.timestamp()) * SECOND


def _number(n: int) -> str:
    return f"86138{n:08d}"


def _day(draw: np.random.Generator, callers: range, at: datetime) -> list[dict[str, object]]:
    """One day: even numbers call many strangers, odd ones a few friends who call back."""
    rows: list[dict[str, object]] = []
    for n in callers:
        for call in range(16):
            stranger = n % 2 == 0
            other = int(draw.integers(10_000_000, 99_999_999)) if stranger else 50_000 + n * 10 + call % 10
            back = not stranger and call % 5 == 0
            ends = (_number(other), _number(n)) if back else (_number(n), _number(other))
            rows.append({"time": at + timedelta(minutes=call), "caller": ends[0], "callee": ends[1]})
    return rows


class Node(NamedTuple):
    """A node's folders with an archive of days."""

    place: Place
    archive: Archive

    def add(self, first: int, rows: list[dict[str, object]]) -> None:
        keys = [
            {
                "era": 0,
                "seq": seq,
                "time": row["time"],
                "trunk_kind": "local",
                "action": "pass",
                "rule": None,
                **{f"{e}_key": key_of_digits(str(row[e])) for e in ("caller", "callee")},
            }
            for seq, row in enumerate(rows, start=first)
        ]
        whole = pa.int64()
        named = {"era": pa.int16(), "seq": whole, "time": pa.timestamp("ms", "UTC")}
        texts = {name: pa.string() for name in ("trunk_kind", "action", "rule")}
        schema = pa.schema({**named, **texts, "caller_key": whole, "callee_key": whole}.items())
        self.archive.append({"verdicts": pa.Table.from_pylist(keys, schema)}, first, first + len(rows) - 1, 0)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:
    data = tmp_path_factory.mktemp("data")
    archive = Archive(data / "archive", ("verdicts", "outcomes"))
    archive.open()
    made = Node(Place(data / "model", data / "archive", data / "scores", data / "past"), archive)
    made.add(1, _day(np.random.default_rng(1), range(100), START))
    rows = table_of_archive(data / "archive", 0, Kind()).table
    numbers = pa.array([user in {f"+{_number(n)}" for n in range(0, 100, 2)} for user in rows["user"].to_pylist()])
    table = table_of(Source("archive", rows.append_column("label", numbers.cast(pa.int8())), ""), labelled=True)
    save_model(train(Given(table, None, ()), seed=0, trained="", hutong=""), data / "model")
    return made


def test_active_numbers_are_scored_and_others_keep_their_score(node: Node) -> None:
    metrics, notes = Metrics(), list[str]()
    line = NearLine(node.place, Kind(), 30, metrics, notes.append)
    scores = ScoreFile(node.place.scores)
    assert line.run(_ns(START + DAY)) == 100, "friends who only call back have called too few to be scored"
    scores.refresh()
    told = {n: score_of(look_up(scores.rows, key_of_digits(_number(n)))) for n in range(100)}
    assert min(told[n] for n in range(0, 100, 2)) > 0.5 > max(told[n] for n in range(1, 100, 2))
    assert look_up(scores.rows, key_of_digits(_number(777))) == NO_SCORE
    assert metrics.value(declared.FLAGGED) == 50
    node.add(10_001, _day(np.random.default_rng(2), range(4), START + 2 * DAY))
    assert line.run(_ns(START + 3 * DAY)) == 4
    scores.refresh()
    assert scores.head is not None
    assert metrics.value(declared.PUBLISHED) == scores.head.published / SECOND
    after = {n: score_of(look_up(scores.rows, key_of_digits(_number(n)))) for n in range(100)}
    assert all(after[n] == told[n] for n in range(4, 100))
    first, second = PastScores(node.place.past).publications()
    for publication, stood in ((first, told), (second, after)):
        assert {n: score_of(look_up(publication.rows, key_of_digits(_number(n)))) for n in stood} == stood


def test_scores_go_when_the_calls_behind_them_are_old(node: Node) -> None:
    line = NearLine(node.place, Kind(), 30, Metrics(), lambda _note: None)
    line.run(_ns(START + DAY))
    assert line.run(_ns(START + 90 * DAY)) == 0
    scores = ScoreFile(node.place.scores)
    scores.refresh()
    assert scores.head is not None
    assert scores.head.count == 0


def test_without_a_model_nothing_is_published(node: Node, tmp_path: Path) -> None:
    line = NearLine(
        node.place._replace(model=tmp_path / "none", scores=tmp_path, past=tmp_path / "past"),
        Kind(),
        30,
        Metrics(),
        print,
    )
    with pytest.raises(ModelError, match="cannot be read"):
        line.run(_ns(START + DAY))
    assert not (tmp_path / "scores.table").exists()
