"""A raw UDP echo: the floor of the machine, run as `python -m bench.echo_peer PORT`.

It is a compiled recvmmsg/sendmmsg loop on one thread that sends every request back, unread but for its first
letter (an ACK gets no answer, as from a SIP server). It judges nothing: it is what the machine and its kernel
leave to a server that does no work at all.
"""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

import numba

from bench import wire

if TYPE_CHECKING:
    from bench.wire import Batch

SIZE = 64

recvmmsg, sendmmsg = wire.recvmmsg, wire.sendmmsg
MSG_WAITFORONE, NAME_LENGTH, LENGTH = wire.MSG_WAITFORONE, wire.NAME_LENGTH, wire.LENGTH


@numba.njit(nogil=True)
def _echo(fd: int, inbox: Batch, outbox: Batch, rounds: int) -> None:
    """Answer `rounds` batches. The rows are the inbox's own: nothing is copied."""
    for _ in range(rounds):
        got = recvmmsg(fd, inbox.headers.ctypes.data, SIZE, MSG_WAITFORONE, 0)
        count = 0
        for i in range(got):
            if inbox.rows[i, 0] != 65:  # "A"
                outbox.vectors[count, 0] = inbox.vectors[i, 0]
                outbox.vectors[count, 1] = inbox.headers[i, LENGTH] & 0xFFFFFFFF
                outbox.headers[count, 0] = inbox.headers[i, 0]
                outbox.headers[count, NAME_LENGTH] = inbox.headers[i, NAME_LENGTH]
                count += 1
            inbox.headers[i, NAME_LENGTH] = 32
        if count:
            sendmmsg(fd, outbox.headers.ctypes.data, count, 0)


def main() -> None:
    """Echo on the loopback port named on the command line until killed; says READY when it answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        server.bind(("127.0.0.1", int(sys.argv[1])))
        inbox, outbox = wire.batch(SIZE, named=True), wire.batch(SIZE, named=True)
        # The received length is read from the header word; the sent one is written into the vector.
        _echo(server.fileno(), inbox, outbox, 0)
        print("READY", flush=True)
        while True:
            _echo(server.fileno(), inbox, outbox, 1_000)


if __name__ == "__main__":
    main()
