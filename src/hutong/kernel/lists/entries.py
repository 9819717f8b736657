"""List entries as values and as bytes. What a written target means is in `targets`, where entries live in `store`.

Stored form of an entry: a row of fixed size (ROW), which a whole list is read from at once, then its words as
MessagePack (reason, source, who, removed by, why removed).
"""

from __future__ import annotations

import struct

import msgspec
import numpy as np

LISTS = ("block", "allow")
ROLES = ("any", "caller", "callee")
KINDS = ("number", "prefix", "range")
RESPONSES = (603, 607, 608)  # RFC 3261 §21.6.2, RFC 8197, RFC 8688

LAST_SECOND = 0xFFFF_FFFF  # times take 32 bits: good until February 2106
LAST_ID = 0x7FFF_FFFF  # two ids are packed in one int64

ROW = np.dtype(
    [
        ("key", "<i8"),  # number key of the number, of the prefix (its own digit count) or of the first in the range
        ("last", "<i8"),  # number key of the last in the range; 0 for the other kinds
        ("id", "<u4"),
        ("created", "<u4"),
        ("expires", "<u4"),
        ("removed", "<u4"),
        ("respond", "<u2"),
        ("list", "u1"),
        ("role", "u1"),
        ("kind", "u1"),
        ("spare", "u1", 3),
    ]
)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a list. Times are whole seconds since 1970 UTC.

    Attributes:
        id: 1..LAST_ID, never used twice; 0 while the entry is not in a store.
        list: one of LISTS.
        kind: one of KINDS.
        key: number key (see `numbering.keys`) of the number, the prefix's digits or the range's first number.
        last: number key of the range's last number; 0 for other kinds.
        role: one of ROLES; whose number the entry is about.
        expires: 0 = never; has no effect from this second on.
        respond: SIP status of a call blocked by this entry, one of RESPONSES.
        removed: 0 while the entry has effect.
    """

    list: str
    kind: str
    key: int
    last: int = 0
    role: str
    reason: str
    source: str = ""
    who: str
    expires: int = 0
    respond: int = 608
    id: int = 0
    created: int = 0
    removed: int = 0
    removed_by: str = ""
    removed_why: str = ""

    def says_the_same(self, other: Entry) -> bool:
        """Whether `other` differs at most in its id and creation time."""
        return msgspec.structs.replace(other, id=self.id, created=self.created) == self


_ROW = struct.Struct("<qqIIIIHBBB3x")  # ROW, for one entry
_words = msgspec.msgpack.Encoder()
_words_back = msgspec.msgpack.Decoder(tuple[str, str, str, str, str])


def encode_entry(entry: Entry) -> bytes:
    """The stored form."""
    row = _ROW.pack(
        entry.key,
        entry.last,
        entry.id,
        entry.created,
        entry.expires,
        entry.removed,
        entry.respond,
        LISTS.index(entry.list),
        ROLES.index(entry.role),
        KINDS.index(entry.kind),
    )
    return row + _words.encode((entry.reason, entry.source, entry.who, entry.removed_by, entry.removed_why))


def decode_entry(data: bytes) -> Entry:
    """The entry of a stored form."""
    key, last, number, created, expires, removed, respond, list_, role, kind = _ROW.unpack_from(data)
    reason, source, who, removed_by, removed_why = _words_back.decode(data[_ROW.size :])
    return Entry(
        list=LISTS[list_],
        kind=KINDS[kind],
        key=key,
        last=last,
        role=ROLES[role],
        reason=reason,
        source=source,
        who=who,
        expires=expires,
        respond=respond,
        id=number,
        created=created,
        removed=removed,
        removed_by=removed_by,
        removed_why=removed_why,
    )


def rows_of(values: list[bytes]) -> np.ndarray:
    """The rows of many stored entries, shape (len(values),), dtype ROW."""
    size = ROW.itemsize
    return np.frombuffer(b"".join([value[:size] for value in values]), dtype=ROW) if values else np.zeros(0, ROW)
