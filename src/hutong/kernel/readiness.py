"""How a process tells whoever started it that it is ready: a line into an inherited pipe, or systemd's own message.

`hutong up` gives each process a pipe. Who was started by systemd finds a socket's name instead (sd_notify(3)); the
processes of `hutong up` see that name too, but speak for themselves only to their pipe.
"""

from __future__ import annotations

import os
import socket

READY_VARIABLE = "HUTONG_READY_FD"
READY_LINE = b"READY\n"
NOTIFY_VARIABLE = "NOTIFY_SOCKET"
NOTIFY_MESSAGE = b"READY=1"


def announce_ready() -> None:
    """Say it once; where nobody asked to be told, nothing happens."""
    number = os.environ.pop(READY_VARIABLE, "")
    address = os.environ.pop(NOTIFY_VARIABLE, "")
    if number:
        os.write(int(number), READY_LINE)
        os.close(int(number))
    elif address:
        _notify(address)


def _notify(address: str) -> None:
    """An "@" stands for the zero byte before a name that is not in the file system."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as end:
        end.sendto(NOTIFY_MESSAGE, f"\0{address[1:]}" if address.startswith("@") else address)
