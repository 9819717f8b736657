"""/v1/cases and /v1/case-types."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Final, Literal

from litestar import Response, get, post
from litestar.params import HeaderParameter, JSONBody, PathParameter, QueryParameter, RawBody

from hutong.kernel.cases.api.bodies import (
    AttachmentTold,
    CaseAnswer,
    CaseFigures,
    CaseList,
    CaseOutcomes,
    CaseRequest,
    CaseSearch,
    CasesRequest,
    CaseStory,
    CaseTypeList,
    NewCase,
)
from hutong.kernel.cases.api.desk import CaseDesk, told
from hutong.kernel.cases.attachments import LARGEST
from hutong.kernel.cases.model import State  # noqa: TC001  # Litestar reads the annotation
from hutong.kernel.web.api.desk import LONGEST_ENCODED, AnyRequest, Purpose, Unmask, operation, read_header

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.kernel.web.api.desk import Desk

FILE_NAME: Final = "Hutong-File-Name"
_BODY: Final = 64 * 1024
_MANY: Final = 256 * 1024
_REFUSALS: Final = (403, 404, 409, 422)

CaseId = Annotated[str, PathParameter(min_length=1, max_length=100, description="案件编号 / id of the case")]
Sha256 = Annotated[str, PathParameter(pattern="^[0-9a-f]{64}$", description="SHA-256")]
Key = Annotated[
    str,
    HeaderParameter(
        name="Idempotency-Key",
        max_length=100,
        pattern=r"^[\x21-\x7e]*$",
        description="请求键:七天内重复的请求只生效一次,答复相同 / a repeated request with this key has one effect and "
        "gets the same for seven days; keys are each account's own",
    ),
]
FileName = Annotated[
    str,
    HeaderParameter(
        name=FILE_NAME,
        max_length=LONGEST_ENCODED,
        pattern=r"^[\x20-\x7e]*$",
        description="文件名,只供阅读:UTF-8 百分号编码 / name, for reading only: UTF-8, percent-encoded",
    ),
]
Name = Annotated[str, QueryParameter(max_length=100)]


def case_routes(cases: CaseDesk, desk: Desk) -> list[HTTPRouteHandler]:
    """The routes."""
    return [*_reading(cases, desk), *_changing(cases, desk), *_files(cases, desk)]


def _reading(cases: CaseDesk, desk: Desk) -> list[HTTPRouteHandler]:
    declared = partial(operation, desk, "cases", "cases.read")

    @get("/v1/case-types", **declared("cases.types", "listCaseTypes", "案件类型 / Types of cases"))
    def types() -> CaseTypeList:
        """字段、期限、各步所需权限与证据 / Fields, deadlines, and what each step takes."""
        return told(cases.types)

    @get(
        "/v1/cases",
        **declared("cases", "listCases", "案件 / List cases", 422),
        description="缺省为未结案件,先到期者在前;`changed=true` 缺省为各状态;号码已掩码。"
        "按号码查询用 POST /v1/cases/search。绑定协作单位的账号和令牌只见其单位的案件。\n\n"
        "Open ones unless states are named, what is due first stands first; with `changed=true` those of every state; "
        "numbers masked. To look for a number use POST /v1/cases/search. Accounts and tokens of a partner agency see "
        "the cases of its units only.",
    )
    def page(  # noqa: PLR0913, PLR0917  # a filter each
        request: AnyRequest,
        states: Annotated[
            list[State] | None, QueryParameter(name="state", description="状态,可多个 / states, may be repeated")
        ] = None,
        type_: Annotated[str, QueryParameter(name="type", max_length=100)] = "",
        owner: Name = "",
        unit: Name = "",
        register: Name = "",
        parent: Name = "",
        late: Annotated[bool, QueryParameter(description="只要超期的 / only late ones")] = False,  # noqa: FBT002  # a query's switch
        changed: Annotated[bool, QueryParameter(description="最近变动者在前 / what changed last first")] = False,  # noqa: FBT002
        limit: Annotated[int, QueryParameter(ge=1, le=500, description="每页件数 / cases on a page")] = 50,
        cursor: Annotated[int, QueryParameter(ge=0, le=10_000, description="上一页给出的 / of the page before")] = 0,
    ) -> CaseList:
        wanted = CaseSearch((states or [])[:8], type_, owner, unit, register, parent, late, "", changed, limit, cursor)
        return told(lambda: cases.find(request, wanted))

    @post(
        "/v1/cases/search",
        **declared("cases.search", "searchCases", "查案件 / Search cases", 422),
        status_code=200,
        request_max_body_size=_BODY,
    )
    def search(request: AnyRequest, data: JSONBody[CaseSearch]) -> CaseList:
        """同 GET,另可按编号、号码(开头须 cases.unmask,留痕)、标题 / By id, number (beginnings: cases.unmask), title."""
        return told(lambda: cases.find(request, data))

    @get("/v1/cases/figures", **declared("cases.figures", "readCaseFigures", "案件数 / How many cases there are", 422))
    def figures(
        request: AnyRequest,
        whose: Annotated[
            Literal["all", "type", "unit", "owner", "register"],
            QueryParameter(name="scope", description="范围 / of what"),
        ] = "all",
        name: Name = "",
    ) -> CaseFigures:
        """各状态件数 / How many of a scope are in each state."""
        return told(lambda: cases.figures(request, whose, name))

    @get(
        "/v1/cases/{case:str}",
        **declared("case", "readCase", "一件案件及其经过 / One case and its story", 404, 422),
        description="号码已掩码;`unmask=true` 须有 cases.unmask 权限,并在 Hutong-Purpose 头中说明用途;"
        "先记入操作记录。\n\n"
        "Numbers are masked. `unmask=true` needs the permission cases.unmask and a purpose in the header "
        "Hutong-Purpose, and is on the trail first.",
    )
    def story(
        request: AnyRequest,
        case: CaseId,
        unmask: Unmask = False,  # noqa: FBT002  # a query's switch
        purpose: Purpose = "",
    ) -> CaseStory:
        return told(lambda: cases.story(request, case, unmask=unmask, purpose=purpose))

    return [types, page, search, figures, story]


def _changing(cases: CaseDesk, desk: Desk) -> list[HTTPRouteHandler]:
    declared = partial(operation, desk, "cases")

    @post(
        "/v1/cases",
        **declared("cases.find", "cases.find", "findCase", "立案 / Open a case", *_REFUSALS),
        request_max_body_size=_BODY,
    )
    def open_(request: AnyRequest, data: JSONBody[NewCase], key: Key = "") -> CaseAnswer:
        """字段按类型检查 / Fields are checked against its type."""
        return told(lambda: cases.open(request, data, key))

    @post(
        "/v1/cases/do",
        **declared("cases.work", "cases.do_many", "doCases", "批量办理 / Do the same with several cases", *_REFUSALS),
        status_code=200,
        request_max_body_size=_MANY,
    )
    def do_many(request: AnyRequest, data: JSONBody[CasesRequest], key: Key = "") -> CaseOutcomes:
        """逐件办理,一件不成不影响其余 / Each by itself: what one is refused does not keep the others."""
        return told(lambda: cases.do_many(request, data, key))

    @post(
        "/v1/cases/{case:str}/do",
        **declared("cases.work", "cases.do", "doCase", "办理案件 / Do something with a case", *_REFUSALS),
        status_code=200,
        request_max_body_size=_BODY,
        description="动作及其所需权限见 /v1/case-types 和 docs/cases.md;备注是动作 `comment`。"
        "`version` 为所见版本:已被他人改动则 409,`since` 列出其后的经过。\n\n"
        "Actions and what they take are in /v1/case-types and docs/cases.md; a comment is the action `comment`. "
        "`version` is the one that was seen: 409 where somebody was quicker, and `since` says what happened.",
    )
    def do(request: AnyRequest, case: CaseId, data: JSONBody[CaseRequest], key: Key = "") -> CaseAnswer:
        return told(lambda: cases.do(request, case, data, key))

    return [open_, do_many, do]


def _files(cases: CaseDesk, desk: Desk) -> list[HTTPRouteHandler]:
    declared = partial(operation, desk, "cases")

    @post(
        "/v1/cases/{case:str}/attachments",
        **declared("cases.work", "cases.attach", "attachFile", "附上文件 / Attach a file", *_REFUSALS),
        request_max_body_size=LARGEST,
        description="正文即文件:PDF、PNG、JPEG、WAV、MP3、PCAP、纯文本,由内容判定,至多 20 MiB。\n\n"
        "The body is the file: PDF, PNG, JPEG, WAV, MP3, PCAP or plain text, told from its bytes, up to 20 MiB.",
    )
    def attach(
        request: AnyRequest, case: CaseId, body: RawBody, file_name: FileName = "", key: Key = ""
    ) -> AttachmentTold:
        name = read_header(file_name, FILE_NAME) if file_name else ""
        return told(lambda: cases.attach(request, case, body, name, key))

    @get(
        "/v1/cases/{case:str}/attachments/{sha256:str}",
        **declared("cases.read", "cases.attachment", "readAttachment", "取文件 / Take a file", 404, 422),
    )
    def attachment(request: AnyRequest, case: CaseId, sha256: Sha256) -> Response[bytes]:
        """先记入操作记录 / On the trail first."""
        content, media, name = told(lambda: cases.attachment(request, case, sha256))
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}
        return Response(content, media_type=media, headers=headers)

    return [attach, attachment]
