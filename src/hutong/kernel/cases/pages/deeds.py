"""What forms of a case are sent to: one route for each action of the table, under the table's permission.

A type may ask another permission besides; the machine refuses whoever lacks it. A form carries the version that its
sender saw and a key: sent twice it has one effect, and where somebody was quicker the page shows what they did and
keeps what was typed.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from litestar import Response, post
from litestar.datastructures import FormMultiDict, UploadFile
from litestar.di import NamedDependency, Provide
from litestar.exceptions import NotFoundException
from litestar.params import FromPath  # noqa: TC002  # Litestar reads the annotations

from hutong.kernel.cases.attachments import LARGEST
from hutong.kernel.cases.errors import CaseRefused
from hutong.kernel.cases.fields import read_value
from hutong.kernel.cases.model import PROOF_KINDS, Action, Case, Part, Proof, Request
from hutong.kernel.cases.pages.desk import AnyRequest, CaseDesk, own_key, sent_form, spoken, text_of, texts_of
from hutong.kernel.cases.pages.story import PROVEN, Try, show
from hutong.kernel.cases.purview import actor_of
from hutong.kernel.cases.table import ASKED, MOVES
from hutong.kernel.web.console import see_other
from hutong.kernel.web.guard import requires

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from litestar.handlers import HTTPRouteHandler

    from hutong.kernel.cases.model import CaseEvent, Value
    from hutong.kernel.cases.types import CaseType

_FORM_AROUND: Final = 65_536  # bytes of a form besides its file
_LONGEST_BODY: Final = 65_536
_UNFIT, _CONFLICT, _FORBIDDEN = 422, 409, 403
#: In a proof's reference: the file that comes with the form.
_THIS_FILE: Final = "this-file"
_STATUS: Final = {"changed-meanwhile": _CONFLICT, "not-allowed": _FORBIDDEN}


def read_request(action: Action, form: FormMultiDict, kind: CaseType, zone: ZoneInfo, fresh: str = "") -> Request:
    """What a form asks.

    Args:
        kind: the case's type. zone: in which an end of a term is meant.
        fresh: SHA-256 of the file that came with it.

    Raises:
        CaseRefused: a field does not read.
    """
    return Request(
        action,
        reason=text_of(form, "reason"),
        owner=text_of(form, "owner"),
        unit=text_of(form, "unit"),
        proofs=tuple(_proofs(form, fresh)),
        fields=_fields(form, kind) if action == "amend" else {},
        until_ms=_until(text_of(form, "until"), zone) if action == "accept-risk" else 0,
        parts=tuple(_parts(text_of(form, "parts"))) if action == "split" else (),
        into=text_of(form, "into").rpartition("/")[2],
        attachment=fresh if action == "attach" else "",
    )


def _proofs(form: FormMultiDict, fresh: str) -> list[Proof]:
    kinds, refs = texts_of(form, "proof_kind"), texts_of(form, "proof_ref")
    notes, results = texts_of(form, "proof_note"), texts_of(form, "proof_result")
    found = []
    for kind, ref, note, result in zip(kinds, refs, notes, results, strict=False):
        if kind not in PROOF_KINDS or not (ref or note):
            continue
        found.append(Proof(kind, fresh if ref == _THIS_FILE else ref, note, result != "failed"))
    return found


def _fields(form: FormMultiDict, kind: CaseType) -> dict[str, Value]:
    return {
        spec.name: read_value(spec, text_of(form, f"field_{spec.name}"))
        for spec in kind.fields
        if f"field_{spec.name}" in form and (text_of(form, f"field_{spec.name}") or not spec.required)
    }


def _until(text: str, zone: ZoneInfo) -> int:
    """The end of that day."""
    try:
        day = date.fromisoformat(text) + timedelta(days=1)
    except (ValueError, OverflowError):
        raise CaseRefused("term", "The end of the term is no date.", where="until") from None
    return round(datetime.combine(day, time(), zone).timestamp() * 1000)


def _parts(text: str) -> list[Part]:
    """A line for each part: its title, and after a bar its unit."""
    lines = (line.rpartition("|") if "|" in line else (line, "", "") for line in text.splitlines() if line.strip())
    return [Part(title.strip(), unit=unit.strip()) for title, _, unit in lines]


def _changed(events: Sequence[CaseEvent], version: int, request: Request) -> Request:
    """An amendment holds only what was not so already in the version that was seen: sent twice, it is the same."""
    seen = [it.changes["fields"] for it in events if it.seq <= version and "fields" in it.changes]
    was = seen[-1] if seen else {}
    fields = {name: value for name, value in request.fields.items() if was.get(name, "") != value}
    return Request("amend", request.reason, fields=fields)


def _version(form: FormMultiDict) -> int:
    """The version that the form's sender saw; 0 where it does not say."""
    seen = text_of(form, "version")
    return int(seen) if seen.isascii() and seen.isdigit() and len(seen) < 10 else 0  # noqa: PLR2004  # a count


