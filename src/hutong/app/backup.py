"""`hutong backup`: one file that holds a node as of one verdict, made while it goes on screening."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import lmdb
import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from hutong.app import backup_parts as parts
from hutong.app.backup_archive import FORMAT, ZIPPED, ArchiveWriter, Manifest
from hutong.app.backup_records import export_records
from hutong.app.config import load_config
from hutong.kernel.clock import SystemClock
from hutong.kernel.errors import StateError
from hutong.kernel.journal import FileJournal
from hutong.kernel.journal.copy import parts_up_to
from hutong.kernel.metrics import BACKUP_BYTES, BACKUP_DURATION, BACKUP_TIME, Metrics
from hutong.kernel.records import Database, database_url
from hutong.kernel.windows.snapshot import write_whole
from hutong.kernel.windows.snapshot_copy import SnapshotCopier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hutong.app.config import Config
    from hutong.kernel.clock import Clock
    from hutong.kernel.journal.copy import Part
    from hutong.kernel.windows.snapshot_copy import Copied

STDOUT = "-"
#: In DATA/run: what the newest backup was, for whoever watches the node.
NOTE = "backup.json"
_PAUSE_S = 0.01
_NS_PER_MS = 1_000_000


class BackupNote(msgspec.Struct, frozen=True):
    """The newest backup.

    Attributes:
        time_ms: when it was begun. took_ms: how long it took.
        seq: the last journal record in it. bytes, sha256: of the whole file. file: its path, "-" for standard output.
    """

    time_ms: int
    took_ms: int
    seq: int
    bytes: int
    sha256: str
    file: str


def backup(
    file: Annotated[
        str,
        Parameter(
            name="FILE",
            allow_leading_hyphen=True,
            help="备份文件 .tar 或 .tar.gz,- 为标准输出 / .tar or .tar.gz, - for stdout",
        ),
    ],
    /,
    *,
    config: Annotated[Path | None, Parameter(help="配置文件 (TOML) / settings file (TOML)")] = None,
    data: Annotated[Path | None, Parameter(help="数据目录 / data folder")] = None,
) -> int:
    """备份节点,运行中亦可;内含密钥与号码,请妥善保管 / Back up a node, running or not; the file holds secrets."""
    settings = load_config(config, data=data)
    with _shown() as show:
        note = Backup(settings, SystemClock(), show).run(file)
    text = f"截至记录 {note.seq},{note.bytes} 字节 / up to record {note.seq}, {note.bytes} bytes"
    (sys.stderr if file == STDOUT else sys.stdout).write(f"{text}\nSHA-256 {note.sha256}\n")
    return 0


@contextlib.contextmanager
def _shown() -> Iterator[Callable[[str, int, int], None]]:
    """`show(part, done, whole)` draws how far each part is; nothing where nobody looks."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks = {}

        def show(part: str, done: int, whole: int) -> None:
            if part not in tasks:
                tasks[part] = bar.add_task(part, total=None)
            bar.update(tasks[part], completed=done, total=whole or None)

        yield show


