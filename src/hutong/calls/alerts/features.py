"""The names that alert conditions may use, in the order of the feature vector. `alerts.watch` fills it.

A second vocabulary: of a call that goes on. What rules know of its beginning only (how a number was written, roaming)
is not here; what has become known since is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hutong.calls.features import SIDES, enum_feature, enumerations, flag, window_features
from hutong.calls.model import ACTIONS
from hutong.kernel.rules.ruleset import ALERT_STAGES
from hutong.kernel.rules.vocabulary import Enumeration, Feature, Vocabulary
from hutong.kernel.windows import WINDOW_FEATURES

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What a call to a number costs; a position is its code. "ordinary" also stands for a number that cannot be read.
TARIFFS: Final = ("ordinary", "international", "high", "satellite", "premium")
_TARIFF_LABELS = {
    "ordinary": {"zh": "普通", "en": "ordinary"},
    "international": {"zh": "国际", "en": "international"},
    "high": {"zh": "高资费国际", "en": "high-rate international"},
    "satellite": {"zh": "卫星与国际网络", "en": "satellite or international network"},
    "premium": {"zh": "声讯与溢价", "en": "premium rate"},
}
_ACTION_LABELS = {
    "pass": {"zh": "放行", "en": "pass"},
    "observe": {"zh": "观察", "en": "observe"},
    "warn": {"zh": "提示", "en": "warn"},
    "block": {"zh": "拦截", "en": "block"},
}
#: Spans of flagged attempts: name, zh, en, ms.
CONTACT_SPANS: Final = (
    ("10m", "10 分钟", "10 min", 600_000),
    ("1h", "1 小时", "1 h", 3_600_000),
    ("24h", "24 小时", "24 h", 86_400_000),
)
_MOST_CONTACTS = 8.0


def _seconds(name: str, zh: str, en: str) -> Feature:
    return Feature(name, "number", {"zh": zh, "en": en}, unit="s", high=90_000.0)


def _number(side: str) -> Iterator[Feature]:
    """What numbering says of a number, however it was written."""
    zh, en = SIDES[side]
    for field, zh_field, en_field in (
        ("class", "号码类别", "number class"),
        ("country", "国家或地区", "country or region"),
        ("operator", "运营商", "operator"),
        ("area", "归属地", "area"),
    ):
        yield enum_feature(f"{side}.{field}", field, f"{zh}{zh_field}", f"{en}'s {en_field}")


def _contacts(what: str, zh: str, en: str) -> Iterator[Feature]:
    for span, zh_span, en_span, _ in CONTACT_SPANS:
        doc = {"zh": f"{zh_span}内{zh}", "en": f"{en} in {en_span}"}
        name = f"callee.{what}"
        yield Feature(f"{name}_{span}", "number", doc, high=_MOST_CONTACTS, whole=True, family=name)


def _features() -> Iterator[Feature]:
    yield _seconds("call.talk_s", "已通话时长", "seconds of talk so far")
    yield _seconds("call.ring_s", "振铃时长", "seconds of ringing so far, or until the answer")
    yield flag("call.answered", "已接通", "the call was answered")
    yield flag("call.night", "夜间建立的呼叫", "call set up at night")
    yield flag("call.diverted", "前转呼叫", "diverted call")
    yield flag("call.anonymous", "主叫隐藏号码", "caller withholds the number")
    yield enum_feature("call.action", "action", "建立时的判决", "verdict when it was set up; observe: rules fired only")
    yield enum_feature("call.declared", "action", "命中规则的最高动作", "strongest own action of the rules that fired")
    fired = {"zh": "建立时命中的规则数(含观察)", "en": "rules that fired when it was set up, in any stage"}
    yield Feature("call.fired", "number", fired, high=255.0, whole=True)
    yield enum_feature("trunk.name", "trunk-name", "中继名称", "trunk")
    yield enum_feature("trunk.kind", "trunk-kind", "中继类型", "kind of trunk")
    yield from _number("caller")
    yield flag("caller.flagged", "主叫为可疑号码", "caller is flagged: listed, or a rule that may warn or block fired")
    yield flag("caller.listed_block", "主叫在拦截名单", "caller is on a block list now")
    yield flag("caller.listed_allow", "主叫在放行名单", "caller is on an allow list now")
    yield flag("caller.listed_since", "呼叫建立后主叫被列入拦截名单", "caller was put on a block list during the call")
    yield flag("caller.blocked_since", "呼叫建立后主叫的另一呼叫被拦截", "another call of the caller was blocked since")
    yield from _number("callee")
    yield enum_feature("callee.tariff", "tariff", "被叫资费", "what calling the callee costs")
    yield flag("callee.listed_block", "被叫在拦截名单", "callee is on a block list")
    yield flag("callee.listed_allow", "被叫在放行名单", "callee is on an allow list")
    yield from _contacts("flagged_callers", "呼叫该被叫的可疑主叫数", "flagged callers that tried the callee")
    yield from _contacts("flagged_attempts", "可疑主叫呼叫该被叫的次数", "attempts of flagged callers to the callee")
    for side in SIDES:
        yield from window_features(side)


#: Every name of the feature vector of a call under way.
ALERT_VOCABULARY: Final = Vocabulary(
    tuple(_features()),
    [
        *enumerations(),
        Enumeration("action", ACTIONS, _ACTION_LABELS),
        Enumeration("tariff", TARIFFS, _TARIFF_LABELS),
    ],
    ALERT_STAGES,
)

#: Places of the first window feature of each side.
CALLER_WINDOWS: Final = ALERT_VOCABULARY.index(f"caller.{WINDOW_FEATURES[0]}")
CALLEE_WINDOWS: Final = ALERT_VOCABULARY.index(f"callee.{WINDOW_FEATURES[0]}")
TRUNK_WINDOWS: Final = ALERT_VOCABULARY.index(f"trunk.{WINDOW_FEATURES[0]}")
