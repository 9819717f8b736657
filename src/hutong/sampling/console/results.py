"""`/sampling/results`: a laboratory's file goes in; what is wrong with which row is shown, and may be downloaded."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from litestar import Response, get, post
from litestar.datastructures import FormMultiDict, UploadFile
from litestar.di import NamedDependency, Provide
from litestar.exceptions import NotFoundException
from litestar.params import FromPath  # noqa: TC002  # Litestar reads the annotations
from litestar.response import Stream  # noqa: TC002  # as above

from hutong.kernel.errors import HutongError
from hutong.kernel.reporter import masked
from hutong.kernel.web.guard import requires
from hutong.kernel.web.tables import export_csv
from hutong.sampling.conflicts import conflict_rules
from hutong.sampling.console.parts import UNFIT, AnyRequest, Parts, actor_of
from hutong.sampling.errors import REASON_TITLES, SamplingError
from hutong.sampling.results_csv import Imported, RowNote

if TYPE_CHECKING:
    from pathlib import Path

    from litestar.handlers import HTTPRouteHandler

    from hutong.sampling.errors import Reason

#: Bytes of a file that is taken in here or in one request of the API; larger ones go by the command line.
LARGEST: Final = 5 * 1024 * 1024
_FORM_AROUND: Final = 65_536
_SHOWN: Final = 200
_KEPT_S: Final = 3600
_TOKEN: Final = re.compile(r"[0-9a-f]{16}")
_notes = msgspec.json.Decoder(list[RowNote])


def words_of(note: RowNote, language: str) -> str:
    """What is said of a row, in a language."""
    if note.taken:
        rule = conflict_rules()[note.reason]
        return rule.zh if language == "zh" else rule.en
    return REASON_TITLES[cast("Reason", note.reason)][language]


async def sent_form(request: AnyRequest) -> FormMultiDict:
    """A form with its file, read before its handler runs in a thread."""
    return await request.form()


def _page(
    parts: Parts,
    request: AnyRequest,
    *,
    trouble: str = "",
    done: Imported | None = None,
    token: str = "",
    lab: str = "",
) -> Response[Any]:
    language = parts.console.language(request)
    notes = done.notes if done is not None else ()
    return parts.page(
        request,
        "sampling_results.html",
        status=UNFIT if trouble else 200,
        trouble=trouble,
        done=done,
        notes=[(it, words_of(it, language), masked(it.what)) for it in notes[:_SHOWN]],
        count=len(notes),
        token=token,
        laboratory=lab,
        largest=LARGEST >> 20,
    )


def _bring(parts: Parts, request: AnyRequest, form: FormMultiDict) -> Response[Any]:
    given = form.get("laboratory", "")
    laboratory = given.strip().lower()[:40] if isinstance(given, str) else ""
    file = form.get("file")
    content = file.file.read(LARGEST + 1) if isinstance(file, UploadFile) else b""
    if not content or len(content) > LARGEST:
        key = "sampling.file_none" if not content else "sampling.file_large"
        return _page(parts, request, trouble=parts.say(request, key, largest=LARGEST >> 20), lab=laboratory)
    name = (file.filename if isinstance(file, UploadFile) else "")[:100] or "results.csv"
    try:
        done = parts.desk.results(content, laboratory, name, actor_of(request.user), parts.console.now_ms())
    except SamplingError as error:
        words = f"{parts.refusal(request, error)}: {masked(error.what)}" if error.where == "file" else ""
        return _page(parts, request, trouble=words or parts.refusal(request, error), lab=laboratory)
    token = _keep(parts, request, done) if done.notes else ""
    return _page(parts, request, done=done, token=token, lab=laboratory)


def _file(parts: Parts, request: AnyRequest, token: str) -> Path:
    """Where what is to be said of a file waits, for this person alone."""
    whose = hashlib.sha256(f"{request.user.name}\n{token}".encode()).hexdigest()
    return parts.imports / f"{whose}.json"


def _purge(parts: Parts) -> None:
    """Delete what has waited for its hour."""
    old_s = parts.console.now_ms() / 1000 - _KEPT_S
    for it in parts.imports.glob("*.json"):
        with suppress(FileNotFoundError):  # another has just deleted it
            if it.stat().st_mtime < old_s:
                it.unlink()


def _keep(parts: Parts, request: AnyRequest, done: Imported) -> str:
    parts.imports.mkdir(mode=0o700, parents=True, exist_ok=True)
    _purge(parts)
    notes = [msgspec.structs.replace(it, what=masked(it.what)) for it in done.notes]
    token = secrets.token_hex(8)
    file = _file(parts, request, token)
    try:
        file.touch(mode=0o600)
        file.write_bytes(msgspec.json.encode(notes))
        os.utime(file, (parts.console.now_ms() / 1000,) * 2)  # its hour is counted by this clock
    except OSError as error:
        raise HutongError(f"What is to be said of the file cannot be kept: {error.strerror}.") from error
    return token


def _download(parts: Parts, request: AnyRequest, token: str) -> Stream:
    _purge(parts)
    try:
        notes = _notes.decode(_file(parts, request, token).read_bytes()) if _TOKEN.fullmatch(token) else None
    except (OSError, msgspec.MsgspecError):
        notes = None
    if notes is None:
        raise NotFoundException
    language = parts.console.language(request)
    names = ("row", "column", "outcome", "why", "what")
    header = [parts.say(request, f"sampling.note.{it}") for it in names]
    outcome = {it: parts.say(request, f"sampling.note.taken_{'yes' if it else 'no'}") for it in (True, False)}
    rows = ([it.row, it.column, outcome[it.taken], words_of(it, language), it.what] for it in notes)
    return export_csv("results-errors", header, rows)


def routes(parts: Parts) -> list[HTTPRouteHandler]:
    """The pages."""

    @get("/sampling/results", opt=requires("sampling.results"), sync_to_thread=True)
    def form(request: AnyRequest) -> Response[Any]:
        _purge(parts)
        return _page(parts, request)

    @post(
        "/sampling/results",
        status_code=200,
        sync_to_thread=True,
        opt=requires("sampling.results"),
        dependencies={"form": Provide(sent_form)},
        request_max_body_size=LARGEST + _FORM_AROUND,
    )
    def bring(request: AnyRequest, form: NamedDependency[FormMultiDict]) -> Response[Any]:
        return _bring(parts, request, form)

    @get("/sampling/results/{token:str}", opt=requires("sampling.results"), sync_to_thread=True)
    def errors(request: AnyRequest, token: FromPath[str]) -> Stream:
        return _download(parts, request, token)

    return [form, bring, errors]
