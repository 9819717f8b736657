"""The parts of a data folder, one for each journal segment: made, mapped and let go of as segments come and go."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

from hutong.calls.index.growing import GrowingPart
from hutong.calls.index.sidecar import SUFFIX, SidecarError, SidecarPart, write_sidecar
from hutong.kernel.errors import JournalError
from hutong.kernel.journal.segment import SUFFIX as SEGMENT_SUFFIX
from hutong.kernel.journal.segment import Segment, segment_name

if TYPE_CHECKING:
    from hutong.calls.index.part import Part

_MAPPED = 256  # sidecars mapped at a time: each holds a descriptor


class PartFolder:
    """Knows the part of every segment; safe for many threads.

    Args:
        data: the data folder. Sidecars are kept in DATA/index where this process may write there, else in memory.
    """

    def __init__(self, data: Path) -> None:
        self.journal = data / "journal"
        self._index = data / "index"
        self._lock = threading.Lock()
        self._sealed: dict[int, Part] = {}
        self._growing: dict[int, GrowingPart] = {}
        self._mapped: OrderedDict[int, SidecarPart] = OrderedDict()
        self.built = 0

    def segment(self, first_seq: int) -> Path:
        """The file of a segment."""
        return self.journal / segment_name(first_seq)

    def _sidecar(self, first_seq: int) -> Path:
        return self._index / f"{first_seq:020d}{SUFFIX}"

    def refresh(self) -> tuple[Part, ...]:
        """Take note of what was written and deleted; gives all parts, oldest first."""
        with self._lock:
            firsts = self._firsts()
            self._let_go(set(firsts))
            parts = [self._closed(first) for first in firsts[:-1]]
            parts += [self._open(first) for first in firsts[-1:]]
            return tuple(part for part in parts if part is not None)

    def discard(self, first_seq: int) -> None:
        """A part turned out to be damaged: its file is deleted, the next refresh makes it again."""
        with self._lock:
            self._sealed.pop(first_seq, None)
            self._mapped.pop(first_seq, None)
            self._delete(self._sidecar(first_seq))

    def used(self, part: Part) -> None:
        """Tell that a part's columns were looked at: of mapped sidecars only the latest stay mapped."""
        if not isinstance(part, SidecarPart):
            return
        with self._lock:
            self._mapped[part.head.first_seq] = part
            self._mapped.move_to_end(part.head.first_seq)
            while len(self._mapped) > _MAPPED:
                self._mapped.popitem(last=False)[1].release()

    def sweep(self) -> int:
        """Delete sidecars whose segment is gone; returns how many."""
        firsts, gone = set(self._firsts()), 0
        for path in self._index.glob(f"*{SUFFIX}"):
            if path.stem.isdecimal() and int(path.stem) not in firsts:
                gone += self._delete(path)
        return gone

    def sweep_drafts(self) -> int:
        """Delete drafts of processes that died."""
        drafts = [path for path in self._index.glob(f".*{SUFFIX}.*") if not _is_alive(path.suffixes[-2][1:])]
        return sum(map(self._delete, drafts))

    def _delete(self, path: Path) -> int:
        try:
            path.unlink()
        except OSError:
            return 0  # gone already, or not ours to delete
        return 1

    def _firsts(self) -> list[int]:
        try:
            names = [path.name for path in self.journal.iterdir()]
        except FileNotFoundError:
            return []
        stems = (name.removesuffix(SEGMENT_SUFFIX) for name in names if name.endswith(SEGMENT_SUFFIX))
        return sorted(int(stem) for stem in stems if stem.isdecimal())

    def _let_go(self, firsts: set[int]) -> None:
        for first in self._growing.keys() - firsts:
            self._growing.pop(first).close()
        for first in self._sealed.keys() - firsts:
            del self._sealed[first]
            self._mapped.pop(first, None)

    def _closed(self, first: int) -> Part | None:
        if first not in self._sealed:
            try:
                part = self._loaded(first) or self._built(first)
            except (FileNotFoundError, JournalError):
                self._drop_growing(first)
                return None
            self._sealed[first] = part
        return self._sealed[first]

    def _drop_growing(self, first: int) -> None:
        growing = self._growing.pop(first, None)
        if growing is not None:
            growing.close()

    def _loaded(self, first: int) -> Part | None:
        """What its sidecar holds, if that is about this very segment."""
        path = self._sidecar(first)
        try:
            part = SidecarPart(path)
        except FileNotFoundError:
            return None
        except (SidecarError, OSError):
            self._delete(path)
            return None
        segment = Segment(self.segment(first))
        segment.open()
        same = (part.head.salt, part.head.created_ns, part.head.bytes_)
        fits = same == (segment.salt, segment.created_ns, segment.size())
        segment.close()
        if not fits:
            self._delete(path)
            return None
        self._drop_growing(first)
        return part

    def _built(self, first: int) -> Part:
        growing = self._of(first)
        growing.seal()
        part = growing.extend()
        self.built += 1
        try:
            self._index.mkdir(exist_ok=True)
            write_sidecar(self._sidecar(first), part)
            stored: Part = SidecarPart(self._sidecar(first))
        except (OSError, SidecarError):
            stored = part  # no room, or no right to write here: in memory it answers as well
        self._drop_growing(first)
        return stored

    def _open(self, first: int) -> Part | None:
        self._sealed.pop(first, None)
        try:
            return self._of(first).extend()
        except (FileNotFoundError, JournalError):
            self._drop_growing(first)
            return None

    def _of(self, first: int) -> GrowingPart:
        """The growing part of a segment; anew where another file took the segment's name."""
        path = self.segment(first)
        growing = self._growing.get(first)
        if growing is not None and growing.inode != path.stat().st_ino:
            self._drop_growing(first)
            growing = None
        if growing is None:
            growing = self._growing[first] = GrowingPart(path)
        return growing


def _is_alive(pid: str) -> bool:
    return pid.isdecimal() and Path("/proc", pid).exists()
