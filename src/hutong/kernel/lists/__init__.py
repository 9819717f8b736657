"""Block and allow lists: by number, prefix and range, with reason, source, who and expiry.

`store` (LMDB) is the truth that every process shares, `index` what one process asks about each call, `csv_file` how
lists come and go. A listed number is personal data: who put it there, why and until when is part of the entry.
"""

from hutong.kernel.lists.entries import KINDS, LISTS, RESPONSES, ROLES, Entry
from hutong.kernel.lists.index import (
    ROLE_ANY,
    ROLE_CALLEE,
    ROLE_CALLER,
    ListArrays,
    ListIndex,
    allow_id,
    block_id,
    look_up,
    respond_of,
)
from hutong.kernel.lists.store import ListStore
from hutong.kernel.lists.targets import Target, covers, describe, draft, read_target

__all__ = [
    "KINDS",
    "LISTS",
    "RESPONSES",
    "ROLES",
    "ROLE_ANY",
    "ROLE_CALLEE",
    "ROLE_CALLER",
    "Entry",
    "ListArrays",
    "ListIndex",
    "ListStore",
    "Target",
    "allow_id",
    "block_id",
    "covers",
    "describe",
    "draft",
    "look_up",
    "read_target",
    "respond_of",
]
