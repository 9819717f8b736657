"""A message posted to somebody's address, signed, with a key that tells repetitions; what is answered is not read.

Idempotency-Key    the message's id, the same for every repetition
Hutong-Signature   t=SECONDS,v1=HEX: HMAC-SHA-256 with the shared secret over SECONDS, a dot and the body

Here and nowhere else: alerts, notices of cases, one-time codes and hand-offs all go this way.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import socket
import ssl
import threading
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from hutong.kernel.errors import HutongError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from urllib.parse import SplitResult

_NS: Final = 1_000_000_000
_SUCCESS: Final = range(200, 300)
#: The message itself is wrong: the same again would be too.
_UNPROCESSABLE: Final = frozenset({400, 413, 415, 422})


class UnreachedError(HutongError):
    """Nobody answered at the address."""


def post_signed(  # a message's own parts
    url: str,
    secret: bytes,
    id_: str,
    body: bytes,
    wall_ns: int,
    patience_s: float,
    tls: ssl.SSLContext | None = None,
) -> int:
    """Post JSON; gives the status of the answer, which is not followed where it leads elsewhere.

    Args:
        secret: shared with the receiver. id_: the message's. wall_ns: the time, ns since 1970.
        patience_s: after so long the line is cut, however slowly the receiver goes on.
        tls: whom to trust; the system's authorities unless given.

    Raises:
        UnreachedError: there was no answer in time.
    """
    seconds = str(wall_ns // _NS)
    mark = hmac.new(secret, seconds.encode() + b"." + body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "Idempotency-Key": id_}
    headers["Hutong-Signature"] = f"t={seconds},v1={mark}"
    try:
        place = urlsplit(url)
        connection = _connection(place, patience_s, tls)
        with closing(connection), cut_off(lambda: connection.sock, patience_s):
            connection.request("POST", _target(place), body, headers)
            return connection.getresponse().status
    # ValueError: the address is none, which only who wrote it can mend.
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UnreachedError(f"Nobody answered: {type(error).__name__}.") from error


def is_taken(status: int) -> bool:
    """Whether an answer says that the message is safe with the receiver."""
    return status in _SUCCESS


def is_refused(status: int) -> bool:
    """Whether an answer says that the receiver will never take this message."""
    return status in _UNPROCESSABLE


def _connection(place: SplitResult, patience_s: float, tls: ssl.SSLContext | None) -> http.client.HTTPConnection:
    host, port = place.hostname or "", place.port
    if place.scheme == "https":
        context = tls or ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=patience_s, context=context)
    return http.client.HTTPConnection(host, port, timeout=patience_s)


def _target(place: SplitResult) -> str:
    path = place.path or "/"
    return f"{path}?{place.query}" if place.query else path


@contextmanager
def cut_off(line: Callable[[], socket.socket | None], after_s: float) -> Iterator[None]:
    """Cut a line after so long: a time-out of each reading alone lasts for ever with who sends a letter a second.

    Raises:
        TimeoutError: it was cut; what looked like an answer may have been half of one.
    """
    over = threading.Event()

    def cut() -> None:
        over.set()
        connected = line()
        if connected is not None:
            with suppress(OSError):
                # Past TLS, which would say good-bye first and wait for an answer.
                socket.socket.shutdown(connected, socket.SHUT_RDWR)

    timer = threading.Timer(after_s, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
    if over.is_set():
        raise TimeoutError
