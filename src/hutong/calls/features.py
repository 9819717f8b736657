"""The names that call rules may use, in the order of the feature vector. Filling the vector is `screening`'s work.

Windows include the present attempt. Shares without anything to share (no ended call yet) read 0: a rule on a share also
asks for a count.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from hutong.calls.trunks import TRUNK_KINDS
from hutong.kernel.numbering import AREAS, COUNTRIES, FAULTS, FORMS, KLASSES, OPERATORS, label
from hutong.kernel.rules.vocabulary import Enumeration, Feature, Vocabulary
from hutong.kernel.windows import WINDOW_FEATURES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: The rule files that Hutong ships for calls.
SHIPPED_RULES: Final = Path(__file__).parent / "rules"

#: How the roaming question was answered; a value's place is its code.
ROAMING: Final = ("not-asked", "confirmed", "unconfirmed", "unknown")

_TRUNK_KIND_LABELS = {
    "unknown": {"zh": "未知", "en": "unknown"},
    "international": {"zh": "国际", "en": "international"},
    "inter-network": {"zh": "网间", "en": "inter-network"},
    "local": {"zh": "本网", "en": "local"},
    "enterprise": {"zh": "企业", "en": "enterprise"},
}
_ROAMING_LABELS = {
    "not-asked": {"zh": "未查询", "en": "not asked"},
    "confirmed": {"zh": "确认在境外漫游", "en": "confirmed roaming abroad"},
    "unconfirmed": {"zh": "未在境外漫游", "en": "not roaming abroad"},
    "unknown": {"zh": "查询未果", "en": "look-up failed"},
}

#: The parties whose windows rules may read: zh and en.
SIDES = {"caller": ("主叫", "caller"), "callee": ("被叫", "callee"), "trunk": ("中继", "trunk")}
_SPANS = {
    "1m": ("1 分钟", "1 min"),
    "10m": ("10 分钟", "10 min"),
    "1h": ("1 小时", "1 h"),
    "24h": ("24 小时", "24 h"),
}

# Stem of a window feature: what it is in zh and en, its unit, and the most it can be.
_WINDOWS: dict[str, tuple[str, str, str, float | None]] = {
    "attempts": ("呼出次数", "calls made", "", None),
    "inbound": ("呼入次数", "calls received", "", None),
    "distinct_callees": ("不同被叫数", "distinct callees", "", None),
    "areas": ("被叫地区数", "areas called", "", None),
    "answer_share": ("接通率", "share of answered calls", "", 1.0),
    "short_share": ("接通呼叫中不超过 15 秒的占比", "share of answered calls of at most 15 s", "", 1.0),
    "mean_ring": ("平均振铃时长", "mean ringing time", "s", None),
    "mean_talk": ("平均通话时长", "mean talking time", "s", None),
    "night_share": ("夜间呼叫占比", "share of calls at night", "", 1.0),
    "out_share": ("呼出占比", "share of outgoing calls", "", 1.0),
    "ended": ("已结束呼叫数", "ended calls", "", None),
    "run_sequential": ("连号被叫的连续次数", "consecutive callees in numeric sequence", "", None),
    "run_same": ("连续呼叫同一被叫的次数", "consecutive calls to the same callee", "", None),
    "active_calls": ("当前同时通话数", "calls in progress", "", None),
    "age": ("首次出现至今", "time since first seen", "s", None),
    "idle": ("距上次出现", "time since last seen", "s", None),
}


def _enumeration(name: str, values: Sequence[str]) -> Enumeration:
    labels = {
        value: {"zh": label(name, code, "zh"), "en": label(name, code, "en")} for code, value in enumerate(values)
    }
    return Enumeration(name, tuple(values), labels)


def enumerations() -> list[Enumeration]:
    """The enumerations of numbers and trunks."""
    return [
        _enumeration("class", KLASSES),
        _enumeration("country", COUNTRIES),
        _enumeration("operator", OPERATORS),
        _enumeration("area", AREAS),
        _enumeration("form", FORMS),
        _enumeration("fault", FAULTS),
        Enumeration("trunk-kind", TRUNK_KINDS, _TRUNK_KIND_LABELS),
        Enumeration("roaming", ROAMING, _ROAMING_LABELS),
        Enumeration("trunk-name", open=True),
    ]


def flag(name: str, zh: str, en: str) -> Feature:
    """A name that holds or does not."""
    return Feature(name, "flag", {"zh": zh, "en": en})


def enum_feature(name: str, enumeration: str, zh: str, en: str) -> Feature:
    """A name with a value of an enumeration."""
    return Feature(name, "enum", {"zh": zh, "en": en}, enumeration=enumeration)


def _number(side: str) -> Iterator[Feature]:
    """What numbering says about one side of the call."""
    zh, en = SIDES[side]
    for field, enumeration, zh_field, en_field in (
        ("class", "class", "号码类别", "number class"),
        ("country", "country", "国家或地区", "country or region"),
        ("operator", "operator", "运营商", "operator"),
        ("area", "area", "归属地", "area"),
        ("form", "form", "号码格式", "number format"),
        ("fault", "fault", "号码缺陷", "number fault"),
    ):
        yield enum_feature(f"{side}.{field}", enumeration, f"{zh}{zh_field}", f"{en}'s {en_field}")


def window_features(side: str) -> Iterator[Feature]:
    """The windows of one side, in the order in which they are read."""
    side_zh, side_en = SIDES[side]
    for name in WINDOW_FEATURES:
        stem, _, span = name.rpartition("_")
        spanned = span in _SPANS
        zh, en, unit, high = _WINDOWS[stem if spanned else name]
        span_zh, span_en = _SPANS[span] if spanned else ("", "")
        yield Feature(
            f"{side}.{name}",
            "number",
            {
                "zh": f"{side_zh} {span_zh}内的{zh}" if spanned else f"{side_zh}{zh}",
                "en": f"{side_en}'s {en} in {span_en}" if spanned else f"{side_en}'s {en}",
            },
            unit=unit,
            high=high,
            family=f"{side}.{stem}" if spanned else "",
        )


def mark_features() -> Iterator[Feature]:
    """What is known of the caller beside its calls (`kernel.marks`)."""
    yield flag("caller.reported", "主叫 30 天内被举报过", "caller was reported in 30 days")
    for span, zh, en in (("24h", "24 小时", "24 h"), ("7d", "7 天", "7 days"), ("30d", "30 天", "30 days")):
        yield Feature(
            f"caller.reporters_{span}",
            "number",
            {"zh": f"{zh}内举报主叫的不同人数", "en": f"distinct people who reported the caller in {en}"},
            whole=True,
            family="caller.reporters",
        )
    yield Feature(
        "caller.wrong_blocks",
        "number",
        {"zh": "一年内经申诉确认的误拦次数", "en": "blocks of the caller found wrong in a year"},
        whole=True,
    )
    yield flag("caller.limited", "主叫依令限呼", "an order limits the caller's calls")
    yield Feature(
        "caller.call_limit",
        "number",
        {"zh": "依令每小时可呼次数", "en": "calls an hour that an order allows"},
        whole=True,
    )
    yield Feature("caller.limit_mark", "number", {"zh": "限呼标记编号", "en": "number of the limit's mark"}, whole=True)


def _features() -> Iterator[Feature]:
    yield flag("call.night", "夜间呼叫", "call at night")
    yield flag("call.diverted", "前转呼叫", "diverted call")
    yield Feature("call.hour", "number", {"zh": "当地时间（时）", "en": "local hour"}, unit="h", high=23.0, whole=True)
    yield flag("call.identity_conflict", "主叫身份字段不一致", "asserted identity and From disagree")
    yield flag("call.anonymous", "主叫隐藏号码", "caller withholds the number")
    yield flag("call.emergency", "被叫为紧急或公益热线", "callee is an emergency or public line")
    yield enum_feature("trunk.name", "trunk-name", "中继名称", "trunk")
    yield enum_feature("trunk.kind", "trunk-kind", "中继类型", "kind of trunk")
    yield from _number("caller")
    yield Feature(
        "caller.digits",
        "number",
        {"zh": "主叫号码位数", "en": "digits of the caller's number"},
        high=15.0,
        whole=True,
    )
    yield flag("caller.in_own_ranges", "主叫属于该企业号段", "caller is in the enterprise's own ranges")
    yield flag("caller.diverter_in_own_ranges", "前转方属于该企业号段", "diverter is in the enterprise's own ranges")
    yield enum_feature("caller.roaming", "roaming", "主叫境外漫游状态", "caller's roaming abroad")
    yield flag("caller.listed_block", "主叫在拦截名单", "caller is on a block list")
    yield flag("caller.listed_allow", "主叫在放行名单", "caller is on an allow list")
    yield Feature("caller.risk", "number", {"zh": "主叫风险评分", "en": "caller's risk score"}, high=1.0)
    yield flag("caller.risk_known", "主叫有风险评分", "caller has a risk score")
    yield from mark_features()
    yield from _number("callee")
    yield flag("callee.listed_block", "被叫在拦截名单", "callee is on a block list")
    yield flag("callee.listed_allow", "被叫在放行名单", "callee is on an allow list")
    for side in SIDES:
        yield from window_features(side)


#: Every name of a call's feature vector.
VOCABULARY: Final = Vocabulary(tuple(_features()), enumerations())

#: Places of the first window feature of each side: where `read_features` writes.
CALLER_WINDOWS: Final = VOCABULARY.index(f"caller.{WINDOW_FEATURES[0]}")
CALLEE_WINDOWS: Final = VOCABULARY.index(f"callee.{WINDOW_FEATURES[0]}")
TRUNK_WINDOWS: Final = VOCABULARY.index(f"trunk.{WINDOW_FEATURES[0]}")
