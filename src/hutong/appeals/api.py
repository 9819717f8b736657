"""The API of appeals for those who decide them: listed, read, decided. The public part is `public_api`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeVar

from litestar import get, post
from litestar.params import JSONBody, PathParameter, QueryParameter

from hutong.appeals.bodies import AppealPage, AppealTold, BlockTold, Decision
from hutong.appeals.model import AppealRefused
from hutong.appeals.store import AppealQuery
from hutong.appeals.told import appeal_told
from hutong.kernel.cases.errors import CaseRefused
from hutong.kernel.cases.purview import actor_of
from hutong.kernel.web.api.desk import AnyRequest, Desk, answered, operation, refused
from hutong.kernel.web.api.document import Section

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.handlers import HTTPRouteHandler

    from hutong.appeals.desk import AppealDesk

Result = TypeVar("Result")
_LONGEST: Final = 16 * 1024
_STATUS: Final = {"no-appeal": 404, "decided": 409, "own-block": 403, "shown": 409}
AppealId = Annotated[str, PathParameter(min_length=1, max_length=100, description="申诉编号 / id of the appeal")]


def section(appeals: AppealDesk, desk: Desk) -> Section:
    """What appeals bring to the API."""
    tags = (("appeals", "误拦申诉 / Appeals against blocks"),)
    return Section(tags, _routes(appeals, desk), (BlockTold, AppealTold, AppealPage, Decision))


def _done(work: Callable[[], Result]) -> Result:
    def done() -> Result:
        try:
            return work()
        except AppealRefused as error:
            raise refused(error, _STATUS.get(error.reason, 422)) from error
        except CaseRefused as error:
            raise refused(error, 409) from error

    return answered(done)


def _routes(appeals: AppealDesk, desk: Desk) -> list[HTTPRouteHandler]:
    read, store = "appeals.read", appeals.store

    @get(
        "/v1/appeals",
        **operation(desk, "appeals", read, "appeals", "listAppeals", "申诉 / Appeals"),
        description="未决者在前,先到期者先;号码已掩码。\n\n"
        "Open ones first, those due first before the others; numbers are masked.",
    )
    def page(
        state_: Annotated[Literal["", "open", "upheld", "lifted"], QueryParameter(name="state")] = "",
        limit: Annotated[int, QueryParameter(ge=1, le=500, description="最多条数 / at most so many")] = 50,
        offset: Annotated[int, QueryParameter(ge=0, le=1_000_000, description="跳过条数 / skip so many")] = 0,
    ) -> AppealPage:
        query = AppealQuery(state_)
        return _done(
            lambda: AppealPage(
                [appeal_told(it, appeals.number(it)) for it in store.page(query, limit, offset)], store.count(query)
            )
        )

    @get(
        "/v1/appeals/{id_:str}",
        **operation(desk, "appeals", read, "appeal", "readAppeal", "一件申诉 / One appeal", 404),
    )
    def one(id_: AppealId) -> AppealTold:
        """号码已掩码 / The number is masked."""

        def told() -> AppealTold:
            appeal = store.appeal(id_)
            return appeal_told(appeal, appeals.number(appeal))

        return _done(told)

    @post(
        "/v1/appeals/{id_:str}/decision",
        **operation(
            desk, "appeals", "appeals.decide", "appeals.decide", "decideAppeal", "裁定 / Decide an appeal", 404, 409
        ),
        status_code=200,
        request_max_body_size=_LONGEST,
        description="作出拦截的人不得裁定 (403);解除在一秒内生效。\n\n"
        "Not for who made the block (403). A lifting is in force within a second.",
    )
    def decide(request: AnyRequest, id_: AppealId, data: JSONBody[Decision]) -> AppealTold:
        def told() -> AppealTold:
            actor = actor_of(request.user)
            appeal = appeals.decide(id_, data.outcome, data.reasons, actor, desk.now_ms())
            return appeal_told(appeal, appeals.number(appeal))

        return _done(told)

    return [page, one, decide]
