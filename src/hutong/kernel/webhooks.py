"""A message posted to somebody's address, signed, with a key that tells repetitions; its answer is read where asked.

Idempotency-Key    the message's id, the same for every repetition
Hutong-Signature   t=SECONDS,v1=HEX: HMAC-SHA-256 with the shared secret over SECONDS, a dot and the body

Here and nowhere else: alerts, notices of cases, one-time codes, hand-offs and questions to operators go this way.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import socket
import ssl
import threading
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

from hutong.kernel.errors import HutongError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from urllib.parse import SplitResult

SIGNATURE: Final = "Hutong-Signature"
LONGEST_ANSWER: Final = 4096
_NS: Final = 1_000_000_000
_SUCCESS: Final = range(200, 300)
#: The message itself is wrong: the same again would be too.
_UNPROCESSABLE: Final = frozenset({400, 413, 415, 422})


Read = TypeVar("Read")


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
    return _posted(url, secret, id_, body, wall_ns, patience_s, tls, lambda answer: answer.status)


def ask_signed(
    url: str, secret: bytes, id_: str, body: bytes, wall_ns: int, patience_s: float, tls: ssl.SSLContext | None = None
) -> bytes:
    """Ask by JSON, as `post_signed` does; gives the answer's body.

    The answer is signed too: `Hutong-Signature: v1=HEX`, HMAC-SHA-256 over the question's id, a dot and the body.

    Raises:
        UnreachedError: there was no answer in time, or none that the receiver signed.
    """

    def read(answer: http.client.HTTPResponse) -> tuple[int, str, bytes]:
        return answer.status, answer.getheader(SIGNATURE, ""), answer.read(LONGEST_ANSWER + 1)

    status, mark, said = _posted(url, secret, id_, body, wall_ns, patience_s, tls, read)
    if not is_taken(status) or len(said) > LONGEST_ANSWER:
        raise UnreachedError(f"There was no answer of use: status {status}.")
    if not hmac.compare_digest(mark.encode(), answer_mark(secret, id_, said).encode()):
        raise UnreachedError("The answer is not signed by whoever was asked.")
    return said


def answer_mark(secret: bytes, id_: str, body: bytes) -> str:
    """The signature of an answer to the question of this id."""
    return f"v1={hmac.new(secret, id_.encode() + b'.' + body, hashlib.sha256).hexdigest()}"


def _posted(  # a message's own parts
    url: str,
    secret: bytes,
    id_: str,
    body: bytes,
    wall_ns: int,
    patience_s: float,
    tls: ssl.SSLContext | None,
    read: Callable[[http.client.HTTPResponse], Read],
) -> Read:
    seconds = str(wall_ns // _NS)
    mark = hmac.new(secret, seconds.encode() + b"." + body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "Idempotency-Key": id_, SIGNATURE: f"t={seconds},v1={mark}"}
    try:
        place = urlsplit(url)
        connection = _connection(place, patience_s, tls)
        with closing(connection), cut_off(lambda: connection.sock, patience_s):
            connection.request("POST", _target(place), body, headers)
            return read(connection.getresponse())
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
