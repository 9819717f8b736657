"""A document as one HTML file with everything in it, and as PDF, which is that file printed."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from hutong.bulletins.drawing import draw
from hutong.kernel.documents import pdf_of
from hutong.kernel.web.frame import STATIC

if TYPE_CHECKING:
    from hutong.bulletins.compose import Document

HOME: Final = Path(__file__).resolve().parent


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(HOME / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _style() -> Markup:
    files = (STATIC / "tokens.css", HOME / "static" / "bulletin.css")
    return Markup("".join(file.read_text(encoding="utf-8") for file in files))  # noqa: S704  # our own files


def html_of(document: Document, id_: str, digest: str) -> str:
    """The document as a page that needs nothing else.

    Args:
        id_: the bulletin's. digest: SHA-256 of its value.
    """
    page = _environment().get_template("paper.html")
    return page.render(document=document, id=id_, digest=digest, style=_style(), draw=draw, link=lambda _figure: "")


def bulletin_pdf(document: Document, id_: str, digest: str) -> bytes:
    """The document as PDF on A4.

    Raises:
        DocumentError: the libraries that set text are not installed.
    """
    return pdf_of(html_of(document, id_, digest))
