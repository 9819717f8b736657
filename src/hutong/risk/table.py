"""Users, one row each: identifier, label, and columns that are numbers or categories.

A column of text is numbers when every cell that is not empty is one, otherwise a category. When nearly all cells are
numbers, the others are mistakes and are named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hutong.risk.errors import TableError
from hutong.risk.reading import read_source

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from hutong.risk.reading import Source

LABEL: Final = "label"
USER: Final = "user"

#: What stands for a cell without a value, beside the empty one.
MISSING: Final = ("", "na", "n/a", "nan", "null", "none", "\\n", "-", "#n/a")
#: From this share of numbers on, what is no number in a column is a mistake.
MOSTLY: Final = 0.9
#: A category with more levels than this says who somebody is rather than what.
MAX_LEVELS: Final = 1000

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


class Column(NamedTuple):
    """One column.

    Attributes:
        values: float64[n], NaN where there is none; for a category, places in `levels`.
        levels: names of a category's levels; empty for numbers.
    """

    values: NDArray[np.float64]
    levels: tuple[str, ...] = ()


class Table(NamedTuple):
    """A table of users.

    Attributes:
        name: the file it came from. digest: SHA-256 of its content.
        users: identifiers, none twice. id_column: the name of their column.
        labels: int8[n] of 0 and 1; None where there are none.
        columns: by name, in the file's order; neither identifier nor label is among them.
        notes: what was left out and why, for people.
    """

    name: str
    digest: str
    users: list[str]
    id_column: str
    labels: NDArray[np.int8] | None
    columns: Mapping[str, Column]
    notes: tuple[str, ...] = ()


def read_table(path: Path, *, labelled: bool) -> Table:
    """Read a table of users.

    Args:
        path: CSV (also gzipped) or Parquet.
        labelled: whether a label of 0 or 1 is needed in each row; otherwise labels are passed over.

    Raises:
        TableError: something is wrong; names file, row, column and what to do.
    """
    return table_of(read_source(path), labelled=labelled)


def table_of(source: Source, *, labelled: bool) -> Table:
    """The users of columns that were read already; as `read_table`.

    Raises:
        TableError: as `read_table`.
    """
    table = source.columns
    if table.num_rows == 0:
        raise TableError("The table has no rows.", where=source.name, fix="Put a row below the header for each user.")
    if labelled and LABEL not in table.column_names:
        near = [name for name in table.column_names if name.lower().strip() == LABEL]
        raise TableError(
            f"There is no column {LABEL!r}.",
            where=f"{source.name}:1",
            fix=f"Rename {near[0]!r} to it." if near else "Add one: 1 for fraud, 0 for everybody else.",
        )
    identifier = _id_column(source)
    users = _users(source, identifier)
    labels = _labels(source) if labelled else None
    columns, notes = {}, []
    for name in table.column_names:
        if name in (identifier, LABEL):
            continue
        column, note = _column(source, name)
        if column is not None:
            columns[name] = column
        if note:
            notes.append(note)
    if not columns:
        raise TableError(
            "No column says anything about a user.",
            where=source.name,
            fix="Add numbers or categories beside the label.",
        )
    return Table(source.name, source.digest, users, identifier, labels, columns, tuple(notes))


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or (pa.types.is_dictionary(kind) and _is_text(kind.value_type))
    )


def _id_column(source: Source) -> str:
    table = source.columns
    if USER in table.column_names:
        return USER
    for field in table.schema:
        if field.name != LABEL and _is_text(field.type) and _numbers(table[field.name])[1] < 1:
            return str(field.name)
    raise TableError(
        f"There is no column {USER!r}, and none of text to take for it.",
        where=f"{source.name}:1",
        fix=f"Name the column that identifies users {USER!r}.",
    )


def _users(source: Source, name: str) -> list[str]:
    users = [str(user).strip() if user is not None else "" for user in source.columns[name].to_pylist()]
    seen: dict[str, int] = {}
    for row, user in enumerate(users, start=2):
        if not user:
            raise TableError(
                "A row has no identifier.", where=f"{source.name}:{row}, column {name!r}", fix="Fill it in."
            )
        if user in seen:
            raise TableError(
                f"{user!r} is there twice, first in row {seen[user]}.",
                where=f"{source.name}:{row}, column {name!r}",
                fix="Keep one row for each user"
                + (".", f"; or name the column that identifies users {USER!r}.")[name != USER],
            )
        seen[user] = row
    return users


def _labels(source: Source) -> NDArray[np.int8]:
    values, share = _numbers(source.columns[LABEL])
    wrong = ~np.isin(values, (0.0, 1.0))
    if share < 1 or wrong.any():
        row = _first_odd(source.columns[LABEL]) if share < 1 else int(np.argmax(wrong))
        cell = source.columns[LABEL][row].as_py()
        missing = cell is None or str(cell).strip().lower() in MISSING
        raise TableError(
            "The row has no label." if missing else f"{cell!r} is no label.",
            where=f"{source.name}:{row + 2}, column {LABEL!r}",
            fix="Write 1 for fraud and 0 for everybody else; leave out rows that nobody has judged.",
        )
    labels = values.astype(np.int8)
    for label, whom in ((0, "honest"), (1, "fraudulent")):
        if not np.any(labels == label):
            raise TableError(
                f"Every label is {1 - label}: there is no {whom} user to learn from.",
                where=f"{source.name}, column {LABEL!r}",
                fix="Both classes are needed.",
            )
    return labels


def _plain_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Trimmed text, with nulls where a cell has no value."""
    text = pc.utf8_trim_whitespace(column.cast(pa.string()))
    blank = pc.is_in(pc.utf8_lower(text), value_set=pa.array(MISSING))
    return pc.if_else(blank, pa.scalar(None, pa.string()), text)


