"""Codes by hand, families and keys, for programs: `/v1/personal-codes`."""

from __future__ import annotations

from datetime import date
from functools import partial
from typing import TYPE_CHECKING

from litestar import get, post
from litestar.params import JSONBody  # noqa: TC002  # Litestar reads the annotation

from hutong.codes.console.api_shared import BODY, REFUSALS, Id, done, paper_of
from hutong.codes.console.bodies import (
    CodesRevoked,
    KeyStates,
    KeyTold,
    LinkEnd,
    LinkList,
    LinkTold,
    NewLink,
    NewPaperCode,
    PaperCodeTold,
    PersonalDocument,
    Revocation,
)
from hutong.codes.console.issue_pages import ISSUE, KEYS, REVOKE, next_rotation
from hutong.codes.people.errors import PersonRefused
from hutong.kernel.reporter import rfc3339_ms, rfc3339_or_none
from hutong.kernel.web.api.desk import AnyRequest, Desk, Purpose, operation, read_purpose

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.codes.console.desk import StaffDesk
    from hutong.codes.people.family import Link

TAG = ("personal-codes", "发码与家人 / Codes by hand, families, keys")
_PURPOSE = (
    "用途写在 Hutong-Purpose 头中,记入操作记录。\n\nThe purpose is in the header Hutong-Purpose, and on the trail."
)


def routes(staff: StaffDesk, desk: Desk) -> list[HTTPRouteHandler]:
    """`/v1/personal-codes`."""
    return [*_issuing(staff, desk), *_family(staff, desk), _keys(staff, desk)]


def _issuing(staff: StaffDesk, desk: Desk) -> list[HTTPRouteHandler]:
    declared = partial(operation, desk, TAG[0])

    @post(
        "/v1/personal-codes/paper",
        **declared(ISSUE, "codes.paper", "issuePaperCode", "纸质码 / Issue a paper code", *REFUSALS),
        request_max_body_size=BODY,
        description=_PURPOSE,
    )
    def paper(request: AnyRequest, data: JSONBody[NewPaperCode], purpose: Purpose = "") -> PaperCodeTold:
        said = paper_of(data.person), data.name, read_purpose(purpose)

        def issued() -> PaperCodeTold:
            code = staff.issue_paper(*said, request.user, desk.now_ms())
            return PaperCodeTold(code.text, code.handle, code.who, rfc3339_ms(code.until_ms))

        return done(issued)

    @post(
        "/v1/personal-codes/revoke",
        **declared(REVOKE, "codes.revoke", "revokeCodes", "注销码 / Revoke codes", *REFUSALS),
        status_code=200,
        request_max_body_size=BODY,
        description=_PURPOSE,
    )
    def revoke(request: AnyRequest, data: JSONBody[Revocation], purpose: Purpose = "") -> CodesRevoked:
        why = read_purpose(purpose)

        def revoked() -> CodesRevoked:
            if bool(data.handle) == (data.person is not None):
                raise PersonRefused("document", "Name a person or a handle.", where="person")
            person = None if data.person is None else paper_of(data.person)
            return CodesRevoked(staff.revoke(person, data.handle, why, request.user, desk.now_ms()))

        return done(revoked)

    return [paper, revoke]


def _link(it: Link, cares: bool | None = None, other: str = "") -> LinkTold:  # noqa: FBT001  # a fact among others
    return LinkTold(it.id, it.kind, it.proof, rfc3339_ms(it.begins_ms), rfc3339_ms(it.ends_ms), cares, other)


def _family(staff: StaffDesk, desk: Desk) -> list[HTTPRouteHandler]:
    declared = partial(operation, desk, TAG[0], ISSUE)

    @post(
        "/v1/personal-codes/family",
        **declared("codes.family", "readFamily", "某人的代亮码关系 / Somebody's links", *REFUSALS),
        status_code=200,
        request_max_body_size=BODY,
        description=_PURPOSE,
    )
    def family(request: AnyRequest, data: JSONBody[PersonalDocument], purpose: Purpose = "") -> LinkList:
        said = paper_of(data), read_purpose(purpose)

        def found() -> LinkList:
            who, links = staff.relatives(*said, request.user, desk.now_ms())
            return LinkList(who, [_link(it.link, it.cares, it.other) for it in links])

        return done(found)

    @post(
        "/v1/personal-codes/family/link",
        **declared("codes.link", "linkFamily", "建立代亮码关系 / Make a link", *REFUSALS),
        request_max_body_size=BODY,
    )
    def link(request: AnyRequest, data: JSONBody[NewLink]) -> LinkTold:
        def made() -> LinkTold:
            pair, born = (paper_of(data.guardian), paper_of(data.ward)), _born(data.born)
            now_ms, viewer = desk.now_ms(), request.user
            return _link(staff.link(*pair, data.kind, data.proof, data.days, born, viewer, now_ms))

        return done(made)

    @post(
        "/v1/personal-codes/family/{link:str}/unlink",
        **declared("codes.unlink", "unlinkFamily", "解除代亮码关系 / End a link", *REFUSALS),
        status_code=200,
        request_max_body_size=BODY,
    )
    def unlink(request: AnyRequest, link: Id, data: JSONBody[LinkEnd]) -> LinkTold:
        guardian, now_ms = data.by == "guardian", desk.now_ms()
        return done(lambda: _link(staff.unlink(link, by_guardian=guardian, viewer=request.user, now_ms=now_ms)))

    return [family, link, unlink]


def _born(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise PersonRefused("family", "This is no birthday.", where="born") from None


def _keys(staff: StaffDesk, desk: Desk) -> HTTPRouteHandler:
    @get(
        "/v1/personal-codes/keys",
        **operation(desk, TAG[0], KEYS, "codes.keys", "readCodeKeys", "签名密钥的状态 / How signing keys stand"),
    )
    def keys() -> KeyStates:
        def read() -> KeyStates:
            now_ms = desk.now_ms()
            terms, (days, overdue) = staff.keys(now_ms), staff.days_of_keys(now_ms)
            told = []
            for it in terms:
                times = (rfc3339_ms(ms) for ms in (it.record.begins_ms, it.signs_until_ms, it.kept_until_ms))
                told.append(KeyTold(it.public().kid.hex(), it.record.algorithm, it.state, *times))
            coming = next((it.record.begins_ms for it in terms if it.state == "next"), None) or next_rotation(terms)
            return KeyStates(told, rfc3339_or_none(coming), days, overdue)

        return done(read)

    return keys
