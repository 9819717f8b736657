"""UDP in batches: recvmmsg(2) and sendmmsg(2) over NumPy buffers, with the kernel's receive times.

Only the system calls and their headers belong here. 64-bit Linux: `struct mmsghdr` is eight 64-bit words.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import socket
from typing import TYPE_CHECKING

import numpy as np

from hutong.calls.batch import ADDRESS, BATCH, MAX_DATAGRAM, SOCKET_AT, Inbox, Outbox
from hutong.kernel.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

_libc = ctypes.CDLL(None, use_errno=True)
_recvmmsg = _libc.recvmmsg
_recvmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)
_sendmmsg = _libc.sendmmsg
_sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)

# Words of a header.
_NAME, _NAME_LENGTH, _IOV, _IOV_LENGTH, _CONTROL, _CONTROL_LENGTH, _FLAGS, _LENGTH = range(8)
_CONTROL_BYTES = 64
_NAME_BYTES = 28
_SO_TIMESTAMPNS = 35
_SO_MEMINFO = 55
_MEMINFO_DROPS = 8
#: Asked of the kernel for each direction, bytes; it grants what net.core.rmem_max allows.
_SOCKET_BUFFER = 8 * 1024 * 1024
#: Errors that concern one datagram only: its address or size.
_SKIPPED = {
    errno.EINVAL,
    errno.EMSGSIZE,
    errno.EPERM,
    errno.ENETUNREACH,
    errno.EHOSTUNREACH,
    errno.ECONNREFUSED,
}


def _pointer(array: NDArray[np.generic]) -> int:
    return int(array.ctypes.data)


@compiled
def _gather(
    lengths: NDArray[np.int64],
    iov: NDArray[np.int64],
    headers: NDArray[np.int64],
    rows: NDArray[np.int64],
    first: int,
    last: int,
) -> int:
    """Line up the responses first … last-1 that have a length; rows: (data, row bytes, addresses, address bytes)."""
    count = 0
    for index in range(first, last):
        if lengths[index] > 0:
            iov[count, 0] = rows[0] + index * rows[1]
            iov[count, 1] = lengths[index]
            headers[count, _NAME] = rows[2] + index * rows[3]
            count += 1
    return count


class DatagramBuffers:
    """The headers that let the kernel fill an inbox and empty an outbox. Shared by all sockets of one loop."""

    def __init__(self, inbox: Inbox, outbox: Outbox) -> None:
        self.inbox, self.outbox = inbox, outbox
        rows = len(inbox.lengths)
        self._in_iov = np.zeros((rows, 2), dtype=np.int64)
        self._in_iov[:, 0] = _pointer(inbox.data) + np.arange(rows) * inbox.data.strides[0]
        self._in_iov[:, 1] = MAX_DATAGRAM
        self.incoming = np.zeros((rows, 8), dtype=np.int64)
        self.incoming[:, _NAME] = _pointer(inbox.addresses) + np.arange(rows) * ADDRESS
        self.incoming[:, _IOV] = _pointer(self._in_iov) + np.arange(rows) * 16
        self.incoming[:, _IOV_LENGTH] = 1
        self.incoming[:, _CONTROL] = _pointer(inbox.control) + np.arange(rows) * _CONTROL_BYTES
        self._out_iov = np.zeros((rows, 2), dtype=np.int64)
        self.outgoing = np.zeros((rows, 8), dtype=np.int64)
        self.outgoing[:, _IOV] = _pointer(self._out_iov) + np.arange(rows) * 16
        self.outgoing[:, _IOV_LENGTH] = 1
        self._rows = np.array(
            [_pointer(outbox.data), outbox.data.strides[0], _pointer(inbox.addresses), ADDRESS],
            dtype=np.int64,
        )

    def arm(self, rows: int) -> None:
        """Say again how much room the first `rows` headers have; the kernel overwrites it."""
        self.incoming[:rows, _NAME_LENGTH] = _NAME_BYTES
        self.incoming[:rows, _CONTROL_LENGTH] = _CONTROL_BYTES

    def gather(self, first: int, last: int, name_length: int) -> int:
        """Line up the responses first … last-1 for sending; gives how many there are."""
        count = int(_gather(self.outbox.lengths, self._out_iov, self.outgoing, self._rows, first, last))
        self.outgoing[:count, _NAME_LENGTH] = name_length
        return count


class DatagramSocket:
    """One UDP socket of the loop.

    Args:
        host, port: where to listen; port 0 lets the kernel choose.
        index: the socket's number within its loop, written into every address row.
    """

    def __init__(self, host: str, port: int, index: int) -> None:
        self.host, self.asked_port, self.index = host, port, index
        self._socket: socket.socket | None = None
        self._armed = False

    def open(self) -> None:
        """Bind. Raises OSError."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        opened = socket.socket(family, socket.SOCK_DGRAM)
        try:
            opened.setblocking(False)  # noqa: FBT003  # the standard library's own signature
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_BUFFER)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER)
            for name in ("SO_RCVBUFFORCE", "SO_SNDBUFFORCE"):
                # Root may exceed the system's limit; anybody else keeps what was granted above.
                with contextlib.suppress(OSError):
                    opened.setsockopt(
                        socket.SOL_SOCKET, {"SO_RCVBUFFORCE": 33, "SO_SNDBUFFORCE": 32}[name], _SOCKET_BUFFER
                    )
            opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            if family == socket.AF_INET6:
                opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            opened.bind((self.host, self.asked_port))
        except OSError:
            opened.close()
            raise
        self._socket = opened
        self._family = family
        self._name_length = 16 if family == socket.AF_INET else _NAME_BYTES

    def close(self) -> None:
        """Stop listening."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    @property
    def socket(self) -> socket.socket:
        """The socket; only while open."""
        assert self._socket is not None  # noqa: S101  # callers hold an open server
        return self._socket

    @property
    def port(self) -> int:
        """The bound port."""
        return int(self.socket.getsockname()[1])

    def dropped(self) -> int:
        """Datagrams that the kernel dropped because the buffer was full, since the socket was opened."""
        raw = self.socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 64)
        return int.from_bytes(raw[4 * _MEMINFO_DROPS : 4 * _MEMINFO_DROPS + 4], "little")

    def receive(self, buffers: DatagramBuffers, rows: int = BATCH) -> int:
        """Fill the inbox with what waits, at most `rows`; gives how many datagrams came (0 when none waits)."""
        buffers.arm(rows)
        count = _recvmmsg(self.socket.fileno(), _pointer(buffers.incoming), rows, socket.MSG_DONTWAIT, None)
        if count <= 0:
            return 0
        buffers.inbox.lengths[:count] = buffers.incoming[:count, _LENGTH] & 0xFFFFFFFF
        buffers.inbox.addresses[:count, SOCKET_AT] = self.index
        return int(count)

    def send_outbox(self, buffers: DatagramBuffers, first: int, last: int) -> int:
        """Send the outbox's responses first … last-1 to where their requests came from; gives how many went out."""
        count = buffers.gather(first, last, self._name_length)
        sent, at, size = 0, 0, buffers.outgoing.strides[0]
        while at < count:
            done = _sendmmsg(self.socket.fileno(), _pointer(buffers.outgoing) + at * size, count - at, 0)
            if done > 0:
                sent += done
                at += done
            elif ctypes.get_errno() in _SKIPPED:
                at += 1
            else:
                # The send buffer is full: the rest is lost as on any network, and asked for again.
                break
        return sent

    def address_row(self, address: tuple[str, int]) -> NDArray[np.uint8]:
        """An address as a row of an inbox's addresses."""
        host, port = address
        row = np.zeros(ADDRESS, dtype=np.uint8)
        row[0], row[SOCKET_AT] = self._family, self.index
        row[2], row[3] = port >> 8, port & 255
        packed = socket.inet_pton(self._family, host)
        start = 4 if self._family == socket.AF_INET else 8
        row[start : start + len(packed)] = np.frombuffer(packed, dtype=np.uint8)
        return row

    def send(self, data: bytes, address: tuple[str, int]) -> bool:
        """Send one datagram; False where the network would not take it."""
        try:
            self.socket.sendto(data, address)
        except OSError:
            return False
        return True


def address_of(row: NDArray[np.uint8]) -> tuple[str, int]:
    """(address, port) of a socket address row."""
    port = int(row[2]) << 8 | int(row[3])
    if int(row[0]) == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, row[4:8].tobytes()), port
    text = socket.inet_ntop(socket.AF_INET6, row[8:24].tobytes())
    return text, port