def _numbers(column: pa.ChunkedArray) -> tuple[NDArray[np.float64], float]:
    """The column as numbers (NaN where there is none), and which share of its filled cells are numbers."""
    kind = column.type
    if not _is_text(kind):
        values = column.cast(pa.float64(), safe=False).to_numpy()
        return np.asarray(values, dtype=np.float64), 1.0
    text = _plain_text(column)
    odd = pc.invert(pc.match_substring_regex(text, _NUMBER))
    infinite = pc.match_substring_regex(pc.utf8_lower(text), r"^[+-]?inf(inity)?$")
    odd = pc.and_(odd, pc.invert(infinite))
    filled = len(text) - text.null_count
    share = 1 - (pc.sum(odd).as_py() or 0) / filled if filled else 1.0
    clean = pc.if_else(odd, pa.scalar(None, pa.string()), text)
    return np.asarray(clean.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64), share


def _first_odd(column: pa.ChunkedArray) -> int:
    """The first row of a text column that is filled with something other than a number."""
    values, _ = _numbers(column)
    filled = np.asarray(pc.is_valid(_plain_text(column)).to_numpy(zero_copy_only=False), dtype=bool)
    return int(np.argmax(filled & np.isnan(values)))


def _column(source: Source, name: str) -> tuple[Column | None, str]:
    column = source.columns[name]
    kind = column.type
    if not (_is_text(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind) or _is_plain(kind)):
        raise TableError(
            f"A column of {kind} is neither numbers nor categories.",
            where=f"{source.name}, column {name!r}",
            fix="Make numbers of it, or leave it out.",
        )
    values, share = _numbers(column)
    if np.isinf(values).any():
        row = int(np.argmax(np.isinf(values)))
        raise TableError(
            "The cell is infinite.",
            where=f"{source.name}:{row + 2}, column {name!r}",
            fix="Leave it empty where the value is not known.",
        )
    if np.isnan(values).all() and share == 1:
        return Column(values), f"column {name!r} has no value at all: nothing can be learned from it"
    if share == 1:
        return Column(values), ""
    if share >= MOSTLY:
        row = _first_odd(column)
        raise TableError(
            f"{column[row].as_py()!r} is no number, as nearly all other cells of the column are.",
            where=f"{source.name}:{row + 2}, column {name!r}",
            fix="Correct it, or leave the cell empty.",
        )
    return _category(column, name)


def _is_plain(kind: pa.DataType) -> bool:
    return bool(pa.types.is_boolean(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind))


def _category(column: pa.ChunkedArray, name: str) -> tuple[Column | None, str]:
    coded = _plain_text(column).combine_chunks().dictionary_encode()
    levels = [str(level) for level in coded.dictionary.to_pylist()]
    if len(levels) > MAX_LEVELS:
        return None, f"column {name!r} has {len(levels):,} different texts: left out"
    order = np.argsort(np.array(levels, dtype=object))
    place = np.empty(len(levels))
    place[order] = np.arange(len(levels))
    codes = coded.indices.to_numpy(zero_copy_only=False).astype(np.float64)
    values = np.where(np.isnan(codes), np.nan, place[np.nan_to_num(codes).astype(np.int64)])
    return Column(values, tuple(levels[at] for at in order)), ""
