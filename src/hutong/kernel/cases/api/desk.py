"""What the routes of cases ask: the cases that somebody sees, and refusals as problems."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hutong.kernel.cases.api.bodies import (
    AttachmentTold,
    CaseAnswer,
    CaseFigures,
    CaseList,
    CaseOutcome,
    CaseOutcomes,
    CaseStory,
    CaseTypeList,
)
from hutong.kernel.cases.api.told import case_told, event_told, row_of, type_told
from hutong.kernel.cases.errors import CaseRefused
from hutong.kernel.cases.model import OPEN_STATES, Finding, Part, Proof, Request
from hutong.kernel.cases.purview import actor_of
from hutong.kernel.cases.query import COUNTED, CaseQuery
from hutong.kernel.cases.registers import Registers
from hutong.kernel.reporter import masked
from hutong.kernel.web.api.desk import answered, read_ms
from hutong.kernel.web.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.kernel.cases.api.bodies import CaseRequest, CaseSearch, CasesRequest, NewCase
    from hutong.kernel.cases.attachments import Attachments
    from hutong.kernel.cases.errors import Reason
    from hutong.kernel.cases.query import Ranged
    from hutong.kernel.cases.store import Answer, Cases
    from hutong.kernel.records import Database
    from hutong.kernel.web.api.desk import AnyRequest, Desk, Result

_STATUS: Final[dict[Reason, int]] = {
    "no-case": 404,
    "no-register": 404,
    "not-allowed": 403,
    "not-yours": 403,
    "same-person": 403,
    "not-from-here": 409,
    "waiting": 409,
    "not-waiting": 409,
    "parts-open": 409,
    "changed-meanwhile": 409,
    "taken": 409,
}
SUFFIXES: Final = {
    "application/pdf": "pdf",
    "image/png": "png",
    "image/jpeg": "jpg",
    "audio/wav": "wav",
    "audio/mpeg": "mp3",
    "application/vnd.tcpdump.pcap": "pcap",
    "text/plain": "txt",
}


class CaseParts(msgspec.Struct, frozen=True):
    """What the API of cases works with.

    Attributes:
        cases: gives them, every one; what somebody sees of them is their purview's business.
        database: open. attachments: the files.
    """

    cases: Callable[[], Cases]
    database: Database
    attachments: Attachments


class CaseDesk:
    """Finds, shows and changes cases for programs; safe for many threads.

    Args:
        parts: see `CaseParts`. desk: limits and the trail.
    """

    def __init__(self, parts: CaseParts, desk: Desk) -> None:
        self._parts, self._desk = parts, desk

    @property
    def _every(self) -> Cases:
        return self._parts.cases()

    def seen(self, request: AnyRequest) -> Cases:
        """The cases of whoever asks."""
        return self._every.seen_by(request.user)

    def registers(self, request: AnyRequest) -> Registers:
        """The registers of whoever asks."""
        return Registers(self._parts.database, self.seen(request))

    def types(self) -> CaseTypeList:
        """Every type."""
        return CaseTypeList([type_told(kind) for kind in self._every.types.by_id.values()])

    def find(self, request: AnyRequest, wanted: CaseSearch) -> CaseList:
        """A page of cases."""
        now_ms = self._desk.now_ms()
        query = CaseQuery(
            states=tuple(wanted.states),
            type=wanted.type,
            owner=wanted.owner,
            unit=wanted.unit,
            register=wanted.register,
            parent=wanted.parent,
            late_ms=now_ms if wanted.late else 0,
            text=wanted.text,
            sort="changed" if wanted.changed or set(wanted.states) - set(OPEN_STATES) else "due",
        )
        if query.asks_digits and request.user.can("cases.unmask"):
            query = msgspec.structs.replace(query, beginnings=True)
            self._desk.record(request, "cases.search", after={"text": wanted.text})
        found, count = self.seen(request).listing(query, wanted.limit, wanted.cursor)
        after = wanted.cursor + len(found)
        more = found and after < min(count, COUNTED)
        return CaseList([row_of(case, now_ms) for case in found], count, after if more else None)

    def figures(self, request: AnyRequest, scope: Ranged, name: str) -> CaseFigures:
        """How many cases of a scope are in each state, and how many of them are late."""
        cases = self.seen(request)
        states = {str(state): count for state, count in cases.figures(scope, name).items()}
        return CaseFigures(states, cases.late(self._desk.now_ms(), scope, name))

    def story(self, request: AnyRequest, of: str, *, unmask: bool, purpose: str) -> CaseStory:
        """A case and its story.

        Raises:
            CaseRefused: there is none. Problem: what `Desk.unmask` raises.
        """
        cases = self.seen(request)
        case, events = cases.case(of), cases.events(of)
        if unmask:
            self._desk.unmask(request, purpose, permission="cases.unmask", target=case.id)
        return CaseStory(case_told(case, whole=unmask), [event_told(it, whole=unmask) for it in events])

    def open(self, request: AnyRequest, new: NewCase, key: str) -> CaseAnswer:
        """Open a case."""
        finding = Finding(new.type, new.title, new.fields, new.priority, source="api", owner=new.owner, unit=new.unit)
        actor = actor_of(request.user)
        return _answer(self.seen(request).find(finding, actor, self._desk.now_ms(), key=own_key(request, key)))

    def do(self, request: AnyRequest, of: str, wanted: CaseRequest, key: str) -> CaseAnswer:
        """Do something with a case.

        Raises:
            Problem: 409, it has another version; says what happened since.
        """
        cases, actor = self.seen(request), actor_of(request.user)
        try:
            done = cases.do(
                of,
                _request(wanted),
                actor,
                self._desk.now_ms(),
                version=wanted.version,
                key=own_key(request, key),
            )
        except CaseRefused as refused:
            if refused.reason != "changed-meanwhile":
                raise
            since = [event_told(it, whole=False) for it in cases.events(of) if it.seq > wanted.version]
            raise problem_of(refused, version=cases.case(of).version, since=msgspec.to_builtins(since)) from refused
        return _answer(done)

    def do_many(self, request: AnyRequest, wanted: CasesRequest, key: str) -> CaseOutcomes:
        """Do the same with several cases."""
        actor, cases = actor_of(request.user), self.seen(request)
        outcomes = cases.do_many(
            wanted.ids, _request(wanted.request), actor, self._desk.now_ms(), key=own_key(request, key)
        )
        return CaseOutcomes(
            [
                CaseOutcome(it.case, None if it.answer is None else _answer(it.answer), it.reason, masked(it.what))
                for it in outcomes
            ]
        )

    def attach(self, request: AnyRequest, of: str, content: bytes, name: str, key: str) -> AttachmentTold:
        """Keep a file and attach it; where that is refused, nothing is kept."""
        cases, actor, now_ms = self.seen(request), actor_of(request.user), self._desk.now_ms()
        if not cases.case(of).is_open:
            raise CaseRefused("not-from-here", "Nothing is attached to a case that is not open.", where=of)

        def attach(sha256: str) -> Answer:
            return cases.do(of, Request("attach", attachment=sha256), actor, now_ms, key=own_key(request, key))

        kept, answer = self._parts.attachments.keep(io.BytesIO(content), name, actor.name, now_ms, attach)
        return AttachmentTold(kept.sha256, kept.media, kept.size, _answer(answer))

    def attachment(self, request: AnyRequest, of: str, sha256: str) -> tuple[bytes, str, str]:
        """The bytes of a file of a case, its type, and a name for it; on the trail first."""
        case = self.seen(request).case(of)
        if sha256 not in case.attachments:
            raise CaseRefused("no-case", "The case has no such attachment.")
        about = self._parts.attachments.about(sha256)
        content = self._parts.attachments.read(sha256)
        self._desk.record(request, "cases.download", target=case.id, after={"sha256": sha256})
        return content, about.media, f"{sha256[:12]}.{SUFFIXES.get(about.media, 'bin')}"


def own_key(request: AnyRequest, key: str) -> str:
    """The key of a request as it is kept: nobody's key stands in another's way."""
    if not key:
        return ""
    return hashlib.blake2b(f"{request.user.name}\0{key}".encode(), digest_size=16).hexdigest()


def told(work: Callable[[], Result]) -> Result:
    """What a desk answers; a refusal as a problem.

    Raises:
        Problem: it was refused, or 503 where a part of the node fails.
    """

    def done() -> Result:
        try:
            return work()
        except CaseRefused as refused:
            raise problem_of(refused) from refused

    return answered(done)


def problem_of(refused: CaseRefused, **more: Any) -> Problem:  # noqa: ANN401  # further members of the object
    """A refusal as a problem; what was sent is repeated with its numbers masked."""
    where = f"{refused.where}: " if refused.where else ""
    detail = masked(f"{where}{refused.what} {refused.fix}".strip())
    status = _STATUS.get(refused.reason, 422)
    return Problem(status, f"/problems/case-{refused.reason}", "The case does not allow it", detail, **more)


def _request(wanted: CaseRequest) -> Request:
    if wanted.action == "attach":
        raise CaseRefused("proof-unknown", "A file is attached by its own route.", where="action")
    return Request(
        action=wanted.action,
        reason=wanted.reason,
        owner=wanted.owner,
        unit=wanted.unit,
        proofs=tuple(Proof(it.kind, it.ref, it.note, it.passed) for it in wanted.proofs),
        fields=wanted.fields,
        until_ms=read_ms(wanted.until, "until", 0),
        parts=tuple(Part(it.title, it.fields, it.unit) for it in wanted.parts),
        into=wanted.into,
    )


def _answer(answer: Answer) -> CaseAnswer:
    return CaseAnswer(answer.case, answer.version, answer.state, list(answer.parts))
