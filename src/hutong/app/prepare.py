"""Compiles what is compiled, once for a machine: `make setup` runs it so that no start has to wait for it."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import msgspec

from hutong.app.config import load_config
from hutong.app.screen import node_settings
from hutong.calls.ask_edge import SOCKET, AskEdge
from hutong.calls.index import VerdictIndex
from hutong.calls.look_ups import LookUps
from hutong.calls.loop import ScreeningLoop
from hutong.calls.mirror import MirrorEdge
from hutong.calls.node import Node
from hutong.calls.sip_server import SipServer
from hutong.calls.stories import Stories
from hutong.kernel.clock import SystemClock
from hutong.kernel.lists import read_target
from hutong.kernel.reporter import Reporter


def main() -> None:
    """Open a node in a throw-away folder and let a sample call take every path."""
    sys.stdout.write("正在编译(数分钟,仅此一次)/ Compiling, a few minutes, this once …\n")
    sys.stdout.flush()
    with tempfile.TemporaryDirectory(prefix="hutong-prepare-") as name:
        settings = node_settings(load_config(None, data=Path(name), environ={}))
        # Signalling may be mirrored later.
        settings = msgspec.structs.replace(settings, followed_calls=1024)
        node = Node(settings, SystemClock(), Reporter("prepare", level="error").log)
        engine = node.open()
        loop = ScreeningLoop(engine, node, SystemClock(), _say)
        look_ups = LookUps(loop, None)
        SipServer(loop, [], look_ups).warm_up()
        AskEdge(loop, look_ups, Path(name) / SOCKET).warm_up()
        MirrorEdge(loop, [], key=b"", wait_ms=0).warm_up()
        Stories(Path(name), VerdictIndex(Path(name)), str).warm_up()
        node.close()
    read_target("13800138000")  # what `hutong lists` needs


def _say(event: str, *more: object, **fields: object) -> None:
    sys.stderr.write(f"{event} {more or ''} {fields or ''}\n")


if __name__ == "__main__":
    main()
