"""Who must have read a journal's records before they may be deleted: small files beside its segments.

A hold is no promise for ever: it ends after a week (HELD_NS), because a reader that stays away must not fill the disk
of those who write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_SUFFIX: Final = ".hold"
#: How much longer than asked for a record is kept for a reader that has not come.
HELD_NS: Final = 7 * 24 * 3600 * 1_000_000_000


def hold(folder: Path, who: str, seq: int) -> None:
    """Say that `who` has read the records up to `seq`, and needs those after it.

    Raises:
        OSError: the folder cannot be written to.
    """
    if not folder.is_dir():
        return  # no journal yet, so there is nothing to hold
    path = folder / f"{who}{_SUFFIX}"
    fresh = path.with_suffix(".new")
    fresh.write_text(f"{seq}\n", encoding="ascii")
    fresh.replace(path)


def release(folder: Path, who: str) -> None:
    """Say that `who` needs nothing any more."""
    (folder / f"{who}{_SUFFIX}").unlink(missing_ok=True)


def read_to(folder: Path) -> int | None:
    """The last record that all who hold have read; None where nobody does. A damaged hold holds everything."""
    seqs = []
    for path in folder.glob(f"*{_SUFFIX}"):
        text = path.read_text(encoding="ascii", errors="replace").strip()
        seqs.append(int(text) if text.isascii() and text.isdecimal() else 0)
    return min(seqs, default=None)
