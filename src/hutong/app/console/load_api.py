"""The load of the public services for programs: `GET /v1/load`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from litestar import get

from hutong.app.console.load_facts import Part  # noqa: TC001  # msgspec reads the annotation
from hutong.kernel.overload.classes import CLASSES, LEVELS
from hutong.kernel.web.api.desk import Desk, operation
from hutong.kernel.web.api.document import Section

if TYPE_CHECKING:
    from hutong.app.console.load_facts import Load, LoadSource, PartLoad, ProcessLoad

_DIGITS: Final = 2


class ClassLoad(msgspec.Struct, frozen=True):
    """一类请求 / A class of requests: places, waiting, length of the queue, let to work a second."""

    name: str
    room: int
    waiting: int
    queue: int
    pace: float


class ProcessTold(msgspec.Struct, frozen=True):
    """一个进程 / A process; `age_ms`: of its board, which counts for nothing unless it is fresh."""

    number: int
    fresh: bool
    age_ms: int | None
    level: str | None
    limit: int | None
    at_work: int | None
    classes: tuple[ClassLoad, ...]


class EdgeTold(msgspec.Struct, frozen=True):
    """边缘 / The edge before a part; nulls where it says nothing."""

    alive: bool
    age_ms: int | None
    under_way: int | None


class RefusedTold(msgspec.Struct, frozen=True):
    """一类请求的谢绝 / Refusals of a class: a second, and tickets whose time has not come."""

    name: str
    refused_a_second: float
    tickets: int


class PartTold(msgspec.Struct, frozen=True):
    """公众服务的一部分 / A part of the public services; `level` as its edge takes it, null where nobody says."""

    name: Part
    level: str | None
    processes: tuple[ProcessTold, ...]
    edge: EdgeTold
    refused: tuple[RefusedTold, ...]


class LoadTold(msgspec.Struct, frozen=True):
    """某一时刻的负载 / The load at one moment, ms since 1970."""

    at_ms: int
    parts: tuple[PartTold, ...]


def section(source: LoadSource, desk: Desk) -> Section:
    """What load brings to the API."""

    @get(
        "/v1/load",
        **operation(desk, "load", "health.read", "load", "readLoad", "公众服务的负载 / Load of the public services"),
    )
    def read() -> LoadTold:
        """级别、各类位置和谢绝;没有公众服务时 parts 为空 / Levels, places, refusals; parts that are served."""
        return told(source.now())

    bodies = (LoadTold, PartTold, ProcessTold, EdgeTold, RefusedTold, ClassLoad)
    return Section((("load", "负载 / Load"),), [read], bodies)


def told(load: Load) -> LoadTold:
    """As programs get it."""
    return LoadTold(load.now_ms, tuple(map(_part, load.parts)))


def _part(part: PartLoad) -> PartTold:
    under_way = None if part.edge is None else part.edge.under_way
    refused = tuple(
        RefusedTold(one.name, round(part.refused_s[one.kind], _DIGITS), part.told[one.kind]) for one in CLASSES
    )
    return PartTold(
        name=part.name,
        level=None if part.level is None else LEVELS[part.level],
        processes=tuple(map(_process, part.processes)),
        edge=EdgeTold(part.edge_alive, part.edge_age_ms, under_way),
        refused=refused,
    )


def _process(it: ProcessLoad) -> ProcessTold:
    board = it.board
    if board is None:
        return ProcessTold(it.number, it.fresh, it.age_ms, None, None, None, ())
    classes = tuple(
        ClassLoad(
            one.name,
            board.rooms[one.kind],
            board.waiting[one.kind],
            board.queues[one.kind],
            round(board.paces[one.kind], _DIGITS),
        )
        for one in CLASSES
    )
    return ProcessTold(it.number, it.fresh, it.age_ms, LEVELS[board.level], board.limit, board.at_work, classes)
