"""A part that grows with its segment: new frames are read, their rows appended. One thread at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hutong.calls import record as rec
from hutong.calls.index.part import COLUMNS, HITS, OUTCOMES, MemoryPart, PartHead
from hutong.calls.index.rows import FIRED, ROW, Extracted, FramePlace, extract
from hutong.calls.outcomes import decode_outcome
from hutong.calls.record import decode
from hutong.kernel.journal.frames import FRAME_HEADER, RECORD_HEADER, SEGMENT_HEADER
from hutong.kernel.journal.segment import Segment

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from hutong.kernel.journal import Frame

_AT_ONCE = 16_384  # rows gathered before they are moved to columns
_MOST_CODES = 0xFFFF
_MOST_SEQ = 0xFFFF_FFFF


class GrowingPart:
    """Reads one segment file frame by frame and keeps its rows as columns.

    Args:
        path: the segment.

    Raises:
        JournalError: the segment's header is damaged: nothing in it can be trusted.
        FileNotFoundError: it was deleted.
    """

    def __init__(self, path: Path) -> None:
        self._segment = Segment(path)
        self._segment.open()
        self.inode = path.stat().st_ino
        self._at = SEGMENT_HEADER.size
        self._columns = {name: np.zeros(0, dtype=kind) for name, kind in (COLUMNS | HITS | OUTCOMES).items()}
        self._used = dict.fromkeys(self._columns, 0)
        self._rows = np.zeros(_AT_ONCE, dtype=ROW)
        self._fired = np.zeros(_AT_ONCE, dtype=FIRED)
        self._pending = Extracted(0, 0)
        self._trunks: dict[int, int] = {}
        self._names: list[str] = []
        self._rules: dict[tuple[int, int], int] = {}
        self._oldest, self._newest, self._verdicts = 0, 0, 0
        self._view: MemoryPart | None = None

    def close(self) -> None:
        """Let go of the segment's file."""
        self._segment.close()

    def seal(self) -> None:
        """Read to the end: a later segment exists, so nothing will be added. Raises FileNotFoundError, JournalError."""
        self._segment.seal()

    def extend(self) -> MemoryPart:
        """Take up what is new; gives the part as it is now."""
        size = self._segment.size()
        for step in self._segment.walk(self._at):
            self._at = step.end
            frame = self._segment.frame(step)
            if frame is not None:
                self._take(frame, step.at + FRAME_HEADER.size)
        self._move()
        if self._view is None or (self._view.head.rows, self._view.head.bytes_) != (self._used["time"], size):
            self._view = self._part(size)
        return self._view

    def _take(self, frame: Frame, offset: int) -> None:
        first = frame.first_seq - self._segment.first_seq
        if first < 0 or first + frame.records > _MOST_SEQ or frame.records > len(frame.payload) // RECORD_HEADER.size:
            return
        rows, fired = self._pending
        if rows + frame.records > _AT_ONCE:
            self._move()
            rows = fired = 0
        if frame.records > self._rows.size - rows:
            self._rows = np.zeros(frame.records, dtype=ROW)
        room = len(frame.payload) // 2
        if fired + room > self._fired.size:
            self._fired = np.concatenate([self._fired[:fired], np.zeros(room + _AT_ONCE, dtype=FIRED)])
        data = np.frombuffer(frame.payload, dtype=np.uint8)
        where = FramePlace(frame.records, offset, first, self._segment.salt)
        done = extract(data, where, self._rows, self._fired, Extracted(rows, fired))
        self._pending = Extracted(int(done.rows), int(done.fired))

    def _move(self) -> None:
        """Bring gathered rows into the columns."""
        count, hits = self._pending
        self._pending = Extracted(0, 0)
        if count == 0:
            return
        rows, fired = self._rows[:count], self._fired[:hits]
        base = self._used["time"]
        verdict = rows["kind"] == rec.KIND_VERDICT
        self._code_trunks(rows)
        rows["rule"] = self._code_rules(rows["digest"], rows["rule_index"])
        fired["rule"] = self._code_rules(rows["digest"][fired["row"]], fired["rule_index"])
        for name in COLUMNS:
            self._append(name, rows[name])
        self._append("hit_row", fired["row"] + np.uint32(base))
        self._append("hit_rule", fired["rule"])
        others = np.flatnonzero(~verdict)
        self._append("outcome_row", others + base)
        for name in ("phase", "answered", "ring", "talk"):
            self._append(f"outcome_{name}", rows[name][others])
        oldest, newest = int(rows["time"].min()), int(rows["time"].max())
        self._oldest, self._newest = (
            (min(self._oldest, oldest), max(self._newest, newest)) if base else (oldest, newest)
        )
        self._verdicts += int(np.count_nonzero(verdict))

    def _append(self, name: str, values: NDArray[Any]) -> None:
        column, used = self._columns[name], self._used[name]
        if used + values.size > column.size:
            # Views that were handed out keep the old memory.
            grown = np.zeros(max(2 * column.size, used + values.size), dtype=column.dtype)
            grown[:used] = column[:used]
            column = self._columns[name] = grown
        column[used : used + values.size] = values
        self._used[name] = used + values.size

    def _code_trunks(self, rows: NDArray[Any]) -> None:
        keys, firsts, inverse = np.unique(rows["trunk_key"], return_index=True, return_inverse=True)
        codes = np.zeros(keys.size, dtype=np.uint16)
        for at, (key, first) in enumerate(zip(keys.tolist(), firsts.tolist(), strict=True)):
            if key not in self._trunks and len(self._trunks) < _MOST_CODES:
                self._trunks[key] = len(self._names)
                self._names.append(self._trunk_name(int(rows["offset"][first])))
            codes[at] = self._trunks.get(key, _MOST_CODES - 1)
        rows["trunk"] = codes[inverse]

    def _trunk_name(self, offset: int) -> str:
        """The trunk's name, as the record at this byte says it."""
        length, kind, _ = RECORD_HEADER.unpack(self._segment.bytes_at(offset, RECORD_HEADER.size))
        body = memoryview(bytes(self._segment.bytes_at(offset, length)))[RECORD_HEADER.size :]
        if kind == rec.KIND_OUTCOME:
            return decode_outcome(0, body).trunk
        return decode(0, body, lambda _digest, _rule: 0).trunk

    def _code_rules(self, digests: NDArray[Any], indices: NDArray[Any]) -> NDArray[np.uint16]:
        sets, inverse = np.unique(digests, return_inverse=True)
        pairs, places = np.unique(inverse.astype(np.int64) << 16 | indices, return_inverse=True)
        codes = np.zeros(pairs.size, dtype=np.uint16)
        for at, pair in enumerate(pairs.tolist()):
            rule = (int(sets[pair >> 16]), pair & 0xFFFF)
            codes[at] = self._rules.setdefault(rule, min(len(self._rules), _MOST_CODES - 1))
        return codes[places]

    def _part(self, size: int) -> MemoryPart:
        columns = {name: values[: self._used[name]] for name, values in self._columns.items()}
        rows = self._used["time"]
        head = PartHead(
            first_seq=self._segment.first_seq,
            salt=self._segment.salt,
            created_ns=self._segment.created_ns,
            bytes_=size,
            rows=rows,
            verdicts=self._verdicts,
            outcomes=rows - self._verdicts,
            oldest_ms=self._oldest,
            newest_ms=self._newest,
            trunks=tuple(self._names),
            rules=tuple(self._rules),
        )
        return MemoryPart(head, columns)
