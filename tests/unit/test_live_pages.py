"""The web application as its readers see it: languages, escaping, headers, the stream, the metrics."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from hutong.app.config import Config, NodeConfig
from hutong.app.serve import Site
from hutong.calls import live_feed
from hutong.calls.live_feed import LiveFeed
from hutong.calls.live_memory import MemoryLive
from hutong.kernel.clock import ManualClock
from hutong.kernel.reporter import Reporter
from hutong.kernel.web.security import SECURITY_HEADERS
from live_samples import SECOND, START, snapshot, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from litestar.types import Message

HOSTILE = '"><script>alert(1)</script>&\u2028'


class Reply(msgspec.Struct):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class Browser:
    """Asks the application directly, as its server would (ASGI), without a socket."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def get(self, path: str, **headers: str) -> Reply:
        return asyncio.run(self._get(path, headers))

    async def _get(self, path: str, headers: dict[str, str]) -> Reply:
        path, _, query = path.partition("?")
        scope: dict[str, Any] = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8080), "state": {},
        }  # fmt: skip
        reply = Reply(0, {}, b"")
        sent = iter([{"type": "http.request", "body": b"", "more_body": False}])
        over = asyncio.Event()

        async def receive() -> Message:
            message = next(sent, None)
            if message is None:
                await over.wait()
                return {"type": "http.disconnect"}
            return message

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                reply.status = message["status"]
                reply.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
            else:
                reply.body += message.get("body", b"")
                if reply.body.count(b"event: live") or not message.get("more_body"):
                    over.set()

        await self._site.application(scope, receive, send)  # type: ignore[arg-type]
        return reply


@pytest.fixture
def source() -> MemoryLive:
    source = MemoryLive()
    source.put(snapshot(10, 1000))
    return source


@pytest.fixture
def site(tmp_path: Path, source: MemoryLive) -> Iterator[Site]:
    clock = ManualClock(START + 10 * SECOND)
    site = Site(Config(node=NodeConfig(name="test-node", data=str(tmp_path))), source, clock, Reporter("test"))
    site.card.open()
    site.feed.look()
    return site


@pytest.fixture
def browser(site: Site) -> Browser:
    return Browser(site)


@pytest.mark.parametrize(
    ("path", "accept", "words", "lang"),
    [
        ("/", "", ("来话正在逐个筛查", "触发的规则", "境外来话显示境内号码"), "zh-CN"),
        ("/", "en", ("Calls are being screened", "Rules that fire", "Chinese number shown from abroad"), "en"),
        ("/?lang=en", "zh", ("Calls are being screened",), "en"),
        ("/?lang=zh", "en", ("来话正在逐个筛查",), "zh-CN"),
    ],
)
def test_the_page_speaks_the_readers_language(
    browser: Browser, path: str, accept: str, words: tuple[str, ...], lang: str
) -> None:
    page = browser.get(path, accept_language=accept)
    assert page.status == 200
    assert f'<html lang="{lang}">' in page.text
    for word in words:
        assert word in page.text


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("at_s", [0, 10, 400])
def test_every_state_of_the_page_renders(site: Site, source: MemoryLive, lang: str, at_s: int) -> None:
    for put in (None, snapshot(11, 0), snapshot(12, 2000, fail_open=3), snapshot(13 + at_s, 2100)):
        source.put(put)
        site.feed.look()
        page = Browser(site).get(f"/?lang={lang}")
        assert page.status == 200
        assert '<h1 class="verdict-line">' in page.text


def test_what_callers_send_never_becomes_markup(site: Site, source: MemoryLive) -> None:
    bad = verdict(
        1, call_id=HOSTILE, caller=HOSTILE, callee=HOSTILE, trunk=HOSTILE, rules=[HOSTILE],
        reason={"zh": HOSTILE, "en": HOSTILE},
    )  # fmt: skip
    source.put(snapshot(11, 1, latest=[bad]))
    site.feed.look()
    browser = Browser(site)
    stream = browser.get("/live/stream").text
    data = next(line for line in stream.split("\n") if line.startswith("data: "))
    markup = msgspec.json.decode(data.removeprefix("data: "))["regions"]["latest"]
    for text in (browser.get("/").text, markup):
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


@pytest.mark.parametrize(
    "path", ["/", "/live/stream", "/redress", "/metrics", "/healthz", "/readyz", "/static/live.js", "/nowhere"]
)
def test_every_answer_carries_the_security_headers(browser: Browser, path: str) -> None:
    reply = browser.get(path)
    for name, value in SECURITY_HEADERS.items():
        assert reply.headers[name.lower()] == value
    assert "unsafe" not in reply.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]


