"""Group commit: what shares a transaction, who is told what, and what is left when it stops."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from hutong.kernel.group_commit import Committer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Never over within a test: what ends a rest is what the test does.
LONG_S = 600.0


class Full(Exception):  # noqa: N818  # says what it says
    pass


class Taken:
    """Transactions as they were taken; each answer is the item, doubled."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __call__(self, items: list[int]) -> list[int]:
        self.groups.append(items)
        self.begun.set()
        assert self.go_on.wait(20)
        if 13 in items:
            raise LookupError("thirteen")
        return [2 * it for it in items]


@pytest.fixture
def made() -> Iterator[Callable[..., tuple[Committer[int, int], Taken]]]:
    committers: list[tuple[Committer[int, int], Taken]] = []

    def make(rest_s: float = 0.0, at_once: int = 3, waiting: int = 4) -> tuple[Committer[int, int], Taken]:
        taken = Taken()
        committer = Committer(taken, lambda _: 1, Full, at_once=at_once, waiting=waiting, name="test", rest_s=rest_s)
        committer.start()
        committers.append((committer, taken))
        return committer, taken

    yield make
    for committer, taken in committers:
        taken.go_on.set()
        committer.stop()


async def begun(taken: Taken) -> None:
    assert await asyncio.to_thread(taken.begun.wait, 20)


def test_what_comes_while_one_is_kept_shares_the_next(made: Callable[..., tuple[Committer[int, int], Taken]]) -> None:
    committer, taken = made()

    async def asked() -> list[int]:
        first = committer.put(1)
        await begun(taken)
        others = [committer.put(it) for it in (2, 3, 4, 5)]
        with pytest.raises(Full):
            committer.put(6)
        taken.go_on.set()
        return await asyncio.gather(first, *others)

    assert asyncio.run(asked()) == [2, 4, 6, 8, 10]
    assert taken.groups == [[1], [2, 3, 4], [5]]


def test_after_one_it_rests_until_there_is_enough_for_a_whole_one(
    made: Callable[..., tuple[Committer[int, int], Taken]],
) -> None:
    committer, taken = made(LONG_S)
    taken.go_on.set()

    async def asked() -> list[int]:
        answers = [await committer.put(1)]  # who is alone waits for nobody
        return answers + await asyncio.gather(*(committer.put(it) for it in (2, 3, 4)))

    assert asyncio.run(asked()) == [2, 4, 6, 8]
    assert taken.groups == [[1], [2, 3, 4]]


def test_what_waits_in_a_rest_is_taken_when_it_stops(made: Callable[..., tuple[Committer[int, int], Taken]]) -> None:
    committer, taken = made(LONG_S)
    taken.go_on.set()

    async def asked() -> int:
        await committer.put(1)
        waits = committer.put(2)
        await asyncio.to_thread(committer.stop)
        with pytest.raises(Full):
            committer.put(3)
        return await waits

    assert asyncio.run(asked()) == 4


def test_a_failure_is_told_to_those_it_struck_and_to_nobody_else(
    made: Callable[..., tuple[Committer[int, int], Taken]],
) -> None:
    committer, taken = made(at_once=2)

    async def asked() -> list[int | BaseException]:
        first = committer.put(1)
        await begun(taken)
        others = [committer.put(it) for it in (13, 2, 3)]
        taken.go_on.set()
        return await asyncio.gather(first, *others, return_exceptions=True)

    one, thirteen, two, three = asyncio.run(asked())
    assert (one, three) == (2, 6)
    assert [str(it) for it in (thirteen, two)] == ["thirteen"] * 2


def test_whoever_has_gone_is_not_taken_and_holds_up_nobody(
    made: Callable[..., tuple[Committer[int, int], Taken]],
) -> None:
    committer, taken = made()

    async def gone() -> None:
        committer.put(1)
        await begun(taken)
        committer.put(2).cancel()
        committer.put(3)

    async def asked() -> int:
        waits = committer.put(4)
        taken.go_on.set()
        return await waits

    asyncio.run(gone())  # its loop is closed, and what it asked for is taken all the same
    assert asyncio.run(asked()) == 8
    assert taken.groups == [[1], [3, 4]]
