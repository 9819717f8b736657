"""How the public services bear up: boards of their processes, what their edges say, and the last hour in memory.

Belongs here: reading, adding up, remembering. Not here: pages (`load`) and what a level means (`kernel.overload`).
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec

from hutong.app.edge.writing import board_file, edge_file
from hutong.app.overload_config import crowd_processes
from hutong.kernel.overload.board import FRESH_MS, Board, read_board
from hutong.kernel.overload.classes import KINDS, Level

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from hutong.app.config import Config

Part = Literal["public", "stations"]
PARTS: Final[tuple[Part, ...]] = ("public", "stations")
#: So often the boards are looked at, and for so long what they said is remembered, in this process alone.
EVERY_S: Final = 2
_KEPT_MS: Final = 3_600_000
_KEPT: Final = _KEPT_MS // (EVERY_S * 1000)
_NS_IN_MS: Final = 1_000_000
_COUNT: Final = len(KINDS)
_NONE: Final = [0] * _COUNT


class Edge(NamedTuple):
    """What an edge says of itself; lists by class, `refused` since it began."""

    made_ms: int
    under_way: int
    told: list[int]
    refused: list[int]


class ProcessLoad(msgspec.Struct, frozen=True):
    """A process: which, what is on its board, how old that is, whether it counts."""

    number: int
    board: Board | None
    age_ms: int | None
    fresh: bool


class PartLoad(msgspec.Struct, frozen=True):
    """A part of the public services at one moment; lists by class.

    Attributes:
        level: as its edge takes it; None where no process says anything.
        edge: what the edge says, and how old that is; it is alive if that is fresh.
        refused_s: refused a second, by gates and edge, since the look before.
        told: tickets whose time has not come.
    """

    name: Part
    level: Level | None
    processes: tuple[ProcessLoad, ...]
    edge: Edge | None
    edge_age_ms: int | None
    refused_s: list[float]
    told: list[int]

    @property
    def edge_alive(self) -> bool:
        """Whether its edge has said something lately."""
        return self.edge_age_ms is not None and self.edge_age_ms <= FRESH_MS

    @property
    def boards(self) -> list[Board]:
        """Of the processes that count."""
        return [it.board for it in self.processes if it.board is not None and it.fresh]

    def sum(self, name: str) -> int:
        """Of a number on every board that counts."""
        return sum(getattr(it, name) for it in self.boards)

    def paces(self) -> list[float]:
        """Requests let to work a second."""
        return [sum(it.paces[at] for it in self.boards) for at in range(_COUNT)]


class Sample(NamedTuple):
    """A part as it is remembered."""

    at_ms: int
    level: int | None
    limit: int
    at_work: int
    paces: list[float]
    refused_s: list[float]


class Load(msgspec.Struct, frozen=True):
    """All parts at one moment, ms since 1970."""

    now_ms: int
    parts: tuple[PartLoad, ...]


def level_of(boards: Iterable[Board]) -> Level | None:
    """The highest level that at least half of the processes call for, as the edge has it (`hutong_edge.lua`)."""
    levels = sorted((it.level for it in boards), reverse=True)
    return levels[(len(levels) + 1) // 2 - 1] if levels else None


class LoadSource:
    """Reads boards and edges, and remembers an hour. Safe for many threads.

    Args:
        config: says which parts there are, and with how many processes. wall: the time, ns since 1970.
    """

    def __init__(self, config: Config, wall: Callable[[], int]) -> None:
        wanted = {"public": bool(config.codes.listen), "stations": bool(config.sampling.listen)}
        processes = crowd_processes(config.codes, config.sampling)
        self._processes = {name: processes[name] for name in PARTS if wanted[name]}
        self._data, self._wall = config.data, wall
        self._kept: dict[Part, deque[Sample]] = {name: deque(maxlen=_KEPT) for name in self._processes}
        self._counted: dict[tuple[Part, int], list[int]] = {}
        self._counted_ms = 0
        self._lock = threading.Lock()
        self._last: Load | None = None

    def now(self) -> Load:
        """As things stood at the last look; looked at anew where that is longer ago than looks are apart."""
        with self._lock:
            now_ms, last = self._wall() // _NS_IN_MS, self._last
            return last if last is not None and 0 <= now_ms - last.now_ms < EVERY_S * 1000 else self._look(now_ms)

    def hour(self, name: Part) -> list[Sample]:
        """What is remembered of a part, the oldest first."""
        with self._lock:
            return [it for it in self._kept[name] if self._counted_ms - _KEPT_MS < it.at_ms <= self._counted_ms]

    async def run(self) -> None:
        """Look again and again, until cancelled: a slow disk must not hold anybody else up."""
        while True:
            await asyncio.to_thread(self.now)
            await asyncio.sleep(EVERY_S)

    def _look(self, now_ms: int) -> Load:
        """Read everything, and remember it; the lock is held, for rates are of the time between two looks."""
        elapsed_s = (now_ms - self._counted_ms) / 1000 if self._counted_ms else 0.0
        parts = tuple(self._part(name, count, now_ms, elapsed_s) for name, count in self._processes.items())
        self._counted_ms = now_ms
        for it in parts:
            level = None if it.level is None else int(it.level)
            self._kept[it.name].append(
                Sample(now_ms, level, it.sum("limit"), it.sum("at_work"), it.paces(), it.refused_s)
            )
        self._last = Load(now_ms, parts)
        return self._last

    def _part(self, name: Part, count: int, now_ms: int, elapsed_s: float) -> PartLoad:
        processes = tuple(
            self._process(number, _read(board_file(self._data, name, number)), now_ms) for number in range(1, count + 1)
        )
        edge = _edge_of(_read(edge_file(self._data / "edge", name)))
        fresh = [it.board for it in processes if it.board is not None and it.fresh]
        refused = [0.0] * _COUNT
        for number, counts in [(it.number, it.board.refused) for it in processes if it.board is not None and it.fresh]:
            _add(refused, self._since((name, number), counts), elapsed_s)
        age_ms = None if edge is None else max(now_ms - edge.made_ms, 0)
        heard = edge if age_ms is not None and age_ms <= FRESH_MS else None
        # An edge elsewhere says nothing here: then the processes know what it told them. Each is counted for itself,
        # and anew once the other was asked.
        by_edge = heard.refused if heard is not None else _summed(it.edge_refused for it in fresh)
        here, elsewhere = (name, 0), (name, -1)
        self._counted.pop(here if heard is None else elsewhere, None)
        _add(refused, self._since(elsewhere if heard is None else here, by_edge), elapsed_s)
        told = _summed([*(it.told for it in fresh), heard.told if heard is not None else _NONE])
        return PartLoad(name, level_of(fresh), processes, edge, age_ms, refused, told)

    @staticmethod
    def _process(number: int, text: str, now_ms: int) -> ProcessLoad:
        try:
            board = read_board(text)
        except ValueError:
            return ProcessLoad(number, None, None, fresh=False)
        age_ms = max(now_ms - board.made_ms, 0)
        return ProcessLoad(number, board, age_ms, fresh=age_ms <= FRESH_MS)

    def _since(self, key: tuple[Part, int], counts: list[int]) -> list[int]:
        """What was counted since the last look; who began anew counts from nought."""
        before = self._counted.get(key, counts)
        self._counted[key] = counts
        return [new - old if new >= old else new for new, old in zip(counts, before, strict=True)]


def _add(rates: list[float], counts: Sequence[int], elapsed_s: float) -> None:
    for at, count in enumerate(counts):
        rates[at] += count / elapsed_s if elapsed_s > 0 else 0.0


def _summed(lists: Iterable[Sequence[int]]) -> list[int]:
    return [sum(it) for it in zip(_NONE, *lists, strict=True)]


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""


def _edge_of(text: str) -> Edge | None:
    """`1 MADE UNDER_WAY TOLD×4 REFUSED×4`, as the edge writes it; None where it is no such line."""
    try:
        version, made, under_way, *rest = (int(float(word)) for word in text.split())
    except ValueError:
        return None
    if version != 1 or len(rest) != 2 * _COUNT:
        return None
    return Edge(made, under_way, rest[:_COUNT], rest[_COUNT:])
