"""A subject's questions and how long they take."""

from __future__ import annotations

import statistics
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from hutong.app.config import load_config
from hutong.kernel.records import Database

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.size.engines import Engine
    from bench.size.filling import Fill

NOW: Final = 1_772_416_800_000  # 2026-03-02T10:00:00+08:00
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
_COLD: Final = 10
_HUNDREDTHS: Final = 100


class Question(NamedTuple):
    """What is asked: of something else in each round.

    Attributes:
        less: gives the ms that the last round took and that do not count. once: it cannot be asked again.
    """

    name: str
    ask: Callable[[int], object]
    less: Callable[[], float] | None = None
    once: bool = False


class Taken(NamedTuple):
    """Milliseconds: warm, and with cold files."""

    p50: float
    p99: float
    cold: float


class Subject(ABC):
    """Some tables and what is asked of them.

    Args:
        engine: where. folder: keys and settings of the node. rows: of the table concerned.
        asked: how many people are made to be asked about.
    """

    name: str
    #: Bytes on disk for each row of the table concerned, with all that belongs to it and a tenth for sorting indexes.
    row_bytes: dict[str, int]

    def __init__(self, engine: Engine, folder: Path, rows: int, asked: int) -> None:
        self.engine, self.folder, self.rows, self.asked = engine, folder, rows, asked
        config = load_config(None, data=folder, environ={})
        self.config = msgspec.structs.replace(
            config, records=msgspec.structs.replace(config.records, url=engine.url or "")
        )
        self.database = Database(engine.url)

    @abstractmethod
    def make(self) -> None:
        """Make what will be asked about, by the product itself."""

    @abstractmethod
    def fills(self) -> list[Fill]:
        """What is written beside it."""

    @abstractmethod
    def questions(self) -> list[Question]:
        """What is asked; the records are open."""

    def close(self) -> None:
        """Let go of the records."""
        self.database.close()


def ask(subject: Subject, rounds: int) -> dict[str, Taken]:
    """Ask everything, cold and then warm."""
    taken = {}
    subject.database.open()
    for it in subject.questions():
        subject.database.close()
        subject.engine.chill()
        subject.database.open()
        if it.once:
            cold = _once(it, 0)
            taken[it.name] = Taken(cold, cold, cold)
            continue
        _connect(subject)
        cold = statistics.median(_once(it, rounds + at) for at in range(_COLD))
        for at in range(_COLD):
            it.ask(at)
        warm = [_once(it, at) for at in range(rounds)]
        taken[it.name] = Taken(statistics.median(warm), statistics.quantiles(warm, n=_HUNDREDTHS)[-1], cold)
    return taken


def _connect(subject: Subject) -> None:
    """A first statement, which is not what is measured."""
    with subject.database.read() as connection:
        connection.exec_driver_sql("SELECT 1")


def _once(it: Question, at: int) -> float:
    began = time.perf_counter()
    it.ask(at)
    return (time.perf_counter() - began) * 1000 - (it.less() if it.less else 0.0)
