"""The beat of the live wall: one frame for all of an audience, bounded watchers, streams that end."""

from __future__ import annotations

import asyncio

import pytest

from hutong.calls.live import feed as live_feed
from hutong.calls.live.feed import MOST_OF_ONE, STREAM_BEATS, WHOLE_EVERY, Audience, LiveFeed, Watcher
from hutong.calls.live.memory import MemoryLive
from hutong.kernel.clock import ManualClock
from live_samples import SECOND, START, snapshot

DESK = Audience("zh", verdicts=True)
GUEST = Audience("zh", verdicts=False)


async def always() -> bool:
    return True


def of(audience: Audience, name: str = "li") -> Watcher:
    """A watcher whom nobody sends away."""
    return Watcher(name, audience, always)


class Drawn:
    """Draws the number of its drawing, and keeps for whom it drew."""

    def __init__(self) -> None:
        self.for_whom: list[tuple[Audience, bool]] = []

    def __call__(self, _view: object, audience: Audience, *, whole: bool) -> int:
        self.for_whom.append((audience, whole))
        return len(self.for_whom)


@pytest.fixture
def drawn() -> Drawn:
    return Drawn()


@pytest.fixture
def feed(drawn: Drawn) -> LiveFeed:
    source = MemoryLive()
    source.put(snapshot(10, 1000))
    return LiveFeed(source, ManualClock(START + 10 * SECOND), drawn)


def test_all_watchers_of_an_audience_share_one_frame(feed: LiveFeed, drawn: Drawn) -> None:
    async def watch() -> None:
        feed.look()
        streams = [feed.watch(of(audience, f"{n}")) for audience in (DESK, GUEST) for n in range(20)]
        for stream in streams:
            assert await anext(stream) == b"retry: 500\n\n"
            assert b"event: live\n" in await anext(stream)
        assert drawn.for_whom == [(DESK, True), (GUEST, True)]
        feed.look()
        for stream in streams:
            assert b"id: 2\n" in await anext(stream)
        assert drawn.for_whom[2:] == [(DESK, False), (GUEST, False)]

    asyncio.run(watch())


def test_what_changes_slowly_comes_first_and_then_every_few_beats(feed: LiveFeed, drawn: Drawn) -> None:
    async def watch() -> None:
        feed.look()
        stream = feed.watch(of(DESK))
        await anext(stream)
        for _ in range(3 * WHOLE_EVERY):
            await anext(stream)
            feed.look()

    asyncio.run(watch())
    wholes = [whole for _, whole in drawn.for_whom]
    assert wholes[0]
    assert wholes.count(True) == 4
    assert all(wholes[at] for at in range(WHOLE_EVERY - 1, len(wholes), WHOLE_EVERY))


def test_a_slow_watcher_skips_views_and_still_gets_what_changes_slowly(feed: LiveFeed, drawn: Drawn) -> None:
    async def watch() -> None:
        feed.look()
        stream = feed.watch(of(DESK))
        await anext(stream)
        await anext(stream)
        for _ in range(2 * WHOLE_EVERY + 1):
            feed.look()
        assert b"id: 12\n" in await anext(stream)
        assert drawn.for_whom == [(DESK, True), (DESK, True)]

    asyncio.run(watch())


def test_watchers_are_bounded_however_many_come_at_once(feed: LiveFeed) -> None:
    async def watch() -> None:
        feed.look()
        streams = [feed.watch(of(DESK, f"{n}")) for n in range(live_feed.MAX_WATCHERS)]
        for stream in streams:
            await anext(stream)
            await anext(stream)
        assert feed.refusal("somebody") == "full"
        assert [part async for part in feed.watch(of(DESK))] == [b"retry: 10000\n\n"]
        assert feed.watchers == live_feed.MAX_WATCHERS
        for stream in streams:
            await stream.aclose()
        assert feed.watchers == 0

    asyncio.run(watch())


def test_a_stream_ends_after_a_while_so_that_its_reader_asks_again(feed: LiveFeed) -> None:
    async def watch() -> int:
        feed.look()
        events = 0
        async for part in feed.watch(of(DESK)):
            events += part.count(b"event: live")
            feed.look()
        return events

    assert asyncio.run(watch()) == STREAM_BEATS
    assert feed.watchers == 0


def test_nobody_has_more_than_a_few_of_the_places(feed: LiveFeed) -> None:
    async def watch() -> None:
        feed.look()
        mine = [feed.watch(of(DESK, "li")) for _ in range(MOST_OF_ONE)]
        for stream in mine:
            await anext(stream)
        assert (feed.refusal("li"), feed.refusal("wang"), feed.watchers) == ("yours", "", MOST_OF_ONE)
        assert [part async for part in feed.watch(of(DESK, "li"))] == [b"retry: 10000\n\n"]
        await mine[0].aclose()
        assert feed.refusal("li") == ""
        for stream in mine[1:]:
            await stream.aclose()

    asyncio.run(watch())


def test_a_stream_ends_at_the_first_beat_after_its_watcher_may_not_see_it(feed: LiveFeed, drawn: Drawn) -> None:
    allowed = True

    async def still() -> bool:
        return allowed

    async def watch() -> list[bytes]:
        nonlocal allowed
        feed.look()
        seen = []
        async for part in feed.watch(Watcher("li", DESK, still)):
            seen.append(part)
            if len(seen) == 3:
                allowed = False
            feed.look()
        return seen

    seen = asyncio.run(watch())
    assert [part.count(b"event: live") for part in seen] == [0, 1, 1, 0]
    assert b"event: over\ndata: null\n" in seen[-1]
    assert (len(drawn.for_whom), feed.watchers) == (2, 0)


def test_closing_the_feed_ends_every_stream(feed: LiveFeed) -> None:
    async def watch() -> list[bytes]:
        running = asyncio.create_task(feed.run())
        seen = []
        async for part in feed.watch(of(DESK)):
            seen.append(part)
            feed.close()
        await running
        return seen

    assert asyncio.run(watch()) == [b"retry: 500\n\n"]
