"""The OpenAPI document of the routes: Litestar's, with bodies as `bodies` types them and every problem named."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar import Litestar
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme, Tag

from hutong.calls.api import bodies
from hutong.kernel.web.guard import permission_of
from hutong.kernel.web.problems import PROBLEM_JSON

if TYPE_CHECKING:
    from collections.abc import Sequence

    from litestar.handlers import HTTPRouteHandler

PATH: Final = "/v1/openapi.json"

_DESCRIPTION: Final = """\
护通的程序接口。每个请求带 `Authorization: Bearer 令牌`;令牌在控制台“令牌”页生成,权限不超过其所属账号。\
错误一律为 application/problem+json (RFC 9457)。号码默认掩码;用途写在 Hutong-Purpose 头中,不写入网址。

Hutong for programs. Every request carries `Authorization: Bearer TOKEN`; tokens are made on the console's page of \
tokens and may do at most what their owner may. Errors are application/problem+json (RFC 9457). Numbers are masked \
unless a purpose is given, in the header Hutong-Purpose and never in the address, and recorded.
"""
_TAGS: Final = (
    ("calls", "呼叫筛查 / Screening calls"),
    ("verdicts", "判决 / Verdicts"),
    ("lists", "名单 / Lists"),
    ("rules", "规则 / Rules"),
    ("windows", "滑动窗口 / Windows"),
)
_OFTEN: Final = (400, 401, 403, 421, 429, 503)
_WITH_BODY: Final = (413, 415, 422)
_LATER: Final = (429, 503)
_MEANING: Final = {
    400: "请求格式有误 / The request cannot be read.",
    401: "缺少有效令牌 / No valid bearer token.",
    403: "令牌没有所需权限 / The token lacks the permission.",
    404: "不存在或已不保存 / There is none, or it is not kept any more.",
    409: "已是如此,或刚被他人改动 / It is so already, or somebody else has just changed it.",
    413: "正文过大 / The body is too large.",
    415: "正文类型不对 / The body is of another type.",
    421: "不服务此主机名 (serve.hosts) / This host name is not served.",
    422: "内容有误 / What it asks for is wrong.",
    429: "超过令牌限额,见 Retry-After / The token asks too much; see Retry-After.",
    503: "暂不可用;筛查请求应放行 / Unavailable for now; let a call that was to be screened pass.",
}
_STRUCTS: Final = tuple(it for it in vars(bodies).values() if isinstance(it, type) and issubclass(it, msgspec.Struct))
_REF: Final = "#/components/schemas/{name}"


def document(routes: Sequence[HTTPRouteHandler], version: str) -> dict[str, Any]:
    """The document of these routes; `version` is Hutong's."""
    config = OpenAPIConfig(
        title="Hutong 护通",
        version=version,
        description=_DESCRIPTION,
        tags=[Tag(name, description) for name, description in _TAGS],
        security=[{"bearer": []}],
        components=Components(
            security_schemes={
                "bearer": SecurityScheme(type="http", scheme="bearer", description="控制台生成 / from the console")
            }
        ),
        render_plugins=[],
    )
    app = Litestar(route_handlers=list(routes), openapi_config=config, logging_config=None)
    schema: dict[str, Any] = app.openapi_schema.to_schema()
    _use_own_types(schema)
    by_id = {handler.operation_id: handler for handler in routes}
    for path in schema["paths"].values():
        for operation in path.values():
            if isinstance(operation, dict) and "operationId" in operation:
                _complete(operation, by_id[operation["operationId"]])
    _describe_screening(schema["paths"]["/v1/calls/screen"]["post"])
    _describe_import(schema["paths"]["/v1/lists/import"]["post"])
    return schema


def _use_own_types(schema: dict[str, Any]) -> None:
    """What `bodies` says of its types, which is more than their annotations alone."""
    _, components = msgspec.json.schema_components(_STRUCTS, ref_template=_REF)
    schemas = schema.setdefault("components", {}).setdefault("schemas", {})
    schemas.clear()
    schemas.update(components)
    schemas["ScreenedCalls"]["properties"]["calls"]["items"] = {"anyOf": [_ref("Screened"), _ref("Unscreened")]}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _REF.format(name=name)}


def _complete(operation: dict[str, Any], handler: HTTPRouteHandler) -> None:
    """Name the permission and every problem that may come back."""
    permission = permission_of(handler)
    needs = f"需要权限 `{permission}` / Needs the permission `{permission}`"
    operation["description"] = "\n\n".join(filter(None, (operation.get("description"), needs)))
    answers = operation["responses"]
    codes = {*_OFTEN, *handler.opt.get("problems", ()), *(_WITH_BODY if "requestBody" in operation else ())}
    answers |= {str(code): _problem(code) for code in sorted(codes)}
    for code, answer in answers.items():
        if int(code) not in _MEANING:
            answer["description"] = HTTPStatus(int(code)).phrase
            answer.pop("headers", None)


def _problem(code: int) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": _MEANING[code],
        "content": {PROBLEM_JSON: {"schema": _ref("Problem")}},
    }
    if code in _LATER:
        answer["headers"] = {"Retry-After": {"description": "秒 / seconds", "schema": {"type": "integer"}}}
    return answer


def _describe_screening(operation: dict[str, Any]) -> None:
    """One call or several: two bodies and two answers."""
    call = {
        "call_id": "a84b4c76e66710@gw1",
        "caller": "+8613800138000",
        "callee": "02161230000",
        "source": "198.51.100.7",
    }
    operation["requestBody"] = {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"oneOf": [_ref("Call"), _ref("Calls")]},
                "examples": {"one": {"value": call}, "several": {"value": {"calls": [call]}}},
            }
        },
    }
    operation["responses"]["200"]["content"] = {
        "application/json": {"schema": {"anyOf": [_ref("Screened"), _ref("ScreenedCalls")]}}
    }
    operation["responses"] |= {str(code): _problem(code) for code in _WITH_BODY}


def _describe_import(operation: dict[str, Any]) -> None:
    operation["requestBody"] = {
        "required": True,
        "content": {
            "text/csv": {
                "schema": {"type": "string"},
                "example": "target,reason,list,expires\n13700001111,complaint 881,block,2027-03-01T00:00:00+08:00\n",
            }
        },
    }
    operation["responses"] |= {str(code): _problem(code) for code in _WITH_BODY}
