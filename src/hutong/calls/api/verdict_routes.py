"""Verdicts: found, told, and told with whole numbers once the trail knows what for."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Final, Literal

from litestar import get, post
from litestar.params import FromQuery, JSONBody, PathParameter, QueryParameter
from msgspec import structs

from hutong.calls.api.bodies import (
    FiredRule,
    ListHit,
    RuleTold,
    Screened,
    VerdictPage,
    VerdictRow,
    VerdictSearch,
    VerdictStory,
)
from hutong.calls.index import Filters
from hutong.calls.index.query import LAST_MS
from hutong.kernel.reporter import masked, rfc3339_ms
from hutong.kernel.web.api.desk import (
    AnyRequest,
    Desk,
    Purpose,
    Unmask,
    answered,
    not_found,
    operation,
    read_ms,
)
from hutong.kernel.web.problems import Problem

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from hutong.calls.explain import Story, Verdicts
    from hutong.calls.index import VerdictIndex
    from hutong.calls.model import Verdict
    from hutong.kernel.access.refs import Refs
    from hutong.kernel.numbering import Numbering

_OF_A_CALL: Final = 1000
_LAST_SEQ: Final = (1 << 62) - 1


class VerdictDesk:
    """Finds and tells verdicts; safe for many threads.

    Args:
        index: finds them. verdicts: explains them.
        numbering: reads numbers. refs: names them on the trail.
        desk: limits and the trail.
    """

    def __init__(self, index: VerdictIndex, verdicts: Verdicts, numbering: Numbering, refs: Refs, desk: Desk) -> None:
        self._index, self._verdicts, self._numbering, self._refs, self._desk = index, verdicts, numbering, refs, desk

    def find(self, wanted: VerdictSearch) -> VerdictPage:
        """A page of verdicts.

        Raises:
            Problem: 422, a time, a number or the cursor is none.
        """
        before = _read_cursor(wanted.cursor)
        filters = Filters(
            since_ms=read_ms(wanted.since, "since", 0),
            until_ms=read_ms(wanted.until, "until", LAST_MS),
            action=wanted.action,
            rule=wanted.rule,
            trunk=wanted.trunk,
            number=self._key(wanted.number),
            role=wanted.role,
        )
        if wanted.call_id:
            seqs = [seq for seq in self._index.by_call_id(wanted.call_id, _OF_A_CALL) if seq < before]
            return self._page([it for it in self._read(seqs) if self._fits(it, filters)], wanted.limit)
        filters = structs.replace(filters, until_ms=min(filters.until_ms, before_ms(wanted.cursor)))
        verdicts: list[Verdict] = []
        offset, more = 0, True
        # One that cannot be read must not end the list.
        while more and len(verdicts) <= wanted.limit:
            page = self._index.page(filters, offset=offset, limit=wanted.limit + 1, at_once=0)
            # The cursor's own millisecond may hold verdicts that were on the page before.
            verdicts += self._read([seq for seq in page.seqs if seq < before])
            offset += len(page.seqs)
            more = page.more and bool(page.seqs)
        return self._page(verdicts, wanted.limit)

    def _key(self, number: str) -> int:
        if not number:
            return 0
        key = self._numbering.read(number).key
        if key == 0:
            raise Problem(422, "/problems/refused", "Refused", "number is no telephone number.")
        return key

    def _read(self, seqs: list[int]) -> list[Verdict]:
        return list(self._verdicts.of_rows(self._index.read(seqs)))

    def _fits(self, verdict: Verdict, wanted: Filters) -> bool:
        """Whether one of a call's few verdicts is wanted."""
        sides = {"caller": [verdict.caller_key], "callee": [verdict.callee_key]}
        keys = sides.get(wanted.role, [verdict.caller_key, verdict.callee_key])
        return (
            wanted.since_ms <= verdict.time_ms < wanted.until_ms
            and wanted.action in {"", verdict.action}
            and wanted.trunk in {"", verdict.trunk}
            and (not wanted.number or wanted.number in keys)
            and (not wanted.rule or wanted.rule in {it.id for it in self._explained(verdict).fired})
        )

    def _explained(self, verdict: Verdict) -> Story:
        """Without the values that rules read: rows do not tell them."""
        return self._verdicts.explain(verdict, values=False)

    def _page(self, verdicts: list[Verdict], limit: int) -> VerdictPage:
        last = verdicts[limit - 1] if len(verdicts) > limit else None
        cursor = None if last is None else f"{last.time_ms}.{last.seq}"
        return VerdictPage([self._row(it) for it in verdicts[:limit]], cursor)

    def _row(self, verdict: Verdict) -> VerdictRow:
        return VerdictRow(
            seq=verdict.seq,
            time=rfc3339_ms(verdict.time_ms),
            call_id=masked(verdict.call_id),
            caller=self._numbering.mask(verdict.caller_key, verdict.caller),
            callee=self._numbering.mask(verdict.callee_key, verdict.callee),
            trunk=verdict.trunk,
            trunk_kind=verdict.trunk_kind,
            action=verdict.action,  # type: ignore[arg-type]  # a verdict's action is one of the three
            code=verdict.code,
            rules=[FiredRule(it.id, it.decided) for it in self._explained(verdict).fired],
            flags=list(verdict.flags),
        )

    def verdict(self, seq: int) -> Verdict | None:
        """A verdict by its number; None where it is no verdict or not kept."""
        found = self._read([seq])
        return found[0] if found else None

    def screened(self, seq: int) -> Screened | None:
        """What was told of a call that was judged before."""
        verdict = self.verdict(seq)
        if verdict is None:
            return None
        story = self._explained(verdict)
        return Screened(
            call_id=verdict.call_id,
            seq=seq,
            action=verdict.action,  # type: ignore[arg-type]  # as above
            code=verdict.code,
            reason={lang: masked(text) for lang, text in story.reason.items()},
            rules=[FiredRule(it.id, it.decided) for it in story.fired],
            trunk=verdict.trunk,
            flags=list(verdict.flags),
        )

    def story(self, request: AnyRequest, seq: int, *, unmask: bool, purpose: str) -> VerdictStory:
        """A verdict with everything it rests on.

        Raises:
            Problem: 404; and what `Desk.unmask` raises.
        """
        verdict = self.verdict(seq)
        if verdict is None:
            raise not_found(f"There is no verdict {seq}, or it is not kept any more.")
        earlier = [it for it in self._index.by_call_id(verdict.call_id, _OF_A_CALL) if it < seq]
        story = _told(self._verdicts.explain(verdict), earlier)
        if not unmask:
            return _masked(story, verdict, self._numbering)
        keys = {"caller": verdict.caller_key, "callee": verdict.callee_key}
        shown = {name: self._refs.ref(key) for name, key in keys.items()}
        self._desk.unmask(request, purpose, target=f"verdict {seq}", after=shown)
        return story


