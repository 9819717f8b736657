"""Checkpoints of the trail: made, kept in the records and in a file beside them, and the log held to them.

The file (`audit/checkpoints` in the data folder) has the same notes as the records, one after the other: whoever can
write to the database cannot write to it, and it is made to be copied elsewhere.
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa

from hutong.kernel.audit import log
from hutong.kernel.audit.log import AuditError
from hutong.kernel.audit.merkle import consistency_spans, included_root, inclusion_spans, is_consistent
from hutong.kernel.audit.notes import (
    Checkpoint,
    NoteError,
    Proof,
    Signer,
    UnknownKeyError,
    notes_in,
    open_note,
    read_checkpoint,
    read_signer,
    whole_notes_end,
)
from hutong.kernel.audit.verify import Mark, Verifier
from hutong.kernel.errors import StateError
from hutong.kernel.key_files import give_to_owner, kept_secret, make_folder
from hutong.kernel.records import tables

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from hutong.kernel.audit.notes import PublicKey
    from hutong.kernel.audit.verify import Fault
    from hutong.kernel.records import Connection, Database

#: In the data folder.
KEY_FILE: Final = "keys/trail.key"
CHECKPOINTS_FILE: Final = "audit/checkpoints"
#: Entries that are read at once.
BATCH: Final = 5_000
_SECRET_BYTES: Final = 32
_TAIL: Final = 64 * 1024
_KEPT = tables.audit_checkpoints


class Kept(msgspec.Struct, frozen=True):
    """A checkpoint that was signed here: what it says, when it was made (ms since 1970), and its note."""

    checkpoint: Checkpoint
    time_ms: int
    note: str


class Marks(msgspec.Struct, frozen=True):
    """Checkpoints to hold the log to, and how many others there are that no known key signed."""

    marks: list[Mark]
    unknown: int


def trail_key(data: Path, node: str) -> Signer:
    """The key of this data folder, made at the first use; it keeps the node's name of that day.

    Raises:
        StateError: it cannot be made or read.
    """
    file = data / KEY_FILE
    try:
        text = kept_secret(file, lambda: Signer(f"{node}/trail", os.urandom(_SECRET_BYTES)).private_text().encode())
        return read_signer(text.decode("ascii", "replace"))
    except OSError as error:
        raise StateError(
            f"The key of checkpoints cannot be used: {error.strerror}.",
            where=str(file),
            fix="Check that this user may read and write there.",
        ) from error
    except NoteError as error:
        raise StateError(error.what, where=str(file), fix=error.fix) from error


class Checkpoints:
    """One node's checkpoints.

    Args:
        database: open. data: the data folder. signer: of this data folder.
    """

    def __init__(self, database: Database, data: Path, signer: Signer) -> None:
        self._database, self._signer = database, signer
        self._file = data / CHECKPOINTS_FILE

    def last(self) -> Kept | None:
        """The newest of this node.

        Raises:
            NoteError: its signature does not fit.
        """
        chosen = self._own().order_by(_KEPT.c.size.desc()).limit(1)
        with self._database.read() as connection:
            row = connection.execute(chosen).one_or_none()
        return None if row is None else Kept(self._opened(row.note), row.time_ms, row.note)

    def make(self, now_ms: int) -> Kept | None:
        """A checkpoint of all entries; the newest there is if nothing came since, None if there is no entry.

        Raises:
            AuditError: the log does not agree with the last checkpoint, or its newest entries not with their hashes.
            NoteError: the last checkpoint was tampered with.
            StateError: the file cannot be written.
        """
        last, held = self.last(), self._last_in_file()
        with self._database.read() as connection:
            size = log.size_of(connection)
            if last is not None and (held is None or held.size < last.checkpoint.size):
                held = last.checkpoint
            if held is not None and held.size > size:
                raise _broken(f"a checkpoint of {held.size} entries was signed, and there are {size}")
            grown = size > (0 if last is None else last.checkpoint.size)
            root = _agreed_root(connection, held, size) if grown else b""
        if grown:
            checkpoint = Checkpoint(self._signer.public.name, size, root)
            last = self._keep(Kept(checkpoint, now_ms, self._signer.sign(checkpoint.text())))
        if last is not None:
            self._write()
        return last

    def prove(self, number: int, now_ms: int) -> Proof:
        """That an entry is in the log; a checkpoint is made for it where the newest is older.

        Raises:
            AuditError: there is no such entry, or the log does not hold.
        """
        kept = self.last()
        if kept is None or kept.checkpoint.size < number:
            kept = self.make(now_ms)
        size = 0 if kept is None else kept.checkpoint.size
        if kept is None or not 0 < number <= size:
            raise AuditError(f"There is no entry {number}: they are numbered from 1 to {size}.")
        with self._database.read() as connection:
            entry = log.entry_at(connection, number)
            path = log.span_roots(connection, inclusion_spans(number - 1, size))
        if entry is None or included_root(number - 1, size, entry.leaf(), path) != kept.checkpoint.root:
            raise _broken(f"entry {number} cannot be proven")
        return Proof(entry.canonical(), number - 1, path, kept.note)

    def _own(self) -> sa.Select[Any]:
        return sa.select(_KEPT).where(_KEPT.c.signer == self._signer.public.label)

    def _opened(self, note: str) -> Checkpoint:
        return read_checkpoint(open_note(note, [self._signer.public]))

    def _keep(self, made: Kept) -> Kept:
        """Into the records, unless another process of this node was quicker: then its own is as good."""
        size = made.checkpoint.size
        values = {"signer": self._signer.public.label, "size": size, "time_ms": made.time_ms, "note": made.note}
        with self._database.write() as connection:
            self._database.hold(connection, "checkpoint")
            there = connection.execute(self._own().where(_KEPT.c.size == size)).one_or_none()
            if there is None:
                connection.execute(sa.insert(_KEPT).values(values))
        return made

    def _last_in_file(self) -> Checkpoint | None:
        for note in reversed(notes_in(_tail(self._file))):
            try:
                return self._opened(note)
            except UnknownKeyError:  # of a key that this folder had before
                continue
        return None

    def _write(self) -> None:
        """Add to the file what the records have more; a note that a crash cut off goes."""
        try:
            make_folder(self._file.parent, 0o750)
            with self._file.open("ab") as out:
                fcntl.flock(out, fcntl.LOCK_EX)
                give_to_owner(out.fileno(), self._file.parent)
                held = self._last_in_file()
                missing = self._own().where(_KEPT.c.size > (0 if held is None else held.size)).order_by(_KEPT.c.size)
                with self._database.read() as connection:
                    notes = [row.note for row in connection.execute(missing)]
                if notes:
                    tail = _tail(self._file)
                    out.truncate(out.tell() - len(tail) + whole_notes_end(tail))
                    out.write("".join(notes).encode())
                    out.flush()
                    os.fsync(out.fileno())
        except OSError as error:
            raise StateError(
                f"The checkpoint is in the records, but not in its file: {error.strerror}.",
                where=str(self._file),
                fix="Free space, or check the rights.",
            ) from error


class Verification:
    """Goes through the trail once, from its first entry to its last, a step at a time; writers are not kept waiting.

    Args:
        database: open. marks: what to hold the trail to.
    """

    def __init__(self, database: Database, marks: Iterable[Mark]) -> None:
        self._database = database
        self._verifier = Verifier(marks, self._number_of)
        self.fault: Fault | None = None

    @property
    def size(self) -> int:
        """How many entries were found to be right so far."""
        return self._verifier.size

    @property
    def compared(self) -> int:
        """How many checkpoints they were found to agree with."""
        return self._verifier.compared

    def step(self, limit: int = BATCH) -> bool:
        """Look at the next entries; whether that was all, or `fault` is known.

        Raises:
            RecordsError: the database fails.
        """
        it = self._verifier
        with self._database.read() as connection:
            rows = log.rows_after(connection, it.last_id, limit)
            leaves = log.leaves_after(connection, it.size, limit)
            nodes = log.nodes_of(connection, it.size, it.size + limit)
        self.fault = it.take(rows, leaves, nodes)
        over = len(rows) < limit
        if over and self.fault is None:
            self.fault = it.finish()
        return over or self.fault is not None

    def _number_of(self, entry: int) -> int | None:
        with self._database.read() as connection:
            return log.number_of(connection, entry)


def gather_marks(database: Database, data: Path, keys: Iterable[PublicKey], more: bytes = b"") -> Marks:
    """The checkpoints in the records, in the data folder's file, and in `more`.

    Raises:
        RecordsError: the database fails.
        StateError: the file cannot be read.
    """
    with database.read() as connection:
        found = [(row.note, int(row.size)) for row in connection.execute(sa.select(_KEPT))]
    try:
        file = (data / CHECKPOINTS_FILE).read_bytes()
    except FileNotFoundError:
        file = b""
    except OSError as error:
        raise StateError(
            f"The checkpoints cannot be read: {error.strerror}.", where=str(data / CHECKPOINTS_FILE)
        ) from error
    found += [(note, _claimed_size(note)) for note in (*notes_in(file), *notes_in(more))]
    known, marks, unknown = list(keys), set[Mark](), 0
    for note, size in dict.fromkeys(found):
        try:
            checkpoint = read_checkpoint(open_note(note, known))
        except UnknownKeyError:
            unknown += 1
        except NoteError:
            marks.add(Mark(size, None))
        else:
            marks.add(Mark(size, checkpoint.root if checkpoint.size == size else None))
    return Marks(list(marks), unknown)


def _claimed_size(note: str) -> int:
    """The size that a note gives, whoever signed it; 1 for what is no checkpoint, to be told of at once."""
    try:
        return read_checkpoint(note.partition("\n\n")[0] + "\n").size
    except NoteError:
        return 1


def _agreed_root(connection: Connection, held: Checkpoint | None, size: int) -> bytes:
    """The root of the log, once its newest entries agree with their hashes and the log with its last checkpoint."""
    at = 0 if held is None else held.size
    while at < size:
        leaves = log.leaves_after(connection, at, min(BATCH, size - at))
        rows = log.rows_after(connection, leaves[0][1] - 1, len(leaves)) if leaves else []
        for row, (number, entry, hashed) in zip(rows, leaves, strict=False):
            at += 1
            if (number, entry, hashed) != (at, row.id, row.leaf()):
                raise _broken(f"entry {at} is not what was recorded")
        if not rows:
            raise _broken(f"entry {at + 1} is gone")
    root = log.span_root(connection, (0, size))
    if held is not None:
        proof = log.span_roots(connection, consistency_spans(held.size, size))
        if not is_consistent(held.size, size, held.root, root, proof):
            raise _broken(f"the log does not agree with its checkpoint of {held.size} entries")
    return root


def _broken(what: str) -> AuditError:
    return AuditError(f"Nothing is signed: {what}.", fix="`hutong audit verify` names the first entry that is wrong.")


def _tail(file: Path) -> bytes:
    """The end of a file of notes, long enough to hold the last whole one and what was cut off."""
    try:
        with file.open("rb") as source:
            source.seek(max(source.seek(0, os.SEEK_END) - _TAIL, 0))
            return source.read()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise StateError(f"The checkpoints cannot be read: {error.strerror}.", where=str(file)) from error
