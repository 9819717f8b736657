"""Figures, sections and sentences as data: `figures.toml`, read and linted. No value of a figure belongs here."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from hutong.bulletins.errors import BulletinError
from hutong.kernel.access.permissions import PERMISSIONS
from hutong.kernel.web.texts import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

SHIPPED: Final = Path(__file__).with_name("figures.toml")
#: Names of values that a query may ask for.
ASKED: Final = frozenset({"node", "first", "last", "period", "start_ms", "end_ms", "until_ms"})
#: Sources whose figures come by their `query`; the others are systems' `figures`.
QUERIED: Final = frozenset({"calls", "cases", "losses"})

_PLACE: Final = re.compile(r"\{([^{}:]*)(?::([^{}]*))?\}")
_ID: Final = re.compile(r"[a-z]+(?:[.-][a-z_-]+)*")
_BIND: Final = re.compile(r"(?<![:\w]):([a-z_]+)")

Unit = Literal["calls", "reports", "numbers", "cases", "times", "orders", "appeals", "people", "yuan", "share"]
Form = Literal["", "previous", "year"]


class FigureDef(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A figure: what it is, and where it comes from. As the head of `figures.toml` says."""

    id: str
    title: dict[str, str]
    unit: Unit
    source: str
    query: str = ""
    given: str = ""
    part: str = ""
    whole: tuple[str, ...] = ()
    factor: int = 1
    stands: bool = False
    good: Literal["", "up", "down"] = ""
    link: str = ""
    permission: str = ""


class Place(msgspec.Struct, frozen=True):
    """A place in a sentence: a figure, said as itself or as its change."""

    figure: str
    form: Form


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Figures that stand together, and sentences about them, each in every language."""

    id: str
    title: dict[str, str]
    figures: tuple[str, ...]
    sentences: tuple[dict[str, str], ...] = ()


class Definitions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of them."""

    figure: tuple[FigureDef, ...]
    section: tuple[Section, ...]

    def of(self, name: str) -> FigureDef:
        """The figure of that id; an unknown one is a KeyError."""
        for it in self.figure:
            if it.id == name:
                return it
        raise KeyError(name)


def parts_of(sentence: str) -> Iterator[str | Place]:
    """A sentence's words and places, in order.

    Raises:
        ValueError: a place is of an unknown form.
    """
    at = 0
    for found in _PLACE.finditer(sentence):
        yield sentence[at : found.start()]
        form = found[2] or ""
        if form not in {"", "previous", "year"}:
            raise ValueError(f"{found[0]} is of no form: write {{id}}, {{id:previous}} or {{id:year}}")
        yield Place(found[1], form)  # type: ignore[arg-type]  # one of the three
        at = found.end()
    yield sentence[at:]


@cache
def shipped() -> Definitions:
    """Those of this version.

    Raises:
        BulletinError: the file is wrong; says everything that is.
    """
    return read(SHIPPED.read_text(encoding="utf-8"), str(SHIPPED))


def read(text: str, where: str = "") -> Definitions:
    """Definitions out of TOML.

    Raises:
        BulletinError: says everything that is wrong with them.
    """
    try:
        found = msgspec.convert(tomllib.loads(text), Definitions)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BulletinError(f"The figures cannot be read: {error}.", where=where) from error
    faults = list(lint(found))
    if faults:
        raise BulletinError("; ".join(faults) + ".", where=where)
    return found


def lint(of: Definitions) -> Iterator[str]:
    """Everything that is wrong with definitions, in words."""
    known = [it.id for it in of.figure]
    for name in sorted({it for it in known if known.count(it) > 1}):
        yield f"{name} stands twice"
    for figure in of.figure:
        yield from (f"{figure.id}: {fault}" for fault in _figure(figure, frozenset(known)))
    shown = [name for section in of.section for name in section.figures]
    yield from (f"{name} is in {shown.count(name)} sections, not in one" for name in known if shown.count(name) != 1)
    for section in of.section:
        yield from (f"{section.id}: no figure is called {name}" for name in section.figures if name not in known)
        yield from (f"{section.id}: {fault}" for fault in _section(section, frozenset(known)))


def _figure(it: FigureDef, known: frozenset[str]) -> Iterator[str]:
    if not _ID.fullmatch(it.id):
        yield "an id is small letters and dots"
    if set(it.title) != set(LANGUAGES) or not all(it.title.values()):
        yield "its title is needed in zh and en"
    if sum(map(bool, (it.query, it.given, it.part))) != 1 or bool(it.part) != bool(it.whole):
        yield "it needs one of query, given, or part with whole"
    if bool(it.query) and it.source not in QUERIED:
        yield f"what {it.source} counts comes by its name (given), not by a query"
    if it.given and (it.given.split(".")[0] != it.source or it.source in QUERIED):
        yield f"{it.given} is not counted by {it.source}"
    yield from (f"no figure is called {name}" for name in (it.part, *it.whole) if name and name not in known)
    if (it.unit == "share") != bool(it.part):
        yield "shares, and only these, have a part and a whole"
    yield from (f"a query knows no :{name}" for name in _BIND.findall(it.query) if name not in ASKED)
    if bool(it.link) != bool(it.permission) or (it.link and not it.link.startswith("/")):
        yield "a link is a path of the console, with the permission of its page"
    if it.permission and it.permission not in PERMISSIONS and it.source in QUERIED:
        yield f"there is no permission {it.permission}"
    try:
        it.link.format(since="", until="")
    except (KeyError, IndexError, ValueError):
        yield "a link may say {since} and {until}"


def _section(it: Section, known: frozenset[str]) -> Iterator[str]:
    if set(it.title) != set(LANGUAGES):
        yield "its title is needed in zh and en"
    for number, sentence in enumerate(it.sentences, 1):
        if set(sentence) != set(LANGUAGES):
            yield f"sentence {number} is needed in zh and en"
            continue
        said: list[set[Place]] = []
        for text in sentence.values():
            try:
                parts = list(parts_of(text))
            except ValueError as error:
                yield f"sentence {number}: {error}"
                return
            said.append({part for part in parts if isinstance(part, Place)})
            words = "".join(part for part in parts if isinstance(part, str))
            if any(letter.isdigit() for letter in words) or "{" in words or "}" in words:
                yield f"sentence {number} says a number that is no figure: {text!r}"
        if said[0] != said[1]:
            yield f"sentence {number} does not say the same in both languages"
        if not said[0]:
            yield f"sentence {number} names no figure"
        unknown = {place.figure for place in said[0] | said[1]} - known
        yield from (f"sentence {number}: no figure is called {name}" for name in sorted(unknown))
