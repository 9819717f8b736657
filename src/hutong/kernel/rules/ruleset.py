"""A frozen set of rules with program, digest and words; kept on disk so that old verdicts can be explained.

Where rules come from is `loader`; whether they are right is `lint`; who promoted them is `stages`.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from hutong.kernel.errors import RuleError
from hutong.kernel.json_bytes import UNREADABLE
from hutong.kernel.rules.compiler import compile_rules
from hutong.kernel.rules.language import parse
from hutong.kernel.rules.tree import Boolean, features_read
from hutong.kernel.rules.vocabulary import Language, Vector, Vocabulary, VocabularyContent
from hutong.kernel.rules.words import Explainer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from hutong.kernel.rules.machine import Program

Stage = Literal["observe", "warn", "block", "alert"]
STAGES: tuple[Stage, ...] = ("observe", "warn", "block")  # of rules that judge; the index is the level
ALERT_STAGES: tuple[Stage, ...] = ("observe", "alert")  # of conditions that tell people and touch nobody
LEVELS: dict[Stage, int] = {"observe": 0, "warn": 1, "block": 2, "alert": 1}
RESPONDS = (603, 607, 608)  # Decline; Unwanted, RFC 8197; Rejected, RFC 8688

_FORMAT = 1


class Sample(msgspec.Struct, frozen=True):
    """A situation and whether the rule fires in it. What `given` leaves out has the vocabulary's default."""

    given: dict[str, float | bool | str]
    fires: bool


class Rule(msgspec.Struct, frozen=True):
    """One rule as it is in force.

    Attributes:
        id: unique dotted name.
        version: counts up with every change of meaning; stage changes are bound to it.
        title: `{"zh": …, "en": …}`.
        when: the condition, as written.
        action: the most that this rule may ever do.
        stage: what it does now: its shipped stage or what it was promoted to, never above `action`.
        ships_in: the stage its file gives it.
        respond: SIP status of a block: 603, 607 or 608.
        basis: the law or standard it rests on.
        runbook: where people read what to do, `docs/….md#anchor`.
        certain: it rests on a fact (forged, impossible, decided by a person), not on a likelihood.
        samples: at least one that fires and one that does not.
    """

    id: str
    version: int
    title: dict[str, str]
    when: str
    action: Stage
    stage: Stage
    ships_in: Stage
    respond: int
    basis: str
    runbook: str
    certain: bool
    samples: tuple[Sample, ...]

    @property
    def level(self) -> int:
        """0 observe, 1 warn or alert, 2 block: what firing does now."""
        return LEVELS[self.stage]


class SavedRuleset(msgspec.Struct, frozen=True):
    """The stored form: complete, so that an old verdict needs no present vocabulary or file."""

    format: int
    vocabulary: VocabularyContent
    rules: tuple[Rule, ...]


@dataclass(frozen=True, eq=False)
class Ruleset:
    """Rules in order; rule i is entry i of `fired`.

    Attributes:
        rules: the rules.
        vocabulary: the names and places of the feature vector.
        program: what `machine.run_rules` executes.
        levels: int64[rules]: 0 observe, 1 warn or alert, 2 block.
        responds: int64[rules]: SIP status of each rule's block.
        digest: of everything that decides a verdict or explains it: rules, stages, vocabulary.
    """

    rules: tuple[Rule, ...]
    vocabulary: Vocabulary
    program: Program
    levels: NDArray[np.int64]
    responds: NDArray[np.int64]
    digest: str
    trees: tuple[Boolean, ...]

    def __len__(self) -> int:
        """Number of rules."""
        return len(self.rules)

    def index(self, rule_id: str) -> int | None:
        """Place of a rule, None where there is no such id."""
        return next((i for i, rule in enumerate(self.rules) if rule.id == rule_id), None)

    def features_of(self, rule: int) -> tuple[int, ...]:
        """Places of the features that a rule's condition reads, each once, in the order of its text."""
        return features_read(self.trees[rule])

    def explain(self, rule: int, features: Vector, lang: Language, texts: Mapping[str, str] | None = None) -> list[str]:
        """The conditions of a rule that held, one line each: "… caller.distinct_callees_10m = 43 (≥ 30)".

        Args:
            rule: place of the rule.
            features: the vector that fired it; only the places in `features_of(rule)` are read.
            lang: "zh" or "en".
            texts: what features of open enumerations held, by name, for example {"trunk.name": "intl-1"}.
        """
        return Explainer(self.vocabulary, features, lang, texts or {}).explain(self.trees[rule])

    def with_stages(self, stages: Mapping[tuple[str, int], Stage]) -> Ruleset:
        """The same rules, each in the stage that `stages` gives its (id, version), at most its `action`."""
        rules = [
            msgspec.structs.replace(rule, stage=min(wanted, rule.action, key=LEVELS.__getitem__))
            for rule in self.rules
            for wanted in [stages.get((rule.id, rule.version), rule.ships_in)]
        ]
        return build_ruleset(rules, self.trees, self.vocabulary)

    def save(self, folder: Path) -> Path:
        """Keep the set as `<digest>.json` in `folder`, whole or not at all; what is there is left alone."""
        target = folder / f"{self.digest}.json"
        if target.exists():
            return target
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / f".{self.digest}.{os.getpid()}"
        with fresh.open("wb") as file:
            file.write(_encoded(self.rules, self.vocabulary))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(target)
        return target


def _encoded(rules: Sequence[Rule], vocabulary: Vocabulary) -> bytes:
    saved = SavedRuleset(_FORMAT, vocabulary.content(), tuple(rules))
    return msgspec.json.encode(saved, order="deterministic")


def _digest(encoded: bytes) -> str:
    return hashlib.blake2b(encoded, digest_size=8).hexdigest()


def build_ruleset(rules: Sequence[Rule], trees: Sequence[Boolean], vocabulary: Vocabulary) -> Ruleset:
    """Put checked rules and their trees together. Rules from files come through `loader.load_ruleset`."""
    return Ruleset(
        rules=tuple(rules),
        vocabulary=vocabulary,
        program=compile_rules(trees),
        levels=np.array([rule.level for rule in rules], dtype=np.int64),
        responds=np.array([rule.respond for rule in rules], dtype=np.int64),
        digest=_digest(_encoded(rules, vocabulary)),
        trees=tuple(trees),
    )


def load_saved(folder: Path, digest: str) -> Ruleset:
    """A ruleset as it was when `save` kept it, with the vocabulary of its time.

    Raises:
        RuleError: there is no such set, or its file was damaged or changed.
    """
    path = folder / f"{digest}.json"
    try:
        encoded = path.read_bytes()
    except OSError as error:
        raise RuleError(
            f"the ruleset {digest} was not kept: {error.strerror}.",
            where=str(path),
            fix="Bring the file back from a backup.",
        ) from None
    try:
        saved = msgspec.json.decode(encoded, type=SavedRuleset)
    except UNREADABLE as error:
        raise RuleError(f"the kept ruleset cannot be read: {error}.", where=str(path)) from None
    if saved.format != _FORMAT:
        raise RuleError(f"the kept ruleset has format {saved.format}.", where=str(path), fix="Use a newer Hutong.")
    if _digest(encoded) != digest:
        raise RuleError("the kept ruleset is not what its name says.", where=str(path), fix="Restore the file.")
    vocabulary = Vocabulary(saved.vocabulary.features, saved.vocabulary.enumerations)
    return build_ruleset(saved.rules, [parse(rule.when, vocabulary) for rule in saved.rules], vocabulary)
