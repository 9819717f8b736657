"""Marks: what is known of a number beyond its calls: who reported it, wrong blocks of it, limits by order.

`store` is the truth (SQL), `file` the table that screening looks up without a lock, `table` its layout. A mark stands
when its transaction does; `Marks.publish` brings the table after it, at once or, after a crash, with the next turn.
"""

from hutong.kernel.marks.file import MARKS, LimitRefs, MarkFile
from hutong.kernel.marks.store import LIMIT, REPORT, WRONG_BLOCK, Mark, Marks
from hutong.kernel.marks.table import (
    LONGEST_LIMIT,
    find_row,
    limit_mark_of,
    limit_of,
    no_marks,
    reporters_7d,
    reporters_24h,
    reporters_30d,
    wrong_blocks,
)

__all__ = [
    "LIMIT",
    "LONGEST_LIMIT",
    "MARKS",
    "REPORT",
    "WRONG_BLOCK",
    "LimitRefs",
    "Mark",
    "MarkFile",
    "Marks",
    "find_row",
    "limit_mark_of",
    "limit_of",
    "no_marks",
    "reporters_7d",
    "reporters_24h",
    "reporters_30d",
    "wrong_blocks",
]
