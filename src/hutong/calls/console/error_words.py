"""Errors of lists and rules in the reader's language: what the kernel says in English, found again as a text.

Belongs here: which text says the same as which message. An error that has no text is told as the kernel says it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from hutong.kernel.errors import HutongError
    from hutong.kernel.web.texts import Texts

_KNOWN: Final = tuple(
    (re.compile(pattern, re.DOTALL), key)
    for pattern, key in (
        (r"'(?P<text>.*)' is not a telephone number of 1 to (?P<digits>\d+) digits\.", "no_number"),
        (r"'(?P<text>.*)' is no prefix: it needs digits before the \*\.", "no_prefix"),
        (r"'(?P<text>.*)' is no prefix of a number of at most (?P<digits>\d+) digits\.", "prefix_too_long"),
        (r"'(?P<text>.*)' names no area code\.", "no_area_code"),
        (r"'(?P<text>.*)' is longer than the numbers it would cover\.", "prefix_covers_nothing"),
        (r"'(?P<text>.*)' would cover Beijing's numbers and service numbers alike\.", "beijing"),
        (r"'(?P<text>.*)' is no range: .*", "no_range"),
        (r"There is no list '(?P<text>.*)'\.", "no_list"),
        (r"There is no role '(?P<text>.*)'\.", "no_role"),
        (r"(?P<text>\d+) is no answer to a blocked call\.", "no_answer"),
        (r"An entry needs its reason\.", "no_reason"),
        (r"An entry needs who made it\.", "no_who"),
        (r"This time of expiry is out of range\.", "expiry_range"),
        (r"(?P<text>.*) is already over\.", "expiry_over"),
        (r"(?P<text>\S+) covers (?P<number>\d+), which must always be reached\.", "protected"),
        (r"'(?P<text>.*)' is no time with its offset\.", "no_time"),
        (r"'(?P<text>.*)' is no SIP status\.", "no_answer"),
        (r"The row has (?P<fields>\d+) fields, the header (?P<wanted>\d+)\.", "row_length"),
        (r"Bytes that the encoding does not know\.", "row_bytes"),
        (r"This is no CSV row: (?P<text>.*)\.", "no_row"),
        (r"Column '(?P<text>.*)' appears twice\.", "column_twice"),
        (r"Column '(?P<text>.*)' is unknown\.", "column_unknown"),
        (r"The header lacks (?P<text>.*)\.", "header_lacks"),
        (r"This file is neither UTF-8 nor GB 18030\.", "encoding"),
        (r"Too many files wait to be imported\.", "imports_full"),
        (r"Too many rows of this file are wrong\.", "rows_wrong"),
        (r"The file cannot be (?:kept|read): (?P<text>.*)\.", "file_fails"),
        (r"The lists cannot be (?:opened|written): (?P<text>.*)\.", "lists_fail"),
        (r"The import broke off: (?P<text>.*)\.", "import_broke_off"),
        (r"there is no rule '(?P<text>.*)'\.", "no_rule"),
        (r"there is no stage '(?P<text>.*)'\.", "no_stage"),
        (r"(?P<text>\S+) may at most (?P<most>\w+), not (?P<wanted>\w+)\.", "stage_above_action"),
        (r"(?P<text>\S+) is in stage (?P<stage>\w+) already\.", "stage_already"),
        (r"a stage change needs a person and a reason\.", "stage_reason"),
    )
)


class Said(NamedTuple):
    """What was wrong, and what to do about it (may be empty)."""

    what: str
    fix: str


def say_error(texts: Texts, error: HutongError, language: str) -> Said:
    """An error in the reader's language."""
    return say_words(texts, error.what, error.fix, language)


def say_words(texts: Texts, what: str, fix: str, language: str) -> Said:
    """The same for an error of which only the words were kept."""
    for pattern, key in _KNOWN:
        if found := pattern.fullmatch(what):
            places = found.groupdict()
            for name in ("most", "wanted", "stage"):
                if (word := f"stage.{places.get(name)}") in texts:
                    places[name] = texts.say(word, language)
            return Said(
                texts.say(f"error_words.{key}.what", language, **places), texts.say(f"error_words.{key}.fix", language)
            )
    return Said(what, fix)
