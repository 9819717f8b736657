"""A gateway office on loopback: sipp (trunk) → Kamailio with the shipped configuration → Hutong → sipp (next hop)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from processes import HutongNode, running
from sip_peers import Callee, Caller, Kamailio

from hutong.calls.record import KIND_VERDICT, decode
from hutong.kernel.journal import FileJournal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from hutong.calls.model import Verdict

_CONFIG = """\
[sip]
next_hop = "{next_hop}"

[windows]
memory_mb = 16

[[trunks]]
name = "neighbour"
kind = "inter-network"
networks = ["127.0.0.0/8"]
"""


class Office:
    """One Kamailio in front of `nodes` Hutong nodes and of one next hop. Use it in a `with`; `open` starts all."""

    def __init__(self, folder: Path, *, nodes: int = 1, transport: str = "udp", host: str = "127.0.0.1") -> None:
        self.folder = folder
        self.callee = Callee(folder)
        config = folder / "hutong.toml"
        config.write_text(_CONFIG.format(next_hop=self.callee.address))
        self.nodes = [HutongNode(f"node{at}", folder, config, host=host) for at in range(nodes)]
        suffix = "" if transport == "udp" else f";transport={transport}"
        uris = [f"sip:{node.address}{suffix}" for node in self.nodes]
        self.kamailio = Kamailio(folder, uris, self.callee.address)
        self._callers: list[Caller] = []

    def open(self) -> None:
        """Start everything; the proxy last, so that its first keep-alives are answered."""
        self.callee.start()
        for node in self.nodes:
            node.start()
        self.kamailio.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with running(self.callee, *self.nodes, self.kamailio, *self._callers):
            pass

    def call(self, pairs: Iterable[tuple[str, str]], *, rate: int) -> Caller:
        """Begin placing calls, (caller, callee) each, `rate` a second."""
        caller = Caller(f"caller{len(self._callers)}", self.folder, self.kamailio.port, pairs, rate=rate)
        self._callers.append(caller)
        caller.launch()
        return caller


def verdicts(node: HutongNode) -> list[Verdict]:
    """Every verdict in a node's journal, oldest first. Rule values are left out."""
    journal = FileJournal(node.data / "journal")
    journal.open()
    try:
        found = [record for record in journal.read(1) if record.kind == KIND_VERDICT]
        return [decode(record.seq, memoryview(record.body), lambda _digest, _rule: -1) for record in found]
    finally:
        journal.close()
