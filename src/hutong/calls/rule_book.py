"""The rules as files give them now: set, texts as written, decisions on stages, and what refuses them.

Belongs here: reading all of it when a file changed. Not here: what screening has in force (it reads the same files by
itself), words for conditions (`console.rule_words`), routes (`console.rules`, `api`).
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from hutong.calls.features import SHIPPED_RULES, VOCABULARY
from hutong.kernel.errors import RuleError
from hutong.kernel.rules.loader import check_paths, load_ruleset, rule_files
from hutong.kernel.rules.ruleset import Ruleset, load_saved
from hutong.kernel.rules.stages import StageChange, read_stages, stages_in_force

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hutong.kernel.rules.loader import Checked

STAGES_FILE: Final = "stages.jsonl"
OWN_RULES: Final = "rules"
RULESETS: Final = "rulesets"
"""Folder of the sets that were in force, by digest."""

_ORDER = re.compile(r"^\d+-")
_PLACE = re.compile(r"(?P<file>.*):(?P<line>\d+):\d+")
_HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*#*$")
_NOT_SLUG = re.compile(r"[^\w\- ]")
_SOURCE_TREE = Path(__file__).resolve().parents[3]


class Written(NamedTuple):
    """A rule as its file writes it.

    Attributes:
        file: the file. line: where the rule begins.
        family: the file's name without order and ending.
        shipped: whether Hutong brings it.
        text: its lines, with the comment above them.
    """

    file: Path
    line: int
    family: str
    shipped: bool
    text: str


@dataclass(frozen=True)
class Book:
    """All rules at one moment.

    Attributes:
        ruleset: each rule in its stage; where the files are refused, the set that screening keeps using.
        written: by rule id; what an older set has and no file any more is missing.
        changes: every decision on stages, oldest first.
        refused: why the files are refused, a line each; empty where they are not.
    """

    ruleset: Ruleset
    written: dict[str, Written]
    changes: tuple[StageChange, ...]
    refused: tuple[str, ...]

    def history(self, rule_id: str) -> list[StageChange]:
        """Decisions about a rule, newest first."""
        return [change for change in reversed(self.changes) if change.rule == rule_id]


class RuleShelf:
    """Gives the book as of now; reads files again only when one changed.

    Args:
        data: the data folder.
        folders: further folders of rule files (`calls.rules_dir`).
    """

    def __init__(self, data: Path, folders: Sequence[Path] = ()) -> None:
        self._data = data
        self._paths = rule_paths(data, folders)
        self._lock = threading.Lock()
        self._seen: tuple[object, ...] = ()
        self._book: Book | None = None

    @property
    def stages(self) -> Path:
        """Where decisions on stages are kept."""
        return self._data / STAGES_FILE

    def book(self) -> Book:
        """The rules now.

        Raises:
            RuleError: the files are refused, and there is no older set to show.
        """
        with self._lock:
            signature = self._signature()
            if self._book is None or signature != self._seen:
                self._book = self._read()
                self._seen = signature
            return self._book

    def in_force(self) -> str:
        """Digest of the set that screening took up last; empty where it never ran."""
        kept = newest_set(self._data / RULESETS)
        return kept.stem if kept is not None else ""

    def _signature(self) -> tuple[object, ...]:
        found: list[object] = []
        for file in (*rule_files(self._paths), self.stages):
            try:
                stat = file.stat()
            except OSError:
                found.append(file)
            else:
                found.append((file, stat.st_ino, stat.st_size, stat.st_mtime_ns))
        return tuple(found)

    def _read(self) -> Book:
        checked = check_paths(self._paths, VOCABULARY)
        written = _written(checked)
        refused = [str(finding) for finding in checked.errors]
        changes: tuple[StageChange, ...] = ()
        try:
            changes = tuple(read_stages(self.stages))
        except RuleError as error:
            refused.append(str(error))
        if not refused:
            ruleset = load_ruleset(self._paths, VOCABULARY, stages=stages_in_force(changes))
            return Book(ruleset, written, changes, ())
        if self._book is not None:
            return Book(self._book.ruleset, {**self._book.written, **written}, changes, tuple(refused))
        kept = newest_set(self._data / RULESETS)
        if kept is None:
            raise RuleError("The rule files are refused.", where=refused[0].partition(" ")[0], fix="; ".join(refused))
        return Book(load_saved(kept.parent, kept.stem), written, changes, tuple(refused))


def rule_paths(data: Path, folders: Iterable[Path] = ()) -> list[Path]:
    """Where a node's rules come from, in order: shipped, its own, further folders."""
    return [SHIPPED_RULES, data / OWN_RULES, *folders]


def newest_set(folder: Path) -> Path | None:
    """The rule set that was kept last: screening touches a set's file when it takes it up."""
    kept = sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime_ns)
    return kept[-1] if kept else None


def _written(checked: Checked) -> dict[str, Written]:
    places: dict[Path, list[tuple[int, str]]] = {}
    for draft in checked.drafts:
        if place := _PLACE.fullmatch(draft.where):
            places.setdefault(Path(place["file"]), []).append((int(place["line"]), draft.rule.id))
    return {
        rule_id: Written(file, line, _ORDER.sub("", file.stem), SHIPPED_RULES in file.parents, text)
        for file, rules in places.items()
        for rule_id, line, text in _cut(file.read_text(encoding="utf-8").splitlines(), sorted(rules))
    }


def _cut(lines: list[str], rules: list[tuple[int, str]]) -> Iterable[tuple[str, int, str]]:
    """Each rule's lines: from the comment right above it to before the comment of the next."""
    begins = []
    for line, _ in rules:
        at = line - 1
        while at > 0 and lines[at - 1].startswith("#"):
            at -= 1
        begins.append(at)
    for (begin, end), (line, rule_id) in zip(pairwise([*begins, len(lines)]), rules, strict=True):
        yield rule_id, line, "\n".join(lines[begin:end]).strip("\n")


def runbook_section(runbook: str, root: Path = _SOURCE_TREE) -> str:
    """What a runbook says (Markdown), where the documentation lies beside the sources; else nothing.

    Args:
        runbook: `docs/PAGE.md#ANCHOR`.
        root: the folder that holds `docs`.
    """
    page, _, anchor = runbook.partition("#")
    file = (root / page).resolve()
    if not page.endswith(".md") or (root / "docs") not in file.parents or not file.is_file():
        return ""
    found: list[str] = []
    depth = 0
    for line in file.read_text(encoding="utf-8").splitlines():
        heading = _HEADING.match(line)
        if heading and depth and len(heading[1]) <= depth:
            break
        if depth:
            found.append(line)
        elif heading and _NOT_SLUG.sub("", heading[2].lower()).replace(" ", "-") == anchor:
            depth = len(heading[1])
    return "\n".join(found).strip()
