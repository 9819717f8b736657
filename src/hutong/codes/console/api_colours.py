"""Colours for programs: `/v1/colours`. What may be done is decided by the machines; here it gets its HTTP form."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

from litestar import get, post
from litestar.params import JSONBody, QueryParameter

from hutong.codes.console.api_shared import BODY, REFUSALS, Cursor, Id, Limit, done, paper_of
from hutong.codes.console.bodies import (
    ChangeList,
    ChangeTold,
    ColourAppealList,
    ColourAppealStory,
    ColourAppealTold,
    ColourDecision,
    ColourDeed,
    ColourEventTold,
    ColourFigures,
    ColourQuestion,
    ColourRuleList,
    ColourRuleTold,
    ColourTold,
    EvidenceTold,
    NewChange,
)
from hutong.codes.console.desk import is_bound, sees_appeals
from hutong.codes.status.appeals import Correction
from hutong.codes.status.appeals import State as AppealState  # Litestar reads the annotation
from hutong.codes.status.changes import HOUSE, MOVES, Action, State, Wish
from hutong.codes.status.listings import ChangeQuery
from hutong.codes.status.words import tell_evidence
from hutong.kernel.cases.purview import actor_of
from hutong.kernel.reporter import rfc3339_ms, rfc3339_or_none
from hutong.kernel.web.api.desk import AnyRequest, Desk, Purpose, operation, read_purpose

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.codes.console.desk import Explained, StaffDesk
    from hutong.codes.status.appeals import Appeal
    from hutong.codes.status.changes import Change

TAG = ("colours", "码色 / Colours")
_ALL_APPEALS: tuple[AppealState, ...] = ("open", "upheld", "corrected")


def routes(staff: StaffDesk, desk: Desk) -> list[HTTPRouteHandler]:
    """`/v1/colours`."""
    return [*_reading(staff, desk), *_changes(staff, desk), *_appeals(staff, desk)]


def _change(it: Change) -> ChangeTold:
    same = ("id", "colour", "state", "reason", "basis", "document", "term_s", "requested_by", "requested_agency")
    return ChangeTold(
        **{name: getattr(it, name) for name in (*same, "decided_by", "decided_agency", "ended_by", "ended_why")},
        requested=rfc3339_ms(it.requested_ms),
        decided=rfc3339_or_none(it.decided_ms),
        ends=rfc3339_or_none(it.ends_ms),
        ended=rfc3339_or_none(it.ended_ms),
    )


def _appeal(it: Appeal) -> ColourAppealTold:
    times = rfc3339_ms(it.found_ms), rfc3339_ms(it.due_ms), rfc3339_or_none(it.decided_ms)
    return ColourAppealTold(it.id, it.state, it.change, *times, it.who, it.reasons)


def _explained(found: Explained) -> ColourTold:
    it, told = found.standing, found.told
    events = [
        ColourEventTold(one.id, rfc3339_ms(one.at_ms), one.before, one.colour, one.rule, one.commitment)
        for one in found.events
    ]
    times = rfc3339_or_none(it.since_ms), rfc3339_ms(it.until_ms)
    lines, evidence = list(told.lines), list(told.evidence)
    named = found.who, it.colour, it.rule, it.event, it.commitment
    return ColourTold(*named, *times, told.words, lines, evidence, events)


def _reading(staff: StaffDesk, desk: Desk) -> list[HTTPRouteHandler]:
    declared = partial(operation, desk, TAG[0], "codes.read")

    @get("/v1/colours/figures", **declared("colours.figures", "readColourFigures", "各色人数 / People by colour"))
    def figures() -> ColourFigures:
        """最多十分钟前统计 / Counted at most ten minutes ago."""

        def read() -> ColourFigures:
            counts, waiting = staff.listings.colours(desk.now_ms()), staff.status.changes.figures()
            counted = rfc3339_ms(counts.at_ms)
            return ColourFigures(counted, counts.people, waiting["requested"], waiting["in-force"])

        return done(read)

    @get("/v1/colours/rules", **declared("colours.rules", "listColourRules", "码色规则 / Colour rules"))
    def rules() -> ColourRuleList:
        def read() -> ColourRuleList:
            known = staff.status.statuses.rules
            names = ColourRuleTold.__struct_fields__
            told = [ColourRuleTold(*(getattr(it, name) for name in names)) for it in (*known.rules, known.otherwise)]
            return ColourRuleList(known.digest, told)

        return done(read)

    @post(
        "/v1/colours/explain",
        **operation(
            desk, TAG[0], "codes.explain", "colours.explain", "explainColour", "码色与原因 / Why a colour", *REFUSALS
        ),
        status_code=200,
        request_max_body_size=BODY,
        description="用途写在 Hutong-Purpose 头中,记入操作记录。\n\nThe purpose is in the header Hutong-Purpose, and "
        "on the trail.",
    )
    def explain(request: AnyRequest, data: JSONBody[ColourQuestion], purpose: Purpose = "") -> ColourTold:
        said, now_ms = read_purpose(purpose), desk.now_ms()
        asked = paper_of(data.document), said, data.language
        return done(lambda: _explained(staff.explain(*asked, request.user, now_ms)))

    return [figures, rules, explain]


def _changes(staff: StaffDesk, desk: Desk) -> list[HTTPRouteHandler]:
    declared = partial(operation, desk, TAG[0])

    @get(
        "/v1/colours/changes",
        **declared("codes.read", "colours.changes", "listColourChanges", "人工改码 / Changes by hand"),
    )
    def page(
        request: AnyRequest,
        in_state: Annotated[State | None, QueryParameter(name="state", description="状态 / state")] = None,
        limit: Limit = 50,
        cursor: Cursor = "",
    ) -> ChangeList:
        """新的在前;协作单位只见待批准的和本单位参与的 / The latest first; agencies see what waits and their own."""
        viewer = request.user
        query = ChangeQuery((in_state,) if in_state else (), cursor, viewer.agency or HOUSE)
        found = done(lambda: staff.listings.changes(query, limit + 1)) if is_bound(viewer) else []
        return ChangeList([_change(it) for it in found[:limit]], found[limit - 1].id if len(found) > limit else None)

    @get(
        "/v1/colours/changes/{change:str}",
        **declared("codes.read", "colours.change", "readColourChange", "一件改码 / One change", 404),
    )
    def one(request: AnyRequest, change: Id) -> ChangeTold:
        return done(lambda: _change(staff.change(change, request.user)))

    @post(
        "/v1/colours/changes",
        **declared("codes.set", "colours.ask", "requestColourChange", "申请改码 / Ask for a colour", *REFUSALS),
        request_max_body_size=BODY,
    )
    def ask(request: AnyRequest, data: JSONBody[NewChange]) -> ChangeTold:
        """须由另一单位的另一人批准 / Another person of another agency must approve it."""

        def asked() -> ChangeTold:
            names = ("colour", "reason", "basis", "document", "term_s")
            given = {name: getattr(data, name) for name in names}
            wish = Wish(person=staff.person(paper_of(data.person)), **given)
            return _change(staff.status.changes.request(wish, staff.actor(request.user), desk.now_ms()))

        return done(asked)

    def deciding(action: Action) -> HTTPRouteHandler:
        move = MOVES[action]

        @post(
            f"/v1/colours/changes/{{change:str}}/{action}",
            **declared(
                move.who,
                f"colours.{action}",
                f"{action}ColourChange",
                f"{move.zh} / {move.en.capitalize()}",
                *REFUSALS,
            ),
            status_code=200,
            request_max_body_size=BODY,
        )
        def decided(request: AnyRequest, change: Id, data: JSONBody[ColourDeed]) -> ChangeTold:
            def do() -> ChangeTold:
                known, actor = staff.change(change, request.user), staff.actor(request.user)
                return _change(staff.status.changes.do(known.id, action, actor, desk.now_ms(), data.reason))

            return done(do)

        return decided

    return [page, one, ask, *(deciding(action) for action, move in MOVES.items() if move.who and move.sources)]


def _appeals(staff: StaffDesk, desk: Desk) -> list[HTTPRouteHandler]:
    declared = partial(operation, desk, TAG[0], "codes.decide")

    @get("/v1/colours/appeals", **declared("colours.appeals", "listColourAppeals", "码色申诉 / Appeals"))
    def page(
        request: AnyRequest,
        in_state: Annotated[AppealState | None, QueryParameter(name="state", description="状态 / state")] = None,
        limit: Limit = 50,
        cursor: Cursor = "",
    ) -> ColourAppealList:
        """新的在前 / The latest first."""
        states = (in_state,) if in_state else _ALL_APPEALS
        seen = sees_appeals(request.user)
        found = done(lambda: staff.listings.appeals(states, cursor, limit + 1)) if seen else []
        following = found[limit - 1].id if len(found) > limit else None
        return ColourAppealList([_appeal(it) for it in found[:limit]], following)

    @get(
        "/v1/colours/appeals/{appeal:str}",
        **declared("colours.appeal", "readColourAppeal", "一件申诉 / One appeal", 404),
        description="本人陈述与依据;查看记入操作记录。\n\nThe person's words and the evidence; that it was read goes "
        "on the trail.",
    )
    def one(request: AnyRequest, appeal: Id) -> ColourAppealStory:
        def read() -> ColourAppealStory:
            now_ms, it = desk.now_ms(), staff.appeal(appeal, request.user)
            if not it.person:
                return ColourAppealStory(_appeal(it), "", "", [], [])
            staff.tell("codes.appeal_read", it.id, request.user, now_ms)
            kept = staff.status.statuses.evidence(it.person, now_ms)
            evidence = [EvidenceTold(one.id, tell_evidence(one, "zh"), void) for one, void in kept]
            words, lines = staff.status.appeals.words(it.id, now_ms), staff.status.why(it.person, "zh", now_ms)[1].lines
            return ColourAppealStory(_appeal(it), staff.who(it.person, now_ms), words, list(lines), evidence)

        return done(read)

    @post(
        "/v1/colours/appeals/{appeal:str}/decision",
        **declared("colours.decide", "decideColourAppeal", "裁定申诉 / Decide an appeal", *REFUSALS),
        status_code=200,
        request_max_body_size=BODY,
    )
    def decide(request: AnyRequest, appeal: Id, data: JSONBody[ColourDecision]) -> ColourAppealTold:
        correction = Correction(tuple(data.void), tuple(data.add))
        said = data.verdict, data.reasons, actor_of(request.user), desk.now_ms(), correction
        return done(lambda: _appeal(staff.status.appeals.decide(staff.appeal(appeal, request.user).id, *said)[0]))

    return [page, one, decide]