def _read_cursor(cursor: str) -> int:
    """The sequence number before which to go on."""
    if not cursor:
        return _LAST_SEQ
    time_ms, _, seq = cursor.partition(".")
    if not (time_ms.isascii() and time_ms.isdigit() and seq.isascii() and seq.isdigit()):
        raise Problem(422, "/problems/refused", "Refused", "cursor is none that this API gave.")
    return min(int(seq), _LAST_SEQ)


def before_ms(cursor: str) -> int:
    """The millisecond after the cursor's, before which to go on."""
    return min(int(cursor.partition(".")[0]) + 1, LAST_MS) if cursor else LAST_MS


def _told(story: Story, earlier: list[int]) -> VerdictStory:
    it = story.verdict
    return VerdictStory(
        call_id=it.call_id,
        seq=it.seq,
        time=rfc3339_ms(it.time_ms),
        action=it.action,  # type: ignore[arg-type]  # as above
        code=it.code,
        reason=story.reason,
        caller=it.caller,
        callee=it.callee,
        from_=it.from_,
        diverter=it.diverter,
        trunk=it.trunk,
        trunk_kind=it.trunk_kind,
        source=it.source,
        flags=list(it.flags),
        rules=[RuleTold(**structs.asdict(rule)) for rule in story.fired],
        lists=[ListHit(**structs.asdict(hit)) for hit in story.lists],
        ruleset=it.ruleset,
        earlier=earlier,
        masked=False,
    )


