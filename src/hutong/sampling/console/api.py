"""Sampling for programs: /v1/sampling. What may be done is the desk's business; here it gets its HTTP form."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar
from zoneinfo import ZoneInfo

from litestar import get, post
from litestar.params import JSONBody, PathParameter, QueryParameter, RawBody

from hutong.kernel.errors import Refused
from hutong.kernel.reporter import rfc3339_or_none
from hutong.kernel.web.api.desk import AnyRequest, Desk, Purpose, answered, not_found, operation, read_purpose, refused
from hutong.kernel.web.api.document import Section, describe_body, structs_of
from hutong.sampling.console import bodies, telling
from hutong.sampling.console.districts import read_districts
from hutong.sampling.console.overview import read_now
from hutong.sampling.console.parts import actor_of
from hutong.sampling.console.results import LARGEST
from hutong.sampling.emergency.machine import EmergencyRefused
from hutong.sampling.emergency.model import Wish
from hutong.sampling.errors import SamplingError
from hutong.sampling.identity import masked_person
from hutong.sampling.listing import FARTHEST, TubeQuery
from hutong.sampling.model import BatchState, Register, Seal, State  # Litestar reads the annotations

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.handlers import HTTPRouteHandler

    from hutong.sampling.console.parts import Parts
    from hutong.sampling.emergency.model import EmergencyAction

Result = TypeVar("Result")
_TAGS: Final = (("sampling", "核酸采样 / Sampling"),)
_BODY: Final = 64 * 1024
_REFUSALS: Final = (403, 404, 409)
_STATIONS: Final = 5000
_CONFLICTS: Final = 500
_STATUS: Final = {
    "no-tube": 404,
    "no-order": 404,
    "not-allowed": 403,
    "same-person": 403,
    "not-from-here": 409,
    "person-twice": 409,
    "person-elsewhere": 409,
    "full": 409,
    "size-differs": 409,
    "at-another-station": 409,
    "not-mixed": 409,
    "id-twice": 409,
    "busy": 503,
}
TubeName = Annotated[
    str,
    PathParameter(min_length=1, max_length=80, description="条码或管的编号 / barcode, or id of a tube"),
]
BatchName = Annotated[str, PathParameter(min_length=1, max_length=40, description="批次号 / number of the batch")]
OrderName = Annotated[str, PathParameter(min_length=1, max_length=100, description="指令编号 / id of the order")]
Limit = Annotated[int, QueryParameter(ge=1, le=500, description="每页行数 / rows on a page")]
Cursor = Annotated[int, QueryParameter(ge=0, le=FARTHEST, description="上一页给出的 / of the page before")]
District = Annotated[str, QueryParameter(max_length=12, description="区县代码 / code of a district")]


def section(parts: Parts, desk: Desk) -> Section:
    """What sampling brings to the API.

    Args:
        parts: what its pages work with. desk: limits and the trail.
    """
    routes = [
        *_now(parts, desk),
        *_tubes(parts, desk),
        *_doing(parts, desk),
        *_batches(parts, desk),
        *_results(parts, desk),
        *_emergencies(parts, desk),
    ]
    return Section(_TAGS, routes, structs_of(bodies), _describe)


def _describe(schema: dict[str, Any]) -> None:
    csv = "tube,result,tested\nXA20220415001,negative,2022-04-15 20:10\n"
    content = {"text/csv": {"schema": {"type": "string"}, "example": csv}}
    describe_body(schema["paths"]["/v1/sampling/results"]["post"], content)


def _done(work: Callable[[], Result]) -> Result:
    """What the desk answers; a refusal as a problem."""

    def done() -> Result:
        try:
            return work()
        except (SamplingError, EmergencyRefused) as error:
            reason = error.reason if isinstance(error, Refused) else ""
            raise refused(error, _STATUS.get(reason, 422)) from error

    return answered(done)


def _now(parts: Parts, desk: Desk) -> list[HTTPRouteHandler]:
    declared = partial(operation, desk, "sampling", "sampling.read")

    @get("/v1/sampling", **declared("sampling", "readSampling", "采样现状 / How sampling stands"))
    def now() -> bodies.SamplingNow:
        """24 小时逐时数、用时、各状态、冲突、采样点 / Hours, turnaround, states, conflicts, stations."""
        return _done(lambda: telling.now(read_now(parts, ZoneInfo("UTC"), desk.now_ms()), parts))

    @get("/v1/sampling/districts", **declared("sampling.districts", "listSamplingDistricts", "分区 / Districts"))
    def districts() -> bodies.DistrictList:
        """与分区图同样的数字 / The figures of the map."""
        found = _done(lambda: read_districts(parts, desk.now_ms()))
        return bodies.DistrictList([telling.district(it, parts.districts) for it in found])

    @get("/v1/sampling/stations", **declared("sampling.stations", "listStations", "采样点 / Stations"))
    def stations() -> bodies.StationList:
        """最久没有联系的在前 / Those silent longest first."""
        rows = _done(lambda: parts.desk.sampling.stations(_STATIONS))
        now_ms, silent_ms = desk.now_ms(), parts.figures.silent_ms
        return bodies.StationList([telling.station(it, now_ms, silent_ms) for it in rows])

    @get("/v1/sampling/conflicts", **declared("sampling.conflicts", "listConflicts", "冲突 / Conflicts"))
    def conflicts(
        rule: Annotated[str, QueryParameter(max_length=40, description="规则编号 / id of a rule")] = "",
        tube: Annotated[str, QueryParameter(max_length=80, description="条码 / barcode")] = "",
        limit: Limit = 50,
    ) -> bodies.ConflictList:
        """最新在前 / The latest first."""
        found = _done(lambda: parts.desk.sampling.conflicts(barcode=tube, rule=rule, limit=min(limit, _CONFLICTS)))
        return bodies.ConflictList([telling.conflict(it) for it in found])

    return [now, districts, stations, conflicts]


def _tubes(parts: Parts, desk: Desk) -> list[HTTPRouteHandler]:
    declared = partial(operation, desk, "sampling", "sampling.read")

    @get("/v1/sampling/tubes", **declared("sampling.tubes", "listTubes", "试管 / Tubes"))
    def tubes(  # a filter each
        wanted: Annotated[
            State | Literal["waiting"] | None,
            QueryParameter(name="state", description="状态;waiting 为未出结果 / state; waiting = without a result"),
        ] = None,
        held: Annotated[bool, QueryParameter(description="只看待核定 / only those in doubt")] = False,  # noqa: FBT002  # a query's switch
        district: District = "",
        station: Annotated[str, QueryParameter(max_length=32, description="采样点 / station")] = "",
        limit: Limit = 50,
        cursor: Cursor = 0,
    ) -> bodies.TubeList:
        """等待的从最久的排起 / Of those that wait the longest wait first."""
        query = TubeQuery(wanted or "", district, station, held)
        found = _done(lambda: parts.listing.tubes(query, limit, cursor))
        return bodies.TubeList([telling.listed(it) for it in found.rows], _next(found.more, limit, cursor))

    @get("/v1/sampling/tubes/{tube:str}", **declared("sampling.tube", "readTube", "一个条码 / One barcode", 404, 422))
    def story(tube: TubeName) -> bodies.TubeStory:
        """人员已掩码 / People are masked."""
        sampling, barcode = parts.desk.sampling, tube.partition("@")[0]
        events = _done(lambda: sampling.events(barcode))
        if not events:
            raise not_found("There is no such tube.")
        found = _done(lambda: sampling.conflicts(barcode=barcode, limit=_CONFLICTS))
        return bodies.TubeStory(
            [telling.tube(it) for it in sampling.story(barcode).tubes],
            [telling.event(it) for it in events],
            [telling.conflict(it) for it in found],
        )

    @get("/v1/sampling/recalls", **declared("sampling.recalls", "listRecalls", "待单采复核 / To be tested singly"))
    def recalls(limit: Limit = 50) -> bodies.CalledList:
        """最早的在前 / The earliest first."""
        calls = _done(lambda: parts.desk.sampling.calls(limit))
        return bodies.CalledList(
            [
                bodies.CalledTube(it.tube.id, it.tube.result, it.tube.state, [masked_person(one) for one in it.open])
                for it in calls
            ]
        )

    return [tubes, story, recalls]


def _doing(parts: Parts, desk: Desk) -> list[HTTPRouteHandler]:
    def declared(permission: str, name: str, id_: str, summary: str) -> dict[str, Any]:
        given = operation(desk, "sampling", permission, f"sampling.{name}", id_, summary, *_REFUSALS)
        return {**given, "status_code": 200, "request_max_body_size": _BODY}

    def story(tube: str) -> bodies.TubeTold:
        barcode, _, station = tube.partition("@")
        tubes = parts.desk.sampling.story(barcode).tubes
        return telling.tube(next((it for it in tubes if station and it.id == tube), tubes[-1]))

    @post(
        "/v1/sampling/tubes/{tube:str}/register",
        **declared("sampling.register", "register", "registerSample", "登记入管 / Register a sample"),
    )
    def register(request: AnyRequest, tube: TubeName, data: JSONBody[bodies.Registration]) -> bodies.TubeTold:
        """在中心直接登记 / At the connected centre itself."""

        def done() -> bodies.TubeTold:
            person = parts.desk.comers().person(data.kind, data.identity)
            deed = Register(
                tube=tube,
                size=data.size,
                person=person,
                district=data.district,
                retest=data.retest,
                fields=data.fields,
            )
            parts.desk.do(deed, actor_of(request.user), desk.now_ms())
            return story(tube)

        return _done(done)

    @post(
        "/v1/sampling/tubes/{tube:str}/seal", **declared("sampling.register", "seal", "sealTube", "封管 / Seal a tube")
    )
    def seal(request: AnyRequest, tube: TubeName, data: JSONBody[bodies.Sealing]) -> bodies.TubeTold:
        """人数须与管内一致 / The count must be that of the tube."""

        def done() -> bodies.TubeTold:
            parts.desk.do(Seal(tube=tube, people=data.people), actor_of(request.user), desk.now_ms())
            return story(tube)

        return _done(done)

    @post(
        "/v1/sampling/tubes/{tube:str}/recall",
        **declared("sampling.recall", "recall", "recallTube", "召回单采复核 / Recall for single tests"),
    )
    def recall(request: AnyRequest, tube: TubeName, data: JSONBody[bodies.Why]) -> bodies.TubeTold:
        """混采阳性或可疑的管 / Of a mixed tube that is positive or inconclusive."""
        return _done(
            lambda: story(parts.desk.recall(tube, data.reason[:200], actor_of(request.user), desk.now_ms()).id)
        )

    @post(
        "/v1/sampling/tubes/{tube:str}/settle",
        **declared("sampling.settle", "settle", "settleTube", "核定结果 / Settle a result"),
    )
    def settle(request: AnyRequest, tube: TubeName, data: JSONBody[bodies.Decision]) -> bodies.TubeTold:
        """原有结果都保留 / Every result stays on record."""
        return _done(
            lambda: story(parts.desk.settle(tube, data.result, data.reason, actor_of(request.user), desk.now_ms()).id)
        )

    @post(
        "/v1/sampling/person",
        **declared("sampling.person", "person", "readPersonResults", "某人的结果 / A person's results"),
        description="用途写在 Hutong-Purpose 头中,查询记入操作记录;号码不保存。\n\nThe purpose is in the header "
        "Hutong-Purpose; the look-up is on the trail first, and the number is kept nowhere.",
    )
    def person(request: AnyRequest, data: JSONBody[bodies.Shown], purpose: Purpose = "") -> bodies.PersonTold:
        said = read_purpose(purpose)
        actor, now_ms = actor_of(request.user), desk.now_ms()
        shown, found = _done(lambda: parts.desk.person(data.kind, data.identity, said, actor, now_ms))
        return bodies.PersonTold(
            shown,
            [
                bodies.ResultOfPerson(it.tube, rfc3339_or_none(it.at_ms), it.result, rfc3339_or_none(it.reported_ms))
                for it in found
            ],
        )

    return [register, seal, recall, settle, person]


def _batches(parts: Parts, desk: Desk) -> list[HTTPRouteHandler]:
    reading = partial(operation, desk, "sampling", "sampling.read")

    def missing(of: str) -> list[str]:
        return [it.id for it in parts.desk.sampling.batch_tubes(of) if not it.received_ms]

    @get("/v1/sampling/batches", **reading("sampling.batches", "listBatches", "批次 / Batches"))
    def batches(
        wanted: Annotated[BatchState | None, QueryParameter(name="state", description="状态 / state")] = None,
        incomplete: Annotated[bool, QueryParameter(description="只看缺管的 / only with missing tubes")] = False,  # noqa: FBT002  # a query's switch
        limit: Limit = 50,
        cursor: Cursor = 0,
    ) -> bodies.BatchList:
        """最近交接的在前 / What was handed over last first."""
        found = _done(lambda: parts.listing.batches(limit, cursor, state=wanted or "", incomplete=incomplete))
        return bodies.BatchList([telling.batch(it) for it in found.rows], _next(found.more, limit, cursor))

    @get("/v1/sampling/batches/{batch:str}", **reading("sampling.batch", "readBatch", "一个批次 / One batch", 404, 422))
    def one(batch: BatchName) -> bodies.BatchStory:
        """缺少的试管列出 / With the tubes that did not come."""
        found = _done(lambda: parts.desk.sampling.batch(batch))
        if found is None:
            raise not_found("There is no such batch.")
        return bodies.BatchStory(telling.batch(found), _done(lambda: missing(batch)))

    doing = partial(operation, desk, "sampling")

    @post(
        "/v1/sampling/batches/{batch:str}/hand-over",
        **doing("sampling.register", "sampling.hand-over", "handOverBatch", "交接 / Hand a batch over", *_REFUSALS),
        status_code=200,
        request_max_body_size=_BODY,
    )
    def hand_over(request: AnyRequest, batch: BatchName, data: JSONBody[bodies.HandingOver]) -> bodies.BatchStory:
        """全部或全不 / All of it, or nothing."""

        def done() -> bodies.BatchStory:
            found = parts.desk.hand_over(batch, data.tubes, data.courier, actor_of(request.user), desk.now_ms())
            return bodies.BatchStory(telling.batch(found), missing(batch))

        return _done(done)

    @post(
        "/v1/sampling/batches/{batch:str}/receive",
        **doing("sampling.results", "sampling.receive", "receiveBatch", "实验室接收 / Receive a batch", *_REFUSALS),
        status_code=200,
        request_max_body_size=_BODY,
    )
    def receive(request: AnyRequest, batch: BatchName, data: JSONBody[bodies.Receipt]) -> bodies.BatchStory:
        """逐管办理,未收的说明原因 / Tube by tube; those refused say why."""

        def done() -> bodies.BatchStory:
            it = parts.desk.receive(batch, data.tubes, data.laboratory, actor_of(request.user), desk.now_ms())
            wrong = [bodies.RefusedTube(tube, why.reason) for tube, why in it.refused]
            return bodies.BatchStory(telling.batch(it.batch), list(it.missing), wrong)

        return _done(done)

    return [batches, one, hand_over, receive]


def _results(parts: Parts, desk: Desk) -> list[HTTPRouteHandler]:
    @post(
        "/v1/sampling/results",
        **operation(
            desk, "sampling", "sampling.results", "sampling.import", "importResults", "导入结果 / Take in results", 403
        ),
        status_code=200,
        request_max_body_size=LARGEST,
        description="正文为 CSV 文件 (UTF-8 或 GB 18030);有误的行逐行说明,其余收下,可重复。\n\nThe body is a CSV file "
        "(UTF-8 or GB 18030). Wrong rows are told one by one, the rest goes in; the same again has no second effect.",
    )
    def bring(
        request: AnyRequest,
        body: RawBody,
        laboratory: Annotated[
            str, QueryParameter(min_length=1, max_length=32, description="实验室代号 / short name of the laboratory")
        ],
    ) -> bodies.ResultsTold:
        actor, now_ms = actor_of(request.user), desk.now_ms()
        return _done(lambda: telling.imported(parts.desk.results(body, laboratory, "results.csv", actor, now_ms)))

    return [bring]


def _emergencies(parts: Parts, desk: Desk) -> list[HTTPRouteHandler]:
    declared, orders = partial(operation, desk, "sampling"), parts.desk.emergencies

    @get(
        "/v1/sampling/emergencies",
        **declared("sampling.read", "sampling.emergencies", "listEmergencies", "应急采样 / Emergency orders"),
    )
    def every(limit: Limit = 50) -> bodies.EmergencyList:
        """最近变动者在前 / What changed last first."""
        return bodies.EmergencyList([telling.emergency(it) for it in _done(lambda: orders.listing(limit))])

    @post(
        "/v1/sampling/emergencies",
        **declared(
            "sampling.order", "sampling.emergency", "requestEmergency", "申请应急采样 / Ask for one", *_REFUSALS
        ),
        request_max_body_size=_BODY,
    )
    def ask(request: AnyRequest, data: JSONBody[bodies.NewEmergency]) -> bodies.EmergencyTold:
        """须由另一人批准 / Another person must approve it."""
        names = ("district", "preset", "term_h", "agency", "document", "reason")
        wish = Wish(**{name: getattr(data, name) for name in names})
        return _done(lambda: telling.emergency(orders.request(wish, actor_of(request.user), desk.now_ms())))

    def deciding(action: EmergencyAction, id_: str, summary: str) -> HTTPRouteHandler:
        @post(
            f"/v1/sampling/emergencies/{{order:str}}/{action}",
            **declared("sampling.approve", f"sampling.emergency.{action}", id_, summary, *_REFUSALS),
            status_code=200,
            request_max_body_size=_BODY,
        )
        def decided(request: AnyRequest, order: OrderName, data: JSONBody[bodies.Why]) -> bodies.EmergencyTold:
            """驳回与解除须有理由 / Declining and lifting need a reason."""
            actor, now_ms = actor_of(request.user), desk.now_ms()
            return _done(lambda: telling.emergency(orders.do(order, action, actor, now_ms, data.reason)))

        return decided

    return [
        every,
        ask,
        deciding("approve", "approveEmergency", "批准 / Approve"),
        deciding("decline", "declineEmergency", "驳回 / Decline"),
        deciding("lift", "liftEmergency", "解除 / Lift"),
    ]


def _next(more: bool, limit: int, cursor: int) -> int | None:  # noqa: FBT001  # a fact about the rows
    following = cursor + limit
    return following if more and following < FARTHEST else None
