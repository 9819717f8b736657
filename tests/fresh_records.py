"""Empty SQLite records for tests that are about something else than how records are made: migrated once in each run.

A copy is byte for byte what the migrations leave; running them anew for every test takes a tenth of a second each.
"""

from __future__ import annotations

import shutil
import tempfile
from functools import cache
from pathlib import Path

from hutong.kernel.records import Database


def lay_out(path: Path) -> None:
    """Put empty records at `path`, where there are none; its folder must exist."""
    shutil.copyfile(_template(), path)
    path.chmod(0o600)


@cache
def _template() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="hutong-records-")
    _kept.append(folder)
    path = Path(folder.name) / "records.db"
    database = Database(f"sqlite:///{path}")
    database.open()
    database.close()
    return path


#: Folders live as long as the process.
_kept: list[tempfile.TemporaryDirectory[str]] = []
