"""Who is told of what, and the port through which notices go: a file, e-mail, a webhook.

Notices are written in the transaction of the event that they tell of, and brought afterwards, at least once; each has
an id that never changes. A title may hold a telephone number, so it is masked before it leaves the house.

A webhook gets `POST` with a JSON body, signed and with the notice's id (`kernel.webhooks`).
"""

from __future__ import annotations

import os
import smtplib
import ssl
from email.message import EmailMessage
from typing import TYPE_CHECKING, Final, Literal, Protocol

import msgspec

from hutong.kernel.cases.calendar import show_moment
from hutong.kernel.cases.errors import CaseError
from hutong.kernel.cases.model import State  # noqa: TC001  # msgspec reads it
from hutong.kernel.cases.table import STATE_TITLES
from hutong.kernel.reporter import mask_text
from hutong.kernel.webhooks import UnreachedError, cut_off, is_taken, post_signed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from hutong.kernel.cases.model import Action, Case, CaseEvent
    from hutong.kernel.cases.types import CaseType

#: How long a receiver may take in all, seconds.
PATIENCE_S: Final = 10.0
_TEMPORARY: Final = range(400, 500)
Why = Literal["assigned", "returned", "countersign", "reminder", "escalation", "supervised", "reopened"]

_WHY: Final[Mapping[Action, Why]] = {
    "assign": "assigned",
    "transfer": "assigned",
    "return": "returned",
    "remind": "reminder",
    "escalate": "escalation",
    "supervise": "supervised",
    "reopen": "reopened",
}
_SUBJECTS: Final[Mapping[Why, tuple[str, str]]] = {
    "assigned": ("新派案件", "A case for you"),
    "returned": ("案件退回", "A case was sent back"),
    "countersign": ("等待会签", "A case waits for a second person"),
    "reminder": ("即将到期", "A case is due soon"),
    "escalation": ("超期督办", "A case is late"),
    "supervised": ("督办", "A case is supervised"),
    "reopened": ("案件重开", "A case was opened again"),
}


class Notice(msgspec.Struct, frozen=True):
    """What somebody is told.

    Attributes:
        id: the case's id and the number of its event. recipient: "account:NAME", "unit:NAME", or "chain:STEP".
        due: when something must be done next, in China's time; empty where nothing is awaited.
    """

    id: str
    recipient: str
    why: Why
    case: str
    type: str
    title: str
    state: State
    level: int
    due: str
    reason: str = ""


def notices_of(kind: CaseType, event: CaseEvent, before: Case | None, after: Case) -> list[Notice]:
    """Whom an event is told to, and what."""
    waits = after.pending is not None and (before is None or before.pending is None)
    why = "countersign" if waits else _WHY.get(event.action)
    if why is None:
        return []
    due_ms = after.next_due_ms
    return [
        Notice(
            id=f"{event.case}.{event.seq}",
            recipient=recipient,
            why=why,
            case=after.id,
            type=after.type,
            title=mask_text(after.title),
            state=after.state,
            level=after.level,
            due=show_moment(due_ms) if due_ms else "",
            reason=mask_text(str(event.said.get("reason", ""))),
        )
        for recipient in _recipients(kind, why, before, after)
    ]


def _recipients(kind: CaseType, why: Why, before: Case | None, after: Case) -> list[str]:
    """The account where there is one, else the unit; the chain's steps that were reached."""
    own = [f"account:{after.owner}"] if after.owner else [f"unit:{after.unit}"] if after.unit else []
    match why:
        case "escalation" | "supervised":
            reached = kind.chain[before.level if before else 0 : after.level]
            steps = [f"unit:{after.unit}" if step.to == "unit" else f"chain:{step.to}" for step in reached]
            return [step for step in steps if step != "unit:"] or own or ["chain:duty"]
        case "countersign" | "returned":
            return ["chain:duty", *(own if why == "returned" else [])]
        case _:
            return own or ["chain:duty"]


class NoticeError(CaseError):
    """A notice was not taken; it is brought again later."""


class NoticeUnreachedError(NoticeError):
    """Nobody answered: the next notice would wait as long for nothing."""


class NoticePort(Protocol):
    """Takes notices."""

    name: str

    def deliver(self, notice: Notice) -> None:
        """Take one; when it returns, it is safe with the receiver.

        Raises:
            NoticeError: it was not taken and is to be brought again.
        """


class MemoryNotices:
    """Keeps notices in this process: for parts tried without a receiver.

    Args:
        troubles: raised by the first deliveries, one each.
    """

    name = "memory"

    def __init__(self, *troubles: NoticeError) -> None:
        self.got: list[Notice] = []
        self._troubles = list(troubles)

    def deliver(self, notice: Notice) -> None:
        """See `NoticePort.deliver`."""
        if self._troubles:
            raise self._troubles.pop(0)
        self.got.append(notice)


