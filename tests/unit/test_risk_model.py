"""A model scores as it did when it was trained, wherever its file goes; a damaged or hostile file is refused."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
import pytest
from risk_tables import made_up, write

from hutong.app.cli import run
from hutong.risk.drift import MOVED, SCORE, baseline, stability_index
from hutong.risk.errors import ModelError
from hutong.risk.measures import auc
from hutong.risk.model_file import load_model, save_model
from hutong.risk.reasons import REASONS
from hutong.risk.table import read_table
from hutong.risk.training import Given, read_given, score_given, train

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hutong.risk.model_file import Stored


class Trained(NamedTuple):
    """A model with its files."""

    stored: Stored
    model: Path
    table: Path
    edges: Path
    fresh: Path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("risk")
    header, rows = made_up()
    fraud = [row[0] for row in rows if row[-1]]
    table = write(folder / "t.csv", header, rows)
    edges = write(
        folder / "e.csv", ["a", "b"], [[fraud[n], fraud[(n * 7 + 1) % len(fraud)]] for n in range(len(fraud))]
    )
    fresh = write(folder / "fresh.csv", header[:-1], [row[:-1] for row in made_up(60, seed=2)[1]])
    given = read_given(table, edges, labelled=True)
    stored = train(given, seed=3, trained="2026-01-02T03:04:05Z", hutong="0")
    save_model(stored, folder / "m.zip")
    return Trained(stored, folder / "m.zip", table, edges, fresh)


def test_it_learns_and_says_what_it_is(trained: Trained) -> None:
    card = trained.stored.card
    assert card.held_out["AUC"] > 0.9
    assert (card.users, card.seed, card.trained) == (240, 3, "2026-01-02T03:04:05Z")
    assert len(card.table_digest) == len(card.edges_digest) == 64
    assert {row.column for row in card.importances[:2]} <= {"callees", "out_share", "links"}
    assert sum(row.gain for row in card.importances) == pytest.approx(1)
    best = max(card.importances, key=lambda row: row.permutation)
    assert best.permutation > 0


def test_held_out_scores_and_thresholds_keep_their_promise(trained: Trained) -> None:
    labels, scores = trained.stored.model.held_out
    flagged = scores >= trained.stored.model.threshold(0.9)
    assert labels[flagged].mean() >= 0.9
    assert trained.stored.model.threshold(0.9) >= trained.stored.model.threshold(0.6)


def test_a_kept_model_scores_as_before(trained: Trained) -> None:
    again = load_model(trained.model)
    given = read_given(trained.fresh, None, labelled=False)
    before, after = score_given(trained.stored, given), score_given(again, given)
    assert np.array_equal(before.scores, after.scores)
    assert np.all((after.scores >= 0) & (after.scores <= 1))
    assert before.moved == after.moved
    assert msgspec.structs.replace(again.card) == trained.stored.card
    assert len(again.version) == 16


def test_same_data_and_seed_give_the_same_scores(trained: Trained, tmp_path: Path) -> None:
    again = train(
        read_given(trained.table, trained.edges, labelled=True), seed=3, trained="2026-01-02T03:04:05Z", hutong="0"
    )
    assert save_model(again, tmp_path / "m.zip") == load_model(trained.model).version
    assert (tmp_path / "m.zip").read_bytes() == trained.model.read_bytes()


def test_labels_of_rows_not_learned_from_are_not_looked_at(trained: Trained) -> None:
    from hutong.risk.model import fit, scored  # noqa: PLC0415  # beside the only test that fits to a part

    given = read_given(trained.table, trained.edges, labelled=True)
    assert given.table.labels is not None
    learn = np.arange(180)
    other = given.table.labels.copy()
    other[180:] = 1 - other[180:]
    told = []
    for labels in (given.table.labels, other):
        fitted = fit(given.table._replace(labels=labels), given.graph, learn, 0)
        told.append(scored(fitted.model, fitted.odds, given.graph))
    assert np.array_equal(told[0], told[1])
    assert auc(given.table.labels[180:], told[0][180:]) > 0.85


def _rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


@pytest.fixture
def hutong(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*arguments: object) -> tuple[int, str, str]:
        status = run(["risk", *(str(argument) for argument in arguments)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def test_scores_reasons_and_drift_are_written(
    trained: Trained, tmp_path: Path, hutong: Callable[..., tuple[int, str, str]]
) -> None:
    out, why = tmp_path / "s.csv", tmp_path / "why.csv"
    status, said, noted = hutong(
        "score", trained.fresh, "--model", trained.model, "--out", out, "--reasons", why, "--precision", "0.9"
    )
    assert (status, "60 名用户" in said) == (0, True)
    assert "linked with nobody" in noted
    rows = _rows(out)
    assert [row["user"] for row in rows] == [f"n{n:05d}" for n in range(60)]
    threshold = trained.stored.model.threshold(0.9)
    assert all((float(row["score"]) >= threshold) == (row["fraud"] == "1") for row in rows)
    flagged = [row["user"] for row in rows if row["fraud"] == "1"]
    reasons = _rows(why)
    assert [row["user"] for row in reasons] == [user for user in flagged for _ in range(REASONS)]
    assert all("评分" in row["zh"] and "the score" in row["en"] for row in reasons)
    moved = {row["column"]: float(row["psi"]) for row in _rows(tmp_path / "s.csv.drift.csv")}
    assert set(moved) == {*trained.stored.model.design.names, SCORE}


def test_a_table_that_moved_is_warned_about(
    trained: Trained, tmp_path: Path, hutong: Callable[..., tuple[int, str, str]]
) -> None:
    header, rows = made_up(60, seed=2)
    for row in rows:
        row[2] = int(str(row[2])) + 500
    moved = write(tmp_path / "t.csv", header, rows)
    _, _, noted = hutong(
        "score", moved, "--model", trained.model, "--out", tmp_path / "s.csv", "--edges", trained.edges
    )
    assert f"PSI > {MOVED:g}" in noted
    assert "callees" in noted
    same = baseline(np.arange(100.0), category=False)
    assert stability_index(same, np.arange(100.0)) == pytest.approx(0, abs=1e-9)


def test_columns_that_do_not_fit_the_model_are_told(
    trained: Trained, tmp_path: Path, hutong: Callable[..., tuple[int, str, str]]
) -> None:
    header, rows = made_up(60, seed=2)
    short = write(tmp_path / "short.csv", ["user", *header[2:4]], [[row[0], *row[2:4]] for row in rows])
    status, _, told = hutong("score", short, "--model", trained.model, "--out", tmp_path / "s.csv")
    assert (status, "lacks 2 of the model's 4 columns: 'out_share', 'city'" in told) == (2, True)
    wrong = write(tmp_path / "wrong.csv", header, [[*row[:2], "many", *row[3:]] for row in rows])
    status, _, told = hutong("score", wrong, "--model", trained.model, "--out", tmp_path / "s.csv")
    assert (status, "column 'callees'" in told, "learned it as numbers" in told) == (2, True, True)
    more = write(tmp_path / "more.csv", [*header, "extra"], [[*row, 1] for row in rows])
    status, _, told = hutong("score", more, "--model", trained.model, "--out", tmp_path / "s.csv")
    assert (status, "passed over: extra" in told) == (0, True)


def test_unseen_levels_and_columns_without_values_are_scored(trained: Trained, tmp_path: Path) -> None:
    header, rows = made_up(60, seed=2)
    path = write(tmp_path / "t.csv", header, [[*row[:3], "", "北京", row[-1]] for row in rows])
    assert np.isfinite(score_given(trained.stored, Given(read_table(path, labelled=False), None, ())).scores).all()


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_card_says_use_and_limits(trained: Trained, lang: str, hutong: Callable[..., tuple[int, str, str]]) -> None:
    status, page, _ = hutong("card", "--model", trained.model, "--lang", lang)
    assert status == 0
    for words in (trained.stored.card.table_digest, load_model(trained.model).version, "callees", "PSI"):
        assert words in page
    assert ("用途与限制" if lang == "zh" else "Use and limits") in page


def test_cross_validation_prints_every_fold_and_the_spread(
    trained: Trained, tmp_path: Path, hutong: Callable[..., tuple[int, str, str]]
) -> None:
    status, page, _ = hutong("evaluate", trained.table, "--out", tmp_path / "e.csv", "--precision", "0.8")
    assert status == 0
    rows = _rows(tmp_path / "e.csv")
    assert [row["fold"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert sum(int(row["users"]) for row in rows) == 240
    mean = np.mean([float(row["auc"]) for row in rows])
    assert f"| **平均 mean** | | | | **{mean:.4f}**" in page
    assert "recall at precision 0.8" in page


def _members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _packed(path: Path, members: dict[str, bytes], *, listed: bool = True) -> Path:
    """The members as a file whose digests are right, as somebody who means harm would make it."""
    if listed:
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in members.items() if name != "digests.json"}
        members = {**members, "digests.json": msgspec.json.encode(digests)}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def _version(path: Path) -> str:
    """The version of a model file; empty where it is refused."""
    try:
        return load_model(path).version
    except ModelError:
        return ""


def test_every_flipped_byte_is_noticed_or_means_nothing(trained: Trained, tmp_path: Path) -> None:
    data = trained.model.read_bytes()
    path = tmp_path / "m.zip"
    version = _version(trained.model)
    draw = np.random.default_rng(0)
    for at in draw.integers(0, len(data), 60):
        damaged = bytearray(data)
        damaged[at] ^= 1 << int(draw.integers(8))
        path.write_bytes(damaged)
        assert _version(path) in {"", version}  # a bit of the zip may be one that nothing reads


@pytest.mark.parametrize("content", [b"", b"PK", b"not a model", b"\x80\x04\x95" + bytes(20)])
def test_what_is_no_model_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(ModelError, match="no model file"):
        load_model(tmp_path / "m")
    with pytest.raises(ModelError, match="cannot be read"):
        load_model(tmp_path / "none")


TREE = "trees/boosted-0"
HARM: dict[str, Callable[[dict[str, bytes]], None]] = {
    "a part is gone": lambda m: m.pop("arrays/knots.npy") and None,
    "a tree is gone": lambda m: m.pop(TREE) and None,
    "a child out of range": lambda m: m.update({TREE: _tree(m, "left_child", "99999")}),
    "a child that is its parent": lambda m: m.update({TREE: _tree(m, "left_child", "0")}),
    "a column out of range": lambda m: m.update({TREE: _tree(m, "split_feature", "4000")}),
    "fewer leaves than said": lambda m: m.update({TREE: _tree(m, "leaf_value", None)}),
    "leaves without end": lambda m: m.update({TREE: _tree(m, "num_leaves", "1000000000")}),
    "a linear tree": lambda m: m.update({TREE: _tree(m, "is_linear", "1")}),
    "no tree at all": lambda m: m.update({TREE: b"tree\n"}),
    "an array with objects": lambda m: m.update({"arrays/knots.npy": _npy(np.array([{}], dtype=object))}),
    "an array of another shape": lambda m: m.update({"arrays/linear.npy": _npy(np.zeros(3))}),
    "an array without numbers": lambda m: m.update({"arrays/coefficients.npy": _npy(np.full(5, np.nan))}),
    "an array that claims much": lambda m: m.update({"arrays/linear.npy": _claims()}),
    "columns that are not there": lambda m: m.update({"design.json": b'{"names":["a"],"levels":[[]],"linked":false}'}),
    "a card of nothing": lambda m: m.update({"card.json": b"{}"}),
    "a later format": lambda m: m.update(
        {"card.json": m["card.json"].replace(b'"format_version": 1', b'"format_version": 2')}
    ),
}


def _tree(members: dict[str, bytes], name: str, first: str | None) -> bytes:
    """The first tree with the first element of a line replaced, or taken away."""
    head, found, rest = members[TREE].decode().partition(f"\n{name}=")
    assert found
    line, _, tail = rest.partition("\n")
    values = line.split()
    values = values[1:] if first is None else [first, *values[1:]]
    return f"{head}{found}{' '.join(values)}\n{tail}".encode()


def _npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=True)
    return out.getvalue()


def _claims() -> bytes:
    data = bytearray(_npy(np.zeros(10)))
    return bytes(data.replace(b"(10,), }", b"(1000000000000,), }"))


@pytest.mark.parametrize("harm", HARM)
def test_a_model_made_to_harm_is_refused(harm: str, trained: Trained, tmp_path: Path) -> None:
    members = _members(trained.model)
    assert load_model(_packed(tmp_path / "whole", members)).card == trained.stored.card
    HARM[harm](members)
    with pytest.raises(ModelError):
        load_model(_packed(tmp_path / "m", members))


def test_a_zip_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("big", "w") as file:
        for _ in range(1100):
            file.write(bytes(1 << 20))
    with pytest.raises(ModelError, match="unpacks to more"):
        load_model(path)


def test_a_member_that_no_list_names_is_refused(trained: Trained, tmp_path: Path) -> None:
    members = _members(trained.model)
    with pytest.raises(ModelError, match="'more'"):
        load_model(_packed(tmp_path / "m", {**members, "more": b"x"}, listed=False))
