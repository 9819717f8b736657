"""The board: one line in a small file by which a process tells edge and console how it fares. It holds no secret.

    2 MADE LEVEL LIMIT AT_WORK ROOM×4 QUEUE×4 PACE×4 WAITING×4 REFUSED×4 EDGE_REFUSED×4 TOLD×4

MADE is ms since 1970 UTC, LEVEL a number, PACE requests a second, both kinds of REFUSED are counts since the start, and
TOLD is how many were told a time that has not come; classes in the order of `Kind`. It is replaced whole, each second
at least: one that is older than `FRESH_MS` is that of a process that is gone, or stuck.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from hutong.kernel.overload.classes import CLASSES, Kind, Level

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hutong.kernel.overload.admission import Admission

#: An older board says nothing of the present.
FRESH_MS: Final = 3_000
_VERSION: Final = "2"
_LISTS: Final = 7


class Board(NamedTuple):
    """What is on it; lists by class. Those from `waiting` on are for people; the edge decides by the others."""

    made_ms: int
    level: Level
    limit: int
    at_work: int
    rooms: list[int]
    queues: list[int]
    paces: list[float]
    waiting: list[int]
    refused: list[int]
    edge_refused: list[int]
    told: list[int]

    @classmethod
    def of(cls, admission: Admission, edge_refused: Sequence[int], told: Sequence[int], made_ms: int) -> Board:
        """As things stand; `told`: how many hold tickets whose time has not come."""
        return cls(
            made_ms,
            admission.level,
            admission.limit,
            admission.at_work,
            [admission.room(kind) for kind in Kind],
            [one.queue for one in CLASSES],
            [admission.pace(kind) for kind in Kind],
            [admission.waiting(kind) for kind in Kind],
            [sum(admission.refused[kind].values()) for kind in Kind],
            list(edge_refused),
            list(told),
        )

    def text(self) -> str:
        """The line."""
        numbers = [self.made_ms, int(self.level), self.limit, self.at_work, *self.rooms, *self.queues]
        counts = [*self.waiting, *self.refused, *self.edge_refused, *self.told]
        paces = (f"{pace:.2f}" for pace in self.paces)
        return " ".join([_VERSION, *map(str, numbers), *paces, *map(str, counts)]) + "\n"


def read_board(text: str) -> Board:
    """The content of a line.

    Raises:
        ValueError: it is not such a line.
    """
    version, made, level, limit, at_work, *rest = text.split()
    count = len(Kind)
    if version != _VERSION or len(rest) != _LISTS * count:
        raise ValueError(f"not a board of version {_VERSION}")
    rooms, queues, paces, *counts = (rest[at : at + count] for at in range(0, len(rest), count))
    waiting, refused, edge_refused, told = (list(map(int, it)) for it in counts)
    return Board(
        int(made),
        Level(int(level)),
        int(limit),
        int(at_work),
        list(map(int, rooms)),
        list(map(int, queues)),
        list(map(float, paces)),
        waiting,
        refused,
        edge_refused,
        told,
    )


def write_board(file: Path, board: Board) -> None:
    """Replace the board. Raises OSError."""
    fresh = file.with_suffix(".new")
    fresh.write_text(board.text(), encoding="ascii")
    fresh.chmod(0o644)
    fresh.replace(file)
