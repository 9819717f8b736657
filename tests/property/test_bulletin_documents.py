"""A bulletin's sentences, tables and documents cannot disagree: numbers are read back out of HTML, Word and PDF."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, NamedTuple

import docx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from bulletin_samples import DEFINITIONS, bulletins, document
from hutong.bulletins.definitions import Place, parts_of
from hutong.bulletins.paper import bulletin_pdf, html_of
from hutong.bulletins.word import docx_of

if TYPE_CHECKING:
    from hutong.bulletins.model import Bulletin, Of

LANGUAGES = st.sampled_from(["zh", "en"])
UNKNOWN = {"zh": "无数据", "en": "no figure"}
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
ON = {
    "zh": {"previous": "环比{}", "year": "同比{}"},
    "en": {"previous": "against the period before, {}", "year": "against the year before, {}"},
}
#: Below this nothing is said in per cent.
SMALL = 20


class Told(NamedTuple):
    """What a document says: its sentences, and the cells of the rows about figures."""

    sentences: list[str]
    rows: dict[str, list[str]]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.told = Told([], {})
        self._at = ""
        self._into: list[str] | None = None

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        said = dict(attributes)
        if tag == "tr":
            self._at = said.get("data-figure") or ""
            self.told.rows.setdefault(self._at, [])
        if tag in {"th", "td"}:
            self._into = self.told.rows.setdefault(self._at, [])
            self._into.append("")
        if tag == "p":
            self._into = self.told.sentences if said.get("class") == "sentence" else None
            if self._into is not None:
                self._into.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in {"th", "td", "p", "tr"}:
            self._into = None

    def handle_data(self, data: str) -> None:
        if self._into is not None:
            self._into[-1] += data


def out_of_html(page: str) -> Told:
    reader = _Reader()
    reader.feed(page)
    return reader.told


def out_of_word(content: bytes, lang: str) -> Told:
    word = docx.Document(io.BytesIO(content))
    titles = {head(of.title[lang], of.unit, lang): of.id for of in DEFINITIONS.figure}
    rows: dict[str, list[str]] = {}
    for table in word.tables:
        if len(table.columns) == 6:
            for row in table.rows[1:]:
                cells = [cell.text for cell in row.cells]
                if cells[0] in titles:
                    rows[titles[cells[0]]] = cells
    return Told([it.text for it in word.paragraphs if it.style is not None and it.style.name == "Normal"], rows)


def head(title: str, unit: str, lang: str) -> str:
    zh = {
        "numbers": "（个）",
        "yuan": "（元）",
        "share": "",
        "calls": "（次）",
        "times": "（次）",
        "orders": "（份）",
        "people": "（人）",
    }
    return title + (zh.get(unit, "（件）") if lang == "zh" else {"yuan": " (CNY)"}.get(unit, ""))


def number(text: str) -> float:
    found = NUMBER.findall(text)
    assert found, text
    return float(found[0].replace(",", ""))


def check_cell(cell: str, of: Of, unit: str, lang: str) -> None:
    """A cell says the value, and nothing where there is none."""
    if of.value is None:
        assert cell == UNKNOWN[lang]
    elif of.whole is not None and of.whole < SMALL:
        assert [int(it.replace(",", "")) for it in NUMBER.findall(cell)] == [of.value, of.whole]
    elif of.whole is not None:
        assert cell.endswith("%")
        assert number(cell) == pytest.approx(100 * of.value / of.whole, abs=0.0500001)
    else:
        assert number(cell) == (of.value / 100 if unit == "yuan" else of.value)


def check_change(said: str, now: Of, then: Of, unit: str) -> None:
    """A change is true of its two values, and none is given where it would mislead."""
    numbers = [float(it.replace(",", "")) for it in NUMBER.findall(said)]
    grew = re.search("上升|增|up|more|times|from none", said) is not None
    fell = re.search("下降|降|减|down|fewer|to none", said) is not None
    if now.value is None or then.value is None or not (now.full and then.full):
        assert not numbers, said
        return
    if now.whole is not None and then.whole is not None:
        if min(now.whole, then.whole) < SMALL:
            assert not numbers, said
        elif numbers:
            points = 100 * now.value / now.whole - 100 * then.value / then.whole
            assert numbers[0] == pytest.approx(abs(points), abs=0.1000001)
            assert (grew, fell) == (points > 0, points < 0)
        return
    assert grew == (now.value > then.value) or not numbers, said
    assert fell == (now.value < then.value) or not numbers, said
    if "%" in said:
        assert then.value >= SMALL
        assert numbers[0] == pytest.approx(100 * abs(now.value - then.value) / then.value, abs=0.0500001)
        assert numbers[0] > 0
    elif re.search("倍|times as", said):
        assert numbers[0] == pytest.approx(now.value / then.value, abs=0.0500001)
    else:
        scale = 100 if unit == "yuan" else 1
        known = {now.value / scale, then.value / scale, abs(now.value - then.value) / scale}
        assert set(numbers) <= known, said


def check(told: Told, of: Bulletin, lang: str) -> None:
    """Tables say the value; sentences say what tables do."""
    for it in DEFINITIONS.figure:
        row, figure = told.rows[it.id], of.figure(it.id)
        check_cell(row[1], figure.now, it.unit, lang)
        check_cell(row[2], figure.previous, it.unit, lang)
        check_cell(row[4], figure.year, it.unit, lang)
        check_change(row[3], figure.now, figure.previous, it.unit)
        check_change(row[5], figure.now, figure.year, it.unit)
    for section in DEFINITIONS.section:
        for sentence in section.sentences:
            check_sentence(sentence[lang], told, of, lang)


def check_sentence(template: str, told: Told, of: Bulletin, lang: str) -> None:
    parts = list(parts_of(template))
    places = [part for part in parts if isinstance(part, Place)]
    title = DEFINITIONS.of(places[0].figure).title[lang]
    if of.figure(places[0].figure).now.value is None:
        assert {"zh": f"{title}：没有数据。", "en": f"{title}: there are no figures."}[lang] in told.sentences
        return
    form = "".join(
        re.escape(part) if isinstance(part, str) else f"({ON[lang].get(part.form, '{}').format('.+?')})"
        for part in parts
    )
    found = [match for said in told.sentences if (match := re.fullmatch(form, said))]
    assert len(found) == 1, (template, told.sentences)
    for place, said in zip(places, found[0].groups(), strict=True):
        row = told.rows[place.figure]
        if place.form:
            assert said == ON[lang][place.form].format(row[3 if place.form == "previous" else 5])
        elif row[1] == UNKNOWN[lang]:
            assert said == UNKNOWN[lang]
        else:
            assert number(said) == number(row[1]), (said, row)


@settings(max_examples=40, deadline=None)
@given(of=bulletins(), lang=LANGUAGES)
def test_sentences_and_tables_of_the_page_say_the_value(of: Bulletin, lang: str) -> None:
    check(out_of_html(html_of(document(of, lang), of.id, "0" * 64)), of, lang)


@settings(max_examples=4, deadline=None)
@given(of=bulletins(), lang=LANGUAGES)
def test_word_says_the_value(of: Bulletin, lang: str) -> None:
    check(out_of_word(docx_of(document(of, lang), of.id, "0" * 64, of.made_ms), lang), of, lang)


@settings(max_examples=2, deadline=None)
@given(of=bulletins(), lang=LANGUAGES)
def test_pdf_has_every_row_and_sentence_of_the_page(of: Bulletin, lang: str) -> None:
    made = document(of, lang)
    told = out_of_html(html_of(made, of.id, "0" * 64))
    pages = PdfReader(io.BytesIO(bulletin_pdf(made, of.id, "0" * 64))).pages
    text = "".join("".join(page.extract_text().split()) for page in pages)
    for said in told.sentences:
        assert "".join(said.split()) in text
    for figure, row in told.rows.items():
        if figure:
            assert "".join("".join(row).split()) in text
