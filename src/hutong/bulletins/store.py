"""Bulletins in the records: drafts that may be made anew, issues that are signed and never change again.

Who signs says which content they saw. The documents of a signed one are files, which its row names by their SHA-256.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa

from hutong.bulletins.errors import BulletinError, BulletinRefusedError, NoBulletinError
from hutong.bulletins.model import decoded, digest_of, encoded
from hutong.kernel.archive.files import write_whole
from hutong.kernel.records import tables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from hutong.bulletins.model import Bulletin
    from hutong.kernel.records import Connection, Database

#: In the data folder.
FOLDER: Final = "bulletins"
_TABLE: Final = tables.bulletins
_MOST: Final = 1000


class Kept(msgspec.Struct, frozen=True):
    """A bulletin as it is kept.

    Attributes:
        digest: SHA-256 of its value. signed_ms: None for a draft.
        files: SHA-256 of each document of a signed one, by its name, e.g. "2026-11.1-zh.pdf".
    """

    id: str
    node: str
    kind: str
    period: str
    issue: int
    start_ms: int
    provisional: bool
    digest: str
    made_ms: int
    made_by: str
    corrects: str
    signed_ms: int | None
    signed_by: str
    files: dict[str, str]


class BulletinStore:
    """The bulletins of a node.

    Args:
        database: opened by whoever made it. data: the data folder. node: its name.
    """

    def __init__(self, database: Database, data: Path, node: str) -> None:
        self.database, self._folder, self._node = database, data / FOLDER, node

    # Reading

    def all(self) -> list[Kept]:
        """The latest thousand, newest period first."""
        chosen = sa.select(*_facts()).where(_TABLE.c.node == self._node)
        order = (_TABLE.c.start_ms.desc(), _TABLE.c.kind, _TABLE.c.issue.desc())
        with self.database.read() as connection:
            return [_kept(row) for row in connection.execute(chosen.order_by(*order).limit(_MOST))]

    def get(self, of: str) -> tuple[Kept, Bulletin]:
        """A bulletin and its value.

        Raises:
            NoBulletinError: there is none.
            BulletinError: what is kept no longer has its hash.
        """
        chosen = sa.select(_TABLE).where(_TABLE.c.id == of.replace("\0", ""), _TABLE.c.node == self._node)
        with self.database.read() as connection:
            row = connection.execute(chosen).one_or_none()
        if row is None:
            raise NoBulletinError(f"There is no bulletin {of[:40]!r}.")
        if digest_of(row.body.encode()) != row.digest:
            raise BulletinError("What is kept of this bulletin was changed: it no longer has its hash.", where=of)
        return _kept(row), decoded(row.body)

    def latest(self, connection: Connection, period: str) -> tuple[Kept, Bulletin] | None:
        """The latest issue of a period."""
        where = (_TABLE.c.node == self._node, _TABLE.c.period == period)
        chosen = sa.select(_TABLE).where(*where).order_by(_TABLE.c.issue.desc()).limit(1)
        row = connection.execute(chosen).one_or_none()
        return None if row is None else (_kept(row), decoded(row.body))

    def issues(self, periods: Sequence[str]) -> dict[str, Kept]:
        """The latest issue of each of these periods that has one."""
        where = (_TABLE.c.node == self._node, _TABLE.c.period.in_(periods))
        chosen = sa.select(*_facts()).where(*where).order_by(_TABLE.c.issue)
        with self.database.read() as connection:
            return {row.period: _kept(row) for row in connection.execute(chosen)}

    def first_made(self, made_by: str) -> dict[str, int]:
        """When the first period begins that somebody made a bulletin of, ms since 1970 UTC, by kind."""
        where = (_TABLE.c.node == self._node, _TABLE.c.made_by == made_by)
        chosen = sa.select(_TABLE.c.kind, sa.func.min(_TABLE.c.start_ms)).where(*where).group_by(_TABLE.c.kind)
        with self.database.read() as connection:
            return {kind: int(start_ms) for kind, start_ms in connection.execute(chosen)}

    # Writing

    def put(self, connection: Connection, bulletin: Bulletin, made_by: str) -> Kept:
        """Keep a draft; it takes the place of a draft of the same issue.

        Raises:
            BulletinRefusedError: the issue is signed.
        """
        self.database.hold(connection, f"bulletin {bulletin.id}")
        body = encoded(bulletin)
        row = {
            "id": bulletin.id,
            "node": bulletin.node,
            "kind": bulletin.kind,
            "period": bulletin.period,
            "issue": bulletin.issue,
            "start_ms": bulletin.start_ms,
            "provisional": int(bulletin.provisional),
            "body": body.decode(),
            "digest": digest_of(body),
            "made_ms": bulletin.made_ms,
            "made_by": made_by,
            "corrects": bulletin.corrects,
            "signed_ms": None,
            "signed_by": "",
            "files": "{}",
        }
        signed = sa.select(_TABLE.c.signed_ms).where(_TABLE.c.id == bulletin.id)
        if connection.execute(signed).scalar() is not None:
            raise BulletinRefusedError(
                "A signed bulletin does not change.", reason="unchanging", where=bulletin.id, fix="Make a correction."
            )
        connection.execute(sa.delete(_TABLE).where(_TABLE.c.id == bulletin.id))
        connection.execute(sa.insert(_TABLE).values(row))
        return _kept(row)

    def sign(
        self, connection: Connection, of: str, digest: str, who: str, now_ms: int, files: Mapping[str, bytes]
    ) -> dict[str, str]:
        """Sign a draft; returns the hashes of its documents, which are on disk by then.

        Args:
            digest: of the value that was seen.

        Raises:
            BulletinRefusedError: it is signed already, provisional, or was made anew meanwhile.
            BulletinError: a document cannot be written.
        """
        self.database.hold(connection, f"bulletin {of}")
        kept, _ = self.get(of)
        refuse_signing(kept, digest)
        hashes = {name: self._write(content) for name, content in files.items()}
        said = msgspec.json.encode(hashes, order="sorted").decode()
        values = {"signed_ms": now_ms, "signed_by": who, "files": said}
        connection.execute(sa.update(_TABLE).where(_TABLE.c.id == of).values(values))
        return hashes

    def _write(self, content: bytes) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        try:
            self._folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            write_whole(self._folder / sha256, lambda draft: _write_bytes(draft, content))
        except OSError as error:
            raise BulletinError(f"A document cannot be kept: {error.strerror}.", where=str(self._folder)) from error
        return sha256

    def file(self, kept: Kept, name: str) -> bytes:
        """A document of a signed bulletin.

        Raises:
            NoBulletinError: it has none of that name.
            BulletinError: the file is gone, or is not what was signed.
        """
        if name not in kept.files:
            raise NoBulletinError(f"The bulletin has no document {name[:60]!r}.", where=kept.id)
        path = self._folder / kept.files[name]
        try:
            content = path.read_bytes()
        except OSError as error:
            fix = "Bring it back from a backup of the node that signed it."
            raise BulletinError(f"The document cannot be read: {error.strerror}.", where=str(path), fix=fix) from error
        if hashlib.sha256(content).hexdigest() != kept.files[name]:
            raise BulletinError("The document is not the one that was signed: its hash differs.", where=str(path))
        return content


def refuse_signing(kept: Kept, digest: str) -> None:
    """Refuse what cannot be signed.

    Raises:
        BulletinRefusedError: it is signed already, provisional, or has another content than was seen.
    """
    if kept.signed_ms is not None:
        raise BulletinRefusedError("This bulletin is signed already.", reason="signed", where=kept.id)
    if kept.provisional:
        raise BulletinRefusedError(
            "Its period has not ended.", reason="goes_on", where=kept.id, fix="Make it again then."
        )
    if kept.digest != digest:
        raise BulletinRefusedError(
            "It was made anew meanwhile.", reason="anew", where=kept.id, fix="Read it again, then sign."
        )


def _facts() -> list[sa.Column[Any]]:
    return [column for column in _TABLE.c if column.name != "body"]


def _kept(row: Any) -> Kept:  # noqa: ANN401  # a row of the table, or its values
    values = dict(row) if isinstance(row, dict) else row._asdict()
    values.pop("body", None)
    files = msgspec.json.decode(values.pop("files"), type=dict[str, str])
    return Kept(**(values | {"provisional": bool(values["provisional"]), "files": files}))


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)
