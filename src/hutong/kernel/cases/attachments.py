"""Files that prove something: kept once under their SHA-256 in the data folder, never under a name that somebody gave.

What a file is, is told from its first bytes and not from its name; what could run in a browser or an office program
(pages, scripts, macros, archives) is refused. A file is read back only if it still has its hash.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
import sqlalchemy as sa

from hutong.kernel.cases.errors import CaseError, CaseRefused
from hutong.kernel.records import tables

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from hutong.kernel.records import Connection, Database

Result = TypeVar("Result")

#: The folder in the data folder.
FOLDER: Final = "attachments"
#: Bytes of one file.
LARGEST: Final = 20 * 1024 * 1024
_BLOCK: Final = 1 << 16
_LONGEST_NAME: Final = 100
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_TABLE = tables.case_attachments
_MAGIC: Final = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"RIFF", "audio/wav"),
    (b"ID3", "audio/mpeg"),
    (b"\xd4\xc3\xb2\xa1", "application/vnd.tcpdump.pcap"),
    (b"\x0a\x0d\x0d\x0a", "application/vnd.tcpdump.pcap"),
)
_TEXT: Final = "text/plain"
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
_MARKUP: Final = re.compile(rb"<\s*(?:!doctype|html|script|svg|\?xml|body|iframe)", re.IGNORECASE)


class Attachment(msgspec.Struct, frozen=True):
    """A file that is kept.

    Attributes:
        name: as it was first called, for people to read; never a path. media: its type, told from its bytes.
        size: bytes.
    """

    sha256: str
    name: str
    media: str
    size: int
    who: str
    added_ms: int


class Attachments:
    """The files of a node.

    Args:
        data: the data folder. database: opened by whoever made it.
    """

    def __init__(self, data: Path, database: Database) -> None:
        self._folder = data / FOLDER
        self._database = database

    def keep(
        self, file: BinaryIO, name: str, who: str, now_ms: int, use: Callable[[str], Result]
    ) -> tuple[Attachment, Result]:
        """Keep a file for what it is used for; one that is there already is not kept twice.

        Args:
            use: changes the records so that they name the file by its SHA-256, in one transaction with its keeping.
                Where it raises nothing is kept: files that no case names would stay for ever.

        Raises:
            CaseRefused: "field": it is empty, too large, or of no type that is taken; or what `use` raises.
            CaseError: it cannot be written.
        """
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, fresh = tempfile.mkstemp(dir=self._folder, suffix=".new")
        except OSError as error:
            raise _unwritable(self._folder, error) from error
        try:
            with open(descriptor, "w+b") as out:  # noqa: PTH123  # a descriptor, not a path
                sha256, size = _copy(file, out)
                media = media_of(out)
                out.flush()
                os.fsync(out.fileno())
            with self._database.write() as connection:
                result = use(sha256)
                kept = self._register(connection, Attachment(sha256, show_name(name), media, size, who, now_ms))
                place = self._place(sha256)
                place.parent.mkdir(mode=0o700, exist_ok=True)
                Path(fresh).replace(place)
                _sync(place.parent)
        except OSError as error:
            raise _unwritable(self._folder, error) from error
        finally:
            Path(fresh).unlink(missing_ok=True)
        return kept, result

    def _register(self, connection: Connection, attachment: Attachment) -> Attachment:
        self._database.hold(connection, f"attachment:{attachment.sha256}")
        known = connection.execute(sa.select(_TABLE).where(_TABLE.c.sha256 == attachment.sha256)).one_or_none()
        if known is not None:
            return Attachment(*known)
        connection.execute(sa.insert(_TABLE).values(msgspec.structs.asdict(attachment)))
        return attachment

    def about(self, sha256: str) -> Attachment:
        """What is known of a file.

        Raises:
            CaseRefused: "proof-unknown": none of that hash is kept.
        """
        row = None
        if _SHA256.fullmatch(sha256):
            with self._database.read() as connection:
                row = connection.execute(sa.select(_TABLE).where(_TABLE.c.sha256 == sha256)).one_or_none()
        if row is None:
            raise CaseRefused("proof-unknown", f"No file {sha256[:80]!r} is kept.")
        return Attachment(*row)

    def read(self, sha256: str) -> bytes:
        """The bytes of a file.

        Raises:
            CaseRefused: "proof-unknown": none of that hash is kept.
            CaseError: it is gone, or no longer what was kept.
        """
        place = self._place(self.about(sha256).sha256)
        try:
            content = place.read_bytes()
        except OSError as error:
            raise CaseError(
                f"The file is gone: {error.strerror}.", where=str(place), fix="Restore a backup."
            ) from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise CaseError("The file is not what was kept.", where=str(place), fix="Restore a backup.")
        return content

    def _place(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256


def media_of(file: BinaryIO) -> str:
    """The type of a file, told from its bytes.

    Raises:
        CaseRefused: "field": none that is taken.
    """
    file.seek(0)
    head = file.read(_BLOCK)
    for magic, media in _MAGIC:
        if head.startswith(magic):
            return media
    if head and not head.startswith(b"#!") and not _MARKUP.search(head) and not _CONTROL.search(head):
        for encoding in ("utf-8", "gb18030"):
            try:
                head.decode(encoding)
            except UnicodeDecodeError as error:
                if len(head) == _BLOCK and error.start > _BLOCK - 4:
                    return _TEXT  # the block ends within a letter
            else:
                return _TEXT
    raise CaseRefused(
        "field",
        "A file of this type is not taken.",
        where="attachment",
        fix="PDF, PNG, JPEG, WAV, MP3, PCAP or plain text.",
    )


def show_name(name: str) -> str:
    """A name that can be shown: without folders, control letters and signs that turn its direction."""
    last = re.split(r"[\\/]", name)[-1]
    shown = "".join(letter for letter in last if letter.isprintable()).strip(" .")
    return shown[-_LONGEST_NAME:] or "file"


def _copy(file: BinaryIO, out: BinaryIO) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while block := file.read(_BLOCK):
        size += len(block)
        if size > LARGEST:
            raise CaseRefused("field", f"The file is larger than {LARGEST >> 20} MiB.", where="attachment")
        digest.update(block)
        out.write(block)
    if not size:
        raise CaseRefused("field", "The file is empty.", where="attachment")
    return digest.hexdigest(), size


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(folder: Path, error: OSError) -> CaseError:
    return CaseError(f"The file cannot be kept: {error.strerror}.", where=str(folder), fix="Free space on this disk.")