def _do(desk: CaseDesk, request: AnyRequest, case: Case, action: Action, form: FormMultiDict) -> None:
    """Do what a form asks.

    Raises:
        CaseRefused: says why.
    """
    kind, actor, now_ms = desk.cases.types[case.type], actor_of(request.user), desk.console.now_ms()
    seen, key = _version(form), own_key(request, text_of(form, "key"))
    if not seen:
        raise CaseRefused("changed-meanwhile", "The form does not say which version was seen.")
    cases, zone, file = desk.seen(request), desk.console.zone(request), form.get("file")

    def done(fresh: str = "") -> None:
        version, asked = seen, read_request(action, form, kind, zone, fresh)
        if fresh and action != "attach":
            attached = Request("attach", attachment=fresh)
            version = cases.do(case.id, attached, actor, now_ms, version=version, key=f"{key}:file").version
        if action == "amend":
            asked = _changed(cases.events(case.id), seen, asked)
        cases.do(case.id, asked, actor, now_ms, version=version, key=key)

    if isinstance(file, UploadFile) and file.filename and action in {*PROVEN, "attach"}:
        desk.attachments.keep(cast("BinaryIO", file.file), file.filename, actor.name, now_ms, done)
    else:
        done()


def _sent(desk: CaseDesk, request: AnyRequest, of: str, action: Action, form: FormMultiDict) -> Response[Any]:
    case = desk.case(request, of)
    if case.type not in desk.cases.types.by_id:
        raise NotFoundException
    try:
        _do(desk, request, case, action, form)
    except CaseRefused as refused:
        typed = {name: [it for it in form.getall(name) if isinstance(it, str)] for name in form}
        tried = Try(
            action,
            typed,
            spoken(desk, request, refused),
            seen=_version(form) if refused.reason == "changed-meanwhile" else 0,
            status=_STATUS.get(refused.reason, _UNFIT),
        )
        return show(desk, request, desk.case(request, of), tried)
    return see_other(f"/cases/{case.id}?done={action}")


def _route(desk: CaseDesk, action: Action) -> HTTPRouteHandler:
    with_file = action in {*PROVEN, "attach"}

    @post(
        f"/cases/{{case:str}}/{action}",
        status_code=200,
        sync_to_thread=True,
        opt=requires(MOVES[action].who),
        dependencies={"form": Provide(sent_form)},
        request_max_body_size=(LARGEST if with_file else _LONGEST_BODY) + _FORM_AROUND,
    )
    def do(request: AnyRequest, case: FromPath[str], form: NamedDependency[FormMultiDict]) -> Response[Any]:
        return _sent(desk, request, case, action, form)

    return do


def routes(desk: CaseDesk) -> list[HTTPRouteHandler]:
    """`/cases/{case}/ACTION` for every action that a person may ask."""
    return [_route(desk, action) for action in ASKED]
