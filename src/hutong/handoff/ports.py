"""The port to the dissuasion desk: a webhook, a file, or memory for tests.

A webhook gets `POST` with a JSON body (`model.Told`) and these headers:

    Idempotency-Key    the hand-off's id, the same for every repetition
    Hutong-Signature   t=SECONDS,v1=HEX: HMAC-SHA-256 with the shared secret over SECONDS, a dot and the body
"""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import TYPE_CHECKING, Final, Protocol

import httpx
import msgspec

from hutong.kernel.errors import HutongError

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.handoff.model import Told
    from hutong.kernel.clock import Clock

PATIENCE_S: Final = 5.0
_NS: Final = 1_000_000_000
_UNPROCESSABLE: Final = (400, 413, 415, 422)


class DeskError(HutongError):
    """The desk did not take a hand-off; it may later."""


class DeskRefusedError(HutongError):
    """The desk will never take this hand-off: it says that the message itself is wrong."""


class HandoffPort(Protocol):
    """Takes hand-offs."""

    name: str

    def deliver(self, told: Told) -> None:
        """Take one; when it returns, it is safe with the desk.

        Raises:
            DeskError: it was not taken and is to be brought again.
            DeskRefusedError: it never will be.
        """


class MemoryDesk:
    """Keeps hand-offs in this process: for parts tried without a desk.

    Args:
        troubles: raised by the first deliveries, one each.
    """

    name = "memory"

    def __init__(self, *troubles: HutongError) -> None:
        self.got: list[Told] = []
        self._troubles = list(troubles)

    def deliver(self, told: Told) -> None:
        """See `HandoffPort.deliver`."""
        if self._troubles:
            raise self._troubles.pop(0)
        self.got.append(told)


class FileDesk:
    """Appends a line of JSON for each hand-off, on disk when `deliver` returns.

    Args:
        path: the file, made for its owner alone; its folder must exist.
    """

    name = "file"

    def __init__(self, path: Path) -> None:
        self._path = path

    def deliver(self, told: Told) -> None:
        """See `HandoffPort.deliver`."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                # A line that a kill cut off must not swallow this one.
                end = os.fstat(descriptor).st_size
                torn = end > 0 and os.pread(descriptor, 1, end - 1) != b"\n"
                os.write(descriptor, (b"\n" if torn else b"") + msgspec.json.encode(told) + b"\n")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise DeskError(f"The hand-off cannot be written: {error.strerror}.", where=str(self._path)) from error


class WebhookDesk:
    """Posts each hand-off to an address.

    Args:
        secret: shared with the desk. clock: the time, for the signature.
    """

    name = "webhook"

    def __init__(self, url: str, secret: str, clock: Clock) -> None:
        self._url, self._secret, self._clock = url, secret.encode(), clock

    def deliver(self, told: Told) -> None:
        """See `HandoffPort.deliver`."""
        body = msgspec.json.encode(told)
        seconds = str(self._clock.wall() // _NS)
        mark = hmac.new(self._secret, seconds.encode() + b"." + body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "Idempotency-Key": told.id}
        headers["Hutong-Signature"] = f"t={seconds},v1={mark}"
        try:
            # The environment's proxies are for people's browsers.
            answer = httpx.post(self._url, content=body, headers=headers, timeout=PATIENCE_S, trust_env=False)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise DeskError(f"The desk was not reached: {type(error).__name__}.") from error
        if answer.status_code in _UNPROCESSABLE:
            raise DeskRefusedError(f"The desk answered {answer.status_code} to {told.id}.")
        if not answer.is_success:
            raise DeskError(f"The desk answered {answer.status_code}.")
