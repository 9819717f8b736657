"""A model as a file: a zip of JSON, LightGBM's text and plain arrays, each with its digest. Nothing in it is code.

    digests.json     SHA-256 of every other member; its own SHA-256 begins the model's version
    card.json        what the model is, where it comes from, how good it was (`Card`)
    design.json      columns and levels
    trees/KIND-N     LightGBM's text of trees
    arrays/NAME.npy  arrays of numbers

The digests find damage; they do not say who made a file. Everything is checked before it is used, so that a file made
to harm gives an error too.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import lightgbm as lgb
import msgspec
import numpy as np

from hutong.risk.calibration import Calibration
from hutong.risk.design import Design, check_arrays, linear_matrix
from hutong.risk.drift import SCORE, Baseline
from hutong.risk.errors import ModelError
from hutong.risk.learners import BAGS, KINDS, Kernel, Learners
from hutong.risk.model import Model
from hutong.risk.trees_text import check_trees

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FORMAT: Final = "hutong-risk-model"
FORMAT_VERSION: Final = 1

_MOST_BYTES = 1 << 30
_MOST_MEMBERS = 64
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can say: the same model is the same file
_TreeError = lgb.basic.LightGBMError
_FIX = "Train it anew, or take it from where it was trained."


class Importance(msgspec.Struct, frozen=True):
    """What a column brings: its share of the trees' gain; the area under the curve lost when it is shuffled."""

    column: str
    gain: float
    permutation: float


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """What people should know of a model.

    Attributes:
        format, format_version: of the file. hutong: the version that trained it. trained: when, RFC 3339.
        table, table_digest: what it was trained on, by name and SHA-256; edges, edges_digest: likewise, or empty.
        users, fraud: how many, and how many of them are fraud. links: how many pairs were used. seed: of all draws.
        held_out: measures on users that the judging learners had not seen.
        importances: of every column, the most telling first.
        notes: what was left out of the table, and why.
    """

    format: str = FORMAT
    format_version: int = FORMAT_VERSION
    hutong: str
    trained: str
    table: str
    table_digest: str
    edges: str = ""
    edges_digest: str = ""
    users: int
    fraud: int
    links: int = 0
    seed: int
    held_out: dict[str, float]
    importances: tuple[Importance, ...]
    notes: tuple[str, ...] = ()


class _Columns(msgspec.Struct, frozen=True):
    names: tuple[str, ...]
    levels: tuple[tuple[str, ...], ...]
    linked: bool


class Stored(NamedTuple):
    """A model as it is kept: the model, its card, where columns stood (for `drift`), its version."""

    model: Model
    card: Card
    baselines: dict[str, Baseline]
    version: str = ""


