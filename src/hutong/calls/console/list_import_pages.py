"""Pages for CSV files: bring one, see what it would do, take it in or give it up.

Belongs here: routes and the trail of imports. Not here: keeping and reading files (`list_import`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from litestar import Response, get, post
from litestar.concurrency import sync_to_thread
from litestar.datastructures import UploadFile
from litestar.exceptions import NotFoundException
from litestar.params import FromPath  # noqa: TC002  # Litestar reads the annotations
from litestar.response import File

from hutong.calls.console.error_words import Said, say_error, say_words
from hutong.calls.console.list_desk import AnyRequest, Form, ListDesk  # noqa: TC001  # Litestar reads the annotations
from hutong.calls.console.list_import import KEPT_S, LARGEST, SHOWN_REFUSED, Import
from hutong.kernel.errors import HutongError
from hutong.kernel.lists.csv_file import COLUMNS, REQUIRED
from hutong.kernel.reporter import masked
from hutong.kernel.web.console import see_other
from hutong.kernel.web.guard import requires

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.kernel.access.viewer import Viewer

LONGEST_TEXT: Final = 500

_MIB = 1024 * 1024
_FORM_AROUND = 65_536  # bytes of a form besides its file
_REFUSED, _TOO_LARGE = 422, 413
_BUSY = ("checking", "applying")


def _start(desk: ListDesk, request: AnyRequest, said: Said | None = None, status: int = _REFUSED) -> Response[str]:
    return desk.console.page(
        request,
        "lists_import.html",
        status=200 if said is None else status,
        trouble=said,
        largest=LARGEST // _MIB,
        columns=COLUMNS,
        required=REQUIRED,
    )


async def _bring(desk: ListDesk, request: AnyRequest) -> Response[Any]:
    """Keep the file; nothing of it counts yet."""
    file = (await request.form()).get("file")
    content = await file.read() if isinstance(file, UploadFile) else b""
    name = file.filename if isinstance(file, UploadFile) else ""
    texts, language = desk.console.frame.texts, desk.language(request)
    if not content:
        return _start(desk, request, Said(texts.say("lists.import.no_file", language), ""))
    if len(content) > LARGEST:
        said = texts.say("lists.import.too_large", language, largest=LARGEST // _MIB)
        return _start(desk, request, Said(said, texts.say("lists.import.too_large_fix", language)), _TOO_LARGE)
    try:
        it = await sync_to_thread(desk.imports.bring, request.user.name, name, content)
    except HutongError as error:
        return _start(desk, request, say_error(texts, error, language))
    return see_other(f"/lists/import/{it.token}")


def _found(desk: ListDesk, request: AnyRequest, token: str) -> Import:
    it = desk.imports.find(token, request.user.name)
    if it is None:
        raise NotFoundException
    return it


def _show(desk: ListDesk, request: AnyRequest, it: Import, said: Said | None = None) -> Response[str]:
    """How the file stands. What is wrong with rows, or with the first line, may quote numbers: they are masked."""
    texts, language = desk.console.frame.texts, desk.language(request)
    refused = desk.imports.refused(it) if it.state not in _BUSY else []
    part = "hx-request" in request.headers
    return desk.console.page(
        request,
        "lists_import_state.html" if part else "lists_import_one.html",
        status=200 if said is None else _REFUSED,
        it=it,
        busy=it.state in _BUSY,
        refused=[(one, say_words(texts, masked(one.what), one.fix, language)) for one in refused],
        shown=SHOWN_REFUSED,
        trouble=say_words(texts, masked(it.trouble.what), it.trouble.fix, language) if it.trouble else said,
        kept_minutes=KEPT_S // 60,
    )


def _confirm(desk: ListDesk, request: AnyRequest, token: str, form: dict[str, str]) -> Response[Any]:
    """Take the file in, or give it up."""
    viewer: Viewer = request.user
    it = _found(desk, request, token)
    if form.get("do") == "give-up":
        desk.imports.give_up(token, viewer.name)
        return see_other("/lists")
    why = form.get("why", "").strip()[:LONGEST_TEXT]
    if not why:
        texts, language = desk.console.frame.texts, desk.language(request)
        return _show(desk, request, it, say_words(texts, "An entry needs its reason.", "", language))
    if it.state == "checked" and it.checked is not None:
        plan = {"file": it.name, "digest": it.digest, "accepted": it.checked.applied, "refused": it.checked.bad}
        desk.record(viewer, "lists.import", target=it.name, after=plan, purpose=why)

        def finished(end: Import) -> None:
            done = {"applied": end.done.applied, "refused": end.done.bad} if end.done else None
            deed = "lists.import_done" if end.state == "done" else "lists.import_failed"
            desk.record(
                viewer,
                deed,
                target=it.name,
                after={"digest": it.digest, **(done or {})},
                purpose=end.trouble.what if end.trouble else why,
            )

        desk.imports.take_in(token, viewer.name, finished)
    return see_other(f"/lists/import/{token}")


def import_routes(desk: ListDesk) -> list[HTTPRouteHandler]:
    """Everything under `/lists/import`."""

    @get("/lists/import", opt=requires("lists.change"), sync_to_thread=False)
    def start(request: AnyRequest) -> Response[str]:
        return _start(desk, request)

    @post(
        "/lists/import",
        opt=requires("lists.change"),
        status_code=200,
        request_max_body_size=LARGEST + _FORM_AROUND,
    )
    async def bring(request: AnyRequest) -> Response[Any]:
        return await _bring(desk, request)

    @get("/lists/import/{token:str}", opt=requires("lists.change"), sync_to_thread=True)
    def show(request: AnyRequest, token: FromPath[str]) -> Response[str]:
        return _show(desk, request, _found(desk, request, token))

    @post("/lists/import/{token:str}", opt=requires("lists.change"), sync_to_thread=True, status_code=200)
    def confirm(request: AnyRequest, token: FromPath[str], data: Form) -> Response[Any]:
        return _confirm(desk, request, token, data)

    @get("/lists/import/{token:str}/refused", opt=requires("lists.change"), sync_to_thread=True)
    def refused(request: AnyRequest, token: FromPath[str]) -> File:
        it = _found(desk, request, token)
        path = desk.imports.refused_file(it)
        if it.state in _BUSY or not path.exists():
            raise NotFoundException
        # Whole, because masked rows could not be repaired; they are the viewer's own, and go to nobody else.
        desk.record(request.user, "lists.refused", target=it.name, after={"digest": it.digest})
        return File(path, filename="refused.csv", media_type="text/csv; charset=utf-8")

    return [start, bring, show, confirm, refused]
