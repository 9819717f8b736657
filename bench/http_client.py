"""The HTTP load client, in a process of its own: `python -m bench.http_client PORT SECONDS CONNECTIONS CALLS [TOKEN]`.

A closed loop over keep-alive connections, one request outstanding on each; every call has a Call-ID, a caller and a
callee of its own. Prints one JSON object: requests and calls answered, seconds, answer times in microseconds, and the
share of its core that it used.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time

CORE = 0
_CALL = '{"call_id":"bench-%016d","caller":"138%08d","callee":"139%08d","source":"198.51.100.20"}'
_NUMBERS = 100_000_000


class Line:
    """One connection and the request that is outstanding on it."""

    def __init__(self, port: int, calls: int, token: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._calls = calls
        size = len(self._body(0))
        bearer = f"Authorization: Bearer {token}\r\n" if token else ""
        self._head = (
            f"POST /v1/calls/screen HTTP/1.1\r\nHost: 127.0.0.1\r\n{bearer}"
            f"Content-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
        ).encode()
        self._got = bytearray()
        self.sent_at = 0

    def _body(self, number: int) -> bytes:
        calls = [
            _CALL % (at, at * 7919 % _NUMBERS, at * 104_729 % _NUMBERS) for at in range(number, number + self._calls)
        ]
        return (calls[0] if self._calls == 1 else f'{{"calls":[{",".join(calls)}]}}').encode()

    def ask(self, number: int) -> None:
        """Send the request whose first call has this number."""
        self._got.clear()
        self.sent_at = time.perf_counter_ns()
        self.socket.sendall(self._head + self._body(number))

    def answered(self) -> bool:
        """Take what has come; whether the answer is whole."""
        self._got += self.socket.recv(1 << 18)
        end = self._got.find(b"\r\n\r\n")
        if end < 0:
            return False
        if not self._got.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"refused: {bytes(self._got[:2000])!r}")
        head = bytes(self._got[:end]).lower()
        size = int(head[head.index(b"content-length:") + 15 :].split(b"\r\n")[0])
        return len(self._got) >= end + 4 + size


def main() -> None:
    """Ask for the time that the command line says; print what came of it."""
    port, seconds, connections, calls = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    token = sys.argv[5] if len(sys.argv) > 5 else ""
    os.sched_setaffinity(0, {CORE} & os.sched_getaffinity(0) or os.sched_getaffinity(0))
    lines = [Line(port, calls, token) for _ in range(connections)]
    by_descriptor = {line.socket.fileno(): line for line in lines}
    poll = select.epoll()
    # The first number is drawn from the clock, so that no run repeats another's calls.
    number, times = time.time_ns() // 1000 % 10**15, []
    for line in lines:
        poll.register(line.socket.fileno(), select.EPOLLIN)
        line.ask(number)
        number += calls
    began, cpu = time.perf_counter_ns(), time.process_time()
    until = began + int(seconds * 1e9)
    while (now := time.perf_counter_ns()) < until:
        for descriptor, _ in poll.poll(1):
            line = by_descriptor[descriptor]
            if line.answered():
                times.append(time.perf_counter_ns() - line.sent_at)
                line.ask(number)
                number += calls
    spent, cpu = (now - began) / 1e9, time.process_time() - cpu
    times.sort()
    told = {
        "seconds": spent,
        "requests": len(times),
        "calls": len(times) * calls,
        "p50": times[len(times) // 2] / 1000,
        "p99": times[len(times) * 99 // 100] / 1000,
        "share": cpu / spent,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
