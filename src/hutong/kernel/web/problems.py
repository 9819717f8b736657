"""Errors as their askers understand them: problem+json (RFC 9457) for programs, a page with a way on for people."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException, ValidationException

from hutong.kernel.records import RecordsError
from hutong.kernel.web.texts import choose_language

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from litestar.types import ExceptionHandlersMap

    from hutong.kernel.web.frame import Frame

PROBLEM_JSON = "application/problem+json"
_INTERNAL = 500
_UNAVAILABLE = 503
_FOR_MACHINES = frozenset({"/metrics", "/healthz", "/readyz"})


class Problem(HTTPException):
    """An error of the API.

    Args:
        status: HTTP status.
        type_: names the kind of problem, `/problems/…`; "" where the status says all ("about:blank").
        title: the kind, in a few words; always the same for one type.
        detail: what is wrong with this request, and what to do.
        headers: to send along, such as Retry-After.
        more: further members of the object.
    """

    def __init__(
        self,
        status: int,
        type_: str,
        title: str,
        detail: str = "",
        *,
        headers: dict[str, str] | None = None,
        **more: object,
    ) -> None:
        super().__init__(detail=detail or title, status_code=status, headers=headers)
        self.type = type_ or "about:blank"
        self.title = title
        self.more = more


class ToldError(HTTPException):
    """An error that pages tell in their reader's language.

    Args:
        status: HTTP status.
        detail: for programs.
        why: `failure.<why>` is the text for people.
    """

    def __init__(self, status: int, detail: str, why: str) -> None:
        super().__init__(detail=detail, status_code=status)
        self.why = why


def problem_response(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """An error as problem+json. What went wrong inside is not told outside."""
    status = status_of(error)
    members: dict[str, object] = {
        "type": "about:blank",
        "title": phrase(status),
        "status": status,
        "instance": request.scope["path"],
    }
    if isinstance(error, Problem):
        members |= {"type": error.type, "title": error.title, **error.more}
    # A `Problem` was written for whoever asked, whatever its status; other failures inside are not told outside.
    if isinstance(error, Problem) or (isinstance(error, HTTPException) and status < _INTERNAL):
        members["detail"] = error.detail
    if isinstance(error, ValidationException) and isinstance(error.extra, list):
        members["errors"] = error.extra
    headers = {"Cache-Control": "no-store", **((error.headers or {}) if isinstance(error, HTTPException) else {})}
    return Response(msgspec.json.encode(members), status_code=status, headers=headers, media_type=PROBLEM_JSON)


def status_of(error: Exception) -> int:
    """The status for an error. Records that cannot be reached are nobody's mistake, and may be back in a moment."""
    if isinstance(error, HTTPException):
        return error.status_code
    return _UNAVAILABLE if isinstance(error, RecordsError) else _INTERNAL


def phrase(status: int) -> str:
    """The name of a status; RFC 9110's, or "Error" for one that has none."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def is_for_programs(path: str) -> bool:
    """Whether a path is the API's, where errors are problem+json and cookies do not count."""
    return path == "/v1" or path.startswith("/v1/")


def error_handlers(page: Callable[[Request[Any, Any, Any], Exception], Response[Any]]) -> ExceptionHandlersMap:
    """For `Litestar(exception_handlers=…)`: problem+json for programs, pages for people.

    Args:
        page: makes a page of an error (`Console.failure`).
    """

    def handle(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        if _wants_page(request.scope["path"], request.headers):
            return page(request, error)
        return problem_response(request, error)

    return {HTTPException: handle, Exception: handle}


def public_page(frame: Frame) -> Callable[[Request[Any, Any, Any], Exception], Response[Any]]:
    """For `error_handlers` of a port that is open to all: no console to lead back to, nothing told of the inside."""

    def page(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        status = status_of(error)
        missing = status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}
        failure = "missing" if missing else "asked" if status < _INTERNAL else "inside"
        language = choose_language(request.query_params.get("lang"), request.headers.get("accept-language", ""))
        text = frame.render("public_failure.html", language, failure=failure, code=status)
        headers = {"Cache-Control": "no-store", "Content-Language": language, "Vary": "Accept-Language, Accept"}
        headers |= (error.headers or {}) if isinstance(error, HTTPException) else {}
        return Response(text, status_code=status, headers=headers, media_type=MediaType.HTML)

    return page


def _wants_page(path: str, headers: Mapping[str, str]) -> bool:
    """Who would read a page: browsers name text/html; who names nothing may be a person's plain tool."""
    if is_for_programs(path) or path in _FOR_MACHINES:
        return False
    accept = headers.get("accept", "*/*")
    return "text/html" in accept or accept == "*/*" or "hx-request" in headers
