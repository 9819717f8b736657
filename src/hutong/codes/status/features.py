"""The names that colour rules use, and their values for a person's evidence at a moment. Pure.

Every time is the age of something (an anchor) in hours, so that the only moments at which a judgement can change by
itself are those at which an age passes a number of a rule, or an order begins or ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from hutong.codes.status.evidence import Declaration, Evidence, Order, Result, Visit
from hutong.kernel.rules.vocabulary import Feature, Vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

HOUR_MS: Final = 3_600_000
#: Age of what never was; no rule asks for more.
NEVER: Final = 100_000.0

#: Anchors: what a rule's term counts from. Each has a feature NAME_hours.
ANCHORS: Final[Mapping[str, dict[str, str]]] = {
    "result.negative": {"zh": "最近一次阴性结果的采样", "en": "sample of the latest negative result"},
    "result.positive": {"zh": "最近一次单人阳性结果的采样", "en": "sample of the latest positive result of one's own"},
    "result.inconclusive": {"zh": "最近一次待复核结果的采样", "en": "sample of the latest result to be repeated"},
    "visit.high": {"zh": "最近一次到高风险地点", "en": "latest stay at a place of high risk"},
    "visit.medium": {"zh": "最近一次到中风险地点", "en": "latest stay at a place of medium risk"},
    "declaration": {"zh": "最近一次申报", "en": "latest declaration"},
    "order.isolation": {"zh": "隔离令开始", "en": "beginning of the order to isolate"},
    "order.monitoring": {"zh": "健康监测令开始", "en": "beginning of the order to watch one's health"},
}
_FLAGS: Final = (
    ("declaration.symptoms", "最近一次申报有症状", "the latest declaration says symptoms"),
    ("declaration.contact", "最近一次申报接触过病例", "the latest declaration says contact with a case"),
    ("order.isolation", "隔离令有效", "an order to isolate is in force"),
    ("order.monitoring", "健康监测令有效", "an order to watch one's health is in force"),
)
_COUNTS: Final = (
    ("result.negatives_after_positive", "单人阳性之后的单人阴性次数", "own negatives since the own positive"),
    ("result.negatives_after_inconclusive", "待复核之后的单人阴性次数", "own negatives since the one to be repeated"),
    ("result.negatives_after_visit", "到中高风险地点之后的阴性次数", "negatives since the stay at a place of risk"),
    ("result.negatives_after_declaration", "申报之后的阴性次数", "negatives since the declaration"),
)
_MOST: Final = 1000.0


def age_name(anchor: str) -> str:
    """The feature that is the age of an anchor."""
    return f"{anchor}_hours"


def _features() -> Iterable[Feature]:
    for anchor, words in ANCHORS.items():
        doc = {"zh": f"{words['zh']}至今", "en": f"since the {words['en']}"}
        yield Feature(age_name(anchor), "number", doc, unit="h", low=0.0, high=NEVER, default=NEVER)
    for name, zh, en in _FLAGS:
        yield Feature(name, "flag", {"zh": zh, "en": en})
    for name, zh, en in _COUNTS:
        yield Feature(name, "number", {"zh": zh, "en": en}, low=0.0, high=_MOST, whole=True)


VOCABULARY: Final = Vocabulary(tuple(_features()))


def features_table() -> str:
    """The names as Markdown for docs/status.md."""
    lines = ["| name | | | unit |", "|---|---|---|---|"]
    for it in VOCABULARY.features:
        unit = it.unit or ("true/false" if it.kind == "flag" else "times")
        lines.append(f"| `{it.name}` | {it.doc['zh']} | {it.doc['en']} | {unit} |")
    return "\n".join(lines) + "\n"


class Facts(NamedTuple):
    """What the evidence says at a moment.

    Attributes:
        vector: float64[len(VOCABULARY)]. anchors: ms since 1970 of those that there are.
        rests_on: ids of the evidence behind each feature that has a value.
    """

    vector: NDArray[np.float64]
    anchors: dict[str, int]
    rests_on: dict[str, tuple[str, ...]]


def facts_of(evidence: Iterable[Evidence], now_ms: int) -> Facts:
    """What the evidence that is there by now says."""
    known = sorted((it for it in evidence if it.at_ms <= now_ms), key=lambda it: (it.at_ms, it.id))
    gathered = _Gathered(now_ms)
    for it in known:
        match it:
            case Result() | Visit():
                gathered.anchor(anchor_of(it), it)
            case Declaration():
                gathered.anchor(anchor_of(it), it)
                gathered.flag("declaration.symptoms", it.id, on=it.symptoms)
                gathered.flag("declaration.contact", it.id, on=it.contact)
            case Order():
                gathered.order(it)
    gathered.count([it for it in known if isinstance(it, Result) and it.result == "negative"])
    return gathered.facts()


class _Gathered:
    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self.anchors: dict[str, int] = {}
        self.values: dict[str, float] = {}
        self.rests_on: dict[str, tuple[str, ...]] = {}

    def anchor(self, name: str, it: Evidence) -> None:
        if name:
            self.anchors[name] = it.at_ms
            self.rests_on[age_name(name)] = (it.id,)

    def flag(self, name: str, id_: str, *, on: bool) -> None:
        self.values[name], self.rests_on[name] = float(on), (id_,)

    def order(self, it: Order) -> None:
        if it.order == "release":
            for kind in ("isolation", "monitoring"):
                self.anchors.pop(f"order.{kind}", None)
                self.flag(f"order.{kind}", it.id, on=False)
        elif it.until_ms > self.now_ms:
            self.anchor(f"order.{it.order}", it)
            self.flag(f"order.{it.order}", it.id, on=True)

    def count(self, negatives: list[Result]) -> None:
        for name, anchors, own in (
            ("result.negatives_after_positive", ("result.positive",), True),
            ("result.negatives_after_inconclusive", ("result.inconclusive",), True),
            ("result.negatives_after_visit", ("visit.high", "visit.medium"), False),
            ("result.negatives_after_declaration", ("declaration",), False),
        ):
            since = max((self.anchors[it] for it in anchors if it in self.anchors), default=None)
            if since is not None:
                after = [it for it in negatives if it.at_ms > since and (it.mixed == 1 or not own)]
                self.values[name] = min(float(len(after)), _MOST)
                self.rests_on[name] = tuple(it.id for it in after)

    def facts(self) -> Facts:
        vector = VOCABULARY.defaults()
        for anchor, at_ms in self.anchors.items():
            vector[VOCABULARY.index(age_name(anchor))] = min((self.now_ms - at_ms) / HOUR_MS, NEVER)
        for name, value in self.values.items():
            vector[VOCABULARY.index(name)] = value
        return Facts(vector, self.anchors, self.rests_on)


def anchor_of(it: Evidence) -> str:
    """The anchor that evidence may set; empty where it sets none."""
    match it:
        case Result():
            # A positive tube of several people says of none of them that it was theirs.
            kind = "inconclusive" if it.result == "positive" and it.mixed > 1 else it.result
            return f"result.{kind}"
        case Visit():
            return f"visit.{it.risk}" if it.risk != "low" else ""
        case Declaration():
            return "declaration"
        case Order():
            return f"order.{it.order}" if it.order != "release" else ""


def moments(evidence: Iterable[Evidence], hours: Mapping[str, Iterable[float]], after_ms: int) -> list[int]:
    """The moments after which facts, or their comparisons with numbers of rules, can be others; in order.

    Args:
        hours: numbers that the age of each anchor is compared with.
    """
    found = set()
    for it in evidence:
        ages = {it.at_ms + round(number * HOUR_MS) for number in hours.get(anchor_of(it), ())}
        if isinstance(it, Order):
            ages = {at_ms for at_ms in ages if at_ms < it.until_ms}  # its age is of no interest once it is over
            found.add(it.until_ms)
        # `<` turns at the moment itself, `<=` just after it.
        found |= {it.at_ms} | ages | {at_ms + 1 for at_ms in ages}
    return sorted(it for it in found if it > after_ms)
