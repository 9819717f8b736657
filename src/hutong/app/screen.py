"""The process `screen`: settings to parts, parts to a running loop."""

from __future__ import annotations

import gc
import resource
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hutong.app.config import load_config
from hutong.calls.asking.edge import SOCKET, AskEdge
from hutong.calls.engine import Policy
from hutong.calls.feed.desk import FeedDesk
from hutong.calls.feed.places import PlaceBook
from hutong.calls.look_ups import LookUps
from hutong.calls.loop import ScreeningLoop
from hutong.calls.mirror.edge import MirrorEdge
from hutong.calls.node import Node, NodeSettings
from hutong.calls.roaming import HttpRoaming
from hutong.calls.sip_server import SipServer
from hutong.calls.trunks import Trunk
from hutong.kernel.addresses import parse_listener
from hutong.kernel.clock import SystemClock
from hutong.kernel.readiness import announce_ready
from hutong.kernel.reporter import Reporter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hutong.app.config import Config
    from hutong.calls.loop import Edge

_MIB = 1024 * 1024
_HOUR_NS = 3600 * 1_000_000_000
#: How long another Python thread may hold the interpreter before the loop gets it back, seconds.
_SWITCH_INTERVAL = 0.0005


def trunks_of(config: Config) -> tuple[Trunk, ...]:
    """The trunks, in order."""
    return tuple(Trunk(it.name, it.kind, it.networks, it.ranges, it.next_hop) for it in config.trunks)


def node_settings(config: Config) -> NodeSettings:
    """What the node needs, out of the settings tree."""
    calls, sip = config.calls, config.sip
    policy = Policy(
        next_hop=sip.next_hop,
        redress_url=sip.redress_url,
        budget_ms=calls.budget_ms,
        time_zone=calls.time_zone,
        night_from=calls.night_from,
        night_to=calls.night_to,
        use_roaming_table=config.roaming.table,
        look_up_roaming=bool(config.roaming.http_url),
    )
    return NodeSettings(
        data=config.data,
        policy=policy,
        trunks=trunks_of(config),
        proxies=sip.proxies,
        home_area=calls.home_area,
        rule_folders=(Path(calls.rules_dir),) if calls.rules_dir else (),
        window_bytes=config.windows.memory_mb * _MIB,
        segment_bytes=config.journal.segment_mb * _MIB,
        sync_ms=config.journal.sync_ms,
        keep_ns=config.journal.keep_hours * _HOUR_NS,
        followed_calls=config.mirror.calls if config.mirror.listen or _takes_outcomes(config) else 0,
    )


def _takes_outcomes(config: Config) -> bool:
    return bool(config.kafka.bootstrap_servers and config.kafka.outcomes_topic)


def mirror_edge(loop: ScreeningLoop, config: Config) -> MirrorEdge:
    """The edge that takes mirrored signalling."""
    it = config.mirror
    listeners = [parse_listener(text) for text in it.listen]
    return MirrorEdge(loop, listeners, key=it.key.encode(), wait_ms=it.wait_ms)


def run(config_file: Path | None, data: Path | None, listen: Sequence[str]) -> int:
    """Screen until SIGTERM or SIGINT.

    Args:
        config_file, data, listen: the command's arguments; `listen` replaces the settings' listeners.

    Raises:
        HutongError: it cannot start.
    """
    config = load_config(config_file, data=data)
    _allow_files()
    reporter = Reporter("screen", level=config.log.level, form=config.log.format)
    node = Node(node_settings(config), SystemClock(), reporter.log)
    roaming = HttpRoaming(config.roaming.http_url, config.roaming.http_budget_ms) if config.roaming.http_url else None
    engine = node.open()
    try:
        loop = ScreeningLoop(engine, node, SystemClock(), lambda kind, text: reporter.log.error(kind, trouble=text))
        look_ups = LookUps(loop, roaming)
        server = SipServer(loop, [parse_listener(text) for text in (tuple(listen) or config.sip.listen)], look_ups)
        places = PlaceBook(config.data, node.journal)
        desk = FeedDesk(loop, places, look_after=not config.mirror.listen) if config.kafka.bootstrap_servers else None
        asks = AskEdge(loop, look_ups, config.data / SOCKET, desk)
        mirrors = [mirror_edge(loop, config)] if config.mirror.listen else []
        edges: list[Edge] = [look_ups, server, asks, *mirrors]
        for edge in edges:
            loop.add(edge)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _signal, _frame: loop.stop())
        server.warm_up()
        asks.warm_up()
        if desk is not None:
            desk.warm_up()
        for mirror in mirrors:
            mirror.warm_up()
        if roaming is not None:
            roaming.start()
        _calm_interpreter()
        loop.open()
        reporter.log.info("screening", ports=server.ports, data=str(config.data), rules=len(engine.ruleset.rules))
        for mirror in mirrors:
            reporter.log.info("mirrored signalling", ports=mirror.ports, calls=config.mirror.calls)
        announce_ready()
        loop.run()
        loop.close()
    finally:
        if roaming is not None:
            roaming.stop()
        node.close()
    reporter.log.info("stopped")
    return 0


def _allow_files() -> None:
    """Take as many descriptors as the system allows: each connection needs one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _calm_interpreter() -> None:
    """Keep pauses out of the loop: what exists now lives as long as the process, and no thread holds on to the lock."""
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(_SWITCH_INTERVAL)
