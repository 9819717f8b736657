"""/v1/registers: campaign registers (台账)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

from litestar import get, post
from litestar.params import JSONBody, PathParameter, RawBody
from litestar.response import Stream  # noqa: TC002  # Litestar reads the annotation

from hutong.kernel.cases.api.bodies import (
    NewRegister,
    RegisterAssigned,
    RegisterImported,
    RegisterList,
    RegisterRowError,
    RegisterRule,
    RegisterStory,
    RegisterTold,
)
from hutong.kernel.cases.api.desk import CaseDesk, told
from hutong.kernel.cases.api.told import progress_told, register_told
from hutong.kernel.cases.purview import actor_of
from hutong.kernel.cases.registers import AssignRule
from hutong.kernel.reporter import masked
from hutong.kernel.web.api.desk import AnyRequest, Purpose, Unmask, operation
from hutong.kernel.web.guard import demand
from hutong.kernel.web.tables import export_csv

if TYPE_CHECKING:
    from collections.abc import Iterator

    from litestar.handlers import HTTPRouteHandler

    from hutong.kernel.cases.registers import Imported
    from hutong.kernel.web.api.desk import Desk

#: Bytes of a CSV file in one request; larger ones go through `hutong cases import`.
LARGEST_CSV: Final = 8 * 1024 * 1024
_BODY: Final = 64 * 1024
_ERRORS: Final = 1000
_REFUSALS: Final = (403, 404, 409, 422)

RegisterId = Annotated[str, PathParameter(min_length=1, max_length=100, description="台账编号 / id of the register")]


def register_routes(cases: CaseDesk, desk: Desk) -> list[HTTPRouteHandler]:
    """The routes."""
    return [*_reading(cases, desk), *_changing(cases, desk)]


def _reading(cases: CaseDesk, desk: Desk) -> list[HTTPRouteHandler]:
    declared = partial(operation, desk, "registers")

    @get("/v1/registers", **declared("cases.read", "registers", "listRegisters", "台账 / Registers"))
    def every(request: AnyRequest) -> RegisterList:
        """新的在前 / The newest first."""
        return told(lambda: RegisterList([register_told(*it) for it in cases.registers(request).progress_of_all()]))

    @get(
        "/v1/registers/{register:str}",
        **declared("cases.read", "register", "readRegister", "一本台账 / One register", 404, 422),
    )
    def one(request: AnyRequest, register: RegisterId) -> RegisterStory:
        """完成情况,分单位 / How far it is, and each unit."""

        def story() -> RegisterStory:
            registers = cases.registers(request)
            it = registers.register(register)
            rules = [RegisterRule(rule.unit, rule.field, rule.value, rule.owner) for rule in it.rules]
            units = {unit: progress_told(far) for unit, far in registers.progress_of_units(it.id).items()}
            return RegisterStory(register_told(it, registers.progress(it.id)), rules, units)

        return told(story)

    @get(
        "/v1/registers/{register:str}/export",
        **declared("tables.export", "registers.export", "exportRegister", "导出台账 / Export a register", 404, 422),
        description="CSV,号码已掩码,记入操作记录;还须有 cases.read 权限。`unmask=true` 时号码完整,"
        "须有 cases.unmask 权限,并在 Hutong-Purpose 头中说明用途。\n\n"
        "CSV, numbers masked, on the trail first; needs the permission cases.read too. With `unmask=true` numbers are "
        "whole; that needs the permission cases.unmask and a purpose in the header Hutong-Purpose.",
    )
    def export(
        request: AnyRequest,
        register: RegisterId,
        unmask: Unmask = False,  # noqa: FBT002  # a query's switch
        purpose: Purpose = "",
    ) -> Stream:
        demand(request.user, "cases.read")

        def rows() -> tuple[list[str], Iterator[list[str]]]:
            registers = cases.registers(request)
            if unmask:
                of = registers.register(register).id
                desk.unmask(request, purpose, permission="cases.unmask", target=of)
            return registers.rows(register, actor_of(request.user), desk.now_ms(), str if unmask else masked)

        return export_csv("register", *told(rows))

    return [every, one, export]


def _changing(cases: CaseDesk, desk: Desk) -> list[HTTPRouteHandler]:
    declared = partial(operation, desk, "registers")

    @post(
        "/v1/registers",
        **declared("cases.find", "registers.make", "makeRegister", "建立台账 / Make a register", *_REFUSALS),
        request_max_body_size=_BODY,
    )
    def make(request: AnyRequest, data: JSONBody[NewRegister]) -> RegisterTold:
        """第一条符合的规则决定归谁 / The first rule that fits says whose an item is."""

        def made() -> RegisterTold:
            registers = cases.registers(request)
            rules = [AssignRule(it.unit, it.field, it.value, it.owner) for it in data.rules]
            it = registers.make(data.title, data.type, rules, actor_of(request.user), desk.now_ms())
            return register_told(it, registers.progress(it.id))

        return told(made)

    @post(
        "/v1/registers/{register:str}/import",
        **declared("cases.find", "registers.import", "importItems", "导入 CSV / Import CSV", *_REFUSALS),
        status_code=200,
        request_max_body_size=LARGEST_CSV,
        description="正文为 CSV 文件 (UTF-8 或 GB 18030);错误行逐行说明,其余在一次提交中收入;序号已有者不重复收。\n\n"
        "The body is a CSV file (UTF-8 or GB 18030). Wrong rows are told, the rest goes in, in one transaction; items "
        "that the register has already are not taken twice.",
    )
    def take_in(request: AnyRequest, register: RegisterId, body: RawBody) -> RegisterImported:
        return _imported(
            told(lambda: cases.registers(request).take_in(register, body, actor_of(request.user), desk.now_ms()))
        )

    @post(
        "/v1/registers/{register:str}/assign",
        **declared("cases.assign", "registers.assign", "assignItems", "派发各项 / Assign its items", *_REFUSALS),
        status_code=200,
    )
    def assign(request: AnyRequest, register: RegisterId) -> RegisterAssigned:
        """派发已定归属的各项,一次至多 1000 / Those that say whose they are, 1,000 at a time."""
        return RegisterAssigned(
            told(lambda: cases.registers(request).assign(register, actor_of(request.user), desk.now_ms()))
        )

    return [make, take_in, assign]


def _imported(done: Imported) -> RegisterImported:
    errors = [RegisterRowError(it.row, it.column, masked(it.what)) for it in done.errors[:_ERRORS]]
    return RegisterImported(done.rows, done.taken, done.encoding, len(done.errors), errors)
