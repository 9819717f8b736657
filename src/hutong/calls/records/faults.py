"""What can be wrong with a row: the reasons that stand in a dead-letter file, in both languages."""

from __future__ import annotations

from typing import Final, NamedTuple

from hutong.kernel.errors import HutongError


class CallFileError(HutongError):
    """A file of call records cannot be read at all, or too much of it is wrong."""


class Fault(NamedTuple):
    """A reason: the column at fault ("" for the row as a whole), in Chinese and in English."""

    column: str
    zh: str
    en: str


def _of(columns: str, zh: str, en: str) -> list[Fault]:
    """The same reason for each of these columns."""
    return [Fault(column, zh, en) for column in columns.split()]


#: A fault's place is its code; 0 is none.
FAULTS: Final = (
    Fault("", "", ""),
    Fault("", "列数与表头不符", "has another number of columns than the header"),
    Fault("", "不是 UTF-8 文本", "is not UTF-8"),
    Fault("", "一行超过 8 MiB", "is longer than 8 MiB"),
    Fault("", "引号没有闭合", "opens a quote that is never closed"),
    Fault("call_id", "为空", "is empty"),
    Fault("start", "不在 2000 至 2099 年之间(毫秒?秒?)", "is not between 2000 and 2099 (milliseconds? seconds?)"),
    *_of("start answered_at ended_at", "无法读作时间", "cannot be read as a time"),
    Fault("trunk", "不是已知的中继", "is no known trunk"),
    Fault("caller", "与被叫同为空", "is empty, and so is callee"),
    *_of("answered anonymous lost", "不是 0 或 1", "is not 0 or 1"),
    *_of("ring_ms talk_ms", "不是整数", "is no whole number"),
    *_of("ring_ms talk_ms", "为负", "is negative"),
    *_of("ring_ms talk_ms", "超过 366 天", "is longer than 366 days"),
    Fault("release", "不是 0 至 999 的整数", "is no whole number from 0 to 999"),
    *_of("roaming flags", "不是已知的值", "is no known value"),
    *_of("seq answered_seq ended_seq", "不是正整数", "is no positive whole number"),
    *_of("call_id caller callee from diverter", "超过 2048 字节", "is longer than 2,048 bytes"),
)
_CODES: Final = {(fault.column, fault.en): code for code, fault in enumerate(FAULTS)}


def code_of(column: str, en: str) -> int:
    """The code of a reason, by its column and English text."""
    return _CODES[column, en]


COLUMNS_DIFFER: Final = code_of("", "has another number of columns than the header")
NOT_UTF8: Final = code_of("", "is not UTF-8")
TOO_LONG: Final = code_of("", "is longer than 8 MiB")
OPEN_QUOTE: Final = code_of("", "opens a quote that is never closed")
