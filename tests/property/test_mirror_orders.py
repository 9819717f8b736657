"""Captured messages in any order, doubled and lost: nothing is counted twice, nothing goes below nought.

And the journal tells the whole: counting its records again gives the windows that live counting gave.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engines import invite
from hutong.calls.mirror import table as mirror_calls
from hutong.calls.screening import replay_records
from hutong.kernel import windows
from mirrored import CAPACITY, NOON_US, Leg, Mirror

if TYPE_CHECKING:
    import pytest

    from hutong.calls.outcomes import Outcome

SECOND = 1_000_000
#: Steps of time between what is done, ms.
STEPS = (0, 0, 0, 3, 200, 600)
ESTIMATED = ("distinct_callees", "areas")


class Story(msgspec.Struct, frozen=True):
    """A call as it truly went: rings `ring` seconds, talks `talk` seconds; None: it never came to that."""

    ring: int
    talk: int | None
    end: bool
    screened: bool

    def messages(self, number: int) -> list[tuple[bytes, int]]:
        """Every message of every leg, with the time of its capture."""
        call = f"p{number}"
        leg = Leg(call=f"call-{call}", caller_tag=f"a{call}", branch=f"{call}a", caller=f"1380013800{number}")
        onward = msgspec.structs.replace(leg, branch=f"{call}b", sender="192.0.2.10:5070")
        start, seen = NOON_US + number, []
        seen += [(leg.invite(), start), (onward.invite(), start + 900)]
        answered = start + self.ring * SECOND
        if self.talk is None:
            if self.end:
                seen += [(onward.response(486), answered - 500), (leg.response(486), answered)]
            return seen
        seen += [(onward.response(200), answered - 500), (leg.response(200), answered)]
        if self.end:
            seen += [(one.bye(), answered + self.talk * SECOND + place) for place, one in ((0, leg), (700, onward))]
        return seen


stories = st.lists(
    st.builds(
        Story,
        ring=st.integers(1, 60),
        talk=st.one_of(st.none(), st.integers(0, 100)),
        end=st.booleans(),
        screened=st.booleans(),
    ),
    min_size=1,
    max_size=3,
)


def exact(table: windows.WindowArrays, key: int, now: int) -> dict[str, float]:
    """The features of a number that are counted, not estimated."""
    out = np.zeros(len(windows.WINDOW_FEATURES))
    windows.read_features(table, windows.find(table, key), now, out, 0)
    named = dict(zip(windows.WINDOW_FEATURES, out.tolist(), strict=True))
    return {name: value for name, value in named.items() if not name.startswith(ESTIMATED)}


def assert_the_journal_tells_the_whole(mirror: Mirror) -> None:
    recount = windows.format_buffer(bytearray(windows.size_for(200)), 200, (3, 4))
    for data in mirror.records:
        words = np.frombuffer(data, dtype=np.int64)
        replay_records(recount, words, words.view(np.uint16), 0)
    now = mirror.now_ns // 10**9
    keys = {key for verdict in mirror.verdicts for key in (verdict.caller_key, verdict.callee_key)}
    for key in keys:
        assert exact(mirror.window, key, now) == exact(recount, key, now)


def assert_each_once(outcomes: list[Outcome]) -> None:
    """At most one answer and one end or loss of each call, and no end without the answer that it claims."""
    by_call: dict[int, list[Outcome]] = {}
    for outcome in outcomes:
        by_call.setdefault(outcome.verdict_seq, []).append(outcome)
    for told in by_call.values():
        phases = [outcome.phase for outcome in told]
        assert phases in (["answered"], ["answered", "ended"], ["answered", "lost"], ["ended"], ["lost"])
        assert told[-1].answered == (phases[0] == "answered")
        assert all(outcome.ring_ms >= 0 and outcome.talk_ms >= 0 for outcome in told)


def run(tmp: pytest.TempPathFactory, told: list[Story], draw: st.DataObject, *, losses: bool) -> Mirror:
    """Follow the stories' messages in a drawn order, some twice, some (with `losses`) never."""
    mirror = Mirror(tmp.mktemp("m"), capacity=200)
    deeds: list[tuple[bytes, int] | int] = []
    for number, story in enumerate(told):
        deeds += story.messages(number)
        deeds += [number] if story.screened else []
    weights = draw.draw(
        st.lists(st.sampled_from([0, 1, 1, 1, 2] if losses else [1, 1, 2]), min_size=len(deeds), max_size=len(deeds))
    )
    order = draw.draw(st.permutations([deed for deed, times in zip(deeds, weights, strict=True) for _ in range(times)]))
    for deed in order:
        if isinstance(deed, int):
            mirror(invite(f"1380013800{deed}", call=f"p{deed}"))
        else:
            mirror.see(deed[0], at_us=deed[1])
        mirror.wait(draw.draw(st.sampled_from(STEPS)))
    mirror.wait(1000)
    return mirror


@settings(max_examples=100, deadline=None)
@given(told=stories, draw=st.data())
def test_any_order_with_losses_and_copies_counts_nothing_twice(
    tmp_path_factory: pytest.TempPathFactory, told: list[Story], draw: st.DataObject
) -> None:
    mirror = run(tmp_path_factory, told, draw, losses=True)
    assert_each_once(mirror.outcomes)
    on = Counter[int]()
    for outcome in mirror.outcomes:
        if outcome.answered:
            on[outcome.caller_key] += 1 if outcome.phase == "answered" else -1
    for key, count in on.items():
        assert mirror.feature(key, "active_calls") == count
    assert_the_journal_tells_the_whole(mirror)
    # Nothing is followed for ever.
    mirror.wait(24 * 3_600_000)
    mirror.wait(65_000)
    assert mirror_calls.free_rows(mirror.calls) == CAPACITY
    assert mirror.calls[mirror_calls.FOLLOWED] == 0
    assert_each_once(mirror.outcomes)
    assert {mirror.feature(key, "active_calls") for key in on} <= {0}
    assert_the_journal_tells_the_whole(mirror)


@settings(max_examples=100, deadline=None)
@given(told=stories, draw=st.data(), mixed=st.booleans())
def test_in_order_every_call_is_told_as_it_went(
    tmp_path_factory: pytest.TempPathFactory,
    told: list[Story],
    draw: st.DataObject,
    mixed: bool,  # noqa: FBT001
) -> None:
    mirror = Mirror(tmp_path_factory.mktemp("o"), capacity=200)
    deeds = [(at, message) for number, story in enumerate(told) for message, at in story.messages(number)]
    for number, story in enumerate(told):
        if story.screened:
            mirror(invite(f"1380013800{number}", call=f"p{number}"))
    for at, message in sorted(deeds, key=lambda deed: deed[0]):
        mirror.now_ns = max(mirror.now_ns, at * 1000)
        mirror.see(message, at_us=at, compress="gzip" if mixed and draw.draw(st.booleans()) else "")
        mirror.wait()
    mirror.wait(1000)
    assert len(mirror.verdicts) == len(told)
    by_caller = {verdict.caller: verdict.seq for verdict in mirror.verdicts}
    for number, story in enumerate(told):
        mine = [it for it in mirror.outcomes if it.verdict_seq == by_caller[f"1380013800{number}"]]
        ends = [(it.phase, it.ring_ms, it.talk_ms) for it in mine]
        answered = [] if story.talk is None else [("answered", story.ring * 1000, 0)]
        ended = [("ended", story.ring * 1000, (story.talk or 0) * 1000)] if story.end else []
        assert ends == answered + ended
    assert_the_journal_tells_the_whole(mirror)
