"""Scores of the past: a look back reads what calls read then, never what was learned later."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest

from hutong.kernel.errors import StateError
from hutong.kernel.scores import NO_SCORE, Scores, ScoreWriter, look_up, score_of, second_of
from hutong.kernel.scores.file import NAME
from hutong.kernel.scores.past import PastScores

if TYPE_CHECKING:
    from pathlib import Path

T = 1_700_000_000
HOUR = 3600


def publish(data: Path, at: int, given: dict[int, tuple[float, int]], model: str = "m") -> None:
    """Publish scores by key, each with the second at which it was given; calls read them a minute after."""
    keys = np.array(list(given), dtype=np.int64)
    scores, seconds = (np.array([it[place] for it in given.values()]) for place in (0, 1))
    with ScoreWriter(data / "scores") as writer:
        told = Scores(keys, scores.astype(np.float64), np.zeros(len(keys), np.int64), seconds.astype(np.int64))
        writer.publish(told, (model,), at * 10**9)
    os.utime(data / "scores" / NAME, (at + 60, at + 60))


def read(past: PastScores) -> list[tuple[int, dict[int, float]]]:
    """What stood from each moment on (seconds after T)."""
    found = []
    for publication in past.publications():
        moment, rows = publication.moment, publication.rows
        values = {key: look_up(rows, key) for key in (1, 2, 3)}
        stood = {key: round(score_of(value), 3) for key, value in values.items() if value != NO_SCORE}
        found.append((moment // 1000 - T, stood))
    return found


def test_each_publication_is_known_from_its_own_moment_on(tmp_path: Path) -> None:
    past = PastScores(tmp_path / "past")
    assert past.begins() is None
    assert past.keep(tmp_path / "scores", 0) is False
    publish(tmp_path, T, {1: (0.9, T), 2: (0.1, T)})
    assert past.keep(tmp_path / "scores", T - HOUR) is True
    assert past.keep(tmp_path / "scores", T - HOUR) is False
    # Number 1 keeps its score, number 2 has a new one; an hour later that of 1 is too old to stand.
    publish(tmp_path, T + 900, {1: (0.9, T), 2: (0.7, T + 900)})
    past.keep(tmp_path / "scores", T + 900 - HOUR)
    publish(tmp_path, T + HOUR + 900, {2: (0.7, T + 900), 3: (0.2, T + HOUR + 900)})
    past.keep(tmp_path / "scores", T + 900)
    # Another model scores everybody anew, and nothing of the one before stands beside it.
    publish(tmp_path, T + 2 * HOUR, {3: (0.3, T + 2 * HOUR)}, model="n")
    past.keep(tmp_path / "scores", T + HOUR)
    assert read(past) == [
        (60, {1: 0.9, 2: 0.1}),
        (960, {1: 0.9, 2: 0.7}),
        (HOUR + 960, {2: 0.7, 3: 0.2}),
        (2 * HOUR + 60, {3: 0.3}),
    ]
    assert past.begins() == (T + 60) * 1000


def test_the_same_values_come_back_to_the_last_bit(tmp_path: Path) -> None:
    past, draw = PastScores(tmp_path / "past"), np.random.default_rng(1)
    given = {int(key): (float(score), T) for key, score in zip(range(1, 2001), draw.random(2000), strict=True)}
    publish(tmp_path, T, given)
    past.keep(tmp_path / "scores", 0)
    (publication,) = past.publications()
    for key, (score, second) in given.items():
        value = look_up(publication.rows, key)
        assert (round(score_of(value) * (2**20 - 1)), second_of(value)) == (round(score * (2**20 - 1)), second)
    size = sum(file.stat().st_size for file in (tmp_path / "past").iterdir())
    assert size < 10 * len(given)


def test_what_a_killed_run_published_is_kept_by_the_next(tmp_path: Path) -> None:
    past = PastScores(tmp_path / "past")
    publish(tmp_path, T, {1: (0.9, T)})
    past.keep(tmp_path / "scores", 0)
    publish(tmp_path, T + 900, {1: (0.9, T), 2: (0.5, T + 900)})  # and killed
    assert past.keep(tmp_path / "scores", 0) is True
    assert read(past)[-1] == (960, {1: 0.9, 2: 0.5})


def test_after_old_ones_are_deleted_all_is_known_from_when_the_last_of_them_counted_no_more(tmp_path: Path) -> None:
    past = PastScores(tmp_path / "past")
    for at in (T, T + 900, T + 1800):
        publish(tmp_path, at, {1: (0.9, T), 2: (0.5, at)})
        past.keep(tmp_path / "scores", at - HOUR)
    assert past.forget((T + 61) * 1000) == 1
    assert [moment for moment, _ in read(past)] == [960, 1860]
    assert past.begins() == (T + 960 + HOUR + 60) * 1000


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    past = PastScores(tmp_path / "past")
    publish(tmp_path, T, {1: (0.9, T)})
    past.keep(tmp_path / "scores", 0)
    (file,) = (tmp_path / "past").iterdir()
    file.write_bytes(b"PAR1 no more")
    with pytest.raises(StateError, match=r"past scores cannot be read") as told:
        list(past.publications())
    assert str(file) in str(told.value)
