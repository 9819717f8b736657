"""QR symbols against readers that are not ours: segno makes the same, zxing reads them."""

from __future__ import annotations

import io
import random
from xml.etree import ElementTree as ET

import numpy as np
import pypdf
import pytest
import segno
import zxingcpp
from PIL import Image

from codes_samples import DAY, KEY, NOW, bundle, claims
from hutong.codes import qr
from hutong.codes.issuing import PaperCode
from hutong.codes.minting import mint_one
from hutong.codes.paper import LEVEL, page_pdf, page_svg
from hutong.protocols.base45 import ALPHABET

PAPER = claims(kind="paper", colour=None, as_of_ms=None, expires_ms=NOW + 30 * DAY, name="<*", tail="&X")


@pytest.mark.parametrize(("length", "level"), [(1, "L"), (61, "M"), (296, "M"), (296, "Q"), (297, "H"), (700, "L")])
def test_a_symbol_is_the_one_that_the_library_makes(length: int, level: qr.Level) -> None:
    letters = random.Random(length)
    for _ in range(2):
        text = "".join(letters.choices(ALPHABET, k=length))
        made = segno.make(text, error=level, mode="alphanumeric", mask=qr.MASK, micro=False, boost_error=False)
        assert np.array_equal(qr.matrix(text, level), np.array(made.matrix, np.uint8))


def test_every_code_of_a_bundle_is_read() -> None:
    for text in bundle().texts():
        modules = qr.matrix(text)
        for scale in (3, 5):
            assert read(qr.png(modules, scale)) == text
    modules = qr.matrix(text)
    assert np.array_equal(pixels(qr.png(modules)) == 0, np.pad(modules, qr.BORDER) == 1)


def test_a_drawing_is_the_same_symbol() -> None:
    modules = qr.matrix(bundle().text(0))
    drawing = ET.fromstring(qr.svg(modules, "王* & <码>"))  # noqa: S314  # our own
    assert drawing[0].text == "王* & <码>"
    assert np.array_equal(drawn(drawing[2].attrib["d"], len(modules) + 2 * qr.BORDER), np.pad(modules, qr.BORDER))
    with pytest.raises(ValueError, match="characters"):
        qr.Form(10, "M").matrix("A" * 11)


def test_the_page_of_a_paper_code_in_both_languages() -> None:
    text = mint_one(PAPER, KEY)
    page = PaperCode(text, PAPER.handle, PAPER)
    drawing = page_svg(page)
    tree = ET.fromstring(drawing)  # noqa: S314  # our own
    words = " ".join(it.text or "" for it in tree.iter() if it.tag.endswith("text"))
    for said in ("一码通", "One code, on paper", "<*  ···&X", "2026-04-01", "仅用于", "check-in only", "03" * 8):
        assert said in words
    symbol = drawn(next(it for it in tree.iter() if it.attrib.get("stroke") == "#000").attrib["d"], 65 + 8)
    assert np.array_equal(symbol[4:-4, 4:-4], qr.matrix(text, LEVEL))
    sheet = pypdf.PdfReader(io.BytesIO(page_pdf(page)))
    assert len(sheet.pages) == 1
    assert "One code, on paper" in sheet.pages[0].extract_text()


def pixels(content: bytes) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(content)).convert("L"))


def read(content: bytes) -> str:
    found = zxingcpp.read_barcodes(pixels(content))
    assert len(found) == 1
    return found[0].text


def drawn(path: str, side: int) -> np.ndarray:
    """What the strokes of a path cover, as modules."""
    modules = np.zeros((side, side), np.uint8)
    for row in path.split("M")[1:]:
        start, _, rest = row.partition(".5")
        left, top = map(int, start.split())
        for step in rest.replace("h", "|h").replace("m", "|m").split("|")[1:]:
            length = int(step[1:].split()[0])
            if step[0] == "h":
                modules[top, left : left + length] = 1
            left += length
    return modules
