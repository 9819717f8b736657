"""The live wall as its readers see it: languages, who sees what, escaping, the stream, the cities."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import msgspec
import pytest

from asgi_browser import Browser, Reply, streamed
from hutong.calls.live import feed as live_feed
from hutong.calls.live.duty import Demoted, Duty
from hutong.calls.live.feed import Audience, Watcher
from hutong.calls.live.figures import RuleCount, TrunkCount
from hutong.kernel.access.permissions import ROLES, permissions_of
from hutong.kernel.clock import ManualClock
from live_samples import SECOND, START, mirror, snapshot, verdict
from live_site import WallSite

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

HOSTILE = '"><script>alert(1)</script>&\u2028'
DESK = [role for role in ROLES if "verdicts.read" in permissions_of(role)]
OTHERS = [role for role in ROLES if role not in DESK]


@pytest.fixture
def site() -> WallSite:
    site = WallSite(ManualClock(START + 20 * SECOND), mirrored=True)
    for at in (10, 20):
        site.source.put(snapshot(at, at * 100))
        site.feed.look()
    return site


def _as(site: WallSite, role: str) -> Browser:
    return Browser(site.application, f"hutong={role}")


def _event(reply: Reply) -> dict[str, dict[str, str]]:
    data = next(line for line in reply.text.split("\n") if line.startswith("data: "))
    return msgspec.json.decode(data.removeprefix("data: "))


@pytest.mark.parametrize(
    ("path", "accept", "words", "lang"),
    [
        ("/", "", ("来话正在逐个筛查", "触发的规则", "境外来话显示境内号码", "被叫所在城市", "深圳"), "zh-CN"),
        ("/", "en", ("Calls are being screened", "Rules that fire", "Cities of the callees", "Shenzhen"), "en"),
        ("/?lang=en", "zh", ("Calls are being screened",), "en"),
        ("/?lang=zh", "en", ("来话正在逐个筛查",), "zh-CN"),
    ],
)
def test_the_page_speaks_the_readers_language(
    site: WallSite, path: str, accept: str, words: tuple[str, ...], lang: str
) -> None:
    page = _as(site, "operator").get(path, accept_language=accept)
    assert page.status == 200
    assert f'<html lang="{lang}"' in page.text
    for word in words:
        assert word in page.text


def test_nobody_sees_it_without_signing_in(site: WallSite) -> None:
    for path in ("/", "/live/stream", "/live/cities"):
        assert Browser(site.application).get(path).headers["location"].startswith("/signin")


@pytest.mark.parametrize("role", [role for role in ROLES if "live.read" in permissions_of(role)])
def test_numbers_and_calls_are_for_those_who_may_read_verdicts(site: WallSite, role: str) -> None:
    browser = _as(site, role)
    allowed = "verdicts.read" in permissions_of(role)
    for text in (browser.get("/?lang=en").text, str(_event(browser.get("/live/stream?lang=en"))["regions"])):
        assert "A Chinese number shown from abroad" in text
        assert ("138****8000" in text) == allowed
        assert ("call-2000@gw" in text) == allowed
        assert ('href="/calls/2000"' in text) == allowed
        assert ('href="/verdicts?area=0755"' in text) == allowed
    table = browser.get("/live/cities?lang=en").text
    assert "Shenzhen" in table
    assert ("/verdicts?area=0755" in table) == allowed


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("role", ["viewer", "operator"])
@pytest.mark.parametrize("big", ["", "&wall=1"])
def test_every_state_of_the_page_renders(lang: str, role: str, big: str) -> None:
    site = WallSite(ManualClock(START + 20 * SECOND), mirrored=True)
    after = (None, snapshot(11, 0), snapshot(12, 2000, fail_open=3, mirror=mirror(packets=5, late=1)), snapshot(500, 1))
    for put in (None, snapshot(11, 0), snapshot(12, 2000, fail_open=300), *after):
        site.source.put(put)
        site.feed.look()
        page = _as(site, role).get(f"/?lang={lang}{big}")
        assert page.status == 200
        assert '<h1 class="verdict-line">' in page.text


def test_the_big_screen_is_the_same_page_with_its_own_look(site: WallSite) -> None:
    browser = _as(site, "viewer")
    assert 'class="live big"' in browser.get("/?wall=1").text
    assert 'class="live big"' not in browser.get("/").text


def test_mirrored_signalling_is_shown_where_it_is_received() -> None:
    for mirrored in (True, False):
        site = WallSite(ManualClock(START + 20 * SECOND), mirrored=mirrored)
        for at in (10, 20):
            site.source.put(snapshot(at, at, mirror=mirror(packets=at * 321, followed=77)))
            site.feed.look()
        browser = _as(site, "viewer")
        page, stream = browser.get("/?lang=en").text, _event(browser.get("/live/stream?lang=en"))["regions"]
        assert ("3,210" in page) == mirrored
        assert ("mirror" in stream) == mirrored


def test_a_rule_that_was_demoted_by_itself_stands_above_everything_else(site: WallSite) -> None:
    for role, lang, words in (
        ("viewer", "en", "“Busy” was demoted to observe by itself"),
        ("operator", "zh", "规则“忙”误伤超限，已自动降到观察"),
    ):
        assert words not in _as(site, role).get(f"/?lang={lang}").text
        site.duty = Duty(demoted=(Demoted("own.busy", {"zh": "忙", "en": "Busy"}, START // 1_000_000),))
        for text in (
            _as(site, role).get(f"/?lang={lang}").text,
            _event(_as(site, role).get(f"/live/stream?lang={lang}"))["regions"]["duty"],
        ):
            assert words in text
            assert 'href="/rules/own.busy"' in text
        site.duty = Duty()
        site.feed.look()


def test_the_page_of_alerts_is_told_that_something_changed_and_only_those_who_may_read_it(site: WallSite) -> None:
    site.duty = Duty(newest=4711)
    site.feed.look()
    told = _event(_as(site, "operator").get("/live/stream?page=alerts"))
    assert told == {"newest": 4711}
    assert _as(site, "viewer").get("/live/stream?page=alerts").status == 403


def test_what_callers_send_never_becomes_markup(site: WallSite) -> None:
    bad = verdict(
        1, call_id=HOSTILE, caller=HOSTILE, callee=HOSTILE, trunk=HOSTILE, rules=[HOSTILE],
        reason={"zh": HOSTILE, "en": HOSTILE},
    )  # fmt: skip
    rules = [RuleCount(HOSTILE, {"zh": HOSTILE, "en": HOSTILE}, "block", 9)]
    trunks = [TrunkCount(HOSTILE, "international", 9, 9)]
    for at, times in ((21, 1), (22, 2)):
        counted = [msgspec.structs.replace(it, count=it.count * times) for it in rules]
        site.source.put(snapshot(at, times, latest=[bad], rules=counted, trunks=trunks))
        site.feed.look()
    browser = _as(site, "operator")
    regions = _event(browser.get("/live/stream"))["regions"]
    for text in (browser.get("/").text, regions["latest"], regions["rules"], regions["trunks"]):
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_the_pages_need_nothing_inline_and_nothing_from_elsewhere(site: WallSite) -> None:
    browser = _as(site, "operator")
    text = "".join(browser.get(path).text for path in ("/", "/?wall=1", "/live/cities"))
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text)
    assert not re.search(r"<script(?![^>]*\ssrc=\"/static/)", text)
    assert not re.search(r"(?:src|href)=\"(?!/|\?|#)", text)


@pytest.mark.parametrize("path", ["live.css", "live.js"])
def test_static_files_are_served(site: WallSite, path: str) -> None:
    assert Browser(site.application).get(f"/static/{path}").status == 200


def test_the_stream_is_server_sent_events(site: WallSite) -> None:
    reply = _as(site, "viewer").get("/live/stream?lang=en")
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.headers["x-accel-buffering"] == "no"
    assert reply.headers["cache-control"] == "no-store"
    retry, event = reply.text.split("\n\n")[:2]
    assert retry == "retry: 500"
    fields = dict(line.split(": ", 1) for line in event.splitlines())
    assert list(fields) == ["id", "event", "data"]
    assert fields["event"] == "live"
    data = msgspec.json.decode(fields["data"])
    assert "Calls are being screened" in data["regions"]["answer"]
    assert set(data["regions"]) == {
        "duty", "answer", "health", "rules", "trunks", "latest", "alerts", "mirror", "table", "map", "cities",
    }  # fmt: skip
    assert data["chart"] == {"time": [START // SECOND + 20], "pass": [70.0], "warn": [10.0], "block": [20.0]}


@pytest.mark.parametrize(
    ("takers", "status", "words"),
    [
        (["viewer"] * live_feed.MOST_OF_ONE, 429, "You have 5 live pages open"),
        (range(live_feed.MAX_WATCHERS), 503, "Too many people"),
    ],
)
def test_who_gets_no_stream_is_told_why_by_page_and_problem(
    site: WallSite, takers: Sequence[object], status: int, words: str
) -> None:
    async def still() -> bool:
        return True

    async def take() -> list[AsyncIterator[bytes]]:
        streams = [site.feed.watch(Watcher(str(it), Audience("en", verdicts=False), still)) for it in takers]
        for stream in streams:
            await anext(stream)
        return streams

    browser = _as(site, "viewer")
    assert words not in browser.get("/?lang=en").text
    with asyncio.Runner() as runner:
        streams = runner.run(take())
        reply = browser.get("/live/stream?lang=en", accept="text/event-stream")
        assert (reply.status, reply.headers["retry-after"]) == (status, "10")
        assert reply.headers["content-type"] == "application/problem+json"
        assert words in msgspec.json.decode(reply.body)["detail"]
        assert words in browser.get("/?lang=en").text
    assert len(streams) == len(takers)


@pytest.mark.parametrize("change", ["gone", "auditor", "viewer"])
def test_a_stream_ends_when_its_reader_is_gone_or_is_somebody_else(site: WallSite, change: str) -> None:
    """Whoever lost or gained rights begins another stream, which is drawn for what they may see now."""
    site.people["desk"] = "operator"

    async def watch() -> bytes:
        seen = b""
        async for part in streamed(site.application, "/live/stream", {"cookie": "hutong=desk"}):
            seen += part
            if seen.count(b"event: live") == 2:
                site.people["desk"] = change
            site.feed.look()
        return seen

    seen = asyncio.run(watch())
    assert (seen.count(b"event: live"), seen.count(b"event: over")) == (2, 1)


def test_times_are_in_the_readers_zone(site: WallSite) -> None:
    second = START // SECOND + 2  # of the sample verdict
    shanghai, utc = "06:13:22", "22:13:22"
    assert second == 1646000002
    assert shanghai in _as(site, "operator").get("/").text
    page = _as(site, "operator:UTC").get("/").text
    assert utc in page
    assert 'data-zone="UTC"' in page


def test_the_map_says_how_many_calls_it_does_not_have(site: WallSite) -> None:
    page = _as(site, "viewer").get("/?lang=en").text
    # A quarter, an eighth, a sixteenth and twice a thirty-second of 1,000 calls have a city.
    assert "50.0% of the calls go to mobile and other numbers" in page
    assert page.count('<g data-area="') == 5


def test_the_table_of_cities_sorts_filters_and_pages(site: WallSite) -> None:
    browser = _as(site, "viewer")
    text = browser.get("/live/cities?lang=en").text
    order = re.findall(r"<td>(0\d+)</td>", text)
    assert order[:3] == ["010", "021", "0755"]
    assert re.findall(r"<td>(0\d+)</td>", browser.get("/live/cities?sort=area&lang=en").text) == sorted(order)
    assert re.findall(r"<td>(0\d+)</td>", browser.get("/live/cities?find=shen&lang=en").text) == ["0755"]
    assert "No row fits the filters" in browser.get("/live/cities?find=zzz&lang=en").text


@pytest.mark.parametrize("role", ROLES)
def test_the_table_of_cities_is_exported_by_those_who_may_and_that_is_recorded(site: WallSite, role: str) -> None:
    reply = _as(site, role).get("/live/cities?format=csv&find=0755&lang=en")
    if "tables.export" not in permissions_of(role):
        assert reply.status == 403
        assert site.trail.deeds == []
        return
    assert reply.status == 200
    lines = reply.body.decode("utf-8-sig").splitlines()
    assert lines == [
        "City,Area code,Calls,Blocked,Blocked share",
        '"Shenzhen, Guangdong",0755,63,13,0.206',
    ]
    assert site.trail.deeds == [(role, "tables.export live.cities")]
