"""What transactions over the same tubes, people or batches hold, so that one waits for the other.

A merge of a thousand events names as many tubes and people, and a database has room for some thousand locks of all
its transactions together. So names share a few hundred locks; two that share one by chance wait, and that is all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Locks that names share: of tubes and people, and, taken after these, of batches.
ROOMS: Final = 512
BATCH_ROOMS: Final = 64


def tube_rooms(barcodes: Iterable[str], people: Iterable[str] = ()) -> set[str]:
    """Names to hold for these barcodes and people."""
    return _rooms("sampling", ROOMS, (*(f"tube:{it}" for it in barcodes), *(f"person:{it}" for it in people)))


def batch_rooms(ids: Iterable[str]) -> set[str]:
    """Names to hold for these batches."""
    return _rooms("sampling-batch", BATCH_ROOMS, ids)


def _rooms(kind: str, most: int, names: Iterable[str]) -> set[str]:
    return {f"{kind}:{crc32(name.encode()) % most}" for name in names}
