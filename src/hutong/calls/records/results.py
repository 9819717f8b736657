"""What a replay says of each call, written as CSV or Parquet: whole or not at all."""

from __future__ import annotations

import os
import shutil
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from hutong.calls.model import ACTIONS
from hutong.calls.records.faults import CallFileError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from hutong.calls.replay.batch import Judged

PARQUET_SUFFIXES: Final = (".parquet", ".pq")
SCHEMA: Final = pa.schema(
    [("call_id", pa.string()), ("action", pa.string()), ("rules", pa.string()), ("score", pa.float32())]
)
ROW_SCHEMA: Final = pa.schema([("row", pa.int64()), *SCHEMA])
# What repeats; Call-IDs do not, and a dictionary of them, or the first and last of them, is work for nothing.
_REPEATED: Final = ["action", "rules", "score"]
_SPECIAL: Final = np.isin(np.arange(256), np.frombuffer(b'",\r\n', dtype=np.uint8))
_WORD_BITS: Final = 64


class Describing:
    """Turns judgements into columns; the texts of rules are made once for each combination that fired.

    Args:
        rules: rule ids, in the rule set's order.
    """

    def __init__(self, rules: Sequence[str]) -> None:
        self._rules = rules
        self._texts: dict[bytes, str] = {}
        self._actions = pa.array(ACTIONS)

    def columns(self, judged: Judged) -> dict[str, pa.Array]:
        """`action`, `rules` and `score` of a batch."""
        return {
            "action": pa.DictionaryArray.from_arrays(judged.action.astype(np.int8), self._actions).cast(pa.string()),
            "rules": self._fired(judged),
            "score": pa.array(judged.score),
        }

    def _fired(self, judged: Judged) -> pa.Array:
        """Ids of the rules that fired, the deciding one first."""
        some = np.flatnonzero(judged.fired.any(axis=1))
        words = judged.fired.shape[1]
        keys = np.empty((len(some), words + 1), dtype=np.uint64)
        keys[:, 0] = judged.decided[some].astype(np.uint64)
        keys[:, 1:] = judged.fired[some]
        width = keys.shape[1] * 8
        packed = pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(some), [None, pa.py_buffer(keys)])
        coded = packed.dictionary_encode()
        # On most calls no rule fires: the first text is theirs.
        texts = ["", *(self._text(key) for key in coded.dictionary.to_pylist())]
        which = np.zeros(len(judged.fired), dtype=np.int32)
        which[some] = coded.indices.to_numpy() + 1
        return pa.DictionaryArray.from_arrays(which, pa.array(texts, pa.string())).cast(pa.string())

    def _text(self, key: bytes) -> str:
        if key not in self._texts:
            decided, *words = np.frombuffer(key, dtype=np.uint64).tolist()
            fired = [at for at in range(len(self._rules)) if words[at // _WORD_BITS] >> at % _WORD_BITS & 1]
            fired.sort(key=lambda at: at != decided)
            self._texts[key] = ";".join(self._rules[at] for at in fired)
        return self._texts[key]


class ResultFile:
    """The file of results, under another name until it is whole.

    Args:
        path: what it is to be called; its suffix says whether it is Parquet or CSV.
        draft: where it is written meanwhile, in the same folder if it is to be renamed.
    """

    def __init__(self, path: Path | None, draft: Path) -> None:
        self._path, self._draft = path, draft
        self._parquet = path is not None and path.suffix.lower() in PARQUET_SUFFIXES
        self._plain: Any = None
        self._quoting: Any = None
        self._sink: Any = None

    def open(self) -> None:
        """Begin the draft.

        Raises:
            CallFileError: it cannot be written there.
        """
        try:
            self._sink = pa.OSFile(str(self._draft), "wb")
        except OSError as error:
            raise self._refused(error) from error
        if self._parquet:
            self._plain = pq.ParquetWriter(
                self._sink, SCHEMA, compression="zstd", use_dictionary=_REPEATED, write_statistics=_REPEATED
            )
            return
        self._sink.write(",".join(SCHEMA.names).encode() + b"\n")
        options = {
            style: pa_csv.WriteOptions(include_header=False, quoting_style=style) for style in ("none", "needed")
        }
        self._plain = pa_csv.CSVWriter(self._sink, SCHEMA, write_options=options["none"])
        self._quoting = pa_csv.CSVWriter(self._sink, SCHEMA, write_options=options["needed"])

    def write(self, rows: pa.RecordBatch) -> None:
        """Add rows of `SCHEMA`."""
        writer = self._plain
        if not self._parquet and _is_special(rows.column("call_id")):
            writer = self._quoting
        try:
            writer.write_batch(rows)
        except OSError as error:
            raise self._refused(error) from error

    def finish(self, out: IO[bytes]) -> None:
        """Put the whole file in its place; without a path, copy it to `out`."""
        try:
            for writer in (self._plain, self._quoting):
                if writer is not None:
                    writer.close()
            self._sink.close()
            if self._path is None:
                with self._draft.open("rb") as draft:
                    shutil.copyfileobj(draft, out, 1 << 20)
                out.flush()
                return
            with self._draft.open("rb") as draft:
                os.fsync(draft.fileno())
            self._draft.replace(self._path)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> CallFileError:
        reason = error.strerror or str(error)
        return CallFileError(f"The results cannot be written: {reason}.", where=str(self._path or self._draft))


def _is_special(texts: pa.StringArray) -> bool:
    """Whether a text needs quotes in CSV."""
    data = texts.buffers()[2]
    return data is not None and bool(_SPECIAL[np.frombuffer(data, dtype=np.uint8)].any())


def count_actions(actions: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How many of each action of `model.ACTIONS`."""
    return np.bincount(actions, minlength=len(ACTIONS))


def as_string(call_ids: pa.BinaryArray) -> pa.StringArray:
    """Call-IDs as text; readers have made sure that they are."""
    return pc.cast(call_ids, pa.string())
