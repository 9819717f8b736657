"""Links in the documentation lead to files and headings that are there; the README leads to every page."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = re.compile(r"^(```|~~~).*?^\1[^\n]*$|(?:(?<=\n\n)(?: {4}[^\n]*\n)+)", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
NOT_SLUG = re.compile(r"[^\w\- ]")
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def _pages() -> list[Path]:
    """Every page that is, or is about to be, under version control."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    done = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=False)
    names = done.stdout.splitlines() or [str(path.relative_to(ROOT)) for path in _found()]
    return sorted(path for name in names if (path := ROOT / name).is_file())


def _found() -> list[Path]:
    """Without version control: an unpacked archive."""
    return [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")]


PAGES = _pages()
# Vendored texts are not ours to link to.
OURS = [page for page in PAGES if "vendor" not in page.parts]


@cache
def _words(page: Path) -> str:
    return CODE.sub("", page.read_text(encoding="utf-8"))


@cache
def _anchors(page: Path) -> frozenset[str]:
    """Anchors as GitHub makes them: lower case, punctuation dropped, blanks as hyphens, repetitions numbered."""
    seen: dict[str, int] = {}
    anchors = set()
    for heading in HEADING.findall(_words(page)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        slug = NOT_SLUG.sub("", plain.lower()).replace(" ", "-")
        anchors.add(f"{slug}-{seen[slug]}" if slug in seen else slug)
        seen[slug] = seen.get(slug, 0) + 1
    return frozenset(anchors)


@cache
def _links(page: Path) -> tuple[tuple[Path, str], ...]:
    """Targets of the page's relative links: a path, and an anchor or nothing."""
    targets = LINK.findall(SPAN.sub("", _words(page)))
    relative = (unquote(it).partition("#") for it in targets if not ELSEWHERE.match(it))
    return tuple(((page.parent / path).resolve() if path else page, anchor) for path, _, anchor in relative)


@pytest.mark.parametrize("page", OURS, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in _links(page):
        assert target.is_relative_to(ROOT), f"{target} is outside of the repository"
        assert target.exists(), f"{page.name} links to {target.relative_to(ROOT)}, which is not there"
        if anchor and target.suffix == ".md":
            assert anchor in _anchors(target), f"{page.name}: {target.relative_to(ROOT)} has no heading #{anchor}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            waiting.extend(target for target, _ in _links(page) if target in OURS)
    assert {str(page.relative_to(ROOT)) for page in set(OURS) - reached} == set()


def test_every_picture_is_shown_somewhere() -> None:
    shown = {target for page in OURS for target, _ in _links(page)}
    kept = subprocess.run(["git", "ls-files", "docs/img"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert {name for name in kept.stdout.split() if ROOT / name not in shown} == set()
