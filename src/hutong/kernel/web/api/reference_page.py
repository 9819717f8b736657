"""/v1/docs: the document as a page for people, in Hutong's own frame; no script, nothing from elsewhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from litestar import MediaType, Request, Response, get

from hutong.kernel.web.api.document import PATH
from hutong.kernel.web.guard import OPEN
from hutong.kernel.web.texts import LANGUAGES, choose_language

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.kernel.web.frame import Frame

_METHODS = ("get", "post", "put", "delete")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


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


def said(text: str, language: str) -> str:
    """The reader's half of "中文 / English"; all of a text that is not written so."""
    zh, between, en = text.partition(" / ")
    if not between or not _CHINESE.search(zh) or _CHINESE.search(en):
        return text
    return zh if language == "zh" else en


def told(text: str, language: str) -> list[list[tuple[str, bool]]]:
    """The paragraphs of a description in the reader's language, as `paragraphs`."""
    parts = [said(part, language) for part in text.strip().split("\n\n")]
    own = [part for part in parts if bool(_CHINESE.search(part)) == (language == "zh")]
    return paragraphs("\n\n".join(own or parts))


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


def fields_of(schema: dict[str, Any], language: str) -> list[Field]:
    """The members of an object."""
    required = set(schema.get("required", ()))
    return [
        Field(name, kind_of(member), name in required, said(str(member.get("description", "")), language))
        for name, member in schema.get("properties", {}).items()
    ]


def _names(content: dict[str, Any]) -> list[str]:
    """Names of the types in a body's content."""
    found = []
    for media in content.values():
        schema = media.get("schema", {})
        found += [kind_of(one) for one in schema.get("oneOf", schema.get("anyOf", [schema]))]
    return found


class Page(NamedTuple):
    """What the page shows in one language. Types are (name, description, members)."""

    about: list[list[tuple[str, bool]]]
    sections: list[Section]
    types: list[tuple[str, str, list[Field]]]


def page_of(document: dict[str, Any], language: str) -> Page:
    """The document for people."""
    schemas = document["components"]["schemas"]
    by_tag: dict[str, list[Operation]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if method in methods:
                it = methods[method]
                by_tag[it["tags"][0]].append(_operation(method, path, it, schemas, language))
    titles = {tag["name"]: said(tag["description"], language) for tag in document["tags"]}
    types = [
        (name, said(str(it.get("description", "")), language), fields_of(it, language))
        for name, it in sorted(schemas.items())
    ]
    found = [Section(titles[name], operations) for name, operations in by_tag.items()]
    return Page(told(document["info"]["description"], language), found, types)


def _operation(method: str, path: str, it: dict[str, Any], schemas: dict[str, Any], language: str) -> Operation:
    bodies = [
        (name, fields_of(schemas[name], language) if name in schemas else [])
        for name in _names(it.get("requestBody", {}).get("content", {}))
    ]
    return Operation(
        method=method.upper(),
        path=path,
        summary=said(it.get("summary", ""), language),
        paragraphs=told(it.get("description", ""), language),
        parameters=[
            Field(
                one["name"],
                kind_of(one["schema"]),
                one.get("required", False),
                said(str(one.get("description", "")), language),
            )
            for one in it.get("parameters", ())
        ],
        bodies=bodies,
        answers=[
            (code, said(answer["description"], language), _names(answer.get("content", {})))
            for code, answer in it["responses"].items()
        ],
    )


def reference_routes(document: dict[str, Any], body: bytes, frame: Frame) -> list[HTTPRouteHandler]:
    """The document, and the page made of it. Both are open: they name no number and no person."""
    pages = {language: page_of(document, language) for language in LANGUAGES}

    @get(PATH, opt=OPEN, sync_to_thread=False, include_in_schema=False)
    def openapi() -> Response[bytes]:
        """The document."""
        return Response(body, media_type="application/json", headers={"Cache-Control": "no-cache"})

    @get("/v1/docs", opt=OPEN, sync_to_thread=False, include_in_schema=False)
    def docs(request: Request[Any, Any, Any]) -> Response[str]:
        """The page."""
        language = choose_language(request.query_params.get("lang"), request.headers.get("accept-language", ""))
        text = frame.render("api_reference.html", language, page=pages[language], document_path=PATH)
        headers = {"Cache-Control": "no-cache", "Content-Language": language, "Vary": "Accept-Language"}
        return Response(text, media_type=MediaType.HTML, headers=headers)

    return [openapi, docs]
