"""`/cases/{case}`: one case with its whole story, its deadlines, and what this person may do with it now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath  # noqa: TC002  # Litestar reads the annotations

from hutong.kernel.cases.errors import CaseRefused
from hutong.kernel.cases.machine import possible
from hutong.kernel.cases.model import Proof, ProofKind
from hutong.kernel.cases.pages.desk import AnyRequest, CaseDesk, new_key, worked
from hutong.kernel.cases.purview import actor_of
from hutong.kernel.cases.table import ASKED, MOVES, STATE_TITLES
from hutong.kernel.cases.types import term
from hutong.kernel.reporter import masked
from hutong.kernel.web.guard import requires
from hutong.kernel.web.unmasking import PURPOSES, Form, Unmasking, put_on_trail, read_form

if TYPE_CHECKING:
    from collections.abc import Mapping

    from litestar.handlers import HTTPRouteHandler

    from hutong.kernel.cases.attachments import Attachment
    from hutong.kernel.cases.model import Action, Case, CaseEvent
    from hutong.kernel.cases.types import CaseType

_UNFIT: Final = 422
_CONFLICT: Final = 409
_FULL: Final = 1000
_MINUTE_S: Final = 60
#: Actions whose form may bring proofs.
PROVEN: Final[frozenset[Action]] = frozenset({"act", "verify", "close"})
#: These come first in the page.
_STEPS: Final[tuple[Action, ...]] = ("assign", "accept", "act", "verify", "close", "countersign", "decline", "end-risk")


class Offer(msgspec.Struct, frozen=True):
    """An action that somebody may do now. `proofs`: kinds that it must bring. `why_not`: what keeps this person."""

    action: Action
    title: str
    reason: bool
    proofs: tuple[ProofKind, ...]
    countersign: bool
    why_not: str = ""


class Told(msgspec.Struct, frozen=True):
    """An event as the page tells it. `new`: it came after the version that the form's sender saw."""

    event: CaseEvent
    action: str
    reason: str
    state: str
    new: bool
    unit: str
    owner: str
    proofs: tuple[tuple[Proof, str, str], ...]
    fields: tuple[tuple[str, str], ...]
    others: tuple[str, ...]
    attachment: Attachment | None


class Bar(msgspec.Struct, frozen=True):
    """A deadline: its text's name, its end, how much of it is over (0 to 1000), and what is left.

    `days`, `hours`: of working time where `works`, else by the clock; of lateness where `late`.
    """

    name: str
    due_ms: int
    over: int
    late: bool
    works: bool
    seconds: int
    days: int
    hours: int


class Try(msgspec.Struct, frozen=True):
    """A form that was sent and not accepted: what was typed, why it was refused, which version its sender saw."""

    action: str = ""
    typed: Mapping[str, list[str]] = {}
    trouble: str = ""
    seen: int = 0
    status: int = 200

    def said(self, name: str, at: int = 0) -> str:
        """What was typed into the field of that name, or the one after it; empty where nothing was."""
        values = self.typed.get(name, [])
        return values[at] if at < len(values) else ""


def offers(desk: CaseDesk, request: AnyRequest, case: Case, kind: CaseType) -> list[Offer]:
    """What a person may do with a case as it is, steps of its path first; also what somebody else must do."""
    language, actor = desk.console.language(request), actor_of(request.user)
    found = []
    for action in sorted(ASKED, key=lambda it: _STEPS.index(it) if it in _STEPS else len(_STEPS)):
        move, spec = MOVES[action], kind.action(action)
        why = possible(kind, case, action, actor, desk.cases.calendar)
        if why not in {None, "same-person", "not-yours"} or not request.user.can(move.who):
            continue
        title = move.zh if language == "zh" else move.en
        words = desk.console.say(request, f"cases.refused.{why}") if why else ""
        found.append(Offer(action, title, move.reason, spec.proof, spec.countersign, words))
    return found


def show(
    desk: CaseDesk, request: AnyRequest, case: Case, tried: Try | None = None, said: Unmasking | None = None
) -> Response[str]:
    """The page of a case.

    Args:
        tried: a form that was refused; it is shown again with what was typed.
        said: a stated purpose: without trouble, the page is whole.
    """
    tried = tried or Try()
    whole = said is not None and not said.trouble
    kind = desk.cases.types.by_id.get(case.type)
    events = desk.seen(request).events(case.id)
    known = {it: desk.attachments.about(it) for it in case.attachments}
    told = [_told(desk, request, case, kind, it, known, tried.seen, whole=whole) for it in events]
    status = _UNFIT if said is not None and said.trouble else tried.status
    return desk.console.page(
        request,
        "cases_one.html",
        status=status,
        card=desk.card(request, case, whole=whole),
        case=case,
        kind=kind,
        fields=desk.field_rows(request, case, kind, whole=whole),
        source=masked(case.source),
        source_link=desk.link(request.user, case.source),
        proofs=[(it, masked(it.ref), desk.link(request.user, it.ref)) for it in case.proofs],
        attachments=list(known.values()),
        bars=_bars(desk, case, kind),
        offers=[] if kind is None else offers(desk, request, case, kind),
        told=told[::-1],
        tried=tried,
        typed=tried.said,
        key=new_key(request),
        units=desk.units(request),
        owners=desk.owners(request),
        proven=PROVEN,
        family=_family(desk, request, case),
        whole=whole,
        hides=_hides(case, events),
        said=said or Unmasking(),
        purposes=PURPOSES,
        beyond=[it for it in desk.beyond if request.user.can(it.permission)],
        done=request.query_params.get("done", "") if tried.status == 200 else "",  # noqa: PLR2004  # HTTP's
        moves=MOVES,
        masked=masked,
    )


