"""Published scores: what is looked up is what was published, whatever happens to the writer or the file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hutong.kernel.errors import StateError
from hutong.kernel.numbering.keys import key_of_digits
from hutong.kernel.scores import (
    NO_SCORE,
    ScoreFile,
    Scores,
    ScoreWriter,
    build_rows,
    look_up,
    model_of,
    no_scores,
    score_of,
    second_of,
    unpack_rows,
)
from hutong.kernel.scores.table import STEPS

if TYPE_CHECKING:
    from pathlib import Path

SECOND = 1_700_000_000
NOW = SECOND * 1_000_000_000
HEAD = 65_536


def _scores(keys: list[int], scores: list[float], model: int = 0) -> Scores:
    count = len(keys)
    return Scores(
        np.array(keys, dtype=np.int64),
        np.array(scores, dtype=np.float64),
        np.full(count, model, dtype=np.int64),
        np.full(count, SECOND, dtype=np.int64),
    )


def _published(folder: Path, keys: list[int], score: float) -> None:
    with ScoreWriter(folder) as writer:
        writer.publish(_scores(keys, [score] * len(keys)), ("m1",), NOW)


@settings(deadline=None)
@given(st.dictionaries(st.integers(1, 2**58 - 1), st.floats(0, 1), max_size=60), st.integers(0, 254))
def test_every_number_finds_its_own_score_and_no_other_finds_any(given_: dict[int, float], model: int) -> None:
    rows = build_rows(_scores(list(given_), list(given_.values()), model))
    for key, score in given_.items():
        value = look_up.py_func(rows, key)
        assert score_of.py_func(value) == pytest.approx(score, abs=0.5 / STEPS + 1e-12)
        assert (model_of.py_func(value), second_of.py_func(value)) == (model, SECOND)
    for absent in {key + 1 for key in given_} - set(given_) | {0}:
        assert look_up.py_func(rows, absent) == NO_SCORE
    held = unpack_rows(rows)
    assert sorted(held.keys) == sorted(given_)
    assert np.array_equal(unpack_rows(build_rows(held)).scores, held.scores)


def test_compiled_look_up_agrees_with_the_plain_one() -> None:
    keys = [key_of_digits(f"86138{n:08d}") for n in range(3000)]
    rows = build_rows(_scores(keys, list(np.linspace(0, 1, 3000))))
    for key in (*keys, 0, 1, key_of_digits("8613900000000")):
        assert look_up(rows, key) == look_up.py_func(rows, key)
    assert look_up(no_scores(), keys[0]) == NO_SCORE


def test_a_look_up_in_rows_without_a_gap_comes_to_an_end() -> None:
    rows = np.full((8, 2), 7, dtype=np.int64)
    assert look_up(rows, 9) == NO_SCORE


@pytest.mark.parametrize(
    ("keys", "scores", "model"), [([1], [1.5], 0), ([1], [float("nan")], 0), ([0], [0.5], 0), ([1], [0.5], 255)]
)
def test_what_no_row_can_hold_is_refused(keys: list[int], scores: list[float], model: int) -> None:
    with pytest.raises(ValueError, match="out"):
        build_rows(_scores(keys, scores, model))


def test_a_reader_sees_each_table_once_it_is_published(tmp_path: Path) -> None:
    reader = ScoreFile(tmp_path)
    assert not reader.refresh()
    _published(tmp_path, [5, 6], 0.25)
    assert reader.refresh()
    assert not reader.refresh()
    before = reader.rows
    assert score_of(look_up(before, 6)) == pytest.approx(0.25, abs=1e-6)
    assert reader.head is not None
    assert (reader.head.models, reader.head.count, reader.head.published) == (("m1",), 2, NOW)
    _published(tmp_path, [6], 0.75)
    assert look_up(before, 5) != NO_SCORE  # what compiled code holds does not move
    assert reader.refresh()
    assert look_up(reader.rows, 5) == NO_SCORE
    assert score_of(look_up(reader.rows, 6)) == pytest.approx(0.75, abs=1e-6)
    (tmp_path / "scores.table").unlink()
    assert reader.refresh()
    assert look_up(reader.rows, 6) == NO_SCORE


@pytest.mark.parametrize("damage", ["short", "magic", "head", "cut", "long"])
def test_a_damaged_file_is_refused_once_and_the_old_table_stays(tmp_path: Path, damage: str) -> None:
    _published(tmp_path, [5], 0.5)
    reader = ScoreFile(tmp_path)
    reader.refresh()
    path = tmp_path / "scores.table"
    data = bytearray(path.read_bytes())
    if damage == "short":
        data = data[:100]
    elif damage == "magic":
        data[0] ^= 1
    elif damage == "head":
        data[30] ^= 1
    elif damage == "cut":
        data = data[:-16]
    else:
        data += bytes(16)
    fresh = tmp_path / "other"
    fresh.write_bytes(data)
    fresh.replace(path)
    with pytest.raises(StateError, match="scores"):
        reader.refresh()
    assert not reader.refresh()
    assert look_up(reader.rows, 5) != NO_SCORE


def test_only_one_process_publishes(tmp_path: Path) -> None:
    with ScoreWriter(tmp_path), pytest.raises(StateError, match="Another process"), ScoreWriter(tmp_path):
        pass


_VICTIM = """
import sys
from pathlib import Path
import numpy as np
from hutong.kernel.scores import Scores, ScoreWriter
keys = np.arange(1, 50_001, dtype=np.int64)
with ScoreWriter(Path(sys.argv[1])) as writer:
    for turn in range(1_000_000):
        score = np.full(len(keys), turn % 2 / 2)
        writer.publish(Scores(keys, score, np.zeros_like(keys), np.full_like(keys, turn)), ("m",), turn)
        print(turn, flush=True)
"""


def test_a_writer_killed_at_any_moment_leaves_a_whole_table(tmp_path: Path) -> None:
    for published in (1, 2, 4):
        with subprocess.Popen([sys.executable, "-c", _VICTIM, str(tmp_path)], stdout=subprocess.PIPE) as victim:
            assert victim.stdout is not None
            for _ in range(published):
                victim.stdout.readline()
            os.kill(victim.pid, signal.SIGKILL)
        reader = ScoreFile(tmp_path)
        assert reader.refresh()
        held = unpack_rows(reader.rows)
        assert len(held.keys) == 50_000
        assert len(set(held.scores)) == len(set(held.seconds)) == 1
    _published(tmp_path, [1], 1.0)  # the lock went with its holder