class FileNotices:
    """Appends a line of JSON for each notice, on disk when `deliver` returns.

    Args:
        path: the file; its folder must exist.
    """

    name = "file"

    def __init__(self, path: Path) -> None:
        self._path = path

    def deliver(self, notice: Notice) -> None:
        """See `NoticePort.deliver`."""
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with open(descriptor, "ab", buffering=0) as file:  # noqa: PTH123  # a descriptor, not a path
                # One write: a kill leaves the whole line or none. Where the disk is full, the part is taken back.
                line, before = msgspec.json.encode(notice) + b"\n", os.fstat(descriptor).st_size
                whole = file.write(line) == len(line)
                if not whole:
                    os.ftruncate(descriptor, before)
                os.fsync(descriptor)
        except OSError as error:
            raise NoticeError(f"The notice cannot be written: {error.strerror}.", where=str(self._path)) from error
        if not whole:
            raise NoticeError("The notice cannot be written: the disk is full.", where=str(self._path))


class WebhookNotices:
    """Posts each notice to an address; an answer that leads elsewhere is not followed.

    Args:
        secret: shared with the receiver. wall: the time, ns since 1970.
        patience_s: after so long the line is cut, however slowly the receiver goes on.
        tls: whom to trust; the system's authorities unless given.
    """

    name = "webhook"

    def __init__(
        self,
        url: str,
        secret: str,
        wall: Callable[[], int],
        patience_s: float = PATIENCE_S,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._url, self._secret, self._wall = url, secret.encode(), wall
        self._patience_s, self._tls = patience_s, tls

    def deliver(self, notice: Notice) -> None:
        """See `NoticePort.deliver`."""
        body = msgspec.json.encode(notice)
        try:
            status = post_signed(self._url, self._secret, notice.id, body, self._wall(), self._patience_s, self._tls)
        except UnreachedError as error:
            raise NoticeUnreachedError(f"The webhook cannot be reached: {error}") from error
        if not is_taken(status):
            raise NoticeError(f"The webhook answered {status}.")


class Mailbox(msgspec.Struct, frozen=True):
    """Where letters are handed in: host:port of an SMTP server, and the sender; user and password where it asks."""

    host: str
    port: int
    sender: str
    user: str = ""
    password: str = ""
    tls: bool = True


class MailNotices:
    """Sends each notice as a letter to those who stand for its recipient; nobody stands for it = nothing is sent.

    Args:
        addresses: e-mail addresses of recipients. patience_s, tls: as of `WebhookNotices`.
    """

    name = "mail"

    def __init__(
        self,
        mailbox: Mailbox,
        addresses: Mapping[str, Sequence[str]],
        patience_s: float = PATIENCE_S,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._box, self._addresses = mailbox, addresses
        self._patience_s, self._tls = patience_s, tls

    def deliver(self, notice: Notice) -> None:
        """See `NoticePort.deliver`."""
        to = self._addresses.get(notice.recipient, ())
        if not to:
            return
        try:
            refused = self._send(letter_of(notice, self._box.sender, to))
        except (OSError, ValueError) as error:  # ValueError: an address or a password that cannot be sent
            left = isinstance(error, smtplib.SMTPServerDisconnected)
            answered = isinstance(error, smtplib.SMTPException | ValueError) and not left
            kind = NoticeError if answered else NoticeUnreachedError
            raise kind(f"The letter was not taken: {type(error).__name__}.", where=self._box.host) from error
        later = [code for code, _ in refused.values() if code in _TEMPORARY]
        if later:
            raise NoticeError(f"The letter was not taken for {len(later)} of {len(to)} yet.", where=self._box.host)

    def _send(self, letter: EmailMessage) -> dict[str, tuple[int, bytes]]:
        """Hand a letter in; returns those whom it was not taken for, where it was for others."""
        server = smtplib.SMTP(timeout=self._patience_s)
        server._host = self._box.host  # type: ignore[attr-defined]  # noqa: SLF001  # STARTTLS checks this name, which only the constructor takes
        with cut_off(lambda: server.sock, self._patience_s), server:
            server.connect(self._box.host, self._box.port)
            if self._box.tls:
                server.starttls(context=self._tls or ssl.create_default_context())
            if self._box.user:
                server.login(self._box.user, self._box.password)
            return server.send_message(letter)


def letter_of(notice: Notice, sender: str, to: Sequence[str]) -> EmailMessage:
    """A notice as a letter, in both languages."""
    zh, en = _SUBJECTS[notice.why]
    title = " ".join(notice.title.split())
    letter = EmailMessage()
    letter["Subject"] = f"[护通] {zh} {en}: {title}"
    letter["From"], letter["To"] = sender, ", ".join(to)
    letter["Message-ID"] = f"<{notice.id}@hutong>"
    state = STATE_TITLES[notice.state]
    lines = [
        f"{zh} / {en}",
        f"案件 case: {notice.case}",
        f"标题 title: {title}",
        f"状态 state: {state['zh']} {state['en']}",
        f"期限 due: {notice.due or '-'}",
        f"督办 level: {notice.level}",
    ]
    lines += [f"说明 reason: {notice.reason}"] if notice.reason else []
    letter.set_content("\n".join(lines) + "\n")
    return letter
