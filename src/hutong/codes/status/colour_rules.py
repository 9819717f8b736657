"""Colour rules: data with samples, read and linted by the same reader and language as every rule of the house. Pure.

A colour rule has what every rule has (id, version, title, when, basis, samples) and what a colour needs: the colour,
the anchor that its term counts from, the term, and the words that the person reads. One rule has `otherwise: true`
instead of a condition: the colour of whoever no other rule fires for.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import re
from typing import TYPE_CHECKING, Final, Literal, get_args

import msgspec

from hutong.codes.status.features import ANCHORS, HOUR_MS, VOCABULARY, age_name
from hutong.kernel.declared.findings import Finding, RulesetError
from hutong.kernel.declared.source import Item, Source, read_source
from hutong.kernel.rules.analysis import TooManyAlternatives, never_holds
from hutong.kernel.rules.draft import Draft, read_drafts
from hutong.kernel.rules.lint import lint, sample_vector
from hutong.kernel.rules.tree import And, Arith, Boolean, Compare, Const, Load, Member, Not, Numeric, Or, evaluate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    _Wrong = Callable[..., None]

Colour = Literal["green", "yellow", "red"]
COLOURS: Final[tuple[Colour, ...]] = get_args(Colour)
#: How grave a colour is; also its number in codes.
GRAVITY: Final[dict[Colour, int]] = {"green": 0, "yellow": 1, "red": 2}
COLOUR_TITLES: Final[dict[Colour, dict[str, str]]] = {
    "green": {"zh": "绿码", "en": "green"},
    "yellow": {"zh": "黄码", "en": "yellow"},
    "red": {"zh": "红码", "en": "red"},
}
_OWN: Final = ("colour", "since", "term", "words", "otherwise")
_SHARED: Final = ("id", "version", "title", "when", "basis", "samples")
FIELDS: Final = (*_SHARED[:4], *_OWN, *_SHARED[4:])
_TERM: Final = re.compile(r"([1-9][0-9]{0,3})([hd])")
_LONGEST_H: Final = 90 * 24
_LONGEST_WORDS: Final = 300
#: Stands in for the condition of the rule that has none, so that the reader of all rules can read it.
_NO_CONDITION: Final = "order.isolation"


class ColourRule(msgspec.Struct, frozen=True):
    """A rule as it is in force.

    Attributes:
        when: as written; empty for the rule that has `otherwise`.
        since: the anchor that the term counts from; empty there. term_h: hours.
        words: what the person reads, `{"zh": …, "en": …}`.
    """

    id: str
    version: int
    title: dict[str, str]
    when: str
    colour: Colour
    since: str
    term_h: int
    words: dict[str, str]
    basis: str

    @property
    def name(self) -> str:
        """As rows and the trail name it: `codes.positive@2`."""
        return f"{self.id}@{self.version}"


@dataclasses.dataclass(frozen=True, eq=False)
class ColourRules:
    """Rules in the order in which they decide: the gravest colour first, then as the files have them.

    Attributes:
        rules, trees: those with a condition. otherwise: the one without.
        hours: the numbers that the age of each anchor is compared with, terms among them.
        digest: of all that decides a colour or explains it.
    """

    rules: tuple[ColourRule, ...]
    trees: tuple[Boolean, ...]
    otherwise: ColourRule
    hours: dict[str, tuple[float, ...]]
    digest: str

    def rule(self, name: str) -> ColourRule | None:
        """The rule of that name (`id@version`)."""
        return next((it for it in (*self.rules, self.otherwise) if it.name == name), None)


class _Read(msgspec.Struct, frozen=True):
    """A rule with its place in the file, before it is known to be right."""

    rule: ColourRule
    draft: Draft
    otherwise: bool


def check_rules(sources: Sequence[Source]) -> tuple[ColourRules | None, list[Finding]]:
    """Read and lint rules that belong together; no rules where a finding is an error."""
    read: list[_Read] = []
    findings: list[Finding] = []
    for source in sources:
        documents, unreadable = read_source(source)
        findings += unreadable
        for document in documents:
            for item in document.value if isinstance(document.value, list) else [document]:
                found, wrong = _read(item)
                findings += wrong
                if found is not None:
                    read.append(found)
    conditional = [it for it in read if not it.otherwise]
    findings += lint([it.draft for it in conditional], VOCABULARY)
    findings += _same_ids(read)
    findings += _otherwise(read)
    findings += _calculated(conditional)
    findings += _reach(_decision_order(conditional))
    if any(it.severity == "error" for it in findings):
        return None, findings
    return _rules(read), findings


def load_rules(sources: Sequence[Source]) -> ColourRules:
    """The rules of these files.

    Raises:
        RulesetError: with everything that is wrong.
    """
    rules, findings = check_rules(sources)
    if rules is None:
        raise RulesetError(findings)
    return rules


def _rules(read: list[_Read]) -> ColourRules:
    ordered = _decision_order([it for it in read if not it.otherwise])
    rules = tuple(it.rule for it in ordered)
    trees = tuple(it.draft.expr for it in ordered if it.draft.expr is not None)
    otherwise = next(it.rule for it in read if it.otherwise)
    digest = hashlib.sha256(msgspec.json.encode([*rules, otherwise], order="deterministic")).hexdigest()
    return ColourRules(rules, trees, otherwise, _hours(rules, trees), digest)


def _decision_order(read: list[_Read]) -> list[_Read]:
    return sorted(read, key=lambda it: -GRAVITY.get(it.rule.colour, 0))


# Reading


def _read(item: Item) -> tuple[_Read | None, list[Finding]]:
    if not isinstance(item.value, dict):
        return None, [Finding("error", item.where, "a rule is a mapping of fields.", f"Fields: {', '.join(FIELDS)}.")]
    fields, known = item.value, item.value.get("id")
    name = known.value if known is not None and isinstance(known.value, str) else ""
    findings: list[Finding] = []

    def wrong(at: Item | None, what: str, fix: str = "") -> None:
        findings.append(Finding("error", (at or item).where, what, fix, name))

    for key in item.keys:
        if key.value not in FIELDS:
            near = difflib.get_close_matches(str(key.value), FIELDS, n=1)
            wrong(key, f"unknown field {key.value!r}.", f"Did you mean {near[0]}?" if near else "See docs/status.md.")
    marked = fields.get("otherwise")
    otherwise = marked is not None and marked.value is True
    if marked is not None and not otherwise:
        wrong(marked, "otherwise is true or not there.")
    if otherwise and ("when" in fields or "since" in fields):
        wrong(marked, "the rule for everybody else has no condition and no anchor.", "Remove when and since.")
    drafts, unread = read_drafts(_as_kernel_rule(item, otherwise=otherwise), VOCABULARY)
    findings += unread
    draft = drafts[0]
    rule = ColourRule(
        id=draft.rule.id,
        version=draft.rule.version,
        title=draft.rule.title,
        when="" if otherwise else draft.rule.when,
        colour=_colour(fields.get("colour"), wrong),
        since="" if otherwise else _anchor(fields.get("since"), wrong),
        term_h=_term(fields.get("term"), wrong),
        words=_words(fields.get("words"), wrong),
        basis=draft.rule.basis,
    )
    return _Read(rule, draft, otherwise), findings


def _as_kernel_rule(item: Item, *, otherwise: bool) -> Item:
    """The part that every rule of the house has, for their reader; what colours do not have is filled in."""
    fields: dict[str, Item] = item.value if isinstance(item.value, dict) else {}
    shared = {name: it for name, it in fields.items() if name in _SHARED}
    filled = {"action": "observe", "runbook": "docs/status.md#rules"} | ({"when": _NO_CONDITION} if otherwise else {})
    made = {name: dataclasses.replace(item, value=text, keys=()) for name, text in filled.items()}
    keys = tuple(key for key in item.keys if key.value in shared)
    return dataclasses.replace(item, value=shared | made, keys=keys)


def _colour(item: Item | None, wrong: _Wrong) -> Colour:
    found = next((colour for colour in COLOURS if item is not None and item.value == colour), None)
    if found is None:
        wrong(item, "the colour is missing or unknown.", f"One of {', '.join(COLOURS)}.")
    return found or "green"


def _anchor(item: Item | None, wrong: _Wrong) -> str:
    if item is None or item.value not in ANCHORS:
        near = difflib.get_close_matches(str(item.value) if item else "", ANCHORS, n=1)
        fix = f"Did you mean {near[0]}?" if near else f"One of {', '.join(ANCHORS)}."
        wrong(item, "since must name what the term counts from.", fix)
        return ""
    return str(item.value)


def _term(item: Item | None, wrong: _Wrong) -> int:
    found = _TERM.fullmatch(item.value) if item is not None and isinstance(item.value, str) else None
    hours = int(found[1]) * (24 if found[2] == "d" else 1) if found else 0
    if not 1 <= hours <= _LONGEST_H:
        wrong(item, "every colour has a term.", f"Write term: 72h or 7d, at most {_LONGEST_H // 24}d.")
    return hours


def _words(item: Item | None, wrong: _Wrong) -> dict[str, str]:
    found: dict[str, str] = {}
    fields = item.value if item is not None and isinstance(item.value, dict) else {}
    for lang in ("zh", "en"):
        text = fields[lang].value if lang in fields else None
        if not isinstance(text, str) or not 0 < len(text.strip()) <= _LONGEST_WORDS or not text.strip().isprintable():
            wrong(fields.get(lang) or item, f"words has no {lang}.", "Say in one plain line why, and what to do.")
        else:
            found[lang] = text.strip()
    if set(fields) - {"zh", "en"}:
        wrong(item, "words has an unknown language.", "Languages are zh and en.")
    return found


# Lint beyond what every rule is linted for


def _same_ids(read: list[_Read]) -> Iterator[Finding]:
    ids = [it.rule.id for it in read if not it.otherwise]
    for it in read:
        if it.otherwise and it.rule.id in ids:
            yield Finding("error", it.draft.place("id"), "this id is taken.", "Choose another id.", it.rule.id)


def _otherwise(read: list[_Read]) -> Iterator[Finding]:
    """One rule for everybody else; its samples fire where no other rule does."""
    marked = [it for it in read if it.otherwise]
    if len(marked) != 1:
        where = marked[1].draft.where if marked else (read[0].draft.where if read else "rules")
        yield Finding("error", where, "one rule must have otherwise: true.", "It says the colour of everybody else.")
        return
    (last,) = marked
    trees = [it.draft.expr for it in read if not it.otherwise and it.draft.expr is not None]
    if not {sample.fires for sample in last.draft.rule.samples} >= {True, False}:
        fix = "Add one that fires and one that does not."
        yield Finding("error", last.draft.place("samples"), "samples are missing.", fix, last.rule.id)
    for sample, where in zip(last.draft.rule.samples, last.draft.samples_at, strict=True):
        vector = sample_vector(sample, VOCABULARY)
        if any(evaluate(tree, vector) for tree in trees) is sample.fires:
            does = "does not fire" if sample.fires else "fires"
            yield Finding("error", where, f"the rule {does} on this sample.", "Correct one of them.", last.rule.id)


def _reach(ordered: list[_Read]) -> Iterator[Finding]:
    """Rules that never decide: their term is over before they hold, or a rule before them always holds too."""
    before: list[tuple[_Read, Boolean]] = []
    for it in ordered:
        if it.draft.expr is None or not it.rule.since or not it.rule.term_h:
            continue
        held = _within_term(it.draft.expr, it.rule)
        try:
            if never_holds(held, VOCABULARY) and not never_holds(it.draft.expr, VOCABULARY):
                what = "this rule can never fire: its term is over before its condition holds."
                yield Finding("error", it.draft.place("term"), what, "Lengthen the term or correct when.", it.rule.id)
                continue
            for other, theirs in before:
                if never_holds(And((held, Not(theirs))), VOCABULARY):
                    what = f"this rule never decides: {other.rule.id} fires whenever it does, and goes before it."
                    yield Finding("error", it.draft.place("when"), what, "Narrow the other, or remove it.", it.rule.id)
                    break
        except TooManyAlternatives:
            what = "these conditions have too many alternatives to tell whether they can decide."
            yield Finding("warning", it.draft.place("when"), what, "Split the rule.", it.rule.id)
        before.append((it, held))


def _within_term(expr: Boolean, rule: ColourRule) -> Boolean:
    age = Load(VOCABULARY.index(age_name(rule.since)))
    return And((expr, Compare("<", age, Const(float(rule.term_h)))))


def _calculated(read: list[_Read]) -> Iterator[Finding]:
    """Ages are compared with numbers and each other alone, so that it is known when a judgement changes by itself."""
    for it in read:
        parts = () if it.draft.expr is None else _comparisons(it.draft.expr)
        if any(isinstance(side, Arith) for part in parts for side in _sides(part)):
            what = "a colour rule calculates: nobody could tell when its judgement changes."
            yield Finding("error", it.draft.place("when"), what, "Compare names with numbers.", it.rule.id)


def _hours(rules: Sequence[ColourRule], trees: Sequence[Boolean]) -> dict[str, tuple[float, ...]]:
    numbers: dict[str, set[float]] = {anchor: set() for anchor in ANCHORS}
    for rule in rules:
        numbers[rule.since].add(float(rule.term_h))
    places = {VOCABULARY.index(age_name(anchor)): anchor for anchor in ANCHORS}
    for part in (it for tree in trees for it in _comparisons(tree)):
        sides = tuple(_sides(part))
        constants = {side.value for side in sides if isinstance(side, Const)}
        for side in sides:
            if isinstance(side, Load) and side.feature in places:
                numbers[places[side.feature]] |= constants
    return {anchor: tuple(sorted(found)) for anchor, found in numbers.items()}


def _comparisons(expr: Boolean) -> Iterator[Compare | Member]:
    match expr:
        case And(items) | Or(items):
            for item in items:
                yield from _comparisons(item)
        case Not(item):
            yield from _comparisons(item)
        case Compare() | Member():
            yield expr
        case _:
            return


def _sides(part: Compare | Member) -> Iterator[Numeric]:
    if isinstance(part, Compare):
        yield from (part.left, part.right)
    else:
        yield from (part.operand, *map(Const, part.values))


def ends_ms(rule: ColourRule, since_ms: int) -> int:
    """When a rule's term is over."""
    return since_ms + rule.term_h * HOUR_MS
