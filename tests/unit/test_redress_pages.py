"""The public page for callers who were blocked: nobody signs in for it, and machines get their card there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from litestar import Litestar

from asgi_browser import Browser
from hutong.calls import redress_pages
from hutong.calls.console import HOME
from hutong.calls.redress import RedressCard
from hutong.kernel.clock import ManualClock
from hutong.kernel.web.frame import Frame
from hutong.kernel.web.guard import permission_of
from hutong.kernel.web.problems import PROBLEM_JSON, error_handlers, public_page
from live_samples import START

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    card = RedressCard(tmp_path, "test-node", "http://127.0.0.1:8081/redress", ManualClock(START))
    card.open()
    frame = Frame([HOME])
    handlers = redress_pages.routes(frame, card, "test-node")
    assert [permission_of(handler) for handler in handlers] == [None, None, None]
    return Browser(Litestar(handlers, exception_handlers=error_handlers(public_page(frame)), openapi_config=None))


@pytest.mark.parametrize(
    ("language", "words"), [("zh", ("来话被拦截怎么办", "test-node")), ("en", ("Your call was blocked", "test-node"))]
)
def test_people_read_it_in_their_language_without_script(browser: Browser, language: str, words: tuple[str]) -> None:
    for page in (
        browser.get("/redress", accept="text/html", accept_language=language),
        browser.get(f"/redress?lang={language}", accept="text/html"),
    ):
        assert page.status == 200
        assert page.headers["content-language"] == language
        assert all(word in page.text for word in words)
        assert "<script" not in page.text
        assert not re.search(r"(?:src|href)=\"(?!/|\?|#)", page.text)


@pytest.mark.parametrize("accept", ["", "*/*", "application/jose", "application/json"])
def test_machines_get_the_signed_card(browser: Browser, accept: str) -> None:
    reply = browser.get("/redress", accept=accept)
    assert reply.headers["content-type"].startswith("application/jose")
    assert reply.body.count(b".") == 2


def test_the_certificate_that_it_is_signed_with_is_there(browser: Browser) -> None:
    assert browser.get("/redress/certificate").text.startswith("-----BEGIN CERTIFICATE-----")


@pytest.mark.parametrize(("language", "words"), [("zh", "没有这个页面"), ("en", "There is no such page")])
def test_a_wrong_address_has_a_page_that_leads_to_no_console(browser: Browser, language: str, words: str) -> None:
    page = browser.get("/redres", accept="text/html", accept_language=language)
    assert page.status == 404
    assert page.headers["content-language"] == language
    assert words in page.text
    assert 'href="/"' not in page.text
    assert browser.get("/redres", accept="application/json").headers["content-type"].startswith(PROBLEM_JSON)
