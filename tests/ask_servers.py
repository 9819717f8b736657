"""The asking edge in this process: a loop of its own on an engine in memory, and plain clients to talk to it."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from typing import TYPE_CHECKING, Self

from engines import NEIGHBOUR, Bench
from hutong.calls.asking import wire as asking
from hutong.calls.asking.edge import AskEdge, short_path
from hutong.calls.look_ups import LookUps
from hutong.calls.loop import ScreeningLoop
from hutong.calls.trunks import address_halves
from hutong.kernel import windows
from hutong.kernel.clock import ManualClock
from hutong.kernel.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE = 20.0


class MemoryKeeper:
    """Keeps records in a list, or refuses to while `full`."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.full = False
        self.batches: list[tuple[int, bytes]] = []

    def begin(self) -> int:
        windows.begin(self._bench.window, self._bench.seq)
        return self._bench.seq

    def commit(self, end: int, records: int, now_ns: int) -> None:
        del now_ns
        if self.full and records:
            raise JournalError("the disk is full.")
        if records:
            self.batches.append((self._bench.seq, self._bench.engine.records.bytes_[:end].tobytes()))
        self._bench.seq += records
        windows.commit(self._bench.window, self._bench.seq)

    def abandon(self) -> None:
        windows.recover(self._bench.window)

    def tick(self, now_ns: int) -> None:
        """Nothing changes here."""


class HeldRoaming:
    """An outside look-up that answers when it is told to; `refuse` = too much is under way."""

    def __init__(self) -> None:
        self._event = os.eventfd(0, os.EFD_NONBLOCK)
        self._ready: list[tuple[int, int]] = []
        self.asked: list[tuple[int, str]] = []
        self.refuse = False

    def fileno(self) -> int:
        return self._event

    def ask(self, ticket: int, number: str) -> bool:
        if not self.refuse:
            self.asked.append((ticket, number))
        return not self.refuse

    def answer(self, code: int) -> None:
        """Answer everything that was asked."""
        self._ready += [(ticket, code) for ticket, _ in self.asked]
        self.asked.clear()
        os.eventfd_write(self._event, 1)

    def answers(self) -> list[tuple[int, int]]:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._event)
        found, self._ready = self._ready, []
        return found

    def close(self) -> None:
        os.close(self._event)


class AskServer:
    """A running edge; everything about the engine is the loop's thread's until `stop`."""

    def __init__(self, folder: Path, *, path: Path | None = None, roaming: HeldRoaming | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self.bench = Bench(folder, look_up_roaming=roaming is not None)
        self.path = path or folder / "run" / "screen.sock"
        self.keeper = MemoryKeeper(self.bench)
        self.clock = ManualClock(self.bench.now_ns)
        self.trouble: list[str] = []
        self.loop = ScreeningLoop(
            self.bench.engine, self.keeper, self.clock, lambda _kind, text: self.trouble.append(text)
        )
        look_ups = LookUps(self.loop, roaming)
        self.edge = AskEdge(self.loop, look_ups, self.path)
        self.loop.add(look_ups)
        self.loop.add(self.edge)
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self.edge.warm_up()
        self.loop.open()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.stop()
        self._thread.join(PATIENCE)
        self.loop.close()

    def _run(self) -> None:
        self.loop.run()


def call(name: str, caller: str = "13800138000", *, source: str = NEIGHBOUR, **more: object) -> asking.Attempt:
    """A call attempt that is not late."""
    return asking.Attempt(
        name.encode(),
        caller.encode(),
        b"13900139000",
        1 << 60,
        source=address_halves(source),
        **more,  # type: ignore[arg-type]
    )


class PlainClient:
    """A socket that speaks the wire by hand."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE)
        with short_path(path) as name:
            self.socket.connect(name)
        self._reader = asking.FrameReader()
        self._frames: list[asking.Frame] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *calls: asking.Attempt, ticket: int = 1) -> None:
        self.socket.sendall(asking.encode_request(ticket, calls))

    def frame(self) -> asking.Frame | None:
        """The next frame; None where the other side closed the connection."""
        while not self._frames:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._frames += self._reader.feed(data)
        return self._frames.pop(0)

    def answers(self) -> list[asking.Answer]:
        """What the next reply says."""
        frame = self.frame()
        assert frame is not None
        assert frame.kind == asking.REPLY, frame
        return asking.decode_reply(frame)

    def ask(self, *calls: asking.Attempt, ticket: int = 1) -> list[asking.Answer]:
        self.send(*calls, ticket=ticket)
        return self.answers()


@contextlib.contextmanager
def held_roaming() -> Iterator[HeldRoaming]:
    """Closed afterwards."""
    it = HeldRoaming()
    try:
        yield it
    finally:
        it.close()


def until(found: Callable[[], object]) -> None:
    """Wait for something that another thread brings about."""
    pause, left = threading.Event(), PATIENCE
    while not found():
        assert left > 0, "it did not come about"
        pause.wait(0.005)
        left -= 0.005
