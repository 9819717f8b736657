"""What makes a rule untrustworthy: each check, one function. Pure: no files, no clock.

Errors refuse a ruleset; warnings do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hutong.kernel.declared.findings import Finding, Severity
from hutong.kernel.rules.analysis import TooManyAlternatives, always_holds, never_holds
from hutong.kernel.rules.compiler import compile_rules
from hutong.kernel.rules.machine import run_rules
from hutong.kernel.rules.ruleset import LEVELS, Sample
from hutong.kernel.rules.tree import evaluate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from hutong.kernel.rules.draft import Draft
    from hutong.kernel.rules.tree import Boolean
    from hutong.kernel.rules.vocabulary import Vocabulary


def lint(
    drafts: Sequence[Draft], vocabulary: Vocabulary, anchors: Mapping[str, frozenset[str]] | None = None
) -> list[Finding]:
    """Everything wrong or suspicious in a set of rules that belong together.

    Args:
        drafts: the rules, in order.
        vocabulary: the names they use.
        anchors: of each documentation page ("docs/calls.md") its anchors; None = no documentation here, then
            the runbooks are not looked up.
    """
    findings = list(_duplicates(drafts))
    for draft in drafts:
        findings.extend(_stage(draft))
        findings.extend(_response(draft))
        findings.extend(_runbook(draft, anchors))
        findings.extend(_sample_counts(draft))
        if draft.expr is not None:
            findings.extend(_reach(draft, draft.expr, vocabulary))
    findings.extend(_samples(drafts, vocabulary))
    return findings


def sample_vector(sample: Sample, vocabulary: Vocabulary) -> NDArray[np.float64]:
    """The feature vector of a sample: what it gives, and the vocabulary's defaults for the rest."""
    vector = vocabulary.defaults()
    for name, value in sample.given.items():
        index = vocabulary.index(name)
        vector[index] = vocabulary.code(index, value) if isinstance(value, str) else float(value)
    return vector


def _finding(draft: Draft, where: str, what: str, fix: str, severity: Severity = "error") -> Finding:
    return Finding(severity, where, what, fix, draft.rule.id)


def _duplicates(drafts: Sequence[Draft]) -> Iterator[Finding]:
    first: dict[str, Draft] = {}
    for draft in drafts:
        known = first.setdefault(draft.rule.id, draft)
        if known is not draft and draft.rule.id:
            where = known.place("id")
            yield _finding(draft, draft.place("id"), f"this id is taken at {where}.", "Choose another id.")


def _stage(draft: Draft) -> Iterator[Finding]:
    rule = draft.rule
    if LEVELS[rule.ships_in] > LEVELS[rule.action]:
        yield _finding(
            draft,
            draft.place("stage"),
            f"stage {rule.ships_in} is above action {rule.action}.",
            f"Ship it in {rule.action} or lower, or raise the action.",
        )
    if rule.ships_in == "block" and not rule.certain:
        yield _finding(
            draft,
            draft.place("stage"),
            "a rule that is not certain may not ship in stage block.",
            "Ship it in observe and promote it with evidence; certain: true is for rules on facts.",
        )


def _response(draft: Draft) -> Iterator[Finding]:
    if "respond" in draft.given and draft.rule.action != "block":
        yield _finding(
            draft,
            draft.place("respond"),
            f"respond is never used: the action is {draft.rule.action}.",
            "Remove it.",
            "warning",
        )


def _runbook(draft: Draft, anchors: Mapping[str, frozenset[str]] | None) -> Iterator[Finding]:
    runbook = draft.rule.runbook
    if not runbook or runbook.startswith("https://"):
        return
    page, mark, anchor = runbook.partition("#")
    if not mark or not anchor or not page.endswith(".md"):
        fix = "Write docs/PAGE.md#ANCHOR or an https:// address."
        yield _finding(draft, draft.place("runbook"), f"the runbook {runbook!r} names no place.", fix)
    elif anchors is not None and page not in anchors:
        yield _finding(draft, draft.place("runbook"), f"there is no page {page}.", "Write it or correct this.")
    elif anchors is not None and anchor not in anchors[page]:
        fix = f"Add a heading `### {anchor}` to {page}."
        yield _finding(draft, draft.place("runbook"), f"{page} has no anchor {anchor!r}.", fix)


def _sample_counts(draft: Draft) -> Iterator[Finding]:
    for fires, kind in ((True, "fires"), (False, "does not fire")):
        if "samples" in draft.given and not any(sample.fires is fires for sample in draft.rule.samples):
            yield _finding(draft, draft.place("samples"), f"no sample {kind}.", "Add one.")


def _reach(draft: Draft, expr: Boolean, vocabulary: Vocabulary) -> Iterator[Finding]:
    try:
        if never_holds(expr, vocabulary):
            fix = "Look for conditions that exclude each other or lie outside a name's range."
            yield _finding(draft, draft.place("when"), "this rule can never fire.", fix)
        elif always_holds(expr, vocabulary):
            fix = "Look for conditions that together cover every case."
            yield _finding(draft, draft.place("when"), "this rule always fires.", fix)
    except TooManyAlternatives:
        what = "this condition has too many alternatives to tell whether it can fire."
        yield _finding(draft, draft.place("when"), what, "Split the rule.", "warning")


def _samples(drafts: Sequence[Draft], vocabulary: Vocabulary) -> Iterator[Finding]:
    """Each sample through the compiled machine and the reference: both must say what it says."""
    readable = [(draft, draft.expr) for draft in drafts if draft.expr is not None]
    program = compile_rules([expr for _, expr in readable])
    fired = np.zeros(max(len(readable), 1), dtype=np.uint8)
    for place, (draft, expr) in enumerate(readable):
        for sample, where in zip(draft.rule.samples, draft.samples_at, strict=True):
            vector = sample_vector(sample, vocabulary)
            run_rules(program, vector, fired)
            said = evaluate(expr, vector)
            if bool(fired[place]) is not said:
                fix = "Report this rule to Hutong's developers."
                yield _finding(draft, where, "the compiled rule and its meaning disagree.", fix)
            elif said is not sample.fires:
                does = "fires" if said else "does not fire"
                yield _finding(draft, where, f"the rule {does} on this sample.", "Correct one of them.")
