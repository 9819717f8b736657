"""`hutong rules backtest`: what rules would have done to calls of the past, kept as evidence, with progress."""

from __future__ import annotations

import math
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from hutong.app.cli_records import machine_user
from hutong.app.cli_terms import existing_folder, in_force, language_of
from hutong.app.config import load_config
from hutong.app.replay import Options as ReplayOptions
from hutong.app.replay import judges, shown
from hutong.calls.evidence.backtest import Ground, Question, backtest, tested_ruleset
from hutong.calls.evidence.labels import read_labels
from hutong.calls.evidence.model import encoded
from hutong.calls.evidence.rows import Rows
from hutong.calls.evidence.store import FOLDER, EvidenceError, EvidenceStore
from hutong.calls.evidence.told import tell
from hutong.calls.features import VOCABULARY
from hutong.calls.records.layout import Layout, read_layout
from hutong.calls.records.reading import Source
from hutong.kernel.clock import SystemClock
from hutong.kernel.declared.findings import RulesetError
from hutong.kernel.errors import ConfigError, RuleError
from hutong.kernel.numbering import Numbering
from hutong.kernel.rules.loader import check_paths, load_ruleset, rule_files
from hutong.kernel.rules.ruleset import build_ruleset
from hutong.kernel.rules.stages import find_rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.calls.evidence.model import Backtest
    from hutong.calls.records.run import Progress as Step
    from hutong.kernel.rules.ruleset import Ruleset
    from hutong.kernel.rules.vocabulary import Language

_NS: Final = 1_000_000_000
_MS: Final = 1_000_000


class Options(msgspec.Struct, frozen=True):
    """What the command was asked for; None and "" where nothing was said."""

    rules: tuple[str, ...]
    over: tuple[Path, ...]
    labels: Path
    out: Path | None = None
    data: Path | None = None
    config: Path | None = None
    layout: Path | None = None
    stop_share: float = 0.01
    by: str = ""
    json: bool = False
    lang: Language | None = None


def run(options: Options) -> int:
    """Test the rules and say what came out; returns the exit status, 0.

    Raises:
        HutongError: something cannot be read, is wrong, or cannot be written; nothing is kept then.
    """
    language, clock = language_of(options.lang), SystemClock()
    begun = clock.monotonic()
    with shown(language, lambda: (clock.monotonic() - begun) / _NS) as show:
        result = result_of(options, show)
    evidence_id = ""
    if options.data is not None:
        evidence_id = EvidenceStore(options.data / FOLDER).keep(result)
    text = "\n".join(tell(result, evidence_id, language)) + "\n"
    if options.out is not None:
        _write_out(options.out, result, text)
    if options.json:
        content = msgspec.json.decode(encoded(result)) | {"id": evidence_id}
        text = msgspec.json.format(msgspec.json.encode(content)).decode() + "\n"
    sys.stdout.write(text)
    return 0


def result_of(options: Options, show: Callable[[Step], None]) -> Backtest:
    """Test the rules; bad rows of the records go to `backtest.errors.csv` in `options.out`.

    Args:
        options: what is asked.
        show: told how far it is.

    Raises:
        HutongError: something cannot be read or is wrong.
    """
    if not math.isfinite(options.stop_share) or not 0 <= options.stop_share <= 1:
        raise ConfigError("a share is from 0 to 1.", where="--stop-share", fix="0.01 is one row in a hundred.")
    if options.data is not None:
        existing_folder(options.data)
    config = load_config(options.config, data=options.data)
    ruleset, tested = rules_of(options)
    stages = {rule.id: rule.stage for rule in ruleset.rules}
    ruleset = tested_ruleset(ruleset, tested)
    numbering = Numbering(config.calls.home_area)
    labels = read_labels(options.labels, numbering, options.stop_share)
    layout = read_layout(options.layout) if options.layout else Layout()
    with ExitStack() as stack:
        asked = ReplayOptions(files=options.over, config=options.config, data=options.data)
        own = judges(config, ruleset, asked, stack)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hutong-backtest-")))
        errors = (options.out or Path()) / "backtest.errors.csv"
        source = Source(options.over, own.trunks.names, layout, str(options.layout or ""), options.stop_share)
        question = Question(
            ruleset=ruleset,
            tested=tuple(at for at, rule in enumerate(ruleset.rules) if rule.id in tested),
            stages=stages,
            labels=labels,
            labels_file=options.labels.name,
            files=tuple(path.name for path in options.over),
            time_zone=config.calls.time_zone,
            by=options.by or machine_user(),
            made_ms=SystemClock().wall() // _MS,
        )
        return backtest(
            question, Rows(source, folder, errors, show), Ground(own.make, own.trunks, numbering, own.scored_from)
        )


def rules_of(options: Options) -> tuple[Ruleset, frozenset[str]]:
    """All rules, and the ids of those to be tested: those of the files named, beside or instead of those in force.

    Raises:
        RuleError: there is no such rule, or a file is refused; lists every error.
    """
    ruleset = in_force(options.data, options.config)
    paths = [Path(name) for name in options.rules if Path(name).exists() or Path(name).suffix in (".yaml", ".yml")]
    named = {name for name in options.rules if Path(name) not in paths}
    if not options.rules:
        raise RuleError("no rule is named.", fix="Name rule files, folders, or ids: `hutong rules list` shows them.")
    for rule_id in sorted(named):
        find_rule(ruleset, rule_id)
    if paths:
        ruleset, own = _with_own(ruleset, paths)
        named |= own
    return ruleset, frozenset(named)


def _with_own(ruleset: Ruleset, paths: list[Path]) -> tuple[Ruleset, set[str]]:
    """The rules in force, with those of some files in the places of rules of the same ids, new ones at the end."""
    for path in paths:
        if not rule_files([path]):
            raise RuleError("there are no rule files here.", where=str(path), fix="Name a .yaml file or its folder.")
    checked = check_paths(paths, VOCABULARY)
    if checked.errors:
        raise RulesetError(checked.findings)
    own = load_ruleset(paths, VOCABULARY)
    fresh = {rule.id: (rule, tree) for rule, tree in zip(own.rules, own.trees, strict=True)}
    own_ids = set(fresh)
    pairs = [fresh.pop(rule.id, (rule, tree)) for rule, tree in zip(ruleset.rules, ruleset.trees, strict=True)]
    pairs += fresh.values()
    return build_ruleset([it[0] for it in pairs], [it[1] for it in pairs], VOCABULARY), own_ids


def _write_out(folder: Path, result: Backtest, text: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "backtest.json").write_bytes(encoded(result))
        (folder / "backtest.txt").write_text(text, encoding="utf-8")
    except OSError as error:
        raise EvidenceError(f"The result cannot be written: {error.strerror}.", where=str(folder)) from error
