"""Which rules read learned scores or marks: asked of the condition's tree, where a name in a text is no feature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hutong.calls.features import VOCABULARY, mark_features
from hutong.kernel.rules.language import parse
from hutong.kernel.rules.tree import features_read

if TYPE_CHECKING:
    from hutong.kernel.rules.ruleset import Rule

#: Names that come from learned scores and from nothing else.
OF_SCORES: Final = frozenset({"caller.risk", "caller.risk_known"})
#: Names that come from marks: reports, wrong blocks, limits.
OF_MARKS: Final = frozenset(feature.name for feature in mark_features())


def reads(rule: Rule, names: frozenset[str]) -> bool:
    """Whether the rule's condition reads one of these names.

    Raises:
        RuleError: the condition does not fit the vocabulary.
    """
    return any(VOCABULARY.features[at].name in names for at in features_read(parse(rule.when, VOCABULARY)))
