"""What makes a case type untrustworthy: each check, one function. Pure: no files, no clock.

Errors refuse the types; warnings do not. The samples are played by the machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hutong.kernel.cases.calendar import WorkingCalendar
from hutong.kernel.cases.errors import CaseRefused
from hutong.kernel.cases.machine import Facts, decide, find
from hutong.kernel.cases.model import SHOWING, Actor, Request
from hutong.kernel.cases.model import Finding as New
from hutong.kernel.cases.table import MOVES, PATH, forward_actions
from hutong.kernel.cases.types import Types, TypesError, read_types, term, type_sources
from hutong.kernel.declared.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from hutong.kernel.cases.types import Draft, Sample
    from hutong.kernel.declared.findings import Severity

_NOW: Final = 1_772_416_800_000  # 2026-03-02T10:00:00+08:00, a Monday
_NEEDED: Final = ("found", "assigned", "acted")


def lint(drafts: Sequence[Draft], permissions: Collection[str]) -> list[Finding]:
    """Everything wrong or suspicious in types that belong together.

    Args:
        permissions: the names that there are.
    """
    findings = list(_duplicates(drafts))
    for draft in drafts:
        own = [*_states(draft), *_actions(draft, permissions), *_fields(draft), *_chain(draft), *_risk(draft)]
        findings += own
        if not any(it.severity == "error" for it in own):
            findings += [*_sample_counts(draft), *_samples(draft, permissions)]
    return findings


def load_types(*folders: Path, permissions: Collection[str]) -> Types:
    """The types of folders, all or none.

    Raises:
        TypesError: with every error of every file.
    """
    drafts, findings = read_types(type_sources(*folders))
    findings += lint(drafts, permissions)
    if any(it.severity == "error" for it in findings):
        raise TypesError(findings)
    return Types(draft.type for draft in drafts)


def _finding(
    draft: Draft, path: Sequence[str | int], what: str, fix: str = "", severity: Severity = "error"
) -> Finding:
    return Finding(severity, draft.place(*path), what, fix, draft.type.id)


def _duplicates(drafts: Sequence[Draft]) -> Iterator[Finding]:
    first: dict[str, Draft] = {}
    for draft in drafts:
        known = first.setdefault(draft.type.id, draft)
        if known is not draft:
            yield _finding(draft, ("id",), f"this id is taken at {known.place('id')}.", "Choose another id.")


def _states(draft: Draft) -> Iterator[Finding]:
    states = draft.type.states
    for state in _NEEDED:
        if state not in states:
            yield _finding(draft, ("states",), f"the state {state} has no deadline.", f"Add {state}: 1wd.")
    for state in states:
        if state not in PATH[:-1]:
            yield _finding(draft, ("states", state), f"{state} takes no deadline.", "Remove it.")


def _actions(draft: Draft, permissions: Collection[str]) -> Iterator[Finding]:
    kind = draft.type
    forward = forward_actions(kind.path)
    for action in forward:
        if action not in kind.actions:
            yield _finding(draft, ("actions",), f"nothing is said of {action}.", f"Add {action}: {{who: …}}.")
    for action, spec in kind.actions.items():
        place = ("actions", action)
        if action not in MOVES or not MOVES[action].who or action in {"countersign", "decline"}:
            yield _finding(draft, place, f"{action} is nobody's to allow.", "Remove it.")
        elif action in {"accept", "verify"} and action not in forward:
            fix = "Add the state, or remove it."
            yield _finding(draft, place, f"the type has no state that {action} leads to.", fix)
        elif spec.countersign and (action == "reopen" or MOVES[action].waits):
            yield _finding(draft, place, f"{action} cannot wait for a second person.", "Remove countersign.")
        if spec.who not in permissions:
            yield _finding(draft, place, f"there is no permission {spec.who!r}.", "See docs/people.md.")
    asked = [kind.actions[action] for action in ("act", "verify", "close") if action in kind.actions]
    if not SHOWING & {proof for spec in asked for proof in spec.proof}:
        fix = f"Ask for one of {', '.join(sorted(SHOWING))} at act, verify or close."
        yield _finding(draft, ("actions",), "it would close without a proof that shows something.", fix)


def _fields(draft: Draft) -> Iterator[Finding]:
    kind = draft.type
    names = [spec.name for spec in kind.fields]
    for at, spec in enumerate(kind.fields):
        if names.index(spec.name) != at:
            yield _finding(draft, ("fields", at), f"the field {spec.name} stands twice.", "Remove one.")
        if (spec.kind == "choice") != bool(spec.choices):
            yield _finding(draft, ("fields", at), "choices belong to a choice, and a choice has some.", "Correct one.")
    if not any(spec.search for spec in kind.fields):
        what, fix = "no field is searched, so its cases are found by id alone.", "Add search: true to one."
        yield _finding(draft, ("fields",), what, fix, "warning")


def _chain(draft: Draft) -> Iterator[Finding]:
    calendar = WorkingCalendar(())
    last = 0
    for at, step in enumerate(draft.type.chain):
        after = calendar.end(_NOW, term(step.after)).at_ms
        if after <= last:
            yield _finding(draft, ("chain", at), "it is no later than the step before.", "Let later steps hear later.")
        last = after


def _risk(draft: Draft) -> Iterator[Finding]:
    kind = draft.type
    if ("accept-risk" in kind.actions) != (kind.risk is not None):
        fix = "Name both: actions: {accept-risk: …} and risk: {longest: 30d}."
        yield _finding(draft, ("actions",), "accepting risks needs an action and a longest term.", fix)
    elif kind.risk is not None and not kind.actions["accept-risk"].countersign:
        yield _finding(
            draft, ("actions", "accept-risk"), "one person alone accepts risks.", "Add countersign: true.", "warning"
        )


def _sample_counts(draft: Draft) -> Iterator[Finding]:
    samples = draft.type.samples
    if not any(sample.ends == "closed" for sample in samples):
        yield _finding(draft, ("samples",), "no sample ends closed.", "Add one.")
    if not any(step.refused for sample in samples for step in sample.steps):
        yield _finding(draft, ("samples",), "no sample shows a refusal.", "Add one.")


def _samples(draft: Draft, permissions: Collection[str]) -> Iterator[Finding]:
    for at, sample in enumerate(draft.type.samples):
        yield from _sample(draft, at, sample, frozenset(permissions))


def _sample(draft: Draft, at: int, sample: Sample, permissions: frozenset[str]) -> Iterator[Finding]:
    kind, calendar = draft.type, WorkingCalendar(())
    try:
        case = find(kind, New(kind.id, sample.title, sample.fields), "sample", "node", _NOW, calendar)
    except CaseRefused as refused:
        yield _finding(draft, ("samples", at, "fields"), refused.what, "Correct the sample.")
        return
    for number, step in enumerate(sample.steps):
        request = Request(
            step.action, step.reason, step.owner, step.unit, proofs=step.proofs, attachment=step.attachment
        )
        reason = None
        try:
            case = decide(kind, case, request, Actor(step.who, permissions), _NOW, calendar, Facts()).case
        except CaseRefused as refused:
            reason = refused.reason
        if reason != step.refused:
            said = f"is refused: {reason}" if reason else "is allowed"
            yield _finding(draft, ("samples", at, "steps", number), f"this step {said}.", "Correct one of them.")
            return
    if case.state != sample.ends:
        yield _finding(draft, ("samples", at, "ends"), f"the sample ends {case.state}.", "Correct one of them.")
