"""What the pages of cases share: the parts they work with, who may see which case, how a case looks to one viewer.

Numbers are masked for everybody, in titles and reasons too; a case is whole only in the answer to a purpose that the
trail holds (`kernel.web.unmasking`). Who belongs to a partner agency sees the cases of its units and no others.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar import Request
from litestar.exceptions import NotFoundException

from hutong.kernel.cases.boards import CaseBoards
from hutong.kernel.cases.errors import CaseRefused
from hutong.kernel.cases.registers import Registers
from hutong.kernel.cases.table import STATE_TITLES
from hutong.kernel.cases.types import term
from hutong.kernel.reporter import masked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from litestar.datastructures import FormMultiDict

    from hutong.kernel.access.refs import Refs
    from hutong.kernel.access.trail import Trail
    from hutong.kernel.access.viewer import Viewer
    from hutong.kernel.cases.attachments import Attachments
    from hutong.kernel.cases.model import Case, State, Value
    from hutong.kernel.cases.store import Cases
    from hutong.kernel.cases.types import CaseType, FieldSpec
    from hutong.kernel.cases.views import Views
    from hutong.kernel.numbering import Numbering
    from hutong.kernel.records import Database
    from hutong.kernel.web.console import Console

AnyRequest = Request[Any, Any, Any]

_HOUR_MS: Final = 3_600_000
_DAY_OF_WORK: Final = 8
_VERDICTS: Final[Mapping[State, str]] = {"closed": "pass", "risk": "warn", "merged": "observe"}


class Link(msgspec.Struct, frozen=True):
    """Where something leads: an address with {} for an id, who may go there, the key of its text if it has one."""

    address: str
    permission: str
    text: str = ""


class Person(msgspec.Struct, frozen=True):
    """An account that may be named: its name and the person's."""

    name: str
    title: str


class CaseDesk(msgspec.Struct, frozen=True):
    """What the pages of cases work with.

    Attributes:
        opened: the cases of the node; read with their types at the first page.
        people: who may own cases. links: where references such as order:ID lead, by what stands before their colon.
        beyond: pages of other systems about a case, by its id.
        imports: folder for register files that were looked through and wait to be taken in.
    """

    console: Console
    database: Database
    opened: Callable[[], Cases]
    attachments: Attachments
    views: Views
    trail: Trail
    refs: Refs
    numbering: Numbering
    people: Callable[[], list[Person]]
    links: Mapping[str, Link]
    imports: Path
    beyond: tuple[Link, ...] = ()

    def seen(self, request: AnyRequest) -> Cases:
        """The cases that the viewer may see."""
        return self.cases.seen_by(request.user)

    def boards(self, request: AnyRequest) -> CaseBoards:
        """What of them is late or waits."""
        return CaseBoards(self.database, self.seen(request).purview)

    def registers(self, request: AnyRequest) -> Registers:
        """Registers, with the items that the viewer may see."""
        return Registers(self.database, self.seen(request))

    @property
    def cases(self) -> Cases:
        """Every case of the node: for what they rest on; what a viewer may see of them is `seen`.

        Raises:
            CaseError: a type or a year of the calendar is wrong.
        """
        return self.opened()

    def case(self, request: AnyRequest, of: str) -> Case:
        """The case of that id.

        Raises:
            NotFoundException: there is none that the viewer may see.
        """
        try:
            return self.seen(request).case(of)
        except CaseRefused:
            raise NotFoundException from None

    def card(self, request: AnyRequest, case: Case, *, whole: bool = False) -> Card:
        """A case for this viewer; `whole` only where the trail holds a purpose."""
        language, now_ms = self.console.language(request), self.console.now_ms()
        due_ms = case.next_due_ms
        return Card(
            case=case,
            title=case.title if whole else masked(case.title),
            state=STATE_TITLES[case.state][language],
            mark=_VERDICTS.get(case.state, "late" if 0 < due_ms < now_ms else "observe"),
            type=self.type_title(case.type, language),
            late_ms=max(now_ms - due_ms, 0) if due_ms else 0,
        )

    def cards(self, request: AnyRequest, cases: list[Case]) -> list[Card]:
        """Cases for this viewer, masked."""
        return [self.card(request, case) for case in cases]

    def type_title(self, name: str, language: str) -> str:
        """The name of a type; its id where the type is no longer there."""
        kind = self.cases.types.by_id.get(name)
        return name if kind is None else getattr(kind.title, language)

    def left(self, kind: CaseType | None, due_ms: int) -> tuple[int, bool]:
        """Seconds until a due time, and whether they are of working time."""
        now_ms = self.console.now_ms()
        if kind is not None and term(kind.deadline).unit in {"wh", "wd"}:
            return self.cases.calendar.working_ms(now_ms, due_ms) // 1000, True
        return max(due_ms - now_ms, 0) // 1000, False

    def field_rows(self, request: AnyRequest, case: Case, kind: CaseType | None, *, whole: bool) -> list[FieldRow]:
        """The fields of a case in the type's order, masked unless `whole`."""
        language = self.console.language(request)
        rows = []
        specs = {} if kind is None else kind.by_name
        for name in [*specs, *(it for it in case.fields if it not in specs)]:
            value = case.fields.get(name, "")
            if value == "":
                continue
            spec = specs.get(name)
            title = name if spec is None else getattr(spec.title, language)
            rows.append(self._row(request, title, spec, value, whole=whole))
        return rows

    def _row(self, request: AnyRequest, title: str, spec: FieldSpec | None, value: Value, *, whole: bool) -> FieldRow:
        text, viewer = str(value), request.user
        if spec is not None and spec.kind == "number":
            key = self.numbering.read(text).key
            ref = self.refs.ref(key) if viewer.can("numbers.read") else ""
            return FieldRow(title, text if whole else self.numbering.mask(key, text), f"/numbers/{ref}" if ref else "")
        if spec is not None and spec.kind == "flag":
            return FieldRow(title, self.console.say(request, f"cases.flag_{'yes' if value else 'no'}"), "")
        if isinstance(value, str):
            return FieldRow(title, text if whole else masked(text), self.link(viewer, text))
        return FieldRow(title, f"{value:,}", "")

    def link(self, viewer: Viewer, reference: str) -> str:
        """Where a reference leads, if it leads anywhere and the viewer may go there; else empty."""
        kind, colon, of = reference.partition(":")
        link = self.links.get(kind) if colon and of else None
        if link is None or not viewer.can(link.permission) or not of.replace("-", "").replace(".", "").isalnum():
            return ""
        return link.address.format(of)

    def units(self, request: AnyRequest) -> list[str]:
        """Units that have cases, as far as the viewer may know them."""
        own = units_of(request)
        return sorted(own) if own is not None else [unit for unit in self.cases.board("unit") if unit]

    def owners(self, request: AnyRequest) -> list[Person]:
        """Who may be named as owner; nobody where the viewer is of a partner agency."""
        return [] if units_of(request) is not None else self.people()


