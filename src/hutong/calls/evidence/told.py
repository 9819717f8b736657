"""A backtest as lines for people, Chinese or English. `model` values in, text out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.calls.evidence.model import Backtest, Case, Count, Effect, Rate, RuleEffect
    from hutong.kernel.rules.vocabulary import Language

_OVERLAPS: Final = 5
_CLASSES: Final = 12
_LABELS: Final = {
    "fraud": {"zh": "诈骗", "en": "fraud"},
    "legitimate": {"zh": "正常", "en": "legitimate"},
    "unlabelled": {"zh": "未标注", "en": "unlabelled"},
}
_SCORES: Final = {
    "none": {"zh": "未使用(当时的评分没有留存)", "en": "not used (those of that time are not kept)"},
    "past": {"zh": "各呼叫当时的评分", "en": "those of each call's own time"},
    "published": {"zh": "回测当日的评分,含事后信息", "en": "those of the day of the test: hindsight"},
}
_CLASS_NAMES: Final = {"emergency": "应急", "hospital": "医院"}


def tell(backtest: Backtest, evidence_id: str, lang: Language) -> list[str]:
    """The whole result; `evidence_id` empty where it was not kept."""
    zh = lang == "zh"
    over, labels = backtest.over, backtest.labels
    zone = ZoneInfo(backtest.time_zone)
    first, last = (datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone) for ms in (over.first_ms, over.last_ms))
    span = f"{first:%Y-%m-%d %H:%M} – {last:%Y-%m-%d %H:%M}"
    known = (labels.fraud_calls, labels.legitimate_calls, labels.unlabelled_calls)
    counts = [_count(it, lang) for it in known]
    lines = [
        f"{'呼叫' if zh else 'calls'}: {over.calls:,}, {span}",
        f"{'标注' if zh else 'labels'}: "
        + ", ".join(f"{_LABELS[name][lang]} {said}" for name, said in zip(_LABELS, counts, strict=True)),
    ]
    lines.append(f"{'风险评分' if zh else 'learned scores'}: {_SCORES[backtest.scores][lang]}")
    if over.bad or labels.bad:
        said = "错误行:话单 {0:,},标注 {1:,}" if zh else "bad rows: {0:,} of the records, {1:,} of the labels"
        lines.append(said.format(over.bad, labels.bad))
    for rule in backtest.rules:
        lines += ["", *_rule(rule, lang)]
    if len(backtest.rules) > 1:
        lines += ["", "整套规则" if zh else "all of them together", *_effect(backtest.whole, lang)]
    if evidence_id:
        lines += ["", f"{'证据' if zh else 'evidence'}: {evidence_id}"]
    return lines


def rate_words(rate: Rate, lang: Language) -> str:
    """The false positives and their intervals in one sentence."""
    if rate.per_million is None:
        return "没有已标注的正常呼叫,无法估计" if lang == "zh" else "no call is labelled legitimate: it cannot be told"
    share = f"{rate.per_million:,.2f}"
    exact, clustered = f"{rate.low:,.2f}–{rate.high:,.2f}", f"{rate.clustered_low:,.2f}–{rate.clustered_high:,.2f}"
    if lang == "zh":
        return (
            f"每百万次正常呼叫 {share} 次(95 % 区间 {exact};计入同一主叫重复呼叫 {clustered}),"
            f"即 {rate.calls:,} 次中 {rate.hits:,} 次"
        )
    return (
        f"{share} per million legitimate calls (95 % {exact}; calls of one caller taken together {clustered}), "
        f"{rate.hits:,} of {rate.calls:,}"
    )


def _rule(rule: RuleEffect, lang: Language) -> Iterator[str]:
    yield f"{rule.id} v{rule.version}  {rule.title[lang]}  [{rule.stage} → {rule.action}]"
    yield from _effect(rule.effect, lang)
    if rule.overlap:
        said = ", ".join(f"{it.rule} {it.both:,} ({it.jaccard:.2f})" for it in rule.overlap[:_OVERLAPS])
        yield f"  {'与其他规则重合 (Jaccard)' if lang == 'zh' else 'overlap with other rules (Jaccard)'}: {said}"


def _effect(effect: Effect, lang: Language) -> Iterator[str]:
    zh = lang == "zh"
    hits = effect.hits
    yield f"  {'命中' if zh else 'hits'}: {_count(hits.all, lang)}"
    parts = (hits.fraud, hits.legitimate, hits.unlabelled)
    for name, count in zip(_LABELS, parts, strict=True):
        yield f"    {_LABELS[name][lang]}: {_count(count, lang)}"
    if hits.exempt:
        said = "名单或应急放行,不计" if zh else "passed by allow list or as emergency, not counted"
        yield f"    {said}: {hits.exempt:,}"
    if effect.confirmed is not None:
        yield f"  {'举报号码命中' if zh else 'reported numbers hit'}: {effect.confirmed:.1%}"
    yield f"  {'误伤' if zh else 'false positives'}: {rate_words(effect.rate, lang)}"
    protected = _count(effect.protected, lang)
    yield f"  {'医院与应急误伤' if zh else 'hospitals and emergency services hit'}: {protected}"
    for it in effect.classes[:_CLASSES]:
        if it.name and (it.hit.calls or it.protected):
            name = _CLASS_NAMES.get(it.name, it.name) if zh else it.name
            yield f"    {name}: {_count(it.hit, lang)} / {_count(it.of, lang)}"
    yield f"  {'现行规则之外新增' if zh else 'beyond the rules in force'}: {_count(effect.adds.all, lang)}"
    days = ", ".join(f"{it.day[5:]} {it.calls:,}" for it in effect.days)
    yield f"  {'按日' if zh else 'by day'}: {days}"
    if effect.cases:
        yield f"  {'最说明问题的呼叫' if zh else 'most telling calls'}:"
        for case in effect.cases:
            yield from _case(case, lang)


def _case(case: Case, lang: Language) -> Iterator[str]:
    moment = datetime.fromtimestamp(case.time_ms / 1000, UTC)
    class_ = f" ({_CLASS_NAMES.get(case.class_, case.class_) if lang == 'zh' else case.class_})" if case.class_ else ""
    yield (
        f"    {moment:%Y-%m-%dT%H:%M:%SZ}  {case.caller} → {case.callee}  {case.trunk}  "
        f"{_LABELS[case.label][lang]}{class_}  {case.score:.2f}"
    )
    yield from (f"      {line}" for line in (case.zh if lang == "zh" else case.en))


def _count(count: Count, lang: Language) -> str:
    if lang == "zh":
        return f"{count.calls:,} 次({count.numbers:,} 个号码)"
    return f"{count.calls:,} calls ({count.numbers:,} numbers)"
