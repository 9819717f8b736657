"""The bodies of requests and answers about codes, as typed values; the document is made from what stands here."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from hutong.codes.outcome import Verdict  # noqa: TC001  # msgspec reads the annotations
from hutong.codes.people.documents import DocumentKind  # noqa: TC001  # as above
from hutong.codes.people.family import LinkKind, Proof  # noqa: TC001  # as above
from hutong.codes.rotation import State as KeyState  # noqa: TC001  # as above
from hutong.codes.scans.lookup_model import ScopeKind  # noqa: TC001  # as above
from hutong.codes.scans.lookup_model import State as LookupState  # noqa: TC001  # as above
from hutong.codes.scans.model import ClockState, Copy, Mode  # noqa: TC001  # as above
from hutong.codes.status.appeals import State as AppealState  # noqa: TC001  # as above
from hutong.codes.status.appeals import Verdict as AppealVerdict  # noqa: TC001  # as above
from hutong.codes.status.changes import State as ChangeState  # noqa: TC001  # as above
from hutong.codes.status.colour_rules import Colour  # noqa: TC001  # as above
from hutong.codes.status.evidence import Declaration, Order, Result, Visit  # noqa: TC001  # as above
from hutong.codes.venues import VenueKind, VenueState  # noqa: TC001  # as above
from hutong.kernel.web.api.bodies import Words  # noqa: TC001  # as above

_Time = Annotated[str, Meta(description="RFC 3339, UTC")]
_Maybe = Annotated[str | None, Meta(description="RFC 3339, UTC")]
_Said = Annotated[str, Meta(max_length=40, description="RFC 3339", examples=["2026-11-20T08:00:00+08:00"])]
_Cursor = Annotated[str | None, Meta(description="下一页的 cursor / cursor of the next page")]
_Reason = Annotated[str, Meta(max_length=1000)]


class PersonalDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """证件,只在正文中 / An identity document; it stands in bodies alone."""

    kind: DocumentKind
    number: Annotated[str, Meta(min_length=1, max_length=64)]


class ColourFigures(msgspec.Struct, frozen=True):
    """各色人数与改码件数 / How many people have which colour, how many changes wait and stand."""

    counted: _Time
    people: dict[Colour, int]
    requested: int
    in_force: int


class ColourRuleTold(msgspec.Struct, frozen=True):
    """规则 / A rule; `when` is empty for the one of everybody else."""

    id: str
    version: int
    title: Words
    when: str
    colour: Colour
    since: str
    term_h: int
    words: Words
    basis: str


class ColourRuleList(msgspec.Struct, frozen=True):
    """生效的规则,按判定次序 / The rules in force, in the order in which they decide."""

    digest: str
    rules: list[ColourRuleTold]


class ColourQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """查谁,以何种语言回答 / Whose colour, told in which language."""

    document: PersonalDocument
    language: Literal["zh", "en"] = "zh"


class ColourEventTold(msgspec.Struct, frozen=True):
    """一次变码 / A change of the colour or of its reason."""

    id: str
    time: _Time
    before: str
    colour: Colour
    rule: str
    commitment: str


class ColourTold(msgspec.Struct, frozen=True):
    """码色与原因,姓名已掩码 / A colour and why, the name masked."""

    who: str
    colour: Colour
    rule: str
    event: str
    commitment: str
    since: _Maybe
    until: _Time
    words: str
    lines: list[str]
    evidence: list[str]
    events: list[ColourEventTold]


class NewChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """申请人工改码 / A colour that is asked for by hand."""

    person: PersonalDocument
    colour: Colour
    reason: Annotated[str, Meta(max_length=500)]
    basis: Annotated[str, Meta(max_length=40, examples=["epidemic-act"])]
    document: Annotated[str, Meta(max_length=100, description="文号 / number of the agency's document")]
    term_s: Annotated[int, Meta(ge=3600, le=100_000_000, description="期限,秒 / term in seconds")]


class ColourDeed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """审批或终止改码 / Deciding on a change of a colour, or ending it."""

    reason: _Reason = ""


class CodeDeed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """审批或终止 / Deciding or ending. `version`: that was seen; 0 = any."""

    reason: _Reason = ""
    version: Annotated[int, Meta(ge=0, lt=1 << 53)] = 0


class ChangeTold(msgspec.Struct, frozen=True):
    """人工改码,不含人员 / A change by hand, without the person."""

    id: str
    colour: Colour
    state: ChangeState
    reason: str
    basis: str
    document: str
    term_s: int
    requested_by: str
    requested_agency: str
    requested: _Time
    decided_by: str
    decided_agency: str
    decided: _Maybe
    ends: _Maybe
    ended: _Maybe
    ended_by: str
    ended_why: str


class ChangeList(msgspec.Struct, frozen=True):
    """改码,新的在前 / Changes, the latest first."""

    changes: list[ChangeTold]
    next: _Cursor


class ColourAppealTold(msgspec.Struct, frozen=True):
    """申诉 / An appeal."""

    id: str
    state: AppealState
    change: str
    found: _Time
    due: _Time
    decided: _Maybe
    decided_by: str
    reasons: str


class ColourAppealList(msgspec.Struct, frozen=True):
    """申诉,新的在前 / Appeals, the latest first."""

    appeals: list[ColourAppealTold]
    next: _Cursor


class EvidenceTold(msgspec.Struct, frozen=True):
    """一项依据 / An item of evidence; `void`: the case that found it wrong."""

    id: str
    said: str
    void: str


class ColourAppealStory(msgspec.Struct, frozen=True):
    """申诉、陈述与依据,姓名已掩码 / An appeal with the person's words and the evidence, the name masked."""

    appeal: ColourAppealTold
    who: str
    words: str
    lines: list[str]
    evidence: list[EvidenceTold]


