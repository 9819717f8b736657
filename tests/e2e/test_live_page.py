"""The live page in a real browser: both languages, light and dark, moving figures, the list, the loss of the server."""

from __future__ import annotations

import itertools
import os
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect, sync_playwright

from hutong.app.config import Config, NodeConfig, ServeConfig
from hutong.app.serve import Server
from hutong.app.services import Services
from hutong.app.site import Site
from hutong.calls.live.feed import MOST_OF_ONE
from hutong.calls.live.memory import MemoryLive
from hutong.kernel.clock import SystemClock
from hutong.kernel.reporter import Reporter
from live_samples import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import BrowserContext, Page

pytestmark = [pytest.mark.peer("chromium"), pytest.mark.enable_socket]

_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
_WAIT_MS = 15_000


class Node:
    """A served node whose counters move ten times a second."""

    def __init__(self, folder: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/"
        self._source = MemoryLive()
        config = Config(node=NodeConfig(data=str(folder)), serve=ServeConfig(listen=f"127.0.0.1:{port}"))
        reporter = Reporter("test", level="error")
        self._services = Services(config, SystemClock(), reporter, self._source)
        self._services.open()
        site = Site(self._services, public_port=0)
        self._server = Server(site, config, reporter)
        self._listener = socket.create_server(("127.0.0.1", port))
        self._serving = threading.Thread(target=self._server.run, args=([self._listener],))
        self._moving = threading.Thread(target=self._move)
        self._over = threading.Event()
        self.silent = threading.Event()

    def _move(self) -> None:
        began = time.time_ns()
        for step in itertools.count(1):
            if not self.silent.is_set():
                self._source.put(snapshot(0, step * 30, started_ns=began, time_ns=time.time_ns()))
            if self._over.wait(0.1):
                return

    def signed_in(self) -> dict[str, str]:
        """The cookie of an auditor's session."""
        now = time.time_ns() // 1_000_000
        people = self._services.people
        password = people.add("watcher", "Watcher", "auditor", now)
        account = people.set_password("watcher", password, "umbrella-tide-97-lantern", now)
        return {"name": "hutong", "value": self._services.sessions.start(account, "127.0.0.1", now), "url": self.url}

    def disable_watcher(self) -> None:
        """An administrator's deed."""
        self._services.people.set_disabled("watcher", disabled=True, now_ms=time.time_ns() // 1_000_000)

    @property
    def serving(self) -> bool:
        return self._server.started

    def start(self) -> None:
        self._moving.start()
        self._serving.start()

    def stop_serving(self) -> None:
        self._server.handle_exit(0, None)
        self._serving.join()

    def stop(self) -> None:
        self._over.set()
        self._moving.join()
        self.stop_serving()
        self._services.close()


@pytest.fixture
def node(tmp_path: Path, free_port: Callable[..., int], wait_until: Callable[..., object]) -> Iterator[Node]:
    node = Node(tmp_path / "data", free_port())
    node.start()
    wait_until(lambda: node.serving, what="the server to start")
    yield node
    node.stop()


@pytest.fixture
def open_browser(tmp_path: Path, node: Node) -> Iterator[Callable[..., BrowserContext]]:
    with sync_playwright() as playwright:
        contexts = []
        cookie = node.signed_in()

        def start(**options: object) -> BrowserContext:
            context = playwright.chromium.launch_persistent_context(
                tmp_path / f"profile-{len(contexts)}",
                executable_path="/usr/bin/chromium",
                args=_ARGUMENTS,
                **options,
            )
            contexts.append(context)
            context.add_cookies([cookie])
            return context

        yield start
        for context in contexts:
            context.close()


def _open(context: BrowserContext, url: str) -> tuple[Page, list[str]]:
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(url)
    return page, complaints


def _moves(page: Page, selector: str) -> None:
    before = page.locator(selector).first.inner_text()
    expect(page.locator(selector).first).not_to_have_text(before, timeout=_WAIT_MS)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("locale", "headline"), [("zh-CN", "来话正在逐个筛查"), ("en-GB", "Calls are being screened")])
def test_the_page_moves_without_a_complaint(
    node: Node, open_browser: Callable[..., BrowserContext], locale: str, headline: str, scheme: str
) -> None:
    page, complaints = _open(open_browser(locale=locale, color_scheme=scheme), node.url)
    expect(page.get_by_role("heading", level=1)).to_have_text(headline, timeout=_WAIT_MS)
    _moves(page, ".figures .figure + dd")
    _moves(page, "#latest .call")
    expect(page.locator("#latest tbody tr")).to_have_count(20)
    expect(page.locator("#chart canvas")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(16, 22, 29)") == (scheme == "dark")
    assert complaints == []
    if folder := os.environ.get("HUTONG_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/live-{locale}-{scheme}.png", full_page=True)


def test_a_narrow_screen_scrolls_one_way_only(node: Node, open_browser: Callable[..., BrowserContext]) -> None:
    page, complaints = _open(open_browser(viewport={"width": 360, "height": 740}), node.url)
    expect(page.locator("#latest tbody tr")).to_have_count(20, timeout=_WAIT_MS)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert complaints == []


def test_the_list_can_be_held_still_with_the_keyboard(node: Node, open_browser: Callable[..., BrowserContext]) -> None:
    page, _ = _open(open_browser(locale="en-GB"), node.url)
    page.locator("#hold").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#hold")).to_have_text("Held")
    held = page.locator("#latest .call").first.inner_text()
    _moves(page, ".figures .figure + dd")
    assert page.locator("#latest .call").first.inner_text() == held
    expect(page.locator("#hold")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#latest .call").first).not_to_have_text(held, timeout=_WAIT_MS)


def test_silence_of_the_screening_process_is_said(node: Node, open_browser: Callable[..., BrowserContext]) -> None:
    page, complaints = _open(open_browser(locale="en-GB"), node.url)
    expect(page.get_by_role("heading", level=1)).to_have_text("Calls are being screened", timeout=_WAIT_MS)
    node.silent.set()
    expect(page.get_by_role("heading", level=1)).to_contain_text("No screening data for", timeout=_WAIT_MS)
    expect(page.locator("#answer")).to_contain_text("run/screen.pid")
    node.silent.clear()
    expect(page.get_by_role("heading", level=1)).to_have_text("Calls are being screened", timeout=_WAIT_MS)
    assert complaints == []


def test_the_loss_of_the_server_is_said(node: Node, open_browser: Callable[..., BrowserContext]) -> None:
    page, _ = _open(open_browser(locale="zh-CN"), node.url)
    expect(page.locator("#latest tbody tr")).to_have_count(20, timeout=_WAIT_MS)
    expect(page.get_by_role("alert")).to_be_hidden()
    node.stop_serving()
    expect(page.get_by_role("alert")).to_contain_text("秒没有收到数据", timeout=_WAIT_MS)


def test_who_opens_too_many_is_told_so_and_gets_the_next_free_place(
    node: Node, open_browser: Callable[..., BrowserContext]
) -> None:
    context = open_browser(locale="en-GB")
    pages = [_open(context, node.url)[0] for _ in range(MOST_OF_ONE)]
    for page in pages:
        _moves(page, ".figures .figure + dd")
    late, _ = _open(context, node.url)
    expect(late.locator("#refused")).to_contain_text("You have 5 live pages open", timeout=_WAIT_MS)
    pages[0].close()
    expect(late.locator("#refused")).to_be_hidden(timeout=_WAIT_MS)
    _moves(late, ".figures .figure + dd")


def test_who_may_not_watch_any_more_is_led_away(node: Node, open_browser: Callable[..., BrowserContext]) -> None:
    page, _ = _open(open_browser(locale="en-GB"), node.url)
    _moves(page, ".figures .figure + dd")
    node.disable_watcher()
    page.wait_for_url("**/signin*", timeout=_WAIT_MS)
    assert "138****" not in page.content()


def test_without_scripts_the_page_still_answers(node: Node, open_browser: Callable[..., BrowserContext]) -> None:
    page, _ = _open(open_browser(locale="en-GB", java_script_enabled=False), node.url)
    expect(page.get_by_role("heading", level=1)).to_have_text("Calls are being screened", timeout=_WAIT_MS)
    expect(page.locator("#latest tbody tr")).to_have_count(20)
