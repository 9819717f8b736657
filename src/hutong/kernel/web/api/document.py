"""The OpenAPI document of the routes: Litestar's, with bodies as their systems type them and every problem named."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from litestar import Litestar
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme, Tag

from hutong.kernel.web.api.bodies import Problem
from hutong.kernel.web.guard import permission_of
from hutong.kernel.web.problems import PROBLEM_JSON

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

    from litestar.handlers import HTTPRouteHandler

PATH: Final = "/v1/openapi.json"

_DESCRIPTION: Final = """\
护通的程序接口。每个请求带 `Authorization: Bearer 令牌`;令牌在控制台“令牌”页生成,权限不超过其所属账号。\
错误一律为 application/problem+json (RFC 9457)。号码默认掩码;用途写在 Hutong-Purpose 头中,不写入网址。

Hutong for programs. Every request carries `Authorization: Bearer TOKEN`; tokens are made on the console's page of \
tokens and may do at most what their owner may. Errors are application/problem+json (RFC 9457). Numbers are masked \
unless a purpose is given, in the header Hutong-Purpose and never in the address, and recorded.
"""
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
_REF: Final = "#/components/schemas/{name}"


class Section(NamedTuple):
    """What one system brings to the API.

    Attributes:
        tags: names and titles in both languages. bodies: the types of its bodies.
        describe: tells the document what no annotation says, such as a body that is a file.
    """

    tags: Sequence[tuple[str, str]]
    routes: Sequence[HTTPRouteHandler]
    bodies: Sequence[type[msgspec.Struct]]
    describe: Callable[[dict[str, Any]], None] | None = None


def structs_of(bodies: ModuleType) -> list[type[msgspec.Struct]]:
    """The types that a module of bodies declares itself."""
    found = [it for it in vars(bodies).values() if isinstance(it, type) and issubclass(it, msgspec.Struct)]
    return [it for it in found if it.__module__ == bodies.__name__]


def document(sections: Sequence[Section], version: str) -> dict[str, Any]:
    """The document of these routes; `version` is Hutong's."""
    config = OpenAPIConfig(
        title="Hutong 护通",
        version=version,
        description=_DESCRIPTION,
        tags=[Tag(name, description) for section in sections for name, description in section.tags],
        security=[{"bearer": []}],
        components=Components(
            security_schemes={
                "bearer": SecurityScheme(type="http", scheme="bearer", description="控制台生成 / from the console")
            }
        ),
        render_plugins=[],
    )
    routes = [route for section in sections for route in section.routes]
    app = Litestar(route_handlers=routes, openapi_config=config, logging_config=None)
    schema: dict[str, Any] = app.openapi_schema.to_schema()
    _use_own_types(schema, [Problem, *(it for section in sections for it in section.bodies)])
    by_id = {handler.operation_id: handler for handler in routes}
    for path in schema["paths"].values():
        for operation in path.values():
            if isinstance(operation, dict) and "operationId" in operation:
                _complete(operation, by_id[operation["operationId"]])
    for section in sections:
        if section.describe is not None:
            section.describe(schema)
    return schema


def _use_own_types(schema: dict[str, Any], structs: Sequence[type[msgspec.Struct]]) -> None:
    """What the bodies say of their types, which is more than their annotations alone."""
    _, components = msgspec.json.schema_components(structs, ref_template=_REF)
    schemas = schema.setdefault("components", {}).setdefault("schemas", {})
    schemas.clear()
    schemas.update(components)


def ref(name: str) -> dict[str, str]:
    """A reference to the schema of that type."""
    return {"$ref": _REF.format(name=name)}


def describe_body(operation: dict[str, Any], content: dict[str, Any]) -> None:
    """Say what a body is that is read as bytes, and what may be wrong with it.

    Args:
        content: media types and what they hold, as in OpenAPI.
    """
    operation["requestBody"] = {"required": True, "content": content}
    operation["responses"] |= {str(code): _problem(code) for code in _WITH_BODY}


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
        "content": {PROBLEM_JSON: {"schema": ref("Problem")}},
    }
    if code in _LATER:
        answer["headers"] = {"Retry-After": {"description": "秒 / seconds", "schema": {"type": "integer"}}}
    return answer