def save_model(stored: Stored, path: Path) -> str:
    """Write a model, whole or not at all; returns its version (16 hexadecimal digits).

    Raises:
        ModelError: the file cannot be written.
    """
    members = _members(stored)
    digests = msgspec.json.encode({name: hashlib.sha256(data).hexdigest() for name, data in sorted(members.items())})
    fresh = path.with_name(path.name + ".new")
    try:
        with zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in (("digests.json", digests), *sorted(members.items())):
                entry = zipfile.ZipInfo(name, _EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o640 << 16
                archive.writestr(entry, data)
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise ModelError(f"The model cannot be written: {error.strerror}.", where=str(path)) from error
    return hashlib.sha256(digests).hexdigest()[:16]


def _members(stored: Stored) -> dict[str, bytes]:
    design, learners = stored.model.design, stored.model.learners
    columns = _Columns(design.names, design.levels, design.linked)
    members = {
        "card.json": msgspec.json.format(msgspec.json.encode(stored.card)),
        "design.json": msgspec.json.encode(columns),
    }
    for kind, boosters in learners.trees.items():
        for bag, booster in enumerate(boosters):
            members[f"trees/{kind}-{bag}"] = booster.model_to_string().partition("\nparameters:")[0].encode() + b"\n"
    edges = [stored.baselines[name].edges for name in (*design.names, SCORE)]
    arrays: dict[str, NDArray[Any]] = {
        "knots": design.knots,
        "patterns": design.patterns,
        "linear": learners.linear,
        "frequencies": learners.kernel.frequencies,
        "phases": learners.kernel.phases,
        "over_kernel": learners.over_kernel,
        "coefficients": stored.model.calibration.coefficients,
        "steps": stored.model.calibration.steps,
        "held_out": stored.model.held_out,
        "edges": np.concatenate(edges),
        "edge_counts": np.array([len(own) for own in edges], dtype=np.int64),
        "shares": np.concatenate([stored.baselines[name].shares for name in (*design.names, SCORE)]),
    }
    for name, array in arrays.items():
        out = io.BytesIO()
        np.save(out, array, allow_pickle=False)
        members[f"arrays/{name}.npy"] = out.getvalue()
    return members


def load_model(path: Path) -> Stored:
    """Read a model.

    Raises:
        ModelError: there is no such file, it is damaged, or of another version.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = _read_members(archive, path)
    except OSError as error:
        raise ModelError(f"The model cannot be read: {error.strerror or error}.", where=str(path), fix=_FIX) from error
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise ModelError("This is no model file, or it is damaged.", where=str(path), fix=_FIX) from error
    version = _check_digests(members, path)
    try:
        card = _card(members, path)
        columns = msgspec.json.decode(members["design.json"], type=_Columns)
        arrays = {
            name.removeprefix("arrays/").removesuffix(".npy"): _array(data)
            for name, data in members.items()
            if name.startswith("arrays/")
        }
        return _stored(members, card, columns, arrays, str(path))._replace(version=version)
    except (KeyError, ValueError, TypeError, EOFError, IndexError, msgspec.MsgspecError, _TreeError) as error:
        raise ModelError("The model's parts do not fit one another.", where=str(path), fix=_FIX) from error


def _array(data: bytes) -> NDArray[Any]:
    """An array of numbers that is as long as it says: NumPy's own reader makes room for what is claimed."""
    file = io.BytesIO(data)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("magic")
    shape, by_column, kind = np.lib.format.read_array_header_1_0(file)
    if kind.kind not in "fiu":
        raise ValueError("kind")
    values = np.frombuffer(data, dtype=kind, offset=file.tell())
    return values.reshape(shape, order="F" if by_column else "C")


def _read_members(archive: zipfile.ZipFile, path: Path) -> dict[str, bytes]:
    entries = archive.infolist()
    names = {entry.filename for entry in entries}
    if len(names) != len(entries) or len(entries) > _MOST_MEMBERS:
        raise ModelError("The model file has members that no model has.", where=str(path), fix=_FIX)
    if sum(entry.file_size for entry in entries) > _MOST_BYTES:
        raise ModelError(f"The model unpacks to more than {_MOST_BYTES >> 30} GiB.", where=str(path), fix=_FIX)
    members = {}
    for entry in entries:
        with archive.open(entry) as file:
            members[entry.filename] = file.read(entry.file_size)
    return members


def _check_digests(members: dict[str, bytes], path: Path) -> str:
    """Every member is what the list of digests says, and there is no other; gives the version."""
    listed = members.pop("digests.json", b"")
    try:
        digests = msgspec.json.decode(listed, type=dict[str, str])
    except msgspec.MsgspecError as error:
        raise ModelError("This is no model file.", where=str(path), fix=_FIX) from error
    wrong = [name for name in {*digests, *members} if digests.get(name) != _digest(members.get(name))]
    if wrong:
        raise ModelError(f"The model's part {min(wrong)!r} is damaged.", where=str(path), fix=_FIX)
    return hashlib.sha256(listed).hexdigest()[:16]


def _digest(data: bytes | None) -> str:
    return "" if data is None else hashlib.sha256(data).hexdigest()


def _card(members: dict[str, bytes], path: Path) -> Card:
    card = msgspec.json.decode(members["card.json"], type=Card)
    if (card.format, card.format_version) != (FORMAT, FORMAT_VERSION):
        raise ModelError(
            f"The model is of format {card.format} {card.format_version}; this Hutong reads {FORMAT} {FORMAT_VERSION}.",
            where=str(path),
            fix="Train it anew with this version.",
        )
    return card


def _stored(
    members: dict[str, bytes], card: Card, columns: _Columns, arrays: dict[str, NDArray[np.float64]], where: str
) -> Stored:
    if len(columns.names) != len(columns.levels) or not columns.names:
        raise ValueError("columns")
    patterns = arrays["patterns"].astype(np.uint8)
    design = Design(columns.names, columns.levels, _floats(arrays, "knots"), patterns, columns.linked)
    check_arrays(design)
    width = linear_matrix(design, np.zeros((1, len(design.names)))).shape[1]
    kernel = Kernel(_floats(arrays, "frequencies"), _floats(arrays, "phases"))
    learners = Learners(
        _trees(members, len(columns.names), where),
        _floats(arrays, "linear"),
        kernel,
        _floats(arrays, "over_kernel"),
    )
    waves = len(kernel.phases)
    shapes = (learners.linear.shape, kernel.frequencies.shape, kernel.phases.shape, learners.over_kernel.shape)
    if shapes != ((width + 1,), (width, waves), (waves,), (width + waves + 1,)):
        raise ValueError("learners")
    calibration = Calibration(_floats(arrays, "coefficients"), _floats(arrays, "steps"))
    held_out = _floats(arrays, "held_out")
    if (
        calibration.coefficients.shape != ((5 if design.linked else 2),)
        or calibration.steps.ndim != 2  # noqa: PLR2004
        or len(calibration.steps) != 2  # noqa: PLR2004
        or held_out.ndim != 2  # noqa: PLR2004
        or held_out.shape[0] != 2  # noqa: PLR2004
        or not held_out.shape[1]
        or not np.isin(held_out[0], (0, 1)).all()
    ):
        raise ValueError("calibration")
    return Stored(Model(design, learners, calibration, held_out), card, _baselines(design, arrays))


def _floats(arrays: dict[str, NDArray[np.float64]], name: str) -> NDArray[np.float64]:
    found = arrays[name].astype(np.float64)
    if not np.isfinite(found).all():
        raise ValueError(name)
    return found


def _trees(members: dict[str, bytes], columns: int, where: str) -> dict[str, list[lgb.Booster]]:
    trees: dict[str, list[lgb.Booster]] = {}
    for kind in KINDS:
        trees[kind] = []
        for bag in range(BAGS):
            text = members[f"trees/{kind}-{bag}"].decode()
            check_trees(text, columns, f"{where}, trees/{kind}-{bag}")
            trees[kind].append(lgb.Booster(model_str=text))
    return trees


def _baselines(design: Design, arrays: dict[str, NDArray[np.float64]]) -> dict[str, Baseline]:
    names = (*design.names, SCORE)
    counts = arrays["edge_counts"].astype(np.int64)
    if len(counts) != len(names) or (counts < 0).any():
        raise ValueError("edge_counts")
    edges = np.split(_floats(arrays, "edges"), np.cumsum(counts)[:-1])
    shares = np.split(_floats(arrays, "shares"), np.cumsum(counts + 2)[:-1])
    found = {name: Baseline(own, share) for name, own, share in zip(names, edges, shares, strict=True)}
    if any(len(base.shares) != len(base.edges) + 2 for base in found.values()):
        raise ValueError("shares")
    return found
