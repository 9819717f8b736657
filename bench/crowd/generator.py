"""The generator: one thread over epoll, requests made ahead, answers read as far as they matter.

Connections are kept and used again; whoever has waited too long hangs up at once. One request is outstanding on each.
Times run from when a request was due, so that a late generator makes the service look worse and never better.
"""

from __future__ import annotations

import errno
import gc
import heapq
import itertools
import random
import re
import select
import socket
import struct
import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Final

from bench.crowd.accounts import Outcome
from bench.crowd.people import Refusal, Returning, comes_back

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.crowd.accounts import End
    from bench.crowd.people import Caller, Temper
    from hutong.kernel.overload.classes import Kind

PATIENT_NS: Final = 1_000_000_000
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_RETRY: Final = re.compile(rb"\r\nretry-after: *(\d+)", re.IGNORECASE)
_TICKET: Final = re.compile(rb"\r\nhutong-ticket: *([^\r]+)", re.IGNORECASE)
_HOLDER: Final = re.compile(rb"\r\nhutong-holder: *([^\r]+)", re.IGNORECASE)
_WHY: Final = re.compile(rb'"why":"([a-z-]+)"')
_REFUSED: Final = (b"503", b"429")
_RECEIVED: Final = 1 << 18
#: Sent in a turn before answers are read again.
_AT_ONCE: Final = 32
#: nginx ends a connection after a thousand requests; before that it is given up here.
_MOST_USES: Final = 900
_HANG_UP: Final = struct.pack("ii", 1, 0)
_MOST_LINES: Final = 12_000


