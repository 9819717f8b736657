"""Scores of the past, each with the moment from which calls read it: what a look back must judge by.

A folder has a file for each publication, and in it the scores that were new then.
Whoever walks through the files in order holds at any moment the table that calls read then, and nothing that was
learned later. A score takes 6 to 7 bytes (sorted keys as differences, zstd).

The published table is the source: scores that were new carry the second of its publication. A publication after which
everything was killed is therefore kept by the next one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hutong.kernel.archive.files import write_whole
from hutong.kernel.errors import StateError
from hutong.kernel.json_bytes import UNREADABLE
from hutong.kernel.scores.file import NAME, ScoreFile
from hutong.kernel.scores.table import Scores, build_rows, no_scores, unpack_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

#: In the data folder.
FOLDER: Final = "past-scores"
_SUFFIX: Final = ".parquet"
_NS: Final = 1_000_000_000
_MS: Final = 1_000_000
_SCHEMA: Final = pa.schema([("key", pa.int64()), ("score", pa.float32()), ("second", pa.int64())])
_META: Final = b"hutong"


class _Facts(msgspec.Struct, frozen=True):
    """What a file says beside its scores.

    published: the table's own time, ns. models: that gave its scores. since: scores given before this second ended with
    it. whole: nothing of before stayed.
    """

    published: int
    models: tuple[str, ...]
    since: int
    whole: bool


class Publication(NamedTuple):
    """One publication: the scores that calls read from `moment` (ms since 1970) on."""

    moment: int
    scores: Scores

    @property
    def rows(self) -> NDArray[np.int64]:
        """For `look_up`; built anew each time, as most publications are walked past."""
        return build_rows(self.scores)


class PastScores:
    """The folder of past scores of one node. One process keeps them: the one that publishes.

    Args:
        folder: where they are, or will be.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, published: Path, since: int) -> bool:
        """Keep the scores that are new in the published table; True where these were not kept yet.

        Args:
            published: the folder of published scores.
            since: scores given before this second are in the table no more.

        Raises:
            StateError: the table cannot be read, or the disk refuses.
        """
        table = ScoreFile(published)
        table.refresh()
        head = table.head
        if head is None:
            return False
        try:
            moment = (published / NAME).stat().st_mtime_ns // _MS
            files = self._files()
            before = _facts(files[-1]) if files else None
            if before is not None and before.published == head.published:
                return False
            scores = unpack_rows(table.rows)
            whole = before is None or before.models != head.models
            fresh = np.flatnonzero(scores.seconds >= (0 if whole else head.published // _NS))
            facts = _Facts(head.published, head.models, since, whole)
            self._write(moment, scores, fresh[np.argsort(scores.keys[fresh])], facts)
        except OSError as error:
            raise StateError(f"Past scores cannot be kept: {error.strerror}.", where=str(self._folder)) from error
        return True

    def _write(self, moment: int, scores: Scores, rows: NDArray[np.int64], facts: _Facts) -> None:
        self._folder.mkdir(exist_ok=True)
        columns = [scores.keys[rows], scores.scores[rows].astype(np.float32), scores.seconds[rows]]
        table = pa.table([pa.array(column) for column in columns], _SCHEMA)
        table = table.replace_schema_metadata({_META: msgspec.json.encode(facts)})
        encoding = {"key": "DELTA_BINARY_PACKED", "second": "DELTA_BINARY_PACKED", "score": "BYTE_STREAM_SPLIT"}

        def write(path: Path) -> None:
            pq.write_table(table, path, compression="zstd", use_dictionary=False, column_encoding=encoding)

        write_whole(self._folder / f"{moment:015d}{_SUFFIX}", write)

    def forget(self, before: int) -> int:
        """Delete publications of before `before` (ms since 1970); returns how many went."""
        gone = [path for path in self._files() if _moment(path) < before]
        for path in gone:
            path.unlink(missing_ok=True)
        return len(gone)

    def begins(self) -> int | None:
        """From which moment on (ms since 1970) every score of the time is known; None where there are none.

        Raises:
            StateError: the first file cannot be read.
        """
        files = self._files()
        if not files:
            return None
        facts, moment = _facts(files[0]), _moment(files[0])
        # Scores that were given before the first file may have stood for as long as scores do.
        return moment if facts.whole else 2 * moment - facts.since * 1000

    def publications(self) -> Iterator[Publication]:
        """Every publication in order. Memory holds two tables, whatever the number of publications.

        Raises:
            StateError: a file cannot be read.
        """
        held = unpack_rows(no_scores())
        for path in self._files():
            facts, fresh = _facts(path), _read(path)
            if facts.whole:
                held = fresh
            else:
                stay = (held.seconds >= facts.since) & ~np.isin(held.keys, fresh.keys)
                held = Scores(*(np.concatenate((new, old[stay])) for new, old in zip(fresh, held, strict=True)))
            yield Publication(_moment(path), held)

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob(f"*{_SUFFIX}"))


def _moment(path: Path) -> int:
    return int(path.stem)


def _facts(path: Path) -> _Facts:
    try:
        held = pq.read_schema(path).metadata or {}
        return msgspec.json.decode(held[_META], type=_Facts)
    except (OSError, pa.ArrowException, KeyError, *UNREADABLE) as error:
        raise _damaged(path) from error


def _read(path: Path) -> Scores:
    try:
        table = pq.read_table(path, schema=_SCHEMA)
    except (OSError, pa.ArrowException) as error:
        raise _damaged(path) from error
    keys, scores, seconds = (table[name].to_numpy() for name in _SCHEMA.names)
    return Scores(keys, scores.astype(np.float64), np.zeros(len(keys), dtype=np.int64), seconds)


def _damaged(path: Path) -> StateError:
    return StateError(
        "The file of past scores cannot be read.", where=str(path), fix="Bring it back from a backup, or remove it."
    )
