"""LightGBM's text of trees, checked before its own reader sees it: that reader trusts places and lengths.

Only what our learners write passes: plain binary trees over named columns, numbers and categories.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from hutong.risk.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_LEAVES: Final = 1024
_MOST_TREES: Final = 10_000
_ARRAY: Final = re.compile(r"[-+0-9.eE infa]*")
_CATEGORY, _KNOWN_DECISIONS = 1, 0b1111


def check_trees(text: str, columns: int, where: str) -> None:
    """Refuse a text of trees that is not well formed, or reads columns that are not there.

    Raises:
        ModelError: it is so.
    """
    head, *trees = re.split(r"^Tree=\d+\n", text, flags=re.MULTILINE)
    facts = _facts(head)
    if not head.startswith("tree\n") or facts.get("num_class") != "1" or facts.get("num_tree_per_iteration") != "1":
        raise _wrong(where)
    if facts.get("max_feature_idx") != str(columns - 1) or len(facts.get("feature_names", "").split()) != columns:
        raise _wrong(where)
    if not facts.get("objective", "").startswith("binary") or not 0 < len(trees) <= _MOST_TREES:
        raise _wrong(where)
    for tree in trees:
        try:
            _check_tree(_facts(tree.partition("end of trees")[0]), columns)
        except (ValueError, KeyError, IndexError) as error:
            raise _wrong(where) from error


def _wrong(where: str) -> ModelError:
    return ModelError("The model's trees are damaged.", where=where, fix="Train the model anew.")


def _facts(text: str) -> dict[str, str]:
    return dict(line.partition("=")[::2] for line in text.splitlines() if "=" in line)


def _integers(facts: Mapping[str, str], name: str, count: int) -> list[int]:
    found = [int(part) for part in facts[name].split()]
    if len(found) != count:
        raise ValueError(name)
    return found


def _floats(facts: Mapping[str, str], name: str, count: int) -> None:
    if not _ARRAY.fullmatch(facts[name]) or len([float(part) for part in facts[name].split()]) != count:
        raise ValueError(name)


def _check_tree(facts: Mapping[str, str], columns: int) -> None:
    leaves, categories = int(facts["num_leaves"]), int(facts["num_cat"])
    if not 1 <= leaves <= _MOST_LEAVES or not 0 <= categories < leaves or facts.get("is_linear", "0") != "0":
        raise ValueError("num_leaves")
    _floats(facts, "leaf_value", leaves)
    inner = leaves - 1
    if inner == 0:
        return
    for name in ("threshold", "split_gain", "internal_value", "internal_weight"):
        _floats(facts, name, inner)
    _floats(facts, "leaf_weight", leaves)
    _integers(facts, "leaf_count", leaves)
    _integers(facts, "internal_count", inner)
    if any(not 0 <= column < columns for column in _integers(facts, "split_feature", inner)):
        raise ValueError("split_feature")
    decisions = _integers(facts, "decision_type", inner)
    if any(not 0 <= decision <= _KNOWN_DECISIONS for decision in decisions):
        raise ValueError("decision_type")
    _check_children(facts, inner)
    _check_categories(facts, decisions, categories)


def _check_children(facts: Mapping[str, str], inner: int) -> None:
    """Every node but the first, and every leaf, is the child of one node that stands before it."""
    seen = set()
    for node, pair in enumerate(
        zip(_integers(facts, "left_child", inner), _integers(facts, "right_child", inner), strict=True)
    ):
        for child in pair:
            if not -inner - 1 <= child < inner or 0 <= child <= node or child in seen:
                raise ValueError("child")
            seen.add(child)


def _check_categories(facts: Mapping[str, str], decisions: list[int], categories: int) -> None:
    by_category = [at for at, decision in enumerate(decisions) if decision & _CATEGORY]
    if not categories:
        if by_category:
            raise ValueError("num_cat")
        return
    bounds = _integers(facts, "cat_boundaries", categories + 1)
    if bounds[0] != 0 or any(after <= before for before, after in pairwise(bounds)):
        raise ValueError("cat_boundaries")
    if any(not 0 <= word < 1 << 32 for word in _integers(facts, "cat_threshold", bounds[-1])):
        raise ValueError("cat_threshold")
    thresholds = facts["threshold"].split()
    if any(not 0 <= float(thresholds[at]) < categories for at in by_category):
        raise ValueError("threshold")
