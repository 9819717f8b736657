"""Texts in both languages, the reader's language, figures as people write them."""

from __future__ import annotations

from pathlib import Path

import pytest

import hutong.app.demo.report
from hutong.calls import console as pages
from hutong.kernel.web import frame as web
from hutong.kernel.web.texts import TextError, Texts, choose_language


@pytest.mark.parametrize(
    ("wanted", "header", "language"),
    [
        (None, "", "zh"),
        (None, "fr, de;q=0.5", "zh"),
        (None, "en-GB,en;q=0.9", "en"),
        (None, "fr, en;q=0.3, zh-TW;q=0.8", "zh"),
        (None, "zh;q=0.1, en;q=0.2", "en"),
        (None, "en;q=0", "zh"),
        (None, "en;q=nonsense", "zh"),
        ("en", "zh", "en"),
        ("zh", "en", "zh"),
        ("xx", "en", "en"),
    ],
)
def test_language(wanted: str | None, header: str, language: str) -> None:
    assert choose_language(wanted, header) == language


@pytest.mark.parametrize("home", [web.HOME, pages.HOME, Path(hutong.app.demo.report.__file__).parent])
def test_every_text_is_there_in_every_language(home: Path) -> None:
    texts = Texts([home / "texts.toml"])
    assert texts.keys()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('[a]\nb = {zh = "甲"}', "exactly the texts"),
        ('[a]\nb = {zh = "甲", en = "a", fr = "x"}', "exactly the texts"),
        ('[a]\nb = {zh = "{n} 个", en = "some"}', "same values"),
        ('a = "x"', "not a table"),
    ],
)
def test_a_half_translated_text_is_refused(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "texts.toml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(TextError, match=complaint):
        Texts([path])


def test_a_key_stands_in_one_file_only(tmp_path: Path) -> None:
    path = tmp_path / "texts.toml"
    path.write_text('[a]\nb = {zh = "甲", en = "a"}', encoding="utf-8")
    with pytest.raises(TextError, match="already defined"):
        Texts([path, path])


def test_figures() -> None:
    assert web.count(1234567) == "1,234,567"
    assert [web.rate(value) for value in (0, 0.44, 9.96, 312.4, 10_400.0)] == ["0", "0.4", "10.0", "312", "10,400"]
    assert web.share(0.12345) == "12.3%"
    assert [web.big(value) for value in (812, 5_000_000, 1_204_000_000)] == ["812", "5.00 M", "1.20 G"]


@pytest.mark.parametrize(
    ("seconds", "zh", "en"),
    [(0, "0 秒", "0 s"), (8.9, "8 秒", "8 s"), (130, "2 分 10 秒", "2 min 10 s"), (3600, "1 小时", "1 h"),
     (90_061, "1 天 1 小时", "1 d 1 h"), (86_400, "1 天", "1 d"), (-3, "0 秒", "0 s")],
)  # fmt: skip
def test_spans_of_time(tmp_path: Path, seconds: float, zh: str, en: str) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "span.html").write_text("{{ duration(s) }}", encoding="utf-8")
    (tmp_path / "texts.toml").write_text("", encoding="utf-8")
    frame = web.Frame([tmp_path])
    assert frame.render("span.html", "zh", s=seconds) == zh
    assert frame.render("span.html", "en", s=seconds) == en
