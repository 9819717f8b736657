"""Case types: data that says which fields, states, deadlines, permissions, proofs and chain a kind of case has.

A type is a YAML document with samples: stories that end in a state, with refusals where they belong. `lint` (its own
module) refuses a type whose samples do not come true. Files are read here; what they mean is the machine's business.
"""

from __future__ import annotations

import re
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from hutong.kernel.cases.calendar import Term, read_term
from hutong.kernel.cases.errors import CaseError, CaseRefused, Reason
from hutong.kernel.cases.model import Action, Proof, ProofKind, State, Value  # noqa: TC001  # msgspec reads them
from hutong.kernel.cases.table import MOVES, path_of
from hutong.kernel.declared.findings import Finding
from hutong.kernel.declared.source import Item, Source, read_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: The types of the house.
SHIPPED: Final = Path(__file__).with_name("types")

FieldKind = Literal["number", "text", "choice", "count", "amount", "date", "flag"]
_TermText = Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,3}(min|wh|wd|h|d)$")]
_Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
_Id = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=40)]
_Text = Annotated[str, Meta(min_length=1, max_length=100)]
_PLACE: Final = re.compile(r"^(.*?)(?: - at `(?:key in )?\$?(.*)`)?$", re.DOTALL)
_STEP: Final = re.compile(r"\.(\w+)|\[(\d+)\]")


class Title(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A name in both languages."""

    zh: _Text
    en: _Text


class FieldSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A field of a type.

    Attributes:
        kind: "number" is a telephone number, masked where it is shown; "date" is YYYY-MM-DD.
        search: a case is found by the beginning of its value.
    """

    name: _Name
    kind: FieldKind
    title: Title
    required: bool = False
    search: bool = False
    choices: tuple[_Text, ...] = ()


class ActionSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who may do something, with what proofs, and whether a second person must agree."""

    who: str
    proof: tuple[ProofKind, ...] = ()
    countersign: bool = False


class ChainStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A step of the duty chain: who hears of a case that is late by `after`."""

    after: _TermText
    to: _Text


class Risk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long risks of one case may be accepted in all, in days."""

    longest: Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,3}d$")]


class SampleStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One request of a sample, by a person named freely, and the reason of its refusal, if it is refused."""

    who: _Text
    action: Action
    unit: str = ""
    owner: str = ""
    proofs: tuple[Proof, ...] = ()
    attachment: str = ""
    reason: str = "sample"
    refused: Reason | None = None


class Sample(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A story: fields, steps, and the state that it ends in."""

    title: _Text
    fields: dict[str, Value]
    steps: tuple[SampleStep, ...]
    ends: State


class CaseType(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """A type of case.

    Attributes:
        deadline: from finding to closing. states: those that it passes through and how long each may last.
        remind: how long before a due time. chain: who hears of late cases, the first step first.
    """

    id: _Id
    version: Annotated[int, Meta(ge=1)]
    title: Title
    fields: tuple[FieldSpec, ...]
    deadline: _TermText
    states: dict[State, _TermText]
    remind: _TermText
    chain: Annotated[tuple[ChainStep, ...], Meta(min_length=1)]
    actions: dict[Action, ActionSpec]
    samples: tuple[Sample, ...]
    risk: Risk | None = None

    @cached_property
    def path(self) -> tuple[State, ...]:
        """The states that it passes through, in order."""
        return path_of(self.states)

    @cached_property
    def by_name(self) -> dict[str, FieldSpec]:
        """Its fields."""
        return {it.name: it for it in self.fields}

    def step(self, state: State) -> Term | None:
        """How long a state may last; None where nothing is awaited in it."""
        text = self.states.get(state)
        return None if text is None else term(text)

    def action(self, action: Action) -> ActionSpec:
        """What is asked for an action: the type's word, else the table's."""
        return self.actions.get(action) or ActionSpec(MOVES[action].who)


@cache
def term(text: str) -> Term:
    """A term of a type, read once."""
    return read_term(text)


class Types:
    """The types in force, by id."""

    def __init__(self, types: Iterable[CaseType]) -> None:
        self.by_id = {it.id: it for it in types}

    def __getitem__(self, name: str) -> CaseType:
        """The type of that id.

        Raises:
            CaseRefused: there is none.
        """
        found = self.by_id.get(name)
        if found is None:
            known = ", ".join(self.by_id)
            raise CaseRefused("type-unknown", f"There is no case type {name!r}.", fix=f"Types: {known}.")
        return found


class TypesError(CaseError):
    """Types are refused as a whole; the message lists every error."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(str(it) for it in findings if it.severity == "error"))


class Draft(msgspec.Struct, frozen=True):
    """A type as read, and the document that it was read from."""

    type: CaseType
    item: Any

    def place(self, *path: str | int) -> str:
        """file:line:column of a part, or of what is nearest around it."""
        return _locate(self.item, path).where


def read_types(sources: Iterable[Source]) -> tuple[list[Draft], list[Finding]]:
    """The types of YAML documents, and what keeps others from being read."""
    drafts: list[Draft] = []
    findings: list[Finding] = []
    for source in sources:
        documents, unreadable = read_source(source)
        findings += unreadable
        for document in documents:
            try:
                drafts.append(Draft(msgspec.convert(_plain(document), CaseType), document))
            except msgspec.ValidationError as error:
                findings.append(_finding(document, str(error)))
    return drafts, findings


def type_sources(*folders: Path) -> list[Source]:
    """The type files of folders, by name.

    Raises:
        CaseError: one cannot be read.
    """
    sources = []
    for file in (file for folder in folders for file in sorted(folder.glob("*.yaml"))):
        try:
            sources.append(Source(str(file), file.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            raise CaseError(f"The case type cannot be read: {error}.", where=str(file)) from error
    return sources


def _plain(item: Item) -> Any:  # noqa: ANN401  # what YAML can say
    if isinstance(item.value, dict):
        return {name: _plain(it) for name, it in item.value.items()}
    if isinstance(item.value, list):
        return [_plain(it) for it in item.value]
    return item.value


def _finding(document: Item, message: str) -> Finding:
    found = _PLACE.match(message)
    what, path = (found[1], found[2] or "") if found else (message, "")
    steps = [name or int(at) for name, at in _STEP.findall(path)]
    where = f"{path.lstrip('.')}: " if path else ""
    return Finding("error", _locate(document, steps).where, f"{where}{what}.", "See docs/cases.md, Types.")


def _locate(item: Item, path: Iterable[str | int]) -> Item:
    for step in path:
        inner: Item | None = None
        if isinstance(item.value, dict) and isinstance(step, str):
            inner = item.value.get(step)
        elif isinstance(item.value, list) and isinstance(step, int) and step < len(item.value):
            inner = item.value[step]
        if inner is None:
            break
        item = inner
    return item
