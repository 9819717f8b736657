"""The gate as a process puts it before its application: from settings, with keys and board in the data folder."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from hutong.app.edge.writing import FIRST_LIMITS, board_file, route_table, ticket_keys
from hutong.kernel.key_files import make_folder
from hutong.kernel.overload.admission import Admission
from hutong.kernel.overload.classes import Kind
from hutong.kernel.overload.desk import Desk
from hutong.kernel.overload.gate import Gate
from hutong.kernel.overload.keys import KeyFile
from hutong.kernel.overload.places import Places, Spent
from hutong.kernel.overload.routes import Routes

if TYPE_CHECKING:
    from typing import Literal

    from litestar.types import ASGIApp

    from hutong.app.config import Config
    from hutong.kernel.clock import Clock
    from hutong.kernel.metrics import Metrics

_NS_IN_MS: Final = 1_000_000
_S_IN_MS: Final = 1000
_BEST: Final = {"public": Kind.SCAN, "stations": Kind.CRITICAL}


def gate_before(
    application: ASGIApp,
    name: Literal["public", "stations"],
    config: Config,
    clock: Clock,
    metrics: Metrics,
    process: int = 1,
) -> Gate:
    """The application behind its gate.

    Args:
        application: what is behind it. name: which part of the edge is before it. config: the settings.
        clock: the time. metrics: where figures go.
        process: which of the part's, from 1: each has limit, queues and a board of its own.

    Raises:
        OSError: the keys cannot be made or read.
        StateError: their file is no such file.
    """
    settings = config.overload
    keys = KeyFile(ticket_keys(config.data))
    keys.keys()
    make_folder(config.data / "run", 0o750)
    desk = Desk(keys.keys, Places(settings.window_s * _S_IN_MS, settings.horizon_s * _S_IN_MS), Spent())
    return Gate(
        application,
        Admission(settings.target_ms * _NS_IN_MS, settings.at_once, FIRST_LIMITS[name]),
        desk,
        Routes(route_table().routes, _BEST[name]).kind,
        clock,
        metrics,
        board=board_file(config.data, name, process),
        name=f"{name}-{process}",
        https=bool(config.edge.tls_certificate),
        draw=secrets.SystemRandom().random,
    )
