"""The API of hand-offs: listed, read, answered by the desk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeVar, cast

from litestar import get, post
from litestar.params import FromQuery, JSONBody, PathParameter, QueryParameter

from hutong.handoff.bodies import HandoffPage, HandoffTold
from hutong.handoff.model import HandoffRefused, Outcome
from hutong.kernel.cases.errors import CaseRefused
from hutong.kernel.cases.purview import actor_of
from hutong.kernel.web.api.desk import AnyRequest, Desk, answered, operation, refused
from hutong.kernel.web.api.document import Section

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from litestar.handlers import HTTPRouteHandler

    from hutong.handoff.bodies import State
    from hutong.handoff.model import Handoff
    from hutong.handoff.store import Handoffs
    from hutong.kernel.numbering import Numbering

Result = TypeVar("Result")
_LONGEST: Final = 8 * 1024
_STATUS: Final = {"no-handoff": 404, "over": 409}
HandoffId = Annotated[str, PathParameter(min_length=1, max_length=100, description="移交编号 / id of the hand-off")]


def section(handoffs: Handoffs, numbering: Numbering, desk: Desk) -> Section:
    """What hand-offs bring to the API."""
    tags = (("handoffs", "劝阻移交 / Hand-offs to the dissuasion desk"),)
    return Section(tags, _routes(handoffs, numbering, desk), (HandoffTold, HandoffPage, Outcome))


def _done(work: Callable[[], Result]) -> Result:
    def done() -> Result:
        try:
            return work()
        except HandoffRefused as error:
            raise refused(error, _STATUS.get(error.reason, 422)) from error
        except CaseRefused as error:
            raise refused(error, 409) from error

    return answered(done)


def handoff_told(found: Sequence[Handoff], handoffs: Handoffs, numbering: Numbering) -> list[HandoffTold]:
    """Hand-offs as others than the desk are told of them: numbers masked."""
    return [_told(it, handoffs.key_of(it), numbering) for it in found]


def _told(handoff: Handoff, key: int | None, numbering: Numbering) -> HandoffTold:
    return HandoffTold(
        id=handoff.id,
        number="" if key is None else numbering.mask(key),
        why=handoff.victim.title,
        condition=handoff.condition,
        found_ms=handoff.found_ms,
        alerts=handoff.alerts,
        state=cast("State", handoff.state),
        delivered_ms=handoff.delivered_ms,
        answered_ms=handoff.answered_ms,
        answered_by=handoff.answered_by,
        saved=handoff.saved,
        lost=handoff.lost,
        note=handoff.note,
        case=handoff.case,
    )


def _routes(handoffs: Handoffs, numbering: Numbering, desk: Desk) -> list[HTTPRouteHandler]:
    read = "handoffs.read"

    def told(handoff: Handoff) -> HandoffTold:
        return _told(handoff, handoffs.key_of(handoff), numbering)

    @get("/v1/handoffs", **operation(desk, "handoffs", read, "handoffs", "listHandoffs", "劝阻移交 / Hand-offs"))
    def page(
        answer: FromQuery[Literal["", "none", "accepted", "reached", "not-reached"]] = "",
        limit: Annotated[int, QueryParameter(ge=1, le=500, description="最多条数 / at most so many")] = 50,
        offset: Annotated[int, QueryParameter(ge=0, le=1_000_000, description="跳过条数 / skip so many")] = 0,
    ) -> HandoffPage:
        """新的在前;号码已掩码,完整号码只送劝阻席 / Newest first; whole numbers go to the desk alone."""
        return _done(
            lambda: HandoffPage(
                handoff_told(handoffs.page(answer, limit, offset), handoffs, numbering), handoffs.count(answer)
            )
        )

    @get("/v1/handoffs/{id_:str}", **operation(desk, "handoffs", read, "handoff", "readHandoff", "一件移交 / One", 404))
    def one(id_: HandoffId) -> HandoffTold:
        """号码已掩码 / The number is masked."""
        return _done(lambda: told(handoffs.handoff(id_)))

    @post(
        "/v1/handoffs/{id_:str}/outcome",
        **operation(
            desk, "handoffs", "handoffs.answer", "handoffs.answer", "answerHandoff", "回填结果 / Its outcome", 404, 409
        ),
        status_code=200,
        request_max_body_size=_LONGEST,
        description="重复提交无二次效果;后来的结果替换先前的。\n\n"
        "The same again has no second effect; a later outcome replaces an earlier one.",
    )
    def answer(request: AnyRequest, id_: HandoffId, data: JSONBody[Outcome]) -> HandoffTold:
        return _done(lambda: told(handoffs.answer(id_, data, actor_of(request.user), desk.now_ms())))

    return [page, one, answer]
