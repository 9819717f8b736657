"""From rule files to a `Ruleset`, all or nothing: one error refuses the set, and all errors are told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hutong.kernel.declared.findings import Finding, RulesetError
from hutong.kernel.declared.source import Source, read_source
from hutong.kernel.rules.draft import Draft, read_drafts
from hutong.kernel.rules.lint import lint
from hutong.kernel.rules.ruleset import Ruleset, Stage, build_ruleset

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from hutong.kernel.rules.vocabulary import Vocabulary

_SUFFIXES = (".yaml", ".yml")
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
_ANCHOR = re.compile(r"<a\s+(?:id|name)=\"([^\"]+)\"")
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_NOT_SLUG = re.compile(r"[^\w\- ]")


@dataclass(frozen=True, slots=True)
class Checked:
    """Rules as read, and everything found in them."""

    drafts: tuple[Draft, ...]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that refuse the rules."""
        return tuple(f for f in self.findings if f.severity == "error")


def rule_files(paths: Iterable[Path]) -> list[Path]:
    """The rule files among files and folders: a folder's by name, no subfolders; a missing one has none."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files.extend(sorted(f for f in path.iterdir() if f.suffix in _SUFFIXES and not f.name.startswith(".")))
        elif path.suffix in _SUFFIXES:
            files.append(path)
    return files


def check_sources(
    sources: Sequence[Source], vocabulary: Vocabulary, anchors: Mapping[str, frozenset[str]] | None = None
) -> Checked:
    """Read and lint rule files that belong together. Pure."""
    drafts: list[Draft] = []
    findings: list[Finding] = []
    for source in sources:
        documents, unreadable = read_source(source)
        findings.extend(unreadable)
        for document in documents:
            read, wrong = read_drafts(document, vocabulary)
            drafts.extend(read)
            findings.extend(wrong)
    findings.extend(lint(drafts, vocabulary, anchors))
    return Checked(tuple(drafts), tuple(findings))


def check_paths(
    paths: Iterable[Path], vocabulary: Vocabulary, anchors: Mapping[str, frozenset[str]] | None = None
) -> Checked:
    """Read and lint files and folders; an unreadable file is a finding."""
    sources: list[Source] = []
    unreadable: list[Finding] = []
    for file in rule_files(paths):
        try:
            sources.append(Source(str(file), file.read_bytes().decode()))
        except UnicodeDecodeError as error:
            what = f"byte {error.start} is not UTF-8."
            unreadable.append(Finding("error", f"{file}:1:1", what, "Save the file as UTF-8."))
        except OSError as error:
            what = f"the file cannot be read: {error.strerror}."
            unreadable.append(Finding("error", f"{file}:1:1", what, "Check its permissions."))
    checked = check_sources(sources, vocabulary, anchors)
    return Checked(checked.drafts, (*unreadable, *checked.findings))


def load_ruleset(
    paths: Iterable[Path],
    vocabulary: Vocabulary,
    *,
    stages: Mapping[tuple[str, int], Stage] | None = None,
    anchors: Mapping[str, frozenset[str]] | None = None,
) -> Ruleset:
    """The rules of files and folders, in the order of paths and file names, in their stages.

    Args:
        paths: files or folders; a missing folder counts as empty.
        vocabulary: the names that rules may use.
        stages: `stages.stages_in_force`.
        anchors: see `lint.lint`.

    Raises:
        RulesetError: with every error of every file.
    """
    checked = check_paths(paths, vocabulary, anchors)
    if checked.errors:
        raise RulesetError(checked.findings)
    trees = [draft.expr for draft in checked.drafts if draft.expr is not None]
    ruleset = build_ruleset([draft.rule for draft in checked.drafts], trees, vocabulary)
    return ruleset.with_stages(stages) if stages else ruleset


def read_anchors(root: Path) -> dict[str, frozenset[str]] | None:
    """Anchors of every page under `root`/docs by path ("docs/calls.md"); None without docs folder."""
    docs = root / "docs"
    if not docs.is_dir():
        return None
    pages = sorted(docs.rglob("*.md"))
    return {page.relative_to(root).as_posix(): anchors_of(page.read_text(encoding="utf-8")) for page in pages}


def anchors_of(markdown: str) -> frozenset[str]:
    """Anchors of a Markdown page: its headings as GitHub writes them, and explicit `<a id="…">`."""
    text = _FENCE.sub("", markdown)
    slugs = (_NOT_SLUG.sub("", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(text))
    return frozenset(slugs) | frozenset(_ANCHOR.findall(text))
