"""The page of a paper code, to be printed: one drawing in both languages, alone (SVG) or on a sheet (PDF)."""

from __future__ import annotations

import html
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hutong.codes import qr
from hutong.kernel.cases.calendar import show_moment
from hutong.kernel.documents import FONT, pdf_of
from hutong.kernel.web.texts import LANGUAGES, Texts

if TYPE_CHECKING:
    from hutong.codes.issuing import PaperCode

#: Paper gets folded: a quarter of the codewords may be unreadable (ISO/IEC 18004 §6.5.1).
LEVEL: Final = "Q"
_WIDTH, _HEIGHT = 480, 660  # units of the drawing
_SYMBOL: Final = 330


def page_svg(code: PaperCode) -> str:
    """The page as a drawing, 480 × 660 units; text is text, so that a screen reader reads it."""
    modules = qr.matrix(code.text, LEVEL)
    scale = _SYMBOL / (len(modules) + 2 * qr.BORDER)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        f'<g font-family="{FONT}, sans-serif">',
        f'<path fill="#fff" d="M0 0h{_WIDTH}v{_HEIGHT}H0z"/>',
        *_titles(),
        f'<g transform="translate({(_WIDTH - _SYMBOL) / 2} 96) scale({scale:.4f})" shape-rendering="crispEdges">',
        f'<path stroke="#000" d="{qr.svg_path(modules)}"/></g>',
        *_details(code),
        "</g></svg>",
    ]
    return "".join(lines)


def page_pdf(code: PaperCode) -> bytes:
    """The page on a sheet of A4.

    Raises:
        DocumentError: the libraries that set text are not installed.
    """
    title = _texts().say("codes.paper.title", LANGUAGES[0])
    drawing = page_svg(code).replace("<svg ", '<svg style="width:120mm;height:165mm" ', 1)
    return pdf_of(f'<!doctype html><html lang="zh"><title>{html.escape(title)}</title><body>{drawing}</body></html>')


def _titles() -> list[str]:
    said = [_texts().say("codes.paper.title", language) for language in LANGUAGES]
    return [_line(said[0], 44, 30), _line(said[1], 76, 18)]


def _details(code: PaperCode) -> list[str]:
    claims = code.claims
    lines = [_line(f"{claims.name}  ···{claims.tail}" if claims.tail else claims.name, 464, 28)]
    at = 494
    until = show_moment(claims.expires_ms)
    for word in ("until", "use", "check", "lost"):
        for language in LANGUAGES:
            lines.append(_line(_texts().say(f"codes.paper.{word}", language, until=until), at, 13))
            at += 18
        at += 3
    return [*lines, _line(f"{claims.issuer} · {code.handle.hex()}", at + 2, 10)]


def _line(text: str, at: int, size: int) -> str:
    return f'<text x="{_WIDTH // 2}" y="{at}" font-size="{size}" text-anchor="middle">{html.escape(text)}</text>'


@cache
def _texts() -> Texts:
    return Texts([Path(__file__).with_name("texts.toml")])
