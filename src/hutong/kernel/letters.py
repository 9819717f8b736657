"""One-time codes on their way to telephone numbers: what is sent, the ports that bring it, the postbox in front.

Codes go out behind the answers, so that neither what is said nor how long it takes tells anything of a number.
"""

from __future__ import annotations

import os
import queue
import threading
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from hutong.kernel.errors import HutongError
from hutong.kernel.webhooks import UnreachedError, is_taken, post_signed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hutong.kernel.clock import Clock

PATIENCE_S: Final = 10.0
#: Codes that wait to be sent; more than these are not taken.
WAITING: Final = 200


class CodeError(HutongError):
    """A code was not sent."""


class Letter(msgspec.Struct, frozen=True):
    """What is sent to a number.

    Attributes:
        id: the same for a repetition. number: E.164 with +. code: six digits.
        minutes: how long it is good. language: of the text. text: what is read or said.
    """

    id: str
    number: str
    code: str
    minutes: int
    language: str
    text: str


class CodePort(Protocol):
    """Brings a code to a telephone number: by message, or read out in a call."""

    name: str

    def send(self, letter: Letter) -> None:
        """Send one.

        Raises:
            CodeError: it was not taken.
        """


class FileCodes:
    """Appends a line of JSON for each code: for trying things out, where no gateway is.

    Args:
        path: the file, made for its owner alone; its folder must exist.
    """

    name = "file"

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, letter: Letter) -> None:
        """See `CodePort.send`."""
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, msgspec.json.encode(letter) + b"\n")
            finally:
                os.close(descriptor)
        except OSError as error:
            raise CodeError(f"The code cannot be written: {error.strerror}.", where=str(self._path)) from error


class WebhookCodes:
    """Posts each code to a gateway for messages or calls, signed as alerts are (docs/alerts.md).

    Args:
        secret: shared with the gateway.
    """

    name = "webhook"

    def __init__(self, url: str, secret: str, clock: Clock) -> None:
        self._url, self._secret, self._clock = url, secret.encode(), clock

    def send(self, letter: Letter) -> None:
        """See `CodePort.send`."""
        body, wall_ns = msgspec.json.encode(letter), self._clock.wall()
        try:
            status = post_signed(self._url, self._secret, letter.id, body, wall_ns, PATIENCE_S)
        except UnreachedError as error:
            raise CodeError(f"The gateway was not reached: {error}") from error
        if not is_taken(status):
            raise CodeError(f"The gateway answered {status}.")


class NoCodes:
    """Where no port is named in the settings: nothing can be sent.

    Args:
        settings: which would name one.
    """

    name = "none"

    def __init__(self, settings: str) -> None:
        self._settings = settings

    def send(self, letter: Letter) -> None:  # noqa: ARG002  # see `CodePort.send`
        """See `CodePort.send`."""
        raise CodeError("No way to send codes is set.", fix=f"Set {self._settings}.")


class Postbox:
    """Sends codes behind the answers, from threads of its own.

    Args:
        port: where they go. note: told "sent" or "failed", and why.
        threads: how many are sent at once; 0 = at once, in the asker's own thread.
    """

    def __init__(self, port: CodePort, note: Callable[[str, str], None], threads: int = 4) -> None:
        self._port, self._note, self._threads = port, note, threads
        self._waiting: queue.Queue[Letter | None] = queue.Queue(WAITING)
        self._begun: list[threading.Thread] = []
        self._lock = threading.Lock()

    @property
    def ready(self) -> bool:
        """Whether codes can be sent at all."""
        return not isinstance(self._port, NoCodes)

    def put(self, letter: Letter) -> bool:
        """Let a code be sent; False where too many wait."""
        if not self._threads:
            self._send(letter)
            return True
        with self._lock:
            if not self._begun:
                for _ in range(self._threads):
                    self._begun.append(threading.Thread(target=self._run, name="one-time-codes", daemon=True))
                    self._begun[-1].start()
        try:
            self._waiting.put_nowait(letter)
        except queue.Full:
            return False
        return True

    def _run(self) -> None:
        while (letter := self._waiting.get()) is not None:
            self._send(letter)

    def _send(self, letter: Letter) -> None:
        try:
            self._port.send(letter)
        except CodeError as error:
            self._note("failed", str(error))
        except Exception as error:  # noqa: BLE001  # a thread that ended would send no code to anybody any more
            self._note("failed", type(error).__name__)
        else:
            self._note("sent", "")

    def close(self) -> None:
        """Let the threads end when they have sent what waits."""
        with self._lock:
            for _ in self._begun:
                try:
                    self._waiting.put_nowait(None)
                except queue.Full:
                    return
            self._begun = []
