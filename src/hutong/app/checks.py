"""Checks of single settings: each raises ConfigError without a place, which the loader adds."""

from __future__ import annotations

import re
import zoneinfo
from pathlib import Path

from hutong.kernel import addresses
from hutong.kernel.errors import ConfigError


def name(text: str) -> None:
    """A short name."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", text) is None:
        raise ConfigError(f"{text!r} is not a name.", fix="Use up to 63 letters, digits, dots, dashes, underscores.")


def not_empty(text: str) -> None:
    """Some text."""
    if not text.strip():
        raise ConfigError("it is empty.", fix="Give a value or leave the line out.")


def time_zone(text: str) -> None:
    """The name of a time zone."""
    try:
        zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(f"time zone {text!r} does not exist.", fix="Write it like Asia/Shanghai.") from None


def area(text: str) -> None:
    """An area code or nothing."""
    if text and re.fullmatch(r"0?[1-9][0-9]{1,2}", text) is None:
        raise ConfigError(f"{text!r} is not an area code.", fix="Write it like 021 or 0571, or leave it empty.")


def folder_or_none(text: str) -> None:
    """An existing folder or nothing."""
    if text and not Path(text).is_dir():
        raise ConfigError(f"folder {text!r} does not exist.", fix="Make it, or leave this empty.")


def file_or_none(text: str) -> None:
    """A file in an existing folder, or nothing."""
    if text and (not Path(text).parent.is_dir() or Path(text).is_dir()):
        raise ConfigError(f"{text!r} is no file in an existing folder.", fix="Make the folder, or leave this empty.")


def host_port_or_none(text: str) -> None:
    """host:port or nothing."""
    if text:
        addresses.parse_host_port(text)


def url_or_none(text: str) -> None:
    """An http or https address or nothing."""
    if text:
        addresses.parse_http_url(text)


def host_name(text: str) -> None:
    """A host name or address, with a port where it is not the usual one."""
    if re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?", text) is None:
        raise ConfigError(f"{text!r} is not a host name.", fix="Write it like console.example.cn, without https://.")


def records_url(text: str) -> None:
    """A PostgreSQL address or nothing. The text may hold a password, so it is not repeated."""
    if text and re.match(r"postgresql://[^\s/]*/[^\s/]+$", text) is None:
        raise ConfigError(
            "this is not a PostgreSQL address.", fix="Write it like postgresql://user:password@host:5432/database."
        )


def recipient(text: str) -> None:
    """A recipient of notices about cases."""
    if re.fullmatch(r"(account|unit|chain):\S.{0,99}", text) is None:
        raise ConfigError(f"{text!r} is no recipient.", fix="Write it like unit:移动, account:wang, chain:supervisor.")


def is_mail(text: str) -> bool:
    """Whether a letter can be sent there."""
    return re.fullmatch(r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w-]+(\.[\w-]+)*", text) is not None


def mail(text: str) -> None:
    """An e-mail address."""
    if not is_mail(text):
        raise ConfigError(f"{text!r} is no e-mail address.", fix="Write it like duty@example.cn.")
