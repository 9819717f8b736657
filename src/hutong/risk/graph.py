"""Who is linked with whom: pairs of users who call the same people. Only who is in the table counts.

What is taken from it knows no label: how many others somebody is linked with, and what the learners say of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array

from hutong.risk.errors import TableError
from hutong.risk.reading import read_source

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from hutong.risk.reading import Source
    from hutong.risk.table import Table

MAX_EDGES: Final = 50_000_000
_ENDS: Final = 2


class Graph(NamedTuple):
    """An undirected graph over the rows of a table.

    Attributes:
        name: the file it came from. digest: SHA-256 of its content.
        links: n × n, 1 where two users are linked; symmetric, nothing on the diagonal.
        degree: float64[n], how many others each is linked with.
        pairs: pairs in the file. unknown: of these, pairs with a user who is not in the table.
    """

    name: str
    digest: str
    links: csr_array
    degree: NDArray[np.float64]
    pairs: int
    unknown: int

    def mean_of_linked(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The mean of a value over whom each user is linked with; 0 for who is linked with nobody."""
        return np.asarray(self.links @ values, dtype=np.float64) / np.maximum(self.degree, 1)


def read_edges(path: Path, table: Table) -> Graph:
    """Read pairs of users: the first two columns (`a` and `b` where they are named so). A pair counts once.

    Raises:
        TableError: the file is no such table, or none of its users is in the table.
    """
    return graph_of(read_source(path, max_rows=MAX_EDGES), table)


def graph_of(source: Source, table: Table) -> Graph:
    """The graph of pairs that were read already; as `read_edges`.

    Raises:
        TableError: as `read_edges`.
    """
    names = source.columns.column_names
    if len(names) < _ENDS:
        raise TableError(
            "Edges need two columns.", where=f"{source.name}:1", fix="Name them a and b: one pair in each row."
        )
    ends = ("a", "b") if {"a", "b"} <= set(names) else names[:_ENDS]
    users = pa.array(table.users, pa.string())
    places = []
    for name in ends:
        column = source.columns[name]
        try:
            text = pc.utf8_trim_whitespace(column.cast(pa.string()))
        except pa.ArrowException as error:
            raise TableError(
                f"A column of {column.type} names no users.",
                where=f"{source.name}, column {name!r}",
                fix="Give identifiers.",
            ) from error
        found = pc.index_in(text, value_set=users)
        places.append(np.asarray(pc.fill_null(found, -1).to_numpy(), dtype=np.int64))
    known = (places[0] >= 0) & (places[1] >= 0)
    pairs = len(known)
    if pairs and not known.any():
        raise TableError(
            "No pair names two users of the table.",
            where=source.name,
            fix=f"Edges use the identifiers of the table's column {table.id_column!r}.",
        )
    apart = known & (places[0] != places[1])
    links = _symmetric(places[0][apart], places[1][apart], len(table.users))
    degree = np.diff(links.indptr).astype(np.float64)
    return Graph(source.name, source.digest, links, degree, pairs, int(pairs - known.sum()))


def _symmetric(a: NDArray[np.int64], b: NDArray[np.int64], count: int) -> csr_array:
    rows, columns = np.concatenate((a, b)), np.concatenate((b, a))
    links = csr_array((np.ones(len(rows)), (rows, columns)), shape=(count, count))
    links.sum_duplicates()
    links.data[:] = 1.0
    return links