def _masked(story: VerdictStory, verdict: Verdict, numbering: Numbering) -> VerdictStory:
    return structs.replace(
        story,
        call_id=masked(story.call_id),
        caller=numbering.mask(verdict.caller_key, story.caller),
        callee=numbering.mask(verdict.callee_key, story.callee),
        from_=numbering.mask_written(story.from_),
        diverter=numbering.mask_written(story.diverter),
        reason={lang: masked(text) for lang, text in story.reason.items()},
        lists=[structs.replace(it, reason=masked(it.reason), source=masked(it.source)) for it in story.lists],
        masked=True,
    )


Since = Annotated[str, QueryParameter(max_length=40, description="RFC 3339;从此时起 / from this time on")]
Until = Annotated[str, QueryParameter(max_length=40, description="RFC 3339;到此时止 / before this time")]
Limit = Annotated[int, QueryParameter(ge=1, le=500, description="每页条数 / verdicts on a page")]
CursorText = Annotated[str, QueryParameter(max_length=64, description="上一页给出的 cursor / of the page before")]
Seq = Annotated[int, PathParameter(ge=1, le=_LAST_SEQ, description="判决编号 / number of the verdict")]


def verdict_routes(found: VerdictDesk, desk: Desk) -> list[HTTPRouteHandler]:
    """The routes."""
    declared = partial(operation, desk, "verdicts")

    @get(
        "/v1/verdicts",
        **declared("verdicts.read", "verdicts", "listVerdicts", "查判决 / List verdicts", 422),
        description="新的在前,号码已掩码;按号码查询用 POST /v1/verdicts/search。\n\n"
        "Newest first, numbers masked. To look for a number use POST /v1/verdicts/search: addresses are logged.",
    )
    def page(
        since: Since = "",
        until: Until = "",
        action: FromQuery[Literal["", "pass", "warn", "block"]] = "",
        rule: Annotated[str, QueryParameter(max_length=128, description="触发的规则 / a rule that fired")] = "",
        trunk: Annotated[str, QueryParameter(max_length=128, description="中继 / trunk")] = "",
        call_id: Annotated[str, QueryParameter(max_length=256, description="呼叫标识 / Call-ID")] = "",
        limit: Limit = 50,
        cursor: CursorText = "",
    ) -> VerdictPage:
        wanted = VerdictSearch(
            since=since,
            until=until,
            action=action,
            rule=rule,
            trunk=trunk,
            call_id=call_id,
            limit=limit,
            cursor=cursor,
        )
        return answered(lambda: found.find(wanted))

    @post(
        "/v1/verdicts/search",
        **declared("numbers.read", "verdicts.search", "searchVerdicts", "按号码查判决 / Search verdicts by number"),
        status_code=200,
    )
    def search(data: JSONBody[VerdictSearch]) -> VerdictPage:
        """新的在前,号码已掩码 / Newest first, numbers masked."""
        return answered(lambda: found.find(data))

    @get(
        "/v1/verdicts/{seq:int}",
        **declared("verdicts.read", "verdict", "readVerdict", "判决全貌 / One verdict and what it rests on", 404, 422),
        description="号码已掩码;`unmask=true` 须有 numbers.unmask 权限,并在 Hutong-Purpose 头中说明用途;"
        "先记入操作记录,再显示。\n\n"
        "Numbers are masked. `unmask=true` needs the permission numbers.unmask and a purpose in the header "
        "Hutong-Purpose, and is on the trail before anything is shown.",
    )
    def story(request: AnyRequest, seq: Seq, unmask: Unmask = False, purpose: Purpose = "") -> VerdictStory:  # noqa: FBT002  # a query's switch
        return answered(lambda: found.story(request, seq, unmask=unmask, purpose=purpose))

    return [page, search, story]
