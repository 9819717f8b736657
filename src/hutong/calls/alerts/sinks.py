"""To whom alerts go outside this node: the port, a file, a webhook, and the courier that brings them.

At least once and in order: the courier's place moves on when a sink has taken an event, so a kill at any moment repeats
one at most, and every message names its event by an id that never changes. Nothing here is near screening.

A webhook gets `POST` with a JSON body, signed and with the event's id (`kernel.webhooks`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from hutong.calls.alerts.record import alert_id
from hutong.kernel.errors import HutongError
from hutong.kernel.numbering import digits_of
from hutong.kernel.reporter import rfc3339_ms
from hutong.kernel.webhooks import UnreachedError, is_refused, is_taken, post_signed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from hutong.calls.alerts.table import AlertEvent, AlertRow, AlertTable
    from hutong.kernel.clock import Clock

#: Events that are fetched at once.
AT_ONCE: Final = 100
#: How long a webhook may take, seconds.
PATIENCE_S: Final = 5.0
#: The first wait after a failure and the longest, ns; each is twice the one before.
FIRST_WAIT: Final = 200_000_000
LONGEST_WAIT: Final = 60_000_000_000


class SinkError(HutongError):
    """A sink did not take a message; it may later."""


class SinkRefusedError(HutongError):
    """A sink will never take this message: it says that the message itself is wrong."""


class Party(msgspec.Struct, frozen=True):
    """A number: its whole canonical digits with country code, and the key that Hutong keeps it under."""

    number: str
    key: int


class AlertTold(msgspec.Struct, frozen=True):
    """One alert as others are told of it; names and units as in docs/alerts.md."""

    id: str
    kind: str
    rule: str
    version: int
    stage: str
    time: str
    caller: Party
    callee: Party
    trunk: str
    call_id: str
    verdict: int
    answered: bool
    ring_s: float
    talk_s: float
    values: dict[str, float | str | bool]
    ended: str | None = None
    outcome: str = ""
    release: int = 0


class AlertMessage(msgspec.Struct, frozen=True):
    """What goes to a sink: an event and the alerts that it is about.

    Attributes:
        id: the event's, for ever. event: "raised", "ended" or "lost". node: this node's name. time: RFC 3339.
        alerts: those that it is about; of a call that ended, all that were raised on it.
    """

    id: str
    event: str
    node: str
    time: str
    alerts: tuple[AlertTold, ...]


class AlertSink(Protocol):
    """Takes messages about alerts."""

    name: str

    def deliver(self, message: AlertMessage) -> None:
        """Take one message; when it returns, the message is safe with the receiver.

        Raises:
            SinkError: it was not taken and is to be brought again.
            SinkRefusedError: it never will be.
        """


def told(node: str, row: AlertRow) -> AlertTold:
    """An alert in the form in which others are told of it, with whole numbers."""
    return AlertTold(
        id=alert_id(node, row.seq),
        kind=row.kind,
        rule=row.rule,
        version=row.version,
        stage=row.stage,
        time=rfc3339_ms(row.time_ms),
        caller=Party(digits_of(row.caller), row.caller),
        callee=Party(digits_of(row.callee), row.callee),
        trunk=row.trunk,
        call_id=row.call_id,
        verdict=row.verdict,
        answered=row.answered,
        ring_s=row.ring_ms / 1000,
        talk_s=(row.talk_ms if row.goes_on else row.total_ms) / 1000,
        values=row.figures,
        ended=None if row.goes_on else rfc3339_ms(row.ended_ms),
        outcome=row.end_phase,
        release=row.release,
    )


def message_of(node: str, event: AlertEvent, rows: Sequence[AlertRow]) -> AlertMessage:
    """What is said of an event."""
    alerts = tuple(told(node, row) for row in rows)
    return AlertMessage(alert_id(node, event.seq), event.phase, node, rfc3339_ms(event.time_ms), alerts)


class MemorySink:
    """Keeps messages in this process: for parts tried without a receiver.

    Args:
        troubles: raised by the first deliveries, one each.
    """

    name = "memory"

    def __init__(self, *troubles: HutongError) -> None:
        self.got: list[AlertMessage] = []
        self._troubles = list(troubles)

    def deliver(self, message: AlertMessage) -> None:
        """See `AlertSink.deliver`."""
        if self._troubles:
            raise self._troubles.pop(0)
        self.got.append(message)


class FileSink:
    """Appends a line of JSON for each message, on disk when `deliver` returns.

    Args:
        path: the file; its folder must exist.
    """

    name = "file"

    def __init__(self, path: Path) -> None:
        self._path = path

    def deliver(self, message: AlertMessage) -> None:
        """See `AlertSink.deliver`."""
        try:
            with self._path.open("a+b") as file:
                # A line that a kill cut off must not swallow this one.
                end = file.seek(0, os.SEEK_END)
                torn = end > 0 and os.pread(file.fileno(), 1, end - 1) != b"\n"
                file.write((b"\n" if torn else b"") + msgspec.json.encode(message) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise SinkError(
                f"the alert cannot be written: {error.strerror}.", where=str(self._path), fix="Free space on this disk."
            ) from error


class WebhookSink:
    """Posts each message to one address.

    Args:
        url: where to. secret: signs the body. clock: the time, for the signature.
    """

    name = "webhook"

    def __init__(self, url: str, secret: str, clock: Clock) -> None:
        self._url, self._secret, self._clock = url, secret.encode(), clock

    def deliver(self, message: AlertMessage) -> None:
        """See `AlertSink.deliver`."""
        body, wall_ns = msgspec.json.encode(message), self._clock.wall()
        try:
            status = post_signed(self._url, self._secret, message.id, body, wall_ns, PATIENCE_S)
        except UnreachedError as error:
            what = f"the webhook was not reached: {error}"
            raise SinkError(what, fix="Is the receiver up, and reachable from this node?") from error
        if is_refused(status):
            raise SinkRefusedError(f"the webhook answered {status} to {message.id}.", fix="Look into its own log.")
        if not is_taken(status):
            raise SinkError(f"the webhook answered {status}.", fix="Look into its own log.")


class Courier:
    """Brings events to one sink, from its own place on; a polling object without a thread.

    Args:
        table: where events are. sink: to whom. node: this node's name.
        places: an existing folder that keeps how far each sink is.
        note: told of what happens: "delivered", "failed" or "refused", the event, and why.
    """

    def __init__(
        self,
        table: AlertTable,
        sink: AlertSink,
        node: str,
        places: Path,
        note: Callable[[str, AlertEvent, str], None],
    ) -> None:
        self._table, self._sink, self._node, self._note = table, sink, node, note
        self._file = places / f"place-{sink.name}"
        self._place: int | None = None
        self._wait = 0
        self._not_before = 0

    @property
    def place(self) -> int:
        """The last event that the sink has; 0 before the first."""
        if self._place is None:
            try:
                self._place = int(self._file.read_text(encoding="ascii"))
            except (FileNotFoundError, ValueError):
                self._place = 0
        return self._place

    def run(self, now: int) -> int:
        """Bring what is due; gives how many events the sink has taken. Waits only for the sink.

        Args:
            now: ns of a clock that does not go back, as at the beginning.

        Raises:
            HutongError: the table cannot be read.
            OSError: the place cannot be kept; the last event may come again.
        """
        if now < self._not_before:
            return 0
        events = self._table.events(self.place, AT_ONCE, "alert")
        rows = {row.seq: row for row in self._table.by_seqs([seq for event in events for seq in event.alerts])}
        for count, event in enumerate(events):
            if not self._bring(event, rows, now):
                return count
        return len(events)

    def _bring(self, event: AlertEvent, rows: Mapping[int, AlertRow], now: int) -> bool:
        told_of = [rows[seq] for seq in event.alerts if seq in rows and rows[seq].stage == "alert"]
        try:
            if told_of:
                self._sink.deliver(message_of(self._node, event, told_of))
        except SinkRefusedError as error:
            self._note("refused", event, str(error))
        except SinkError as error:
            self._wait = min(max(2 * self._wait, FIRST_WAIT), LONGEST_WAIT)
            self._not_before = now + self._wait
            self._note("failed", event, str(error))
            return False
        else:
            if told_of:
                self._note("delivered", event, "")
        self._wait = 0
        self._keep(event.seq)
        return True

    def _keep(self, seq: int) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{seq}\n", encoding="ascii")
        fresh.replace(self._file)
        self._place = seq
