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


_NUMBER: Final = ("不是整数", "is no whole number")
_ABSENT_TIME: Final = ("无法读作时间", "cannot be read as a time")

#: A fault's place is its code; 0 is none.
FAULTS: Final = (
    Fault("", "", ""),
    Fault("", "列数与表头不符", "has another number of columns than the header"),
    Fault("", "不是 UTF-8 文本", "is not UTF-8"),
    Fault("", "一行超过 8 MiB", "is longer than 8 MiB"),
    Fault("", "引号没有闭合", "opens a quote that is never closed"),
    Fault("call_id", "为空", "is empty"),
    Fault("start", *_ABSENT_TIME),
    Fault("start", "不在 2000 至 2099 年之间(毫秒?秒?)", "is not between 2000 and 2099 (milliseconds? seconds?)"),
    Fault("trunk", "不是已知的中继", "is no known trunk"),
    Fault("caller", "与被叫同为空", "is empty, and so is callee"),
    Fault("answered", "不是 0 或 1", "is not 0 or 1"),
    Fault("anonymous", "不是 0 或 1", "is not 0 or 1"),
    Fault("lost", "不是 0 或 1", "is not 0 or 1"),
    Fault("ring_ms", *_NUMBER),
    Fault("talk_ms", *_NUMBER),
    Fault("ring_ms", "为负", "is negative"),
    Fault("talk_ms", "为负", "is negative"),
    Fault("ring_ms", "超过 366 天", "is longer than 366 days"),
    Fault("talk_ms", "超过 366 天", "is longer than 366 days"),
    Fault("release", "不是 0 至 999 的整数", "is no whole number from 0 to 999"),
    Fault("answered_at", *_ABSENT_TIME),
    Fault("ended_at", *_ABSENT_TIME),
    Fault("roaming", "不是已知的值", "is no known value"),
    Fault("flags", "不是已知的值", "is no known value"),
    Fault("seq", "不是正整数", "is no positive whole number"),
    Fault("answered_seq", "不是正整数", "is no positive whole number"),
    Fault("ended_seq", "不是正整数", "is no positive whole number"),
    Fault("call_id", "超过 2048 字节", "is longer than 2,048 bytes"),
    Fault("caller", "超过 2048 字节", "is longer than 2,048 bytes"),
    Fault("callee", "超过 2048 字节", "is longer than 2,048 bytes"),
    Fault("from", "超过 2048 字节", "is longer than 2,048 bytes"),
    Fault("diverter", "超过 2048 字节", "is longer than 2,048 bytes"),
)
_CODES: Final = {(fault.column, fault.en): code for code, fault in enumerate(FAULTS)}


def code_of(column: str, en: str) -> int:
    """The code of a reason, by its column and English text."""
    return _CODES[column, en]


COLUMNS_DIFFER: Final = code_of("", "has another number of columns than the header")
NOT_UTF8: Final = code_of("", "is not UTF-8")
TOO_LONG: Final = code_of("", "is longer than 8 MiB")
OPEN_QUOTE: Final = code_of("", "opens a quote that is never closed")