def _hides(case: Case, events: list[CaseEvent]) -> bool:
    texts = [
        case.title,
        case.source,
        *map(str, case.fields.values()),
        *(str(it.said.get("reason", "")) for it in events),
    ]
    return any(masked(text) != text for text in texts)


def _family(desk: CaseDesk, request: AnyRequest, case: Case) -> list[tuple[str, Any]]:
    """The whole, the parts, and what it was merged into, as far as the viewer may see them."""
    found = []
    for name, ids in (("parent", [case.parent]), ("into", [case.into]), ("part", case.children)):
        for of in ids:
            if not of:
                continue
            try:
                found.append((name, desk.card(request, desk.seen(request).case(of))))
            except CaseRefused:
                continue
    return found


def _bars(desk: CaseDesk, case: Case, kind: CaseType | None) -> list[Bar]:
    """Deadlines that run: of the present state and of the whole; of an accepted risk its term."""
    if not case.is_open:
        return []
    if case.state == "risk":
        return [_bar(desk, "risk", case.changed_ms, case.risk_until_ms, works=False)]
    works = kind is not None and term(kind.deadline).unit in {"wh", "wd"}
    found = [_bar(desk, "step", case.changed_ms, case.step_due_ms, works=works)] if case.step_due_ms else []
    return [*found, _bar(desk, "all", case.found_ms, case.due_ms, works=works)]


def _bar(desk: CaseDesk, name: str, begin_ms: int, due_ms: int, *, works: bool) -> Bar:
    now_ms = desk.console.now_ms()

    def between(start: int, end: int) -> int:
        return desk.cases.calendar.working_ms(start, end) if works else max(end - start, 0)

    total, gone = between(begin_ms, due_ms), between(begin_ms, now_ms)
    late = now_ms >= due_ms
    seconds = (between(due_ms, now_ms) if late else between(now_ms, due_ms)) // 1000
    if seconds < _MINUTE_S:  # late on a day off
        seconds, works = abs(due_ms - now_ms) // 1000, False
    days, hours = worked(seconds)
    over = _FULL if late else min(gone * _FULL // max(total, 1), _FULL)
    return Bar(name, due_ms, over, late, works, seconds, days, hours)


def _told(  # what an event is told with
    desk: CaseDesk,
    request: AnyRequest,
    case: Case,
    kind: CaseType | None,
    event: CaseEvent,
    files: Mapping[str, Attachment],
    seen: int,
    *,
    whole: bool,
) -> Told:
    language, said, changes = desk.console.language(request), event.said, event.changes
    move = MOVES.get(event.action)
    title = desk.console.say(request, "cases.found") if move is None else move.zh if language == "zh" else move.en
    proofs = msgspec.convert(said.get("proofs", ()), tuple[Proof, ...])
    reason = str(said.get("reason", ""))
    state = changes.get("state", "")
    amended = said.get("fields", {}) if event.action == "amend" else {}
    specs = {} if kind is None else kind.by_name
    return Told(
        event=event,
        action=title,
        reason=reason if whole else masked(reason),
        state=STATE_TITLES[state][language] if state else "",
        new=0 < seen < event.seq,
        unit=str(changes.get("unit", "")),
        owner=str(changes.get("owner", "")),
        proofs=tuple((it, it.ref if whole else masked(it.ref), desk.link(request.user, it.ref)) for it in proofs),
        fields=tuple(
            (getattr(specs[name].title, language) if name in specs else name, str(it) if whole else masked(str(it)))
            for name, it in amended.items()
        ),
        others=tuple(it for it in (str(said.get("into", "")), *changes.get("children", ())) if it and it != case.id),
        attachment=files.get(str(said.get("attachment", ""))),
    )


def _download(desk: CaseDesk, request: AnyRequest, case: Case, sha256: str) -> Response[bytes]:
    """A file of a case: always a download, of the type that its bytes told, and on the trail."""
    if sha256 not in case.attachments:
        raise NotFoundException
    about, viewer = desk.attachments.about(sha256), request.user
    content = desk.attachments.read(sha256)
    desk.trail.record(
        viewer.name, viewer.address, "cases.download", case.id, after={"sha256": sha256}, now_ms=desk.console.now_ms()
    )
    ending = {"text/plain": "txt", "application/vnd.tcpdump.pcap": "pcap", "audio/mpeg": "mp3"}
    name = f"{case.id}-{sha256[:8]}.{ending.get(about.media, about.media.rpartition('/')[2])}"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    return Response(content, headers=headers, media_type=about.media)


def routes(desk: CaseDesk) -> list[HTTPRouteHandler]:
    """`/cases/{case}`: GET shows it masked, POST to `/whole` whole; `/cases/{case}/files/{sha256}`."""

    @get("/cases/{case:str}", sync_to_thread=True, opt=requires("cases.read"))
    def one(request: AnyRequest, case: FromPath[str]) -> Response[str]:
        return show(desk, request, desk.case(request, case))

    @post("/cases/{case:str}/whole", status_code=200, sync_to_thread=True, opt=requires("cases.unmask"))
    def whole(request: AnyRequest, case: FromPath[str], data: Form) -> Response[str]:
        found, said = desk.case(request, case), read_form(data)
        if not said.trouble:
            put_on_trail(desk, request, said, f"cases/{found.id}", case=found.id)
        return show(desk, request, found, said=said)

    @get("/cases/{case:str}/files/{sha256:str}", sync_to_thread=True, opt=requires("cases.read"))
    def file(request: AnyRequest, case: FromPath[str], sha256: FromPath[str]) -> Response[bytes]:
        return _download(desk, request, desk.case(request, case), sha256)

    return [one, whole, file]
