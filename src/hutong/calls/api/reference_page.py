"""/v1/docs: the document as a page for people, in Hutong's own frame; no script, nothing from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from litestar import MediaType, Request, Response, get

from hutong.calls.api.document import PATH
from hutong.kernel.web.guard import OPEN
from hutong.kernel.web.texts import choose_language

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.kernel.web.frame import Frame

_METHODS = ("get", "post", "put", "delete")


class Field(NamedTuple):
    """A parameter or a member of a body."""

    name: str
    kind: str
    required: bool
    description: str


class Operation(NamedTuple):
    """One route and method. Paragraphs are rows of (text, is code)."""

    method: str
    path: str
    summary: str
    paragraphs: list[list[tuple[str, bool]]]
    parameters: list[Field]
    bodies: list[tuple[str, list[Field]]]
    answers: list[tuple[str, str, list[str]]]


class Section(NamedTuple):
    """The operations of one tag."""

    title: str
    operations: list[Operation]


def paragraphs(text: str) -> list[list[tuple[str, bool]]]:
    """Text with `code` in it, as rows of (piece, is code)."""
    return [
        [(piece, at % 2 == 1) for at, piece in enumerate(part.split("`")) if piece]
        for part in text.strip().split("\n\n")
        if part.strip()
    ]


def kind_of(schema: dict[str, Any]) -> str:
    """A schema in a few words: text, integer, list of FiredRule, block | allow."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    for name in ("anyOf", "oneOf"):
        if name in schema:
            return " | ".join(kind_of(one) for one in schema[name])
    if "enum" in schema:
        return " | ".join(str(value) or '""' for value in schema["enum"])
    if schema.get("type") == "array":
        return f"[{kind_of(schema.get('items', {}))}]"
    return str(schema.get("type", "object"))


def fields_of(schema: dict[str, Any]) -> list[Field]:
    """The members of an object."""
    required = set(schema.get("required", ()))
    return [
        Field(name, kind_of(member), name in required, str(member.get("description", "")))
        for name, member in schema.get("properties", {}).items()
    ]


def _names(content: dict[str, Any]) -> list[str]:
    """Names of the types in a body's content."""
    found = []
    for media in content.values():
        schema = media.get("schema", {})
        found += [kind_of(one) for one in schema.get("oneOf", schema.get("anyOf", [schema]))]
    return found


def sections(document: dict[str, Any]) -> tuple[list[Section], list[tuple[str, str, list[Field]]]]:
    """The operations by tag, and the types: (name, description, members)."""
    schemas = document["components"]["schemas"]
    by_tag: dict[str, list[Operation]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if method in methods:
                it = methods[method]
                by_tag[it["tags"][0]].append(_operation(method, path, it, schemas))
    titles = {tag["name"]: tag["description"] for tag in document["tags"]}
    types = [(name, str(it.get("description", "")), fields_of(it)) for name, it in sorted(schemas.items())]
    return [Section(titles[name], found) for name, found in by_tag.items()], types


def _operation(method: str, path: str, it: dict[str, Any], schemas: dict[str, Any]) -> Operation:
    bodies = [
        (name, fields_of(schemas[name]) if name in schemas else [])
        for name in _names(it.get("requestBody", {}).get("content", {}))
    ]
    return Operation(
        method=method.upper(),
        path=path,
        summary=it.get("summary", ""),
        paragraphs=paragraphs(it.get("description", "")),
        parameters=[
            Field(one["name"], kind_of(one["schema"]), one.get("required", False), str(one.get("description", "")))
            for one in it.get("parameters", ())
        ],
        bodies=bodies,
        answers=[
            (code, answer["description"], _names(answer.get("content", {}))) for code, answer in it["responses"].items()
        ],
    )


def reference_routes(document: dict[str, Any], body: bytes, frame: Frame) -> list[HTTPRouteHandler]:
    """The document, and the page made of it. Both are open: they name no number and no person."""
    shown, types = sections(document)
    about = paragraphs(document["info"]["description"])

    @get(PATH, opt=OPEN, sync_to_thread=False, include_in_schema=False)
    def openapi() -> Response[bytes]:
        """The document."""
        return Response(body, media_type="application/json", headers={"Cache-Control": "no-cache"})

    @get("/v1/docs", opt=OPEN, sync_to_thread=False, include_in_schema=False)
    def docs(request: Request[Any, Any, Any]) -> Response[str]:
        """The page."""
        language = choose_language(request.query_params.get("lang"), request.headers.get("accept-language", ""))
        text = frame.render(
            "api_reference.html", language, sections=shown, types=types, about=about, document_path=PATH
        )
        headers = {"Cache-Control": "no-cache", "Content-Language": language, "Vary": "Accept-Language"}
        return Response(text, media_type=MediaType.HTML, headers=headers)

    return [openapi, docs]