class ColourDecision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """裁定 / A decision. `void`: ids of evidence that was wrong; `add`: evidence that was missing."""

    verdict: AppealVerdict
    reasons: _Reason
    void: Annotated[list[Annotated[str, Meta(max_length=100)]], Meta(max_length=100)] = []
    add: Annotated[list[Result | Visit | Declaration | Order], Meta(max_length=20)] = []


class NewVenue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """登记场所 / A venue to be registered."""

    title: Annotated[str, Meta(max_length=100)]
    kind: VenueKind
    district: Annotated[str, Meta(max_length=6, examples=["610104"])]
    capacity: Annotated[int, Meta(ge=1, le=10_000_000)]
    unit: Annotated[str, Meta(max_length=100)]


class VenueTold(msgspec.Struct, frozen=True):
    """场所 / A venue."""

    id: str
    title: str
    kind: VenueKind
    district: str
    capacity: int
    unit: str
    state: VenueState
    serial: int
    registered: _Time
    code: _Time
    changed: _Time
    why: str
    version: int


class VenueList(msgspec.Struct, frozen=True):
    """场所,按登记先后;按名称查时按名称 / Venues as they were registered; by title where that was asked."""

    venues: list[VenueTold]
    next: _Cursor


class VenueCode(msgspec.Struct, frozen=True):
    """场所码的文字 / The text of a venue's code, for its QR."""

    text: str
    serial: int


class LookupScope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """范围:场所编号或证件,及时段 / A venue's id or a person's document, and a time."""

    since: _Said
    until: _Said
    venue: Annotated[str, Meta(max_length=100)] = ""
    person: PersonalDocument | None = None


class NewLookup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """申请查询令 / An order of look-up that is asked for."""

    scope: LookupScope
    document: Annotated[str, Meta(max_length=100)]
    basis: Annotated[list[Annotated[str, Meta(max_length=40)]], Meta(min_length=1, max_length=9)]
    reason: _Reason
    term_s: Annotated[int, Meta(ge=60, le=100_000_000)]
    basis_text: Annotated[str, Meta(max_length=500)] = ""
    quiet_s: Annotated[int, Meta(ge=0, le=100_000_000)] = 0
    quiet_why: Annotated[str, Meta(max_length=500)] = ""


