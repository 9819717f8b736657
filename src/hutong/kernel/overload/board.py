"""The board: one line in a small file by which an application tells its edge how it fares. No secret is on it.

    1 MADE LEVEL LIMIT AT_WORK ROOM×4 QUEUE×4 PACE×4

MADE is ms since 1970 UTC, LEVEL a number, PACE requests a second; classes in the order of `Kind`. It is replaced whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hutong.kernel.overload.classes import CLASSES, Kind, Level

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.kernel.overload.admission import Admission


class Board(NamedTuple):
    """What is on it; lists by class."""

    made_ms: int
    level: Level
    limit: int
    at_work: int
    rooms: list[int]
    queues: list[int]
    paces: list[float]

    @classmethod
    def of(cls, admission: Admission, made_ms: int) -> Board:
        """As things stand."""
        return cls(
            made_ms,
            admission.level,
            admission.limit,
            admission.at_work,
            [admission.room(kind) for kind in Kind],
            [one.queue for one in CLASSES],
            [admission.pace(kind) for kind in Kind],
        )

    def text(self) -> str:
        """The line."""
        numbers = [1, self.made_ms, int(self.level), self.limit, self.at_work, *self.rooms, *self.queues]
        return " ".join([*map(str, numbers), *(f"{pace:.2f}" for pace in self.paces)]) + "\n"


def read_board(text: str) -> Board:
    """The content of a line.

    Raises:
        ValueError: it is not such a line.
    """
    version, made, level, limit, at_work, *rest = text.split()
    count = len(Kind)
    if version != "1" or len(rest) != 3 * count:
        raise ValueError("not a board of version 1")
    rooms, queues = [int(it) for it in rest[:count]], [int(it) for it in rest[count : 2 * count]]
    paces = [float(it) for it in rest[2 * count :]]
    return Board(int(made), Level(int(level)), int(limit), int(at_work), rooms, queues, paces)


def write_board(file: Path, board: Board) -> None:
    """Replace the board. Raises OSError."""
    fresh = file.with_suffix(".new")
    fresh.write_text(board.text(), encoding="ascii")
    fresh.chmod(0o644)
    fresh.replace(file)
