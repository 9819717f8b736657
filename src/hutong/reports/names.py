"""Web names as people write them: read out of addresses and messages into one form each. Pure.

IDNA 2008 with the mapping of UTS 46: 例子.中国 and its xn-- form are one name, and so are letters of full width. A name
stands for itself, without `www.`: cut down to what somebody registered, one bad page of a house that hosts thousands
would mean them all. What everybody's names end in (com.cn, github.io) is therefore no name that can be reported.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import idna

#: Names of one message that are looked at.
MOST: Final = 5
LONGEST: Final = 253  # RFC 1035 §2.3.4, without the root's dot
_SCHEME: Final = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_DOTS: Final = str.maketrans("。．｡", "...")
_ASCII: Final = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})\.)+[A-Za-z]{2,24}"
# Letters of a name end where Chinese text goes on without a blank: only what has a scheme, or is plain ASCII, is found.
# What stands before @ or : may be a user's name, made to look like a house's.
_IN_TEXT: Final = re.compile(
    rf"https?://{_ASCII}(?![A-Za-z0-9.@:_-])|https?://[^\s<>\"',;()。、】》]+|(?<![A-Za-z0-9@._-]){_ASCII}(?![A-Za-z0-9-])"
)
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_FILE_ENDINGS: Final = frozenset({"apk", "exe", "doc", "pdf", "jpg", "png", "mp4", "zip", "html", "htm", "txt"})


@cache
def _suffixes() -> frozenset[str]:
    lines = Path(__file__).with_name("suffixes.txt").read_text(encoding="ascii").split("\n")
    return frozenset(line.strip() for line in lines if line.strip() and not line.startswith("#"))


def read_name(text: str) -> str:
    """The name in an address or a bare name, in ASCII form (A-labels) or as an IP address; "" where there is none."""
    written = text.strip().translate(_DOTS)
    if not written or len(written) > 2000 or any(letter.isspace() for letter in written):  # noqa: PLR2004
        return ""
    try:
        host = urlsplit(written if _SCHEME.match(written) else f"//{written}").hostname or ""
    except ValueError:
        return ""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return _canonical(host.rstrip("."))


def _canonical(host: str) -> str:
    try:
        name = host.lower() if host.isascii() else idna.encode(host, uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        return ""
    labels = name.split(".")
    if len(labels) < 2 or len(name) > LONGEST or labels[-1].isdigit():  # noqa: PLR2004  # a name and what it is in
        return ""
    if not all(_LABEL.fullmatch(label) for label in labels):
        return ""
    if labels[0] == "www" and name.removeprefix("www.") not in _suffixes() and len(labels) > 2:  # noqa: PLR2004
        name = name.removeprefix("www.")
    return "" if name in _suffixes() else name


def names_in(text: str) -> tuple[str, ...]:
    """The names in a message, each once, at most MOST."""
    found: dict[str, None] = {}
    # Letters of full width are how a message gets past whoever looks for names in it.
    for match in _IN_TEXT.finditer(unicodedata.normalize("NFKC", text)):
        written = match[0]
        if not _SCHEME.match(written) and written.rsplit(".", 1)[-1].lower() in _FILE_ENDINGS:
            continue
        name = read_name(written)
        if name:
            found[name] = None
        if len(found) == MOST:
            break
    return tuple(found)


def show_name(name: str) -> str:
    """A name as people read it: U-labels where they are well-formed, and the ASCII form beside it."""
    if "xn--" not in name:
        return name
    try:
        return f"{idna.decode(name)} ({name})"
    except (idna.IDNAError, UnicodeError):
        return name