class Line:
    """One connection, and whose request is outstanding on it."""

    __slots__ = ("caller", "got", "port", "serial", "sock", "uses", "waits")

    def __init__(self, port: int) -> None:
        self.port, self.got, self.uses, self.serial, self.waits = port, b"", 0, 0, b""
        self.caller: Caller | None = None
        self.sock = socket.socket()
        self.sock.setblocking(False)  # noqa: FBT003  # as the library has it
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        trouble = self.sock.connect_ex(("127.0.0.1", port))
        if trouble not in {0, errno.EINPROGRESS}:
            raise OSError(trouble, "cannot connect")

    def hang_up(self) -> None:
        """Without the minute that a port is kept for."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _HANG_UP)
        self.sock.close()


class Generator:
    """Asks for a while.

    Args:
        ports: by class. ask: the bytes of a request.
        temper: of those whom it refuses, while the crowd is there. seed: of draws.
    """

    def __init__(
        self, ports: dict[Kind, int], ask: Callable[[Caller], bytes], *, temper: Temper = "gone", seed: int = 1
    ) -> None:
        self._ports, self._ask, self._temper = ports, ask, temper
        self._draw = random.Random(seed)
        self._poll = select.epoll()
        self._lines: dict[int, Line] = {}
        self._idle: dict[int, list[Line]] = {port: [] for port in ports.values()}
        self._patience: deque[tuple[int, Line, int]] = deque()
        self._back: list[tuple[int, int, Caller]] = []
        self._order = itertools.count()
        self._returning = Returning()
        self._next: Iterator[Caller] | None = None
        self._crowd_until = 0
        self._outstanding = 0
        self.outcomes: list[Outcome] = []
        self.statuses: Counter[str] = Counter()
        self.behind_ns = 0

    def open_loop(self, callers: Sequence[Caller], crowd_until_ns: int, end_ns: int) -> None:
        """Everybody at their time, whatever becomes of the others; then wait for the last answers.

        Ends sooner where nobody is left to come.
        """
        self._crowd_until = crowd_until_ns
        self._run(deque(callers), end_ns)

    def closed_loop(self, callers: Iterator[Caller], window: int, end_ns: int) -> None:
        """So many at a time; the next one as soon as one is answered. Once everybody gave up none is left to come."""
        self._next, self._crowd_until = callers, end_ns
        now = time.monotonic_ns()
        first = list(itertools.islice(callers, window))
        for it in first:
            it.due_ns = now
        self._run(deque(first), end_ns)

    def close(self) -> None:
        """Hang up on everything."""
        for line in list(self._lines.values()):
            line.hang_up()
        self._poll.close()

    # --- turns ---

    def _run(self, coming: deque[Caller], end_ns: int) -> None:
        gc.collect()
        gc.disable()
        try:
            now = time.monotonic_ns()
            while (self._outstanding and now < end_ns + PATIENT_NS) or (now < end_ns and (coming or self._back)):
                if now < end_ns:
                    self._come(coming, now)
                self._read(self._pause_s(coming, now, end_ns))
                now = time.monotonic_ns()
                self._lose_patience(now)
        finally:
            gc.enable()

    def _come(self, coming: deque[Caller], now: int) -> None:
        for _ in range(_AT_ONCE):
            if self._back and self._back[0][0] <= now:
                caller = heapq.heappop(self._back)[2]
                if now < self._crowd_until:
                    if self._temper == "obedient":
                        self._returning.came_back(caller.kind)
                    self._send(caller, now)
            elif coming and coming[0].due_ns <= now:
                caller = coming.popleft()
                if not (caller.crowd and self._returning.stays_away(caller.kind)):
                    self._send(caller, now)
            else:
                return

    def _pause_s(self, coming: deque[Caller], now: int, end_ns: int) -> float:
        until = end_ns if now < end_ns else end_ns + PATIENT_NS
        if now < end_ns:
            until = min(until, coming[0].due_ns if coming else until, self._back[0][0] if self._back else until)
        if self._patience:
            until = min(until, self._patience[0][0])
        return max(until - now, 0) / 1e9

    def _lose_patience(self, now: int) -> None:
        while self._patience and self._patience[0][0] <= now:
            _, line, serial = self._patience.popleft()
            if line.serial == serial and line.caller is not None:
                caller = line.caller
                self._drop(line)
                self._ended(caller, now, "late")

    # --- lines ---

    def _send(self, caller: Caller, now: int) -> None:
        self.behind_ns = max(self.behind_ns, now - caller.due_ns)
        port = self._ports[caller.kind]
        idle = self._idle[port]
        line = idle.pop() if idle else self._new(port)
        if line is None:
            self.statuses["no line"] += 1
            self._settled(caller, now, "broken")
            return
        self._outstanding += 1
        line.caller, line.got = caller, b""
        line.uses += 1
        line.serial = next(self._order)
        self._patience.append((now + PATIENT_NS, line, line.serial))
        self._write(line, self._ask(caller))

    def _new(self, port: int) -> Line | None:
        if len(self._lines) >= _MOST_LINES:
            return None
        try:
            line = Line(port)
        except OSError:
            return None
        self._lines[line.sock.fileno()] = line
        self._poll.register(line.sock.fileno(), select.EPOLLIN)
        return line

    def _write(self, line: Line, request: bytes) -> None:
        try:
            sent = line.sock.send(request)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._broke(line)
            return
        line.waits = request[sent:]
        if line.waits:
            self._poll.modify(line.sock.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def _drop(self, line: Line) -> None:
        self._lines.pop(line.sock.fileno(), None)
        line.caller = None
        line.hang_up()

    def _broke(self, line: Line) -> None:
        """The other end hung up: at rest that is its right, and between two requests nobody's fault."""
        caller, fresh, begun = line.caller, line.uses <= 1, bool(line.got)
        if caller is None:
            self._idle[line.port].remove(line)
            self._drop(line)
            return
        self._drop(line)
        self._outstanding -= 1
        if fresh or begun:
            self.statuses["broken"] += 1
            self._settled(caller, time.monotonic_ns(), "broken")
        else:
            self._send(caller, time.monotonic_ns())

    def _read(self, pause_s: float) -> None:
        for descriptor, what in self._poll.poll(pause_s, 512):
            line = self._lines.get(descriptor)
            if line is None:
                continue
            if what & select.EPOLLOUT and line.waits:
                self._poll.modify(descriptor, select.EPOLLIN)
                self._write(line, line.waits)
                continue
            try:
                data = line.sock.recv(_RECEIVED)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if not data:
                self._broke(line)
            elif line.caller is not None:
                self._take(line, data)

    def _take(self, line: Line, data: bytes) -> None:
        got = line.got = line.got + data if line.got else data
        end = got.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(got, 0, end)
        if len(got) < end + 4 + (int(length[1]) if length else 0):
            return
        caller, now = line.caller, time.monotonic_ns()
        assert caller is not None  # noqa: S101  # it was when this was called
        line.caller, line.got = None, b""
        if line.uses < _MOST_USES:
            self._idle[line.port].append(line)
        else:
            self._drop(line)
        status = got[9:12]
        if status == b"200":
            self._ended(caller, now, "served")
            return
        why = _WHY.search(got, end)
        self.statuses[f"{caller.kind.name.lower()} {status.decode()} {why[1].decode() if why else ''}"] += 1
        if status not in _REFUSED:
            self._ended(caller, now, "broken")
            return
        self._ended(caller, now, "refused")
        if caller.crowd and now < self._crowd_until:
            self._refused(caller, got[: end + 2], now)

    def _refused(self, caller: Caller, head: bytes, now: int) -> None:
        told = Refusal(None)
        if self._temper == "obedient":
            retry, ticket, holder = _RETRY.search(head), _TICKET.search(head), _HOLDER.search(head)
            told = Refusal(int(retry[1]) if retry else None, ticket[1] if ticket else b"", holder[1] if holder else b"")
        if comes_back(caller, self._temper, told, now, self._draw.random()):
            heapq.heappush(self._back, (caller.due_ns, next(self._order), caller))

    def _ended(self, caller: Caller, now: int, end: End) -> None:
        self._outstanding -= 1
        self._settled(caller, now, end)

    def _settled(self, caller: Caller, now: int, end: End) -> None:
        self.outcomes.append(Outcome(caller.kind, caller.due_ns, now - caller.due_ns, end, caller.crowd))
        if self._next is not None:
            following = next(self._next, None)
            if following is not None:
                following.due_ns = now
                heapq.heappush(self._back, (now, next(self._order), following))
