"""How long scans are kept: rules as data with their basis, and the days that follow. Pure but for its file."""

from __future__ import annotations

import tomllib
from datetime import date  # noqa: TC003  # msgspec reads the annotation
from functools import cache
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from hutong.codes.people.day_keys import day_of, day_of_date, end_of
from hutong.codes.scans.errors import ScanError

FILE: Final = Path(__file__).with_name("retention.toml")
_DAY_MS: Final = 86_400_000


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"begins": "from"}):
    """A rule of retention.

    Attributes:
        begins: from which day on. days: that scans are kept after their own. notice_days: for notices of look-ups.
        basis: legal basis. zh, en: why so long.
    """

    begins: date
    days: Annotated[int, Meta(ge=1, le=14)]
    notice_days: Annotated[int, Meta(ge=30, le=1095)]
    basis: str
    zh: str
    en: str

    def since_day(self, now_ms: int) -> int:
        """The first day whose scans are kept."""
        return day_of(now_ms) - self.days

    def since_ms(self, now_ms: int) -> int:
        """From when on scans are kept, ms since 1970."""
        return end_of(self.since_day(now_ms) - 1)


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rule: Annotated[tuple[Rule, ...], Meta(min_length=1)]


@cache
def shipped() -> tuple[Rule, ...]:
    """The rules, in the order of their days.

    Raises:
        ScanError: the file is not as it must be.
    """
    try:
        found = msgspec.convert(tomllib.loads(FILE.read_text(encoding="utf-8")), _File).rule
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ScanError(f"The rules of retention cannot be read: {error}.", where=str(FILE)) from error
    return tuple(sorted(found, key=lambda it: it.begins))


def rule_at(now_ms: int, rules: tuple[Rule, ...] = ()) -> Rule:
    """The rule in force; before the first one that one."""
    rules = rules or shipped()
    begun = [it for it in rules if day_of_date(it.begins) <= day_of(now_ms)]
    return begun[-1] if begun else rules[0]


def retention_table() -> str:
    """The rules as Markdown for docs/scans.md."""
    lines = ["| from 起 | days 天 | notices 告知 | basis 依据 | | |", "|---|---:|---:|---|---|---|"]
    lines += [f"| {it.begins} | {it.days} | {it.notice_days} | {it.basis} | {it.zh} | {it.en} |" for it in shipped()]
    return "\n".join(lines) + "\n"
