"""A document as Word: styles with East Asian fonts, tables that repeat their heads, charts that stay charts."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from hutong.bulletins.compose import Drawing, Heading, Note, Sentence
from hutong.bulletins.drawing import tokens
from hutong.bulletins.word_charts import add_chart

if TYPE_CHECKING:
    from hutong.bulletins.compose import Document, TableBlock

#: Faces that every Word has; for Chinese characters the eastAsia one is taken.
_LATIN: Final = "Arial"
_CHINESE: Final = "Microsoft YaHei"
_WIDE: Final = 17.0  # cm of A4 between the margins
_FIRST: Final = 4.2


def docx_of(document: Document, id_: str, digest: str, made_ms: int) -> bytes:
    """The document as a .docx file.

    Args:
        id_: the bulletin's. digest: SHA-256 of its value. made_ms: when it was made.
    """
    # It takes a tenth of a second to load, and most commands make no document.
    import docx  # noqa: PLC0415

    word = docx.Document()
    _set_up(word, document, id_, made_ms)
    word.add_heading(document.title, 0)
    _paragraph(word, "　".join(document.facts), "Subtitle")
    for block in document.blocks:
        if isinstance(block, Heading):
            word.add_heading(block.text, 1)
        elif isinstance(block, Sentence):
            _paragraph(word, block.text, "Normal")
        elif isinstance(block, Note):
            _paragraph(word, block.text, "Quote" if block.late else "Caption")
        elif isinstance(block, Drawing):
            _paragraph(word, block.title, "Heading 2")
            add_chart(word, block.chart, block.title)
        else:
            _table(word, block)
    _paragraph(word, document.foot, "Normal", right=True)
    _paragraph(word, digest, "Caption", right=True)
    kept = io.BytesIO()
    word.save(kept)
    return kept.getvalue()


def _set_up(word: Any, document: Document, id_: str, made_ms: int) -> None:  # noqa: ANN401  # a docx Document
    from docx.shared import Cm, Pt, RGBColor  # noqa: PLC0415

    section = word.sections[0]
    section.page_width, section.page_height = Cm(21), Cm(29.7)
    section.left_margin = section.right_margin = Cm((21 - _WIDE) / 2)
    section.top_margin = section.bottom_margin = Cm(2)
    sizes = {
        "Normal": 10.5,
        "Title": 20,
        "Subtitle": 9,
        "Heading 1": 14,
        "Heading 2": 10.5,
        "Caption": 8.5,
        "Quote": 10.5,
    }
    for name, size in sizes.items():
        style = word.styles[name]
        _faces(style.element)
        style.font.size = Pt(size)
        style.font.italic = False
        style.font.bold = name in {"Title", "Heading 1", "Heading 2"}
        style.font.color.rgb = RGBColor.from_string(tokens()["ink" if name != "Quote" else "late-ink"][1:].upper())
        style.paragraph_format.space_after = Pt(4)
    _language(word.styles["Normal"].element, document.lang)
    about = word.core_properties
    about.title, about.subject = f"{document.title} {id_}", id_
    about.author, about.comments = "Hutong", ""
    about.language = "zh-CN" if document.lang == "zh" else "en"
    about.created = about.modified = datetime.fromtimestamp(made_ms // 1000, UTC)


def _faces(style: Any) -> None:  # noqa: ANN401  # an lxml element
    """Fonts of a style for each kind of letter, in place of those of a theme, which would win."""
    from docx.oxml.ns import qn  # noqa: PLC0415

    fonts = style.get_or_add_rPr().get_or_add_rFonts()
    fonts.attrib.clear()
    for kind in ("ascii", "hAnsi", "cs"):
        fonts.set(qn(f"w:{kind}"), _LATIN)
    fonts.set(qn("w:eastAsia"), _CHINESE)


def _language(style: Any, lang: str) -> None:  # noqa: ANN401  # an lxml element
    from docx.oxml import OxmlElement  # noqa: PLC0415
    from docx.oxml.ns import qn  # noqa: PLC0415

    said = OxmlElement("w:lang")
    said.set(qn("w:val"), "en-GB")
    said.set(qn("w:eastAsia"), "zh-CN")
    style.get_or_add_rPr().append(said)
    if lang == "en":
        said.set(qn("w:bidi"), "ar-SA")


def _paragraph(word: Any, text: str, style: str, *, right: bool = False) -> None:  # noqa: ANN401  # a docx Document
    from docx.enum.text import WD_ALIGN_PARAGRAPH  # noqa: PLC0415

    made = word.add_paragraph(text, style)
    if right:
        made.alignment = WD_ALIGN_PARAGRAPH.RIGHT
    elif style == "Heading 2":
        made.paragraph_format.keep_with_next = True


def _table(word: Any, block: TableBlock) -> None:  # noqa: ANN401  # a docx Document
    from docx.enum.text import WD_ALIGN_PARAGRAPH  # noqa: PLC0415
    from docx.shared import Cm, Pt  # noqa: PLC0415

    _paragraph(word, block.title, "Heading 2")
    count = len(block.heads)
    table = word.add_table(1 + len(block.rows), count, "Table Grid")
    table.autofit = False
    rest = (_WIDE - _FIRST) / (count - 1)
    for place, column in enumerate(table.columns):
        column.width = Cm(rest if place else _FIRST)
    for at, cells in enumerate([block.heads, *(row.cells for row in block.rows)]):
        row = table.rows[at]
        _row_properties(row, head=at == 0)
        for place, text in enumerate(cells):
            cell = row.cells[place]
            cell.width = Cm(rest if place else _FIRST)
            paragraph = cell.paragraphs[0]
            paragraph.paragraph_format.space_after = Pt(0)
            paragraph.paragraph_format.keep_with_next = at < len(block.rows)
            run = paragraph.add_run(text)
            run.font.size = Pt(9)
            run.font.bold = at == 0
            if place >= block.words:
                paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT
    word.add_paragraph("", "Caption")


def _row_properties(row: Any, *, head: bool) -> None:  # noqa: ANN401  # a docx row
    from docx.oxml import OxmlElement  # noqa: PLC0415

    properties = row._tr.get_or_add_trPr()  # noqa: SLF001  # python-docx has no other way to it
    properties.append(OxmlElement("w:cantSplit"))
    if head:
        properties.append(OxmlElement("w:tblHeader"))