def test_the_page_needs_nothing_inline_and_nothing_from_elsewhere(browser: Browser) -> None:
    text = browser.get("/").text + browser.get("/redress", accept="text/html").text
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text)
    assert not re.search(r"<script(?![^>]*\ssrc=\"/static/)", text)
    assert not re.search(r"(?:src|href)=\"(?!/|\?|#)", text)


@pytest.mark.parametrize("path", ["tokens.css", "frame.css", "live.css", "live.js", "mark.svg",
                                  "vendor/echarts/echarts.common.min.js"])  # fmt: skip
def test_static_files_are_served(browser: Browser, path: str) -> None:
    assert browser.get(f"/static/{path}").status == 200


def test_static_files_end_at_their_folder(browser: Browser) -> None:
    assert browser.get("/static/../texts.toml").status == 404
    assert browser.get("/static/%2e%2e/frame.py").status == 404


def test_the_stream_is_server_sent_events(browser: Browser) -> None:
    reply = browser.get("/live/stream?lang=en")
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.headers["x-accel-buffering"] == "no"
    assert reply.headers["cache-control"] == "no-store"
    retry, event = reply.text.split("\n\n")[:2]
    assert retry == "retry: 2000"
    fields = dict(line.split(": ", 1) for line in event.splitlines())
    assert list(fields) == ["id", "event", "data"]
    assert fields["event"] == "live"
    data = msgspec.json.decode(fields["data"])
    assert "Calls are being screened" in data["regions"]["answer"]
    assert set(data["chart"]) == {"time", "pass", "warn", "block"}


def test_all_watchers_share_one_frame_and_are_bounded(source: MemoryLive) -> None:
    drawn: list[str] = []

    def draw(_view: object, language: str) -> str:
        drawn.append(language)
        return language

    async def watch() -> None:
        feed = LiveFeed(source, ManualClock(START + 10 * SECOND), draw)
        feed.look()
        streams = [feed.watch("zh") for _ in range(live_feed.MAX_WATCHERS)]
        for stream in streams:
            await anext(stream)
            assert b'data: "zh"' in await anext(stream)
        assert feed.full
        assert drawn == ["zh"]
        waiting = asyncio.create_task(anext(streams[0]))
        feed.look()
        assert b"id: 2\n" in await waiting
        for stream in streams:
            await stream.aclose()
        assert feed.watchers == 0

    asyncio.run(watch())


def test_closing_the_feed_ends_every_stream(source: MemoryLive) -> None:
    async def watch() -> list[bytes]:
        feed = LiveFeed(source, ManualClock(START), lambda _view, _language: None)
        running = asyncio.create_task(feed.run())
        seen = []
        async for part in feed.watch("zh"):
            seen.append(part)
            feed.close()
        await running
        return seen

    assert asyncio.run(watch()) == [b"retry: 2000\n\n"]


def test_a_full_house_is_told_to_come_back(site: Site, browser: Browser) -> None:
    site.feed.watchers = live_feed.MAX_WATCHERS
    reply = browser.get("/live/stream")
    assert reply.status == 503
    assert reply.headers["retry-after"] == "10"


def test_health_and_readiness(site: Site, source: MemoryLive, browser: Browser) -> None:
    assert browser.get("/healthz").status == 200
    assert msgspec.json.decode(browser.get("/readyz").body) == {"serve": "ready", "screening": "screening"}
    source.put(None)
    site.feed.look()
    assert msgspec.json.decode(browser.get("/readyz").body) == {"serve": "ready", "screening": "stale"}


def test_metrics_count_by_action_rule_and_trunk(browser: Browser) -> None:
    reply = browser.get("/metrics")
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = reply.text.splitlines()
    assert "hutong_calls_attempts_total 1000.0" in lines
    assert 'hutong_calls_verdicts_total{action="block"} 200.0' in lines
    assert 'hutong_calls_rule_hits_total{rule="calls.callees-in-sequence"} 100.0' in lines
    assert 'hutong_calls_trunk_blocked_total{kind="international",trunk="gw-1"} 200.0' in lines
    assert "hutong_calls_screening_up 1.0" in lines


def test_metrics_without_screening_say_so(tmp_path: Path) -> None:
    fresh = Site(Config(node=NodeConfig(data=str(tmp_path))), MemoryLive(), ManualClock(START), Reporter("test"))
    fresh.feed.look()
    lines = Browser(fresh).get("/metrics").text.splitlines()
    assert "hutong_calls_screening_up 0.0" in lines
    assert not any(line.startswith("hutong_calls_attempts") for line in lines)
