"""The port to the dissuasion desk: a webhook, a file, or memory for tests.

A webhook gets `POST` with a JSON body (`model.Told`), signed and with the hand-off's id (`kernel.webhooks`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from hutong.kernel.errors import HutongError
from hutong.kernel.webhooks import UnreachedError, is_refused, is_taken, post_signed

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.handoff.model import Told
    from hutong.kernel.clock import Clock

PATIENCE_S: Final = 5.0


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
        body, wall_ns = msgspec.json.encode(told), self._clock.wall()
        try:
            status = post_signed(self._url, self._secret, told.id, body, wall_ns, PATIENCE_S)
        except UnreachedError as error:
            raise DeskError(f"The desk was not reached: {error}") from error
        if is_refused(status):
            raise DeskRefusedError(f"The desk answered {status} to {told.id}.")
        if not is_taken(status):
            raise DeskError(f"The desk answered {status}.")
