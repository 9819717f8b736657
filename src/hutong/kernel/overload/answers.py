"""The bytes that the refused get: a small page in both languages, or a problem document for programs (RFC 9457)."""

from __future__ import annotations

from functools import cache
from html import escape
from pathlib import Path
from typing import Final, Literal

import msgspec

from hutong.kernel.web.texts import LANGUAGES, Texts

Page = Literal["busy", "away"]

#: Stands for the seconds until the page is filled in; the edge's Lua fills in the same place.
SECONDS: Final = "@SECONDS@"
_TITLES: Final = {429: "Too Many Requests", 503: "Service Unavailable"}
_TAGS: Final = {"zh": "zh-CN", "en": "en"}


@cache
def page(which: Page, *, place: bool) -> str:
    """The page with `SECONDS` in it.

    Args:
        which: refused, or the service is away. place: whether a ticket goes with it.
    """
    texts = Texts([Path(__file__).with_name("texts.toml")])
    lines = {"busy": ("wait", "place", "shown") if place else ("wait", "shown"), "away": ("wait", "kept")}[which]
    parts = []
    for language in LANGUAGES:
        said = "".join(f"<p>{escape(texts.say(f'{which}.{line}', language, seconds=SECONDS))}</p>" for line in lines)
        title = escape(texts.say(f"{which}.title", language))
        parts.append(f'<section lang="{_TAGS[language]}"><h1>{title}</h1>{said}</section>')
    titles = " · ".join(texts.say(f"{which}.title", language) for language in LANGUAGES)
    return (
        '<!DOCTYPE html><html lang="zh-CN"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(titles)}</title><main>{''.join(parts)}</main></html>\n"
    )


def filled(which: Page, *, place: bool, seconds: int) -> bytes:
    """The page as it is sent."""
    return page(which, place=place).replace(SECONDS, str(seconds)).encode()


def problem(status: int, why: str, seconds: int) -> bytes:
    """The same for programs: type, title, status, why, retry_after (seconds)."""
    content = {"type": "/problems/overload", "title": _TITLES[status], "status": status}
    return msgspec.json.encode({**content, "why": why, "retry_after": seconds})
