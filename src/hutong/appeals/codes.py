"""One-time codes: sent to a number through a port, kept as hashes, proven at most five times.

Whoever proves a code holds the number. Until then nothing is told of it: every number that can be called in this
country gets a code, whether it is blocked or not, and the code goes out behind the answer, so that neither what is
said nor how long it takes tells anything.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import queue
import secrets
import threading
from typing import TYPE_CHECKING, Final, Protocol

import msgspec
import sqlalchemy as sa

from hutong.appeals.model import AppealRefused
from hutong.kernel.errors import HutongError, StateError
from hutong.kernel.key_files import kept_secret
from hutong.kernel.records import tables
from hutong.kernel.webhooks import UnreachedError, is_taken, post_signed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hutong.kernel.access.refs import Refs
    from hutong.kernel.clock import Clock
    from hutong.kernel.records import Database

#: How long a code is good, and how long what it proved lasts.
CODE_MS: Final = 5 * 60_000
PROOF_MS: Final = 30 * 60_000
TRIES: Final = 5
#: Codes for one number: the most in a quarter of an hour and in a day.
OFTEN: Final = ((3, 15 * 60_000), (8, 24 * 3_600_000))
#: How long rows are kept, for the day's limit.
KEPT_MS: Final = 24 * 3_600_000
PATIENCE_S: Final = 10.0
#: Codes that wait to be sent; more than these are not taken.
WAITING: Final = 200

_DIGITS: Final = 6
_TICKET_BYTES: Final = 24
_LONGEST_TICKET: Final = 64
_SECRET_BYTES: Final = 32
_CODES: Final = tables.appeal_codes


class CodeError(HutongError):
    """A code was not sent."""


class TooManyCodes(HutongError):  # noqa: N818  # says what happened
    """The number has had as many codes as it may, or too many wait to be sent.

    Attributes:
        wait_s: after so long another may be asked for.
    """

    def __init__(self, wait_s: int) -> None:
        super().__init__("Too many codes were asked for.", fix=f"Try again in {wait_s} s.")
        self.wait_s = wait_s


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
    """Where no port is named in the settings: nothing can be sent."""

    name = "none"

    def send(self, letter: Letter) -> None:  # noqa: ARG002  # see `CodePort.send`
        """See `CodePort.send`."""
        raise CodeError("No way to send codes is set.", fix="Set appeals.code_webhook_url or appeals.code_file.")


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
                    self._begun.append(threading.Thread(target=self._run, name="appeal-codes", daemon=True))
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


class Proven(msgspec.Struct, frozen=True):
    """What a proven code stands for: the number's key, and what was appealed with it already."""

    key: int
    appeal: str


class Codes:
    """Codes in the records.

    Args:
        database: opened by whoever made it. refs: names numbers. secret: file of the key of the hashes, made where it
            is missing. postbox: sends.
    """

    def __init__(self, database: Database, refs: Refs, secret: Path, postbox: Postbox) -> None:
        self._database, self._refs, self._file, self.postbox = database, refs, secret, postbox
        self._key = b""

    def issue(self, key: int, number: str, text: Callable[[str, int], str], language: str, now_ms: int) -> str:
        """Send a code to a number; gives the ticket that it must be shown with.

        Args:
            number: E.164 with +. text: makes the words of code and minutes.

        Raises:
            TooManyCodes: the number has had enough, or too many wait. StateError: the key cannot be used.
        """
        ticket, code = secrets.token_urlsafe(_TICKET_BYTES), f"{secrets.randbelow(10**_DIGITS):0{_DIGITS}d}"
        ref = self._refs.ref(key)
        kept, digest = _hashed(ticket), self._digest(ticket, code)
        with self._database.write() as connection:
            self._database.hold(connection, f"appeal-code:{ref}")
            chosen = sa.select(_CODES.c.made_ms).where(_CODES.c.number == ref, _CODES.c.made_ms > now_ms - KEPT_MS)
            made = sorted(connection.execute(chosen).scalars(), reverse=True)
            for most, span in OFTEN:
                if len(made) >= most and (wait_ms := made[most - 1] + span - now_ms) > 0:
                    raise TooManyCodes(-(-wait_ms // 1000))
            row = {"ticket": kept, "number": ref, "digest": digest, "made_ms": now_ms, "tries": 0, "appeal": ""}
            connection.execute(sa.insert(_CODES).values(row))
        letter = Letter(kept[:24], number, code, CODE_MS // 60_000, language, text(code, CODE_MS // 60_000))
        if not self.postbox.put(letter):
            raise TooManyCodes(60)
        return ticket

    def prove(self, ticket: str, code: str, now_ms: int) -> str | None:
        """The proof that a right code is exchanged for; None where it is wrong, too late, or tried too often.

        The try is counted before it is looked at, so that of many at once none is free.
        """
        wanted = "".join(code.split())
        if not ticket or len(ticket) > _LONGEST_TICKET or len(wanted) != _DIGITS or not wanted.isascii():
            return None
        here = _CODES.c.ticket == _hashed(ticket)
        good = sa.and_(here, _CODES.c.tries < TRIES, _CODES.c.made_ms > now_ms - CODE_MS, _CODES.c.proven_ms.is_(None))
        with self._database.write() as connection:
            tried = sa.update(_CODES).where(good).values(tries=_CODES.c.tries + 1).returning(_CODES.c.digest)
            digest = connection.execute(tried).scalar()
        if digest is None or not hmac.compare_digest(digest, self._digest(ticket, wanted)):
            return None
        proof = secrets.token_urlsafe(_TICKET_BYTES)
        with self._database.write() as connection:
            values = {"ticket": _hashed(proof), "proven_ms": now_ms, "digest": ""}
            fresh = sa.update(_CODES).where(here, _CODES.c.proven_ms.is_(None)).values(values)
            return proof if connection.execute(fresh).rowcount == 1 else None

    def proven(self, proof: str, now_ms: int) -> Proven:
        """What a proof stands for.

        Raises:
            AppealRefused: "not-proven": it is none, or too old.
        """
        row = None
        if 0 < len(proof) <= _LONGEST_TICKET:
            good = (_CODES.c.ticket == _hashed(proof), _CODES.c.proven_ms > now_ms - PROOF_MS)
            with self._database.read() as connection:
                row = connection.execute(sa.select(_CODES.c.number, _CODES.c.appeal).where(*good)).one_or_none()
        key = self._refs.key(row.number) if row is not None else None
        if row is None or key is None:
            raise AppealRefused("not-proven", "The number was not proven, or too long ago.", fix="Ask for a new code.")
        return Proven(key, row.appeal)

    def used(self, proof: str, appeal: str) -> None:
        """Remember within the caller's transaction what was appealed with a proof."""
        with self._database.write() as connection:
            connection.execute(sa.update(_CODES).where(_CODES.c.ticket == _hashed(proof)).values(appeal=appeal))

    def forget(self, now_ms: int) -> int:
        """Delete codes of yesterday; returns how many."""
        with self._database.write() as connection:
            return connection.execute(sa.delete(_CODES).where(_CODES.c.made_ms < now_ms - KEPT_MS)).rowcount

    def _digest(self, ticket: str, code: str) -> str:
        if not self._key:
            try:
                self._key = kept_secret(self._file, lambda: secrets.token_bytes(_SECRET_BYTES))
            except OSError as error:
                what = f"The key of one-time codes cannot be used: {error.strerror}."
                fix = "Check that this user may read and write there."
                raise StateError(what, where=str(self._file), fix=fix) from error
        return hmac.new(self._key, f"{ticket}.{code}".encode(), hashlib.sha256).hexdigest()


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
