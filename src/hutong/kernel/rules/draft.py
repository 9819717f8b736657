"""From YAML values to typed rules: fields, types, samples in the vocabulary's terms. Reports all mistakes.

Whether a rule makes sense is `lint`'s question, not this module's.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hutong.kernel.declared.findings import Finding
from hutong.kernel.errors import RuleError
from hutong.kernel.rules.language import read_expression
from hutong.kernel.rules.ruleset import LEVELS, RESPONDS, Rule, Sample, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.kernel.declared.source import Item
    from hutong.kernel.rules.tree import Boolean
    from hutong.kernel.rules.vocabulary import Feature, Vocabulary

FIELDS = (
    "id",
    "version",
    "title",
    "when",
    "action",
    "stage",
    "respond",
    "certain",
    "basis",
    "runbook",
    "samples",
)
_ID = re.compile(r"[a-z0-9]+(?:[-.][a-z0-9]+)*")
_LANGUAGES = ("zh", "en")
_LONGEST_TITLE = 200


@dataclass(frozen=True, slots=True)
class Draft:
    """A rule with its places; `expr` is None where the condition did not read.

    `places` maps field names to file:line:column; `samples_at` has one place per sample.
    """

    rule: Rule
    expr: Boolean | None
    where: str
    places: dict[str, str]
    samples_at: tuple[str, ...]
    given: frozenset[str]

    def place(self, field: str) -> str:
        """Place of a field, or of the rule where the field is missing."""
        return self.places.get(field, self.where)


def read_drafts(document: Item, vocabulary: Vocabulary) -> tuple[list[Draft], list[Finding]]:
    """The rules of one YAML document: a list of rules, or one rule."""
    if document.value is None:
        return [], []
    items = document.value if isinstance(document.value, list) else [document]
    drafts: list[Draft] = []
    findings: list[Finding] = []
    for item in items:
        if not isinstance(item.value, dict):
            findings.append(
                Finding("error", item.where, "a rule is a mapping of fields.", f"Fields: {', '.join(FIELDS)}.")
            )
            continue
        reader = _Reader(item, vocabulary)
        drafts.append(reader.read())
        findings.extend(reader.findings)
    return drafts, findings


class _Reader:
    def __init__(self, item: Item, vocabulary: Vocabulary) -> None:
        self.item = item
        self.fields: dict[str, Item] = item.value if isinstance(item.value, dict) else {}
        self.vocabulary = vocabulary
        self.findings: list[Finding] = []
        known = self.fields.get("id")
        self.id = known.value if known is not None and isinstance(known.value, str) else ""

    def wrong(self, where: str, what: str, fix: str = "") -> None:
        self.findings.append(Finding("error", where, what, fix, self.id))

    def read(self) -> Draft:
        for key in self.item.keys:
            if key.value not in FIELDS:
                near = difflib.get_close_matches(str(key.value), FIELDS, n=1)
                fix = f"Did you mean {near[0]}?" if near else f"Fields: {', '.join(FIELDS)}."
                self.wrong(key.where, f"unknown field {key.value!r}.", fix)
        action = self.stage("action", "observe", required=True)
        ships_in = self.stage("stage", "observe", required=False)
        samples, samples_at = self.samples()
        rule = Rule(
            id=self.identifier(),
            version=self.version(),
            title=self.title(),
            when=self.text("when"),
            action=action,
            stage=min(ships_in, action, key=LEVELS.__getitem__),
            ships_in=ships_in,
            respond=self.respond(),
            basis=self.text("basis"),
            runbook=self.text("runbook"),
            certain=self.certain(),
            samples=samples,
        )
        return Draft(
            rule=rule,
            expr=self.condition(rule.when),
            where=self.item.where,
            places={name: item.where for name, item in self.fields.items()},
            samples_at=samples_at,
            given=frozenset(self.fields),
        )

    def field(self, name: str, fix: str) -> Item | None:
        item = self.fields.get(name)
        if item is None:
            self.wrong(self.item.where, f"the field {name} is missing.", fix)
        return item

    def text(self, name: str) -> str:
        item = self.field(name, f"Add {name}: ….")
        if item is None:
            return ""
        if not isinstance(item.value, str) or not item.value.strip():
            self.wrong(
                item.where,
                f"{name} must be a text.",
                "Quote it." if item.value is not None else "Fill it in.",
            )
            return ""
        return item.value.strip() if name != "when" else item.value

    def condition(self, when: str) -> Boolean | None:
        if not when:
            return None
        reading = read_expression(when, self.vocabulary, self.fields["when"].locate)
        for finding in reading.findings:
            self.wrong(finding.where, finding.what, finding.fix)
        return reading.expr

    def identifier(self) -> str:
        text = self.text("id")
        if text and not _ID.fullmatch(text):
            self.wrong(
                self.fields["id"].where,
                f"the id {text!r} is not written like an id.",
                "Use a-z, 0-9, - and dots.",
            )
        return text

    def version(self) -> int:
        item = self.field("version", "Add version: 1.")
        if item is None:
            return 0
        if not isinstance(item.value, int) or isinstance(item.value, bool) or item.value < 1:
            self.wrong(
                item.where,
                "version must be a whole number from 1.",
                "Count it up with every change of meaning.",
            )
            return 0
        return item.value

    def title(self) -> dict[str, str]:
        item = self.field("title", "Add title: {zh: …, en: …}.")
        words = item.value if item is not None and isinstance(item.value, dict) else {}
        if item is not None and not isinstance(item.value, dict):
            self.wrong(item.where, "title must have a text per language.", "Write title: {zh: …, en: …}.")
            return {}
        for key in item.keys if item is not None else ():
            if key.value not in _LANGUAGES:
                self.wrong(key.where, f"title has an unknown language {key.value!r}.", "Languages are zh and en.")
        titles = {}
        for lang in _LANGUAGES if item is not None else ():
            word = words.get(lang)
            if word is None or not isinstance(word.value, str) or not word.value.strip():
                where = word.where if word is not None else self.fields["title"].where
                self.wrong(where, f"title has no {lang}.", "People read rules in Chinese and in English.")
            elif len(title := word.value.strip()) > _LONGEST_TITLE or not title.isprintable():
                fix = f"Write one line of up to {_LONGEST_TITLE} characters, without signs that turn its direction."
                self.wrong(word.where, f"title.{lang} does not fit where rules are shown.", fix)
            else:
                titles[lang] = title
        return titles

    def stage(self, name: str, default: Stage, *, required: bool) -> Stage:
        fix = f"One of {', '.join(self.vocabulary.stages)}."
        item = self.field(name, fix) if required else self.fields.get(name)
        if item is None:
            return default
        for stage in LEVELS:
            if item.value == stage and stage in self.vocabulary.stages:
                return stage
        self.wrong(item.where, f"{name} cannot be {item.value!r}.", fix)
        return default

    def respond(self) -> int:
        item = self.fields.get("respond")
        if item is None:
            return RESPONDS[-1]
        if item.value not in RESPONDS or not isinstance(item.value, int):
            self.wrong(item.where, "respond cannot be this.", f"One of {', '.join(map(str, RESPONDS))}.")
            return RESPONDS[-1]
        return item.value

    def certain(self) -> bool:
        item = self.fields.get("certain")
        if item is None:
            return False
        if not isinstance(item.value, bool):
            self.wrong(item.where, "certain must be true or false.")
            return False
        return item.value

    def samples(self) -> tuple[tuple[Sample, ...], tuple[str, ...]]:
        item = self.field("samples", "Add one that fires and one that does not.")
        if item is None:
            return (), ()
        if not isinstance(item.value, list):
            self.wrong(item.where, "samples must be a list.", "Write - {given: {…}, fires: true}.")
            return (), ()
        samples, places = [], []
        for entry in item.value:
            sample = self.sample(entry)
            if sample is not None:
                samples.append(sample)
                places.append(entry.where)
        return tuple(samples), tuple(places)

    def sample(self, entry: Item) -> Sample | None:
        fields: dict[str, Item] = entry.value if isinstance(entry.value, dict) else {}
        for key in entry.keys:
            if key.value not in {"given", "fires"}:
                self.wrong(key.where, f"unknown field {key.value!r} of a sample.", "It has given and fires.")
        fires, given = fields.get("fires"), fields.get("given")
        if fires is None or not isinstance(fires.value, bool) or given is None or not isinstance(given.value, dict):
            self.wrong(entry.where, "a sample has given: {…} and fires: true or false.", "Write both.")
            return None
        values: dict[str, float | bool | str] = {}
        for name, value in _flat(given, ""):
            if name in values:
                self.wrong(value.where, f"{name} is given twice.", "Remove one.")
            taken = self.sample_value(name, value)
            if taken is not None:
                values[name] = taken
        return Sample(values, fires.value)

    def sample_value(self, name: str, item: Item) -> float | bool | str | None:
        index = self.vocabulary.find(name)
        if index is None:
            windows = self.vocabulary.windows(name)
            fix = f"Choose a window: {', '.join(windows)}." if windows else self.vocabulary.advice(name)
            self.wrong(item.where, f"unknown name {name}.", fix)
            return None
        try:
            return _typed(self.vocabulary, index, item.value)
        except RuleError as error:
            self.wrong(item.where, error.what, error.fix)
            return None


def _flat(item: Item, prefix: str) -> Iterator[tuple[str, Item]]:
    if isinstance(item.value, dict):
        for key, value in item.value.items():
            yield from _flat(value, f"{prefix}.{key}" if prefix else key)
    else:
        yield prefix, item


def _typed(vocabulary: Vocabulary, index: int, value: Any) -> float | bool | str:  # noqa: ANN401  # any YAML value
    feature = vocabulary.features[index]
    if feature.kind == "flag" and isinstance(value, bool):
        return value
    if feature.kind == "number" and isinstance(value, int | float) and not isinstance(value, bool):
        return _in_range(feature, float(value))
    if feature.kind == "enum" and isinstance(value, str):
        vocabulary.code(index, value)
        return value
    wanted = {"flag": "true or false", "number": "a number", "enum": "a text"}[feature.kind]
    hint = "YAML reads no, yes, on and off as true or false: quote them." if isinstance(value, bool) else ""
    raise RuleError(f"{feature.name} takes {wanted}, not {value!r}.", fix=hint)


def _in_range(feature: Feature, value: float) -> float:
    low = feature.low if feature.low is not None else value
    high = feature.high if feature.high is not None else value
    if not low <= value <= high or (feature.whole and value != int(value)):
        raise RuleError(f"{feature.name} can never be {value:g}.", fix="See its range in the vocabulary.")
    return value
