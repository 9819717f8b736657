"""Screening nodes as real processes on loopback, and what a test reads of one from outside: journal, figures, log."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from e2e.processes import HUTONG, HutongNode
from engines import TRUNKS
from hutong.calls.live.figures import LiveSource
from hutong.calls.record import KIND_VERDICT, decode
from hutong.kernel.journal import FileJournal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hutong.calls.live.figures import LiveSnapshot
    from hutong.calls.model import Verdict

IPV4, IPV6 = "127.0.0.1", "::1"
#: Enough for a machine that is busy with other things; an answer that is awaited comes long before.
PATIENCE = 20.0
_PAUSE = 0.005

#: The trunks of tests/engines.py: a request names its true source in X-Hutong-Source. A generous budget, so that a busy
#: machine cannot turn a verdict into a call passed unjudged.
_SETTINGS = """\
[sip]
next_hop = "192.0.2.249:5080"

[calls]
budget_ms = {budget_ms}

[windows]
memory_mb = 16
"""


def settings_text(*, budget_ms: int = 5000, more: str = "") -> str:
    """A settings file: the sample trunks, small windows, and `more` tables."""
    trunks = [
        f'[[trunks]]\nname = "{it.name}"\nkind = "{it.kind}"\n'
        f"networks = {list(it.networks)}\nranges = {list(it.ranges)}\nnext_hop = {it.next_hop!r}\n"
        for it in TRUNKS
    ]
    return "\n".join([_SETTINGS.format(budget_ms=budget_ms), more, *trunks])


class ScreenNode(HutongNode):
    """`hutong calls screen` with the sample trunks, at one port over UDP and TCP on each of `hosts`."""

    def __init__(self, folder: Path, *, hosts: Sequence[str] = (IPV4,), budget_ms: int = 5000, more: str = "") -> None:
        self.folder = folder
        self.config = folder / "hutong.toml"
        self.config.write_text(settings_text(budget_ms=budget_ms, more=more), encoding="utf-8")
        super().__init__("screen", folder, self.config)
        shown = [f"[{host}]" if ":" in host else host for host in hosts]
        listens = [f"--listen={transport}:{host}:{self.port}" for host in shown for transport in ("udp", "tcp")]
        self.command = [*HUTONG, "calls", "screen", *self._common(self.config), *listens]

    @property
    def figures(self) -> LiveSnapshot:
        """What the node has counted since it started."""
        return LiveSource(self.data).snapshot()

    @property
    def said(self) -> int:
        """Bytes that it has written to its log."""
        return self.log.stat().st_size

    def read_log(self, since: int = 0) -> str:
        """What it said, from byte `since` on."""
        return self.log.read_bytes()[since:].decode("utf-8", "replace")

    def await_log(self, text: str, since: int = 0) -> None:
        """Wait until it has said this."""
        self.wait_until(lambda: text in self.read_log(since), PATIENCE)

    def await_figures(self, reached: Callable[[LiveSnapshot], bool]) -> LiveSnapshot:
        """Wait for figures that satisfy `reached`."""
        found: list[LiveSnapshot] = []

        def look() -> bool:
            found[:] = [self.figures]
            return reached(found[0])

        self.wait_until(look, PATIENCE)
        return found[0]

    @contextlib.contextmanager
    def suspended(self, at_least: float = 0.0) -> Iterator[None]:
        """The process gets no time within, nor for `at_least` seconds more: a machine that has too much to do."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            until(self._is_stopped, PATIENCE, "the process is stopped")
            yield
            since = time.monotonic()
            until(lambda: time.monotonic() - since >= at_least, at_least + PATIENCE, "the time is over")
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def _is_stopped(self) -> bool:
        stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8")
        return stat.rpartition(")")[2].split()[0] == "T"

    @contextlib.contextmanager
    def full_disk(self, beyond: int = 0) -> Iterator[None]:
        """No file of the process may grow beyond so many bytes; by default, beyond what the journal's newest has."""
        limit = beyond or max((self.data / "journal").glob("*.seg")).stat().st_size
        before = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            yield
        finally:
            resource.prlimit(self.pid, resource.RLIMIT_FSIZE, before)

    def terminate(self, seconds: float = 5.0) -> int:
        """SIGTERM, and its exit status; fails when it takes longer than a stop may."""
        self.child.send_signal(signal.SIGTERM)
        return self.finish(seconds)

    def verdicts(self) -> list[Verdict]:
        """Every verdict in its journal, oldest first; values of rules are left out."""
        return verdicts_in(self.data)


def verdicts_in(data: Path) -> list[Verdict]:
    """Every verdict of a data folder's journal, oldest first; values of rules are left out."""
    journal = FileJournal(data / "journal")
    journal.open()
    try:
        records = [record for record in journal.read(1) if record.kind == KIND_VERDICT]
        return [decode(record.seq, memoryview(record.body), lambda _digest, _rule: -1) for record in records]
    finally:
        journal.close()


def until(found: Callable[[], object], seconds: float, what: str) -> None:
    """Ask again and again; fails when `found` is not true within `seconds`."""
    pause = threading.Event()
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        pause.wait(_PAUSE)
