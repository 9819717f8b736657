"""`/registers`: campaign registers, how far each is, taking items in after a try, exports."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar import Response, get, post
from litestar.datastructures import FormMultiDict, UploadFile
from litestar.di import NamedDependency, Provide
from litestar.exceptions import NotFoundException
from litestar.params import FromPath  # noqa: TC002  # Litestar reads the annotations
from litestar.response import Stream  # noqa: TC002  # as above

from hutong.kernel.access.pages.desk import Fields
from hutong.kernel.access.pages.desk import text_of as field_of
from hutong.kernel.cases.errors import CaseRefused
from hutong.kernel.cases.model import OPEN_STATES, STATES
from hutong.kernel.cases.pages.desk import AnyRequest, CaseDesk, sent_form, spoken, text_of
from hutong.kernel.cases.purview import actor_of
from hutong.kernel.cases.query import CaseQuery
from hutong.kernel.cases.registers import AssignRule
from hutong.kernel.cases.table import STATE_TITLES
from hutong.kernel.reporter import masked
from hutong.kernel.web.console import see_other
from hutong.kernel.web.guard import demand, requires
from hutong.kernel.web.tables import export_csv
from hutong.kernel.web.unmasking import PURPOSES, Form, Unmasking, put_on_trail, read_form

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.kernel.cases.registers import Imported, Progress, Register

#: Bytes of a file that is taken in here; larger ones go by the command line.
LARGEST: Final = 5 * 1024 * 1024
_FORM_AROUND: Final = 65_536
_UNFIT: Final = 422
_SHOWN: Final = 500
_ITEMS: Final = 25
_KEPT_S: Final = 3600


class Row(msgspec.Struct, frozen=True):
    """A register or a unit with its progress; `done`: per mille of its items, so that the bar is drawn."""

    name: str
    progress: Progress

    @property
    def done(self) -> int:
        """Items closed, per mille; 0 of none."""
        return self.progress.done * 1000 // self.progress.items if self.progress.items else 0


def _all(desk: CaseDesk, request: AnyRequest, typed: dict[str, Any] | None = None, trouble: str = "") -> Response[str]:
    return desk.console.page(
        request,
        "cases_registers.html",
        status=_UNFIT if trouble else 200,
        rows=[(it, Row(it.id, far)) for it, far in desk.registers(request).progress_of_all()],
        types=list(desk.cases.types.by_id.values()),
        typed=lambda name: field_of(typed or {}, name),
        trouble=trouble,
        type_title=desk.type_title,
    )


def _make(desk: CaseDesk, request: AnyRequest, data: dict[str, Any]) -> Response[str]:
    try:
        rules = [_rule(line) for line in field_of(data, "rules").splitlines() if line.strip()]
        actor, now_ms = actor_of(request.user), desk.console.now_ms()
        made = desk.registers(request).make(field_of(data, "title"), field_of(data, "type"), rules, actor, now_ms)
    except CaseRefused as refused:
        return _all(desk, request, data, spoken(desk, request, refused))
    return see_other(f"/registers/{made.id}")


def _rule(line: str) -> AssignRule:
    """FIELD=VALUE:UNIT, or UNIT for all."""
    condition, colon, unit = line.strip().rpartition(":")
    field, _, value = condition.partition("=")
    return AssignRule(unit.strip(), field.strip(), value.strip()) if colon else AssignRule(line.strip())


def _register(desk: CaseDesk, request: AnyRequest, of: str) -> Register:
    try:
        return desk.registers(request).register(of)
    except CaseRefused:
        raise NotFoundException from None


def _one(
    desk: CaseDesk,
    request: AnyRequest,
    register: Register,
    *,
    trouble: str = "",
    tried: Imported | None = None,
    taken: Imported | None = None,
    token: str = "",
    said: Unmasking | None = None,
) -> Response[str]:
    registers, language = desk.registers(request), desk.console.language(request)
    progress = registers.progress(register.id)
    units = [Row(name, it) for name, it in registers.progress_of_units(register.id).items()]
    shown = tried or taken
    return desk.console.page(
        request,
        "cases_register.html",
        status=_UNFIT if trouble or (said is not None and said.trouble) else 200,
        register=register,
        kind=desk.cases.types.by_id.get(register.type),
        whole=Row(register.id, progress),
        units=sorted(units, key=lambda it: (it.done, it.name)),
        states=[(state, STATE_TITLES[state][language], progress.states.get(state, 0)) for state in STATES],
        open_states=OPEN_STATES,
        items=desk.cards(request, desk.seen(request).page(CaseQuery(register=register.id), _ITEMS)),
        trouble=trouble,
        tried=tried,
        taken=taken,
        errors=[] if shown is None else [(it.row, it.column, masked(it.what)) for it in shown.errors[:_SHOWN]],
        token=token,
        largest=LARGEST >> 20,
        said=said or Unmasking(),
        purposes=PURPOSES,
        type_title=desk.type_title,
    )


def _file(desk: CaseDesk, request: AnyRequest, register: str, token: str) -> Any:  # noqa: ANN401  # a path
    """Where a file of this person for this register waits."""
    whose = hashlib.sha256(f"{request.user.name}\n{register}\n{token}".encode()).hexdigest()
    return desk.imports / f"{whose}.csv"


def _bring(desk: CaseDesk, request: AnyRequest, of: str, form: FormMultiDict) -> Response[str]:
    """Look a file through and keep it; or take in what was looked through. The whole file is read each time."""
    register, registers = _register(desk, request, of), desk.registers(request)
    actor, now_ms, token = actor_of(request.user), desk.console.now_ms(), text_of(form, "token")
    try:
        if token:
            kept = _file(desk, request, of, token)
            try:
                content = kept.read_bytes()
            except OSError:
                return _one(desk, request, register, trouble=desk.console.say(request, "cases.import_gone"))
            taken = registers.take_in(of, content, actor, now_ms)
            kept.unlink(missing_ok=True)
            return _one(desk, request, register, taken=taken)
        file = form.get("file")
        content = file.file.read(LARGEST + 1) if isinstance(file, UploadFile) else b""
        if not content or len(content) > LARGEST:
            key = "cases.import_none" if not content else "cases.import_large"
            return _one(desk, request, register, trouble=desk.console.say(request, key))
        tried = registers.try_in(of, content, actor, now_ms)
        token = hashlib.sha256(content).hexdigest()
        _keep(desk, request, of, token, content)
        return _one(desk, request, register, tried=tried, token=token)
    except CaseRefused as refused:
        words = f"{spoken(desk, request, refused)} {masked(refused.what)}"
        return _one(desk, request, register, trouble=words)


def _keep(desk: CaseDesk, request: AnyRequest, of: str, token: str, content: bytes) -> None:
    desk.imports.mkdir(mode=0o700, parents=True, exist_ok=True)
    old_s = desk.console.now_ms() / 1000 - _KEPT_S
    for it in desk.imports.glob("*.csv"):
        with suppress(FileNotFoundError):  # another has just taken it in
            if it.stat().st_mtime < old_s:
                it.unlink()
    file = _file(desk, request, of, token)
    file.touch(mode=0o600)
    file.write_bytes(content)


def _export(desk: CaseDesk, request: AnyRequest, register: Register, *, whole: bool) -> Stream:
    actor, now_ms = actor_of(request.user), desk.console.now_ms()
    header, rows = desk.registers(request).rows(register.id, actor, now_ms, str if whole else masked)
    return export_csv(register.id, header, rows)


def routes(desk: CaseDesk) -> list[HTTPRouteHandler]:
    """Everything under `/registers`."""

    @get("/registers", sync_to_thread=True, opt=requires("cases.read"))
    def registers(request: AnyRequest) -> Response[str]:
        return _all(desk, request)

    @post("/registers", status_code=200, sync_to_thread=True, opt=requires("cases.find"))
    def make(request: AnyRequest, data: Fields) -> Response[str]:
        return _make(desk, request, data)

    @get("/registers/{register:str}", sync_to_thread=True, opt=requires("cases.read"))
    def one(request: AnyRequest, register: FromPath[str]) -> Response[str]:
        return _one(desk, request, _register(desk, request, register))

    @post(
        "/registers/{register:str}/import",
        status_code=200,
        sync_to_thread=True,
        opt=requires("cases.find"),
        dependencies={"form": Provide(sent_form)},
        request_max_body_size=LARGEST + _FORM_AROUND,
    )
    def bring(request: AnyRequest, register: FromPath[str], form: NamedDependency[FormMultiDict]) -> Response[str]:
        return _bring(desk, request, register, form)

    @post("/registers/{register:str}/assign", status_code=200, sync_to_thread=True, opt=requires("cases.assign"))
    def assign(request: AnyRequest, register: FromPath[str]) -> Response[str]:
        found = _register(desk, request, register)
        desk.registers(request).assign(found.id, actor_of(request.user), desk.console.now_ms())
        return see_other(f"/registers/{found.id}")

    @get("/registers/{register:str}/export", sync_to_thread=True, opt=requires("tables.export"))
    def export(request: AnyRequest, register: FromPath[str]) -> Stream:
        demand(request.user, "cases.read")
        return _export(desk, request, _register(desk, request, register), whole=False)

    @post("/registers/{register:str}/export", status_code=200, sync_to_thread=True, opt=requires("cases.unmask"))
    def whole(request: AnyRequest, register: FromPath[str], data: Form) -> Response[Any]:
        found, said = _register(desk, request, register), read_form(data)
        if said.trouble:
            return _one(desk, request, found, said=said)
        put_on_trail(desk, request, said, f"registers/{found.id}", filters={"register": found.id})
        return _export(desk, request, found, whole=True)

    return [registers, make, one, bring, assign, export, whole]
