"""What a reader of call records hands on: some rows, columns by our names, and the rows that are none."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray


class BadRow(NamedTuple):
    """A row that cannot be judged: its number in the file, the code of what is wrong (`faults`), its text."""

    row: int
    fault: int
    text: str


class Piece(NamedTuple):
    """Rows of a file, in order.

    Attributes:
        columns: by our names.
        rows: int64[n], numbers of these rows in the file.
        text: the text of one of them by its place; to be asked before the next piece is read.
        bad: rows that have no fields to look at.
        faults: uint8[n], codes of what is known to be wrong already; None for nothing.
    """

    columns: Mapping[str, pa.Array]
    rows: NDArray[np.int64]
    text: Callable[[int], str]
    bad: Sequence[BadRow]
    faults: NDArray[np.uint8] | None = None


class Reader(Protocol):
    """A file of call records."""

    name: str
    #: Bytes of the file, and how many of them were read by now.
    size: int
    position: int

    def pieces(self) -> Iterator[Piece]:
        """The file from its beginning.

        Raises:
            CallFileError: it cannot be read, or is none such.
        """
