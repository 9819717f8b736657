"""The bytes of a trail entry that its leaf hash is of. Pure, and never changed: another form gets another name.

They are the row as one JSON object in the canonical form of RFC 8785 (keys in order, no spaces, UTF-8): its columns as
they are kept, `before` and `after` being texts that hold JSON, and `format`, which names this form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from hutong.kernel.audit.merkle import leaf_hash

if TYPE_CHECKING:
    from collections.abc import Sequence

FORMAT: Final = "hutong-trail-1"
#: The columns of a row, in the order of their names.
COLUMNS: Final = ("address", "after", "before", "deed", "id", "purpose", "target", "time_ms", "who")


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row of the trail; fields stand in the order of their names, as RFC 8785 §3.2.3 wants it."""

    address: str
    after: str | None
    before: str | None
    deed: str
    format: str
    id: int
    purpose: str
    target: str
    time_ms: int
    who: str

    @classmethod
    def of(cls, row: Sequence[Any]) -> Entry:
        """From the values of COLUMNS."""
        address, after, before, deed, number, purpose, target, time_ms, who = row
        return cls(address, after, before, deed, FORMAT, number, purpose, target, time_ms, who)

    def canonical(self) -> bytes:
        """Its bytes."""
        return _encode(self)

    def leaf(self) -> bytes:
        """Its leaf hash, 32 bytes."""
        return leaf_hash(_encode(self))


_encode = msgspec.json.Encoder().encode


def read_entry(data: bytes) -> Entry | None:
    """The entry that these bytes are the canonical form of; None where they are not."""
    try:
        entry = msgspec.json.decode(data, type=Entry)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return entry if entry.format == FORMAT and entry.canonical() == data else None
