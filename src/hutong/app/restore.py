"""`hutong restore`: a backup becomes a data folder again. Every byte is verified before anything is put in place."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from pathlib import Path  # noqa: TC003  # cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from hutong.app import backup_parts as parts
from hutong.app.backup_archive import Manifest, unpack
from hutong.app.backup_records import import_records
from hutong.app.config import load_config
from hutong.kernel.errors import StateError
from hutong.kernel.journal import FileJournal
from hutong.kernel.records import Database, database_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DRAFT = "restoring"


def restore(
    file: Annotated[Path, Parameter(name="FILE", help="备份文件 / the backup")],
    /,
    *,
    data: Annotated[Path, Parameter(help="空的数据目录 / an empty data folder")],
    config: Annotated[Path | None, Parameter(help="配置文件 (TOML) / settings file (TOML)")] = None,
) -> int:
    """恢复备份到空目录;先校验全部内容 / Restore a backup into an empty folder; everything is verified first."""
    settings = load_config(config, data=data)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("校验 verifying", total=file.stat().st_size if file.is_file() else None)
        manifest = restore_backup(file, data, settings.records.url, lambda done: bar.advance(task, done))
    sys.stdout.write(f"已恢复至记录 {manifest.seq} / restored up to record {manifest.seq}\n")
    return 0


def restore_backup(file: Path, data: Path, records_url: str, progress: Callable[[int], None]) -> Manifest:
    """Make the data folder of a backup.

    Args:
        file: the backup. data: missing or empty. records_url: as in the settings; empty for SQLite in the folder.
        progress: told of every so many bytes and rows.

    Raises:
        StateError: the folder is not empty, the backup cannot be trusted, or there is no room; nothing was restored.
        RecordsError: the records cannot be filled; nothing was restored.
    """
    try:
        with _draft_in(data) as draft:
            manifest = unpack(file, draft, parts.belongs, progress)
            if (draft / "keys").exists():
                (draft / "keys").chmod(0o700)
            _give_windows_their_length(draft, manifest)
            _check_journal(draft, manifest, file)
            _fill_and_place(draft, manifest, records_url, data, progress)
    except OSError as error:
        raise StateError(
            f"the backup cannot be restored: {error.strerror or error}.",
            where=str(error.filename or data),
            fix="Free space, or check the rights; nothing was restored.",
        ) from error
    return manifest


@contextlib.contextmanager
def _draft_in(data: Path) -> Iterator[Path]:
    """A folder within the data folder, so that what is in it can take its place at once; gone in the end."""
    draft = data / _DRAFT
    data.mkdir(mode=0o750, parents=True, exist_ok=True)
    if any(path != draft for path in data.iterdir()):
        raise StateError("the data folder is not empty.", where=str(data), fix="Name a new one with --data.")
    shutil.rmtree(draft, ignore_errors=True)  # of a restore that was killed
    draft.mkdir(mode=0o700)
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _give_windows_their_length(draft: Path, manifest: Manifest) -> None:
    """Rows that no number had were not backed up; they are zeros."""
    if manifest.windows_seq >= 0:
        os.truncate(draft / parts.WINDOWS, manifest.windows_size)


def _check_journal(draft: Path, manifest: Manifest, file: Path) -> None:
    """The journal must end where the manifest says: verdicts go on from there."""
    journal = FileJournal(draft / parts.JOURNAL)
    try:
        found = journal.last_seq
    finally:
        journal.close()
    if found != manifest.seq:
        raise StateError(
            f"This backup cannot be trusted: its journal ends at record {found}, not {manifest.seq}.", where=str(file)
        )


def _fill_and_place(draft: Path, manifest: Manifest, url: str, data: Path, progress: Callable[[int], None]) -> None:
    """Rows become a database again, and files take their place: a server keeps the rows only if they did."""
    if not manifest.rows:
        _put_in_place(draft, data)
        return
    rows = draft / parts.RECORDS
    database = Database(database_url(url, draft))
    database.open()
    try:
        with database.write():
            import_records(database, rows, manifest.rows, progress)
            shutil.rmtree(rows)
            if not database.is_sqlite:
                _put_in_place(draft, data)
    finally:
        database.close()
    if database.is_sqlite:
        _put_in_place(draft, data)


def _put_in_place(draft: Path, data: Path) -> None:
    for path in sorted(draft.iterdir()):
        path.rename(data / path.name)
    for folder in (data, *(path for path in data.rglob("*") if path.is_dir())):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
