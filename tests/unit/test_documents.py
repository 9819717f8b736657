"""A document is one page of HTML: what it does not hold itself is neither fetched nor left out without a word."""

from __future__ import annotations

import io

import pytest
from pypdf import PdfReader

from hutong.kernel import documents
from hutong.kernel.documents import DocumentError, pdf_of

PAGE = '<html lang="zh"><head><title>a</title><style>{}</style></head><body><h1>通报 Bulletin 1,234</h1>{}</html>'
DRAWING = '<svg width="40" height="20"><rect width="40" height="20" fill="#0b6e99"/></svg>'


def test_the_same_page_gives_the_same_pdf_on_a4_in_chinese_and_latin_letters() -> None:
    made = pdf_of(PAGE.format("", DRAWING))
    assert made == pdf_of(PAGE.format("", DRAWING))
    (page,) = PdfReader(io.BytesIO(made)).pages
    assert "通报 Bulletin 1,234" in page.extract_text()
    assert (round(page.mediabox.width), round(page.mediabox.height)) == (595, 842)


@pytest.mark.parametrize(
    ("style", "body"),
    [
        ("", '<img src="http://example.com/a.png">'),
        ("", '<img src="file:///etc/hostname">'),
        ("", '<svg width="9" height="9"><image width="5" height="5" href="file:///etc/hostname"/></svg>'),
        ('@import "http://example.com/a.css";', ""),
        ("h1 { background: url(http://example.com/a) } @font-face { font-family: x; src: url(file:///x) }", ""),
    ],
)
def test_what_is_outside_the_page_is_refused(style: str, body: str) -> None:
    with pytest.raises(DocumentError, match="outside itself"):
        pdf_of(PAGE.format(style, body))


def test_a_machine_without_pango_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_name: str, *_more: object, **_named: object) -> None:
        raise OSError("cannot load library 'libpango-1.0-0'")

    monkeypatch.setattr("builtins.__import__", load)
    with pytest.raises(DocumentError, match="libpango"):
        documents.pdf_of("")
