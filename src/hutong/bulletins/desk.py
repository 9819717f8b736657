"""Making and signing bulletins: who asks, what is kept, what goes on the trail. Figures and words belong elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa

from hutong.bulletins import definitions
from hutong.bulletins.compose import Signature, compose
from hutong.bulletins.errors import BulletinRefusedError, NoBulletinError
from hutong.bulletins.gather import Surroundings, Wanted, gather
from hutong.bulletins.paper import bulletin_pdf, html_of
from hutong.bulletins.periods import period_of
from hutong.bulletins.store import BulletinStore, refuse_signing
from hutong.bulletins.word import docx_of
from hutong.kernel.records import tables
from hutong.kernel.web.texts import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date
    from pathlib import Path

    from hutong.bulletins.compose import Document
    from hutong.bulletins.model import Bulletin
    from hutong.bulletins.periods import Period
    from hutong.bulletins.store import Kept
    from hutong.bulletins.wording import Say
    from hutong.kernel.access.trail import Trail
    from hutong.kernel.figures import FigureSource
    from hutong.kernel.records import Connection, Database
    from hutong.kernel.web.texts import Texts

#: Forms of a document and their media types.
MEDIA: Final = {
    "html": "text/html; charset=utf-8",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "pdf": "application/pdf",
}
_ACCOUNTS: Final = tables.accounts
_COUNTED: Final = tables.daily_counted


class Doer(msgspec.Struct, frozen=True):
    """Who does something, and from where."""

    name: str
    address: str = "local"


class Desk:
    """Makes, shows and signs the bulletins of a node.

    Args:
        database: opened by whoever made it. data: the data folder. node, zone: the node's name, its zone's.
        trail: told of everything. texts: has `texts.toml` of this system.
        sources: `figures` of systems by their names. rules: titles of rules, read each time.

    Attributes:
        count_today: counts the calls of the day that goes on, at a moment (ms); none without an archive.
    """

    def __init__(
        self,
        database: Database,
        data: Path,
        node: str,
        zone: str,
        trail: Trail,
        texts: Texts,
        sources: Mapping[str, FigureSource],
        rules: Callable[[], Mapping[str, dict[str, str]]],
    ) -> None:
        self.database, self.node, self.zone = database, node, ZoneInfo(zone)
        self.store = BulletinStore(database, data, node)
        self.definitions = definitions.shipped()
        self._trail, self._texts, self._sources, self._rules = trail, texts, sources, rules
        self.count_today: Callable[[int], None] | None = None

    def make(self, period: Period, doer: Doer, now_ms: int, reason: str = "") -> Kept:
        """Make a draft of a period; where its latest issue is signed, a correction of that.

        Raises:
            BulletinRefusedError: the period has not begun, or a correction gives no reason.
            HutongError: the calls of the day that goes on cannot be counted.
        """
        start_ms, end_ms = period.bounds(self.zone)
        if start_ms > now_ms:
            raise BulletinRefusedError("The period has not begun.", reason="not_begun", where=period.key)
        if now_ms < end_ms and self.count_today is not None:
            self.count_today(now_ms)
        # Gathering takes seconds where there are millions of cases: it must not keep those out who write.
        with self.database.read() as connection:
            latest = self.store.latest(connection, period.key)
            wanted = self._wanted(connection, period, latest, now_ms, _line(reason))
            bulletin = gather(connection, wanted, self._around(connection))
        with self.database.write() as connection:
            self.database.hold(connection, f"bulletins {self.node} {period.key}")
            if self.store.latest(connection, period.key) != latest:
                raise BulletinRefusedError(
                    "Somebody else made it meanwhile.", reason="meanwhile", where=period.key, fix="Look at it first."
                )
            kept = self.store.put(connection, bulletin, doer.name)
            after = {"digest": kept.digest, "corrects": kept.corrects}
            why = bulletin.reason
            self._trail.record(
                doer.name, doer.address, "bulletins.make", kept.id, after=after, purpose=why, now_ms=now_ms
            )
        return kept

    def _wanted(
        self, connection: Connection, period: Period, latest: tuple[Kept, Bulletin] | None, now_ms: int, reason: str
    ) -> Wanted:
        wanted = Wanted(period, self.node, self.zone, now_ms, self._began(connection))
        if latest is None:
            return wanted
        before, value = latest
        if before.signed_ms is None:
            why = (reason or value.reason) if before.corrects else ""
            return msgspec.structs.replace(wanted, issue=before.issue, corrects=before.corrects, reason=why)
        if not reason:
            raise BulletinRefusedError(
                "It is signed.", reason="correct", where=period.key, fix="Say why it is to be corrected."
            )
        return msgspec.structs.replace(wanted, issue=before.issue + 1, corrects=before.id, reason=reason)

    def _around(self, connection: Connection) -> Surroundings:
        def earlier(period: Period) -> Bulletin | None:
            found = self.store.latest(connection, period.key)
            return found[1] if found else None

        return Surroundings(self.definitions, self._sources, self._rules(), earlier)

    def _began(self, connection: Connection) -> int:
        """The node's first moment: nobody can say anything of a time before."""
        first = connection.execute(sa.select(sa.func.min(_ACCOUNTS.c.created_ms))).scalar()
        return int(first or 0)

    def due(self, periods: list[Period]) -> list[Period]:
        """Those of these periods that nobody has made whole yet."""
        found = self.store.issues([it.key for it in periods])
        return [it for it in periods if (of := found.get(it.key)) is None or (of.provisional and of.signed_ms is None)]

    def uncounted(self, period: Period) -> list[date]:
        """Days of a period whose calls were not counted to their end."""
        chosen = sa.select(_COUNTED.c.day, _COUNTED.c.until_ms).where(_COUNTED.c.node == self.node)
        with self.database.read() as connection:
            until = {row.day: int(row.until_ms) for row in connection.execute(chosen)}
        return [
            day for day in period.days if until.get(day.isoformat(), 0) < period_of("day", day).bounds(self.zone)[1]
        ]

    def counted(self, period: Period) -> bool:
        """Whether all calls of a period were counted."""
        return not self.uncounted(period)

    # Showing

    def document(self, kept: Kept, bulletin: Bulletin, lang: str, signature: Signature | None = None) -> Document:
        """A bulletin in a language."""
        if signature is None and kept.signed_ms is not None:
            signature = Signature(kept.signed_by, kept.signed_ms)
        return compose(bulletin, self.definitions, lang, self.sayer(lang), signature)

    def sayer(self, lang: str) -> Say:
        """Says texts in a language."""

        def say(key: str, /, **places: object) -> str:
            return self._texts.say(key, lang, **places)

        return say

    def file(self, of: str, lang: str, form: str) -> bytes:
        """A document: of a signed bulletin the one that was signed, of a draft a fresh one.

        Raises:
            NoBulletinError: there is no such bulletin or form.
            HutongError: it cannot be made or read.
        """
        kept, bulletin = self.store.get(of)
        if kept.signed_ms is not None:
            return self.store.file(kept, name_of(kept.id, lang, form))
        if lang not in LANGUAGES or form not in MEDIA:
            raise NoBulletinError(f"There is no document of that form: {form[:10]!r}.", where=of)
        return self._drawn(kept, self.document(kept, bulletin, lang), form)

    def _drawn(self, kept: Kept, document: Document, form: str) -> bytes:
        if form == "html":
            return html_of(document, kept.id, kept.digest).encode()
        if form == "pdf":
            return bulletin_pdf(document, kept.id, kept.digest)
        return docx_of(document, kept.id, kept.digest, kept.made_ms)

    # Signing

    def sign(self, of: str, digest: str, doer: Doer, now_ms: int) -> dict[str, str]:
        """Sign a draft; returns the SHA-256 of its documents by their names.

        Args:
            digest: of the content that the signer saw.

        Raises:
            NoBulletinError, BulletinRefusedError: as of the store.
            HutongError: a document cannot be made or kept.
        """
        kept, bulletin = self.store.get(of)
        refuse_signing(kept, digest)
        files: dict[str, bytes] = {}
        for lang in LANGUAGES:
            document = self.document(kept, bulletin, lang, Signature(doer.name, now_ms))
            files |= {name_of(of, lang, form): self._drawn(kept, document, form) for form in MEDIA}
        with self.database.write() as connection:
            hashes = self.store.sign(connection, of, digest, doer.name, now_ms, files)
            after: dict[str, Any] = {"digest": digest, "files": hashes}
            self._trail.record(doer.name, doer.address, "bulletins.sign", of, after=after, now_ms=now_ms)
        return hashes


def _line(text: str) -> str:
    """A text as one line of letters that every form of a document can hold."""
    return " ".join("".join(it if it.isprintable() else " " for it in text).split())


def name_of(of: str, lang: str, form: str) -> str:
    """The file name of a document."""
    return f"{of}-{lang}.{form}"
