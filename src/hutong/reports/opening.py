"""When reports of one subject open a case, and of which type: data, with samples, linted like every rule. Pure.

A rule in stage `alert` opens a case; in `observe` it only counts. What a matter's rules read looks back to the end of
its last case, so that an answered matter opens another only on what came since.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from hutong.kernel.numbering.codes import KLASSES
from hutong.kernel.rules.loader import load_ruleset
from hutong.kernel.rules.ruleset import ALERT_STAGES
from hutong.kernel.rules.tree import evaluate
from hutong.kernel.rules.vocabulary import Enumeration, Feature, Vocabulary
from hutong.reports.model import KINDS, SOURCES, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hutong.kernel.rules.ruleset import Rule, Ruleset

SHIPPED: Final = Path(__file__).parent / "rules"
#: A node's own, in the data folder.
OWN: Final = "reports"
_CASE_TYPES: Final = Path(__file__).with_name("case_types.toml")
_KIND_LABELS = {
    "call": {"zh": "电话", "en": "call"},
    "message": {"zh": "短信", "en": "message"},
    "web": {"zh": "网址", "en": "web name"},
}
_SOURCE_LABELS = {
    "page": {"zh": "公众页面", "en": "public page"},
    "api": {"zh": "接口", "en": "API"},
    "csv": {"zh": "批量文件", "en": "batch file"},
    "console": {"zh": "控制台", "en": "console"},
    "cli": {"zh": "命令行", "en": "command line"},
}


def _features() -> Iterator[Feature]:
    yield Feature("report.kind", "enum", {"zh": "举报对象", "en": "what is reported"}, enumeration="report-kind")
    yield Feature("report.source", "enum", {"zh": "举报来源", "en": "how it came in"}, enumeration="report-source")
    for name, zh, en in (
        ("reports", "举报次数", "reports"),
        ("reporters", "不同举报人数", "distinct reporters"),
        ("reporters_24h", "24 小时内不同举报人数", "distinct reporters in 24 h"),
        ("reporters_7d", "7 天内不同举报人数", "distinct reporters in 7 days"),
        ("places", "不同来源网络数", "distinct networks that reports came from"),
    ):
        yield Feature(f"matter.{name}", "number", {"zh": zh, "en": en}, whole=True)
    yield Feature("matter.lost", "number", {"zh": "损失总额", "en": "loss in all"}, unit="yuan")
    yield Feature("number.class", "enum", {"zh": "号码类别", "en": "number class"}, enumeration="class")


VOCABULARY: Final = Vocabulary(
    tuple(_features()),
    [
        Enumeration("report-kind", KINDS, _KIND_LABELS),
        Enumeration("report-source", SOURCES, _SOURCE_LABELS),
        Enumeration("class", KLASSES),
    ],
    ALERT_STAGES,
)


class CaseRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which type of case a kind of subject opens.

    Attributes:
        classes: of the number; empty = whatever it is. title: what a case's title says was reported, in Chinese.
    """

    kind: Kind
    type: str
    title: str
    classes: tuple[str, ...] = ()


class _CaseTypes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    row: tuple[CaseRow, ...]


@cache
def case_rows() -> tuple[CaseRow, ...]:
    """The table `case_types.toml`, in its order."""
    return msgspec.toml.decode(_CASE_TYPES.read_bytes(), type=_CaseTypes).row


def case_row(kind: Kind, klass: str) -> CaseRow:
    """What reports of such a subject open; `klass`: of its number, "unknown" where it has none."""
    return next(it for it in case_rows() if it.kind == kind and (not it.classes or klass in it.classes))


class Opening:
    """The rules in force, read once.

    Args:
        own: a folder of a node's own rules, which stand after the shipped ones; may be missing.

    Raises:
        RuleError: a file is refused; says which and why.
    """

    def __init__(self, own: Path | None = None) -> None:
        self.ruleset: Ruleset = load_ruleset([SHIPPED, *([own] if own else [])], VOCABULARY)

    def deciding(self, facts: Mapping[str, float]) -> Rule | None:
        """The first rule that opens a case on these facts, by feature name; None where none does."""
        vector = VOCABULARY.defaults()
        for name, value in facts.items():
            vector[VOCABULARY.index(name)] = value
        for rule, tree in zip(self.ruleset.rules, self.ruleset.trees, strict=True):
            if rule.stage == "alert" and evaluate(tree, vector):
                return rule
        return None