class LookupTold(msgspec.Struct, frozen=True):
    """查询令;查人的不含人员 / An order of look-up; one about a person does not name them."""

    id: str
    agency: str
    kind: ScopeKind
    venue: str
    since: _Time
    until: _Time
    document: str
    basis: list[str]
    basis_text: str
    reason: str
    term_s: int
    quiet_s: int
    state: LookupState
    requested_by: str
    requested: _Time
    decided_by: str
    ends: _Time
    why: str
    version: int


class LookupList(msgspec.Struct, frozen=True):
    """查询令,最近变动的在前 / Orders, what changed last first."""

    orders: list[LookupTold]
    next: _Cursor


class LookupRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """查询的时段,不超出查询令 / The time to look up, within the order's."""

    since: _Said
    until: _Said


class ScanTold(msgspec.Struct, frozen=True):
    """一条登记;`who` 为当日代号 / A scan; `who`: the name of the day."""

    time: _Time
    said: _Time
    clock: ClockState
    who: str
    venue: str
    mode: Mode
    verdict: Verdict
    copies: list[Copy]


class LookupFound(msgspec.Struct, frozen=True):
    """查到的登记,最多 500 条 / What was found, 500 at most; `count`: of all."""

    count: int
    kept_since: _Time
    scans: list[ScanTold]


class NewPaperCode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """代人领纸质码 / A code on paper for somebody; the name is not needed of who is registered."""

    person: PersonalDocument
    name: Annotated[str, Meta(max_length=100)] = ""


class PaperCodeTold(msgspec.Struct, frozen=True):
    """纸质码 / A paper code: its text, the handle that revokes it, whose (masked), until when."""

    text: str
    handle: str
    who: str
    until: _Time


class Revocation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """注销某人的全部码,或一张 / All codes of a person, or those of one handle."""

    person: PersonalDocument | None = None
    handle: Annotated[str, Meta(max_length=16)] = ""


class CodesRevoked(msgspec.Struct, frozen=True):
    """注销了几批 / How many were revoked."""

    revoked: int


class NewLink(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """代亮码关系 / A link; `born`: of a child whose document does not say it, YYYY-MM-DD."""

    guardian: PersonalDocument
    ward: PersonalDocument
    kind: LinkKind
    proof: Proof
    days: Annotated[int, Meta(ge=1, le=366)] = 366
    born: Annotated[str, Meta(max_length=10)] = ""


class LinkTold(msgspec.Struct, frozen=True):
    """关系;`cares`:所查之人代对方亮码 / A link; `cares`: whoever was looked up shows the other's code."""

    id: str
    kind: LinkKind
    proof: Proof
    begins: _Time
    ends: _Time
    cares: bool | None = None
    other: str = ""


class LinkList(msgspec.Struct, frozen=True):
    """某人的关系,姓名已掩码 / Somebody's links, names masked."""

    who: str
    links: list[LinkTold]


class LinkEnd(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """哪一方要解除 / Which side wants it."""

    by: Literal["guardian", "ward"]


class KeyTold(msgspec.Struct, frozen=True):
    """签名密钥 / A signing key."""

    kid: str
    algorithm: str
    state: KeyState
    begins: _Time
    signs_until: _Time
    kept_until: _Time


class KeyStates(msgspec.Struct, frozen=True):
    """密钥的状态 / How the keys stand; `days`: keys of days, `overdue`: those that should be gone."""

    keys: list[KeyTold]
    next_rotation: _Maybe
    days: int
    overdue: int


class Unread(msgspec.Struct, frozen=True):
    """没有收下的一条 / A scan that was not taken, and why."""

    place: int
    reason: str
    what: str


class MergedFile(msgspec.Struct, frozen=True):
    """合并结果 / What came of a file: taken, known already, too old, refused."""

    taken: int
    again: int
    over: int
    refused: list[Unread]