class Card(msgspec.Struct, frozen=True):
    """A case as lists show it. `mark`: the sign of its state; `late_ms`: since when it is late, 0 = it is not."""

    case: Case
    title: str
    state: str
    mark: str
    type: str
    late_ms: int


class FieldRow(msgspec.Struct, frozen=True):
    """A field as pages show it; `link`: where its value leads."""

    title: str
    text: str
    link: str


def units_of(request: AnyRequest) -> frozenset[str] | None:
    """The units whose cases alone the viewer may see; None = all."""
    units: frozenset[str] | None = request.user.units
    return units


def new_key(request: AnyRequest) -> str:
    """A key for a form: it has one effect, however often it is sent."""
    return f"{request.user.name}:{secrets.token_hex(16)}"


def own_key(request: AnyRequest, key: str) -> str:
    """The key that a form carries; another's counts as none."""
    return key if key.startswith(f"{request.user.name}:") else new_key(request)


def text_of(form: FormMultiDict, name: str) -> str:
    """A field's text; "" where it was not sent or is a file. Line ends are those of the house."""
    value = form.get(name, "")
    return value.strip().replace("\r\n", "\n") if isinstance(value, str) else ""


def texts_of(form: FormMultiDict, name: str) -> list[str]:
    """Every text of a field."""
    return [it.strip() for it in form.getall(name, []) if isinstance(it, str)]


async def sent_form(request: AnyRequest) -> FormMultiDict:
    """A form with or without files, read before its handler runs in a thread."""
    return await request.form()


def spoken(desk: CaseDesk, request: AnyRequest, refused: CaseRefused) -> str:
    """Why something was refused, in the reader's language; which field it was about is said too."""
    text = desk.console.say(request, f"cases.refused.{refused.reason}")
    if refused.reason == "field" and refused.where:
        place = f"cases.place.{refused.where}"
        where = desk.console.say(request, place) if place in desk.console.frame.texts else refused.where
        return f"{text} ({where})"
    return text


def worked(seconds: int) -> tuple[int, int]:
    """Working time as working days of eight hours, and hours."""
    return divmod(seconds * 1000 // _HOUR_MS, _DAY_OF_WORK)
