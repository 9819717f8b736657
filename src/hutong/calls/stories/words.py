"""The one sentence that says what a number is doing, in either language. Figures in, words out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hutong.calls.stories.views import NumberStory

_ENOUGH_ENDED = 5
_MANY = 20
_DIFFERENT = 0.9
_RUN = 5
_ESTIMATED = 10  # fewer different callees than this are counted nearly exactly
_SHORT_SHARE = 0.7
_SPANS = {"1h": ("过去 1 小时", "In the last hour"), "24h": ("过去 24 小时", "In the last 24 hours")}


def sentence(story: NumberStory, titles: Mapping[str, str], lang: str) -> str:
    """What the number is doing.

    Args:
        story: its story.
        titles: titles of rules by id, in this language.
        lang: zh or en.
    """
    zh = lang == "zh"
    if not story.first_ms and not story.lists:
        return "没有这个号码的记录。" if zh else "There is no record of this number."
    clauses = list(_clauses(story, titles, zh=zh))
    return "；".join(clauses) + "。" if zh else "; ".join(clauses) + "."


def _clauses(story: NumberStory, titles: Mapping[str, str], *, zh: bool) -> Iterator[str]:
    yield _doing(story, zh=zh)
    yield from _pattern(story, zh=zh)
    yield from _judged(story, titles, zh=zh)
    for entry in story.lists[:1]:
        if entry.list == "block":
            yield "现在在拦截名单中" if zh else "it is on the block list now"
        else:
            yield "现在在放行名单中" if zh else "it is on the allow list now"


def _latest(story: NumberStory) -> dict[str, float]:
    """Present windows; where the node does not track the number (any more), as drawn from its records."""
    return story.now or {name: values[-1] for name, values in story.windows.items() if values}


def _doing(story: NumberStory, *, zh: bool) -> str:
    now = _latest(story)
    for span, when in _SPANS.items():
        made, received = round(now.get(f"attempts_{span}", 0)), round(now.get(f"inbound_{span}", 0))
        if made:
            callees = round(now[f"distinct_callees_{span}"])
            about = ("约", "about ") if callees >= _ESTIMATED else ("", "")
            if zh:
                return f"{when[0]}呼出 {made:,} 次，打给{about[0]} {callees:,} 个不同号码"
            return f"{when[1]} it made {_calls(made)} to {about[1]}{_numbers(callees)}"
        if received:
            only = f"{when[1]} it only received calls, {received:,} in all"
            return f"{when[0]}只有呼入，共 {received:,} 次" if zh else only
    if not story.first_ms:
        return "这个号码没有呼叫记录" if zh else "No call of this number is on record"
    return "过去 24 小时没有呼叫" if zh else "No call in the last 24 hours"


def _pattern(story: NumberStory, *, zh: bool) -> Iterator[str]:
    now = _latest(story)
    made = now.get("attempts_24h", 0)
    run = round(now.get("run_sequential", 0))
    if run >= _RUN:
        yield f"正按号码顺序连拨 {run} 个号码" if zh else f"it is dialling numbers in sequence, {run} so far"
    elif made >= _MANY and now.get("distinct_callees_24h", 0) >= _DIFFERENT * made:
        yield "几乎每次都打给不同的人" if zh else "almost every call went to somebody else"
    ended = now.get("ended_24h", 0)
    if ended >= _ENOUGH_ENDED:
        share, talk = now["answer_share_24h"], now["mean_talk_24h"]
        talked = f"{share:.0%} were answered and talked for {talk:.0f} s on average"
        yield f"接通率 {share:.0%}，平均通话 {talk:.0f} 秒" if zh else talked
        if now["short_share_24h"] >= _SHORT_SHARE and share:
            yield "多数通话不超过 15 秒" if zh else "most talks lasted at most 15 s"


def _judged(story: NumberStory, titles: Mapping[str, str], *, zh: bool) -> Iterator[str]:
    made = story.made
    if not made.calls:
        return
    stopped = made.blocked + made.warned
    if not stopped:
        yield f"记录在案的 {made.calls:,} 次呼出全部放行" if zh else f"all {_calls(made.calls)} on record passed"
        return
    blocked, warned = f"{made.blocked:,}", f"{made.warned:,}"
    if zh:
        yield f"记录在案的 {made.calls:,} 次呼出中，拦截 {blocked} 次、提醒 {warned} 次"
    else:
        yield f"of {_calls(made.calls)} on record {blocked} were blocked and {warned} passed with a warning"
    deciding = max(story.rules, key=lambda rule: rule.decided, default=None)
    if deciding is not None and deciding.decided:
        title = titles.get(deciding.id, deciding.id)
        yield f"主要因为“{title}”" if zh else f"mostly for “{title}”"


def _calls(number: int) -> str:
    return f"{number:,} call" if number == 1 else f"{number:,} calls"


def _numbers(number: int) -> str:
    return f"{number:,} number" if number == 1 else f"{number:,} different numbers"
