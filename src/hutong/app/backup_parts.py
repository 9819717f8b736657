"""What a backup holds of a data folder, what it leaves out and why: one table for backup, restore and their docs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

JOURNAL: Final = "journal"
WINDOWS: Final = "windows.bin"
#: Folders of list entries (LMDB), and the file in each.
STORES: Final = ("lists", "roaming")
STORE_FILE: Final = "data.mdb"
RECORDS: Final = "records"
STAGES: Final = "stages.jsonl"
PROPOSALS: Final = "proposals.jsonl"
LIMITS: Final = "limits.jsonl"
#: Folders of files that are written once and whole.
FOLDERS: Final = (
    "rules", "rulesets", "alerts", "keys", "evidence", "labels", "attachments", "calendar",
    "case-types", "reports", "bulletins", "past-scores", "colours",
)  # fmt: skip

#: In a data folder and not in a backup: made anew, or held in another form.
LEFT_OUT: Final = {
    "run": "notes and locks of running processes",
    "board.bin": "live counters, which begin at nought at every start",
    "board.json": "the names of these counters",
    "mirror.bin": "calls under way, of whose end a restored node hears no more",
    "audit": "checkpoints of the trail, written again from the records",
    "archive": "files that never change, too large for one file: copied by themselves",
    "index": "indexes of the journal, made again from it",
    "backtests": "wishes for backtests; what came of them is evidence",
    "alerts.db": "a table of the journal's alerts, made again from it",
    "proposals.lock": "held while a stage is decided",
    "scores": "published anew by the next scoring run",
    "marks": "a table of the records' marks, made again from them",
    "replica": "a copy of rows of the records, made again from them",
    "edge": "nginx's configuration, written again by `hutong edge write`, and copies of answers",
    "code-keys": "keys of people's data, which must be gone once they are destroyed here: a backup would keep them",
    "records.db": "held as rows, which either engine takes",
}

_NAMES: Final = re.compile(
    rf"{JOURNAL}/\d{{20}}\.seg|{re.escape(WINDOWS)}|{STAGES}|{PROPOSALS}|{LIMITS}|(?:{'|'.join(STORES)})/{re.escape(STORE_FILE)}"
    rf"|{RECORDS}/\w+\.jsonl|(?:{'|'.join(FOLDERS)})(?:/[^/\0]+)+"
)


def belongs(name: str) -> bool:
    """Whether a backup may hold a member of this name."""
    return _NAMES.fullmatch(name) is not None and not {".", ".."} & set(name.split("/"))


def is_known(name: str) -> bool:
    """Whether it is decided what becomes of this entry of a data folder."""
    held = {JOURNAL, WINDOWS, STAGES, PROPOSALS, LIMITS, *STORES, *FOLDERS}
    return name in held or name in LEFT_OUT or name.removesuffix("-wal").removesuffix("-shm") in LEFT_OUT


def plain_files(data: Path) -> Iterator[tuple[str, Path]]:
    """(name, file) of every file that is held as it is, in order."""
    for name in (STAGES, PROPOSALS, LIMITS):
        if (data / name).is_file():
            yield name, data / name
    for folder in FOLDERS:
        for path in sorted((data / folder).rglob("*")):
            name = path.relative_to(data).as_posix()
            # What is being written has a name of its own until it is whole.
            if path.is_file() and path.suffix != ".new" and belongs(name):
                yield name, path