class Backup:
    """One backup of one data folder.

    Args:
        config: the node's settings.
        clock: the time.
        show: told of (part, bytes done, bytes in all; 0 for unknown).
        pause: waits some ten milliseconds.
    """

    def __init__(
        self,
        config: Config,
        clock: Clock,
        show: Callable[[str, int, int], None],
        pause: Callable[[], None] = lambda: time.sleep(_PAUSE_S),
    ) -> None:
        self._config, self._data = config, config.data
        self._clock, self._show = clock, show
        self._drafts = self._data / "run" / "backup"
        self._copier = SnapshotCopier(
            self._data / parts.WINDOWS,
            self._data / "run" / "snapshot",
            pause,
            lambda done, whole: show("窗口 windows", done, whole),
        )

    def run(self, file: str) -> BackupNote:
        """Make the backup; a file appears under its name once it is whole.

        Raises:
            StateError: no such data folder, the file exists, another backup is under way, no room, and what else a
                person can put right.
            RecordsError: the records cannot be read.
        """
        if not (self._data / parts.JOURNAL).is_dir():
            raise StateError("there is no node's data here.", where=str(self._data), fix="Check --data.")
        begun, started = self._clock.wall(), self._clock.monotonic()
        try:
            with self._alone(), _output(file) as out:
                manifest, archive = self._write(out, file.endswith(ZIPPED), begun)
        except BrokenPipeError:
            raise StateError("the reader of the backup went away.", fix="What it has is not a whole backup.") from None
        except OSError as error:
            raise StateError(
                f"the backup cannot be made: {error.strerror or error}.",
                where=str(error.filename or file),
                fix="Free space, also in the data folder (as much as its windows and lists), and check the rights.",
            ) from error
        note = BackupNote(
            time_ms=begun // _NS_PER_MS,
            took_ms=(self._clock.monotonic() - started) // _NS_PER_MS,
            seq=manifest.seq,
            bytes=archive.written,
            sha256=archive.sha256,
            file=file if file == STDOUT else str(Path(file).absolute()),
        )
        with contextlib.suppress(OSError):  # the backup is made; that nobody can be told does not unmake it
            _leave_notes(self._data / "run", note)
        return note

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else backs up this folder; drafts of a backup that was killed are removed, and ours in the end."""
        self._copier.open()
        try:
            shutil.rmtree(self._drafts, ignore_errors=True)
            self._drafts.mkdir(mode=0o700)
            yield
        finally:
            shutil.rmtree(self._drafts, ignore_errors=True)
            self._copier.close()

    def _write(self, out: BinaryIO, zipped: bool, begun: int) -> tuple[Manifest, ArchiveWriter]:  # noqa: FBT001
        # The records first: they know how far they have counted the journal, which must not be beyond its copy.
        rows = self._draft_records()
        copied = self._copier.copy(self._drafts / parts.WINDOWS)
        seq = copied.seq if copied is not None and copied.live else self._last_seq()
        # What verdicts name is copied after the verdicts.
        entries = {name: self._draft_store(name) for name in parts.STORES if self._store(name).exists()}
        journal = list(parts_up_to(self._data / parts.JOURNAL, seq))
        archive = ArchiveWriter(out, zipped=zipped, now_s=begun // 10**9, progress=self._meter(journal))
        first = seq + 1
        for part in journal:
            with contextlib.suppress(FileNotFoundError), part.path.open("rb") as segment:
                archive.add(f"{parts.JOURNAL}/{part.path.name}", segment, part.size)
                first = min(first, part.first_seq)
        for draft in sorted(path for path in self._drafts.rglob("*") if path.is_file()):
            with draft.open("rb") as source:
                archive.add(draft.relative_to(self._drafts).as_posix(), source, draft.stat().st_size, mode=0o600)
        for name, path in parts.plain_files(self._data):
            archive.add_bytes(name, path.read_bytes(), mode=path.stat().st_mode)
        return archive.close(self._manifest(begun, (first, seq), copied, entries, rows)), archive

    def _manifest(
        self, begun: int, span: tuple[int, int], copied: Copied | None, entries: dict[str, int], rows: dict[str, int]
    ) -> Manifest:
        return Manifest(
            format=FORMAT,
            hutong=version("hutong"),
            node=self._config.node.name,
            made_ms=begun // _NS_PER_MS,
            first_seq=span[0],
            seq=span[1],
            windows_seq=-1 if copied is None else copied.seq,
            windows_size=0 if copied is None else copied.size,
            entries=entries,
            rows=rows,
        )

    def _meter(self, journal: list[Part]) -> Callable[[int], None]:
        drafts = sum(path.stat().st_size for path in self._drafts.rglob("*") if path.is_file())
        whole, done = drafts + sum(part.size for part in journal), 0

        def on(size: int) -> None:
            nonlocal done
            done += size
            self._show("写入 writing", done, max(whole, done))

        return on

    def _last_seq(self) -> int:
        journal = FileJournal(self._data / parts.JOURNAL)
        try:
            return journal.last_seq
        finally:
            journal.close()

    def _store(self, name: str) -> Path:
        return self._data / name / parts.STORE_FILE

    def _draft_store(self, name: str) -> int:
        """Copy a list store as of one moment, without its free pages; gives how many entries it has."""
        folder = self._drafts / name
        folder.mkdir()
        try:
            environment = lmdb.open(str(self._data / name), readonly=True, max_dbs=1, create=False)
            with environment, (folder / parts.STORE_FILE).open("wb") as out:
                environment.copyfd(out.fileno(), compact=True)
            copy = lmdb.open(str(folder), readonly=True, lock=False, max_dbs=1, create=False)
            with copy, copy.begin(db=copy.open_db(b"entries", create=False)) as txn:
                return int(txn.stat()["entries"])
        except lmdb.Error as error:
            raise StateError(f"The lists cannot be read: {error}.", where=str(self._store(name))) from error

    def _draft_records(self) -> dict[str, int]:
        url = self._config.records.url
        if not url and not (self._data / "records.db").exists():
            return {}
        folder = self._drafts / parts.RECORDS
        folder.mkdir()
        database = Database(database_url(url, self._data))
        done = 0

        def show(rows: int) -> None:
            nonlocal done
            done += rows
            self._show("记录 records", done, 0)

        database.open()
        try:
            return export_records(database, folder, show)
        finally:
            database.close()


def _leave_notes(run: Path, note: BackupNote) -> None:
    """Say what the newest backup is: to the console, and to node_exporter's textfile collector."""
    write_whole(run / NOTE, note)
    figures = Metrics()
    figures.set(BACKUP_TIME, note.time_ms / 1000)
    figures.set(BACKUP_DURATION, note.took_ms / 1000)
    figures.set(BACKUP_BYTES, note.bytes)
    figures.write(run / "backup.prom")


@contextlib.contextmanager
def _output(file: str) -> Iterator[BinaryIO]:
    """Where to: standard output, or a file for its owner alone that takes its name once it is whole and on disk."""
    if file == STDOUT:
        if sys.stdout.isatty():
            raise StateError("a backup is not for a terminal.", fix="Redirect it, or name a file.")
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if Path(file).exists():
        raise StateError("this file exists already.", where=file, fix="Name another, or remove it.")
    if not file.endswith((".tar", *ZIPPED)):
        raise StateError("a backup's name ends in .tar or .tar.gz.", where=file)
    draft = Path(f"{file}.partial")
    draft.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        draft.rename(file)
    finally:
        draft.unlink(missing_ok=True)
