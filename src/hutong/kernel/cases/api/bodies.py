"""The bodies of requests and answers about cases, as typed values; the document is made from what stands here."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from hutong.kernel.cases.model import Action, Priority, ProofKind, State, Value  # msgspec reads them
from hutong.kernel.web.api.bodies import Words  # noqa: TC001  # as above

_Name = Annotated[str, Meta(max_length=100)]
_Time = Annotated[str | None, Meta(description="RFC 3339, UTC")]
Fields = Annotated[dict[str, Value], Meta(description="字段,按类型 / fields, as the type has them")]


class CaseProof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """证据 / What shows that something was done; a statement alone shows nothing."""

    kind: ProofKind
    ref: Annotated[str, Meta(max_length=100, description="附件的 SHA-256、复测或指令编号 / what it refers to")] = ""
    note: Annotated[str, Meta(max_length=2000)] = ""
    passed: Annotated[bool, Meta(description="复测是否通过 / of a retest")] = True


class CasePart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """拆分出的一件 / One of the cases that a split makes."""

    title: Annotated[str, Meta(max_length=200)]
    fields: Fields = {}
    unit: _Name = ""


class NewCase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """立案 / A case to be opened."""

    type: Annotated[str, Meta(max_length=40, description="类型编号 / id of its type", examples=["fraud-number"])]
    title: Annotated[str, Meta(max_length=200)]
    fields: Fields = {}
    priority: Priority = 2
    owner: _Name = ""
    unit: _Name = ""


class CaseRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """办理 / Something to be done with a case. Files are attached by their own route."""

    action: Action
    reason: Annotated[str, Meta(max_length=2000, description="说明;备注即说明 / why; comments are reasons")] = ""
    owner: _Name = ""
    unit: _Name = ""
    proofs: Annotated[list[CaseProof], Meta(max_length=50)] = []
    fields: Fields = {}
    until: Annotated[str, Meta(max_length=40, description="RFC 3339;风险暂受到何时 / end of an accepted risk")] = ""
    parts: Annotated[list[CasePart], Meta(max_length=50)] = []
    into: Annotated[_Name, Meta(description="并入的案件 / the case that it is merged into")] = ""
    version: Annotated[
        int, Meta(ge=0, description="所见版本,已变则 409;0 为不论 / the version seen, else 409; 0 = any")
    ] = 0


class CasesRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """批量办理 / The same with several cases, each by itself."""

    ids: Annotated[list[Annotated[str, Meta(max_length=100)]], Meta(min_length=1, max_length=500)]
    request: CaseRequest


class CaseSearch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """查案件的条件;空者不计 / What cases are looked for by; empty ones do not count."""

    states: Annotated[list[State], Meta(max_length=8)] = []
    type: _Name = ""
    owner: _Name = ""
    unit: _Name = ""
    register: _Name = ""
    parent: _Name = ""
    late: Annotated[bool, Meta(description="只要超期的 / only late ones")] = False
    text: Annotated[str, Meta(max_length=200, description="编号、号码开头或标题 / id, number, title")] = ""
    changed: Annotated[bool, Meta(description="最近变动者在前 / what changed last stands first")] = False
    limit: Annotated[int, Meta(ge=1, le=500)] = 50
    cursor: Annotated[int, Meta(ge=0, le=10_000, description="上一页给出的 / of the page before")] = 0


class CaseRow(msgspec.Struct, frozen=True):
    """案件摘要,号码已掩码 / A case in short; numbers masked."""

    id: str
    type: str
    title: str
    state: State
    priority: int
    owner: str
    unit: str
    register: str
    due: Annotated[str | None, Meta(description="下一期限 / when something must be done next")]
    late: bool
    level: Annotated[int, Meta(description="督办层级 / steps of the chain that supervise it")]
    changed: str
    version: int


class CaseList(msgspec.Struct, frozen=True):
    """一页案件 / A page of cases."""

    cases: list[CaseRow]
    count: Annotated[int, Meta(description="总数,至多数到 10001 / how many there are; 10,001 stands for more")]
    cursor: Annotated[int | None, Meta(description="下一页;无则为 null / for the next page; null at the end")]


class CaseWaiting(msgspec.Struct, frozen=True):
    """等待第二人会签的动作 / An action that waits for a second person."""

    action: Action
    who: str
    reason: str
    time: str


class CaseEventTold(msgspec.Struct, frozen=True):
    """经过中的一步 / Something that happened to a case."""

    seq: int
    time: str
    who: str
    action: Action
    said: Annotated[dict[str, Any], Meta(description="所说内容 / what was said")]


class CaseTold(msgspec.Struct, frozen=True):
    """案件 / A case as it is."""

    id: str
    type: str
    title: str
    state: State
    priority: int
    fields: Fields
    source: str
    owner: str
    unit: str
    register: str
    item: str | None
    due: Annotated[_Time, Meta(description="总期限 / of the whole")]
    step_due: Annotated[_Time, Meta(description="本状态期限 / of the present state")]
    assumed: Annotated[bool, Meta(description="期限依据的年份尚无放假通知 / rests on a year without a notice")]
    found: str
    changed: str
    closed: _Time
    level: int
    returns: int
    reopened: int
    proofs: list[CaseProof]
    attachments: Annotated[list[str], Meta(description="SHA-256")]
    acted_by: str
    waits: CaseWaiting | None
    risk_until: _Time
    parent: str
    parts: list[str]
    into: str
    version: int
    masked: bool


class CaseStory(msgspec.Struct, frozen=True):
    """案件及其全部经过 / A case and its whole story."""

    case: CaseTold
    events: list[CaseEventTold]


class CaseAnswer(msgspec.Struct, frozen=True):
    """办理结果 / What became of a request."""

    case: str
    version: int
    state: State
    parts: Annotated[list[str], Meta(description="拆分出的案件 / what it was split into")] = []


class CaseOutcome(msgspec.Struct, frozen=True):
    """其中一件的结果 / What became of one case of several."""

    case: str
    answer: CaseAnswer | None
    reason: Annotated[str, Meta(description="不予办理的原因 / which refusal; empty where it was done")]
    detail: str


class CaseOutcomes(msgspec.Struct, frozen=True):
    """批量办理结果 / What became of each."""

    outcomes: list[CaseOutcome]


class CaseFigures(msgspec.Struct, frozen=True):
    """各状态件数 / How many cases are in each state."""

    states: dict[str, int]
    late: Annotated[int, Meta(description="超期件数 / late ones")]


class CaseFieldTold(msgspec.Struct, frozen=True):
    """类型的字段 / A field of a type."""

    name: str
    kind: str
    title: Words
    required: bool
    search: bool
    choices: list[str]


class CaseActionTold(msgspec.Struct, frozen=True):
    """类型的动作 / What a step of a type takes."""

    who: Annotated[str, Meta(description="所需权限 / the permission")]
    proof: list[ProofKind]
    countersign: bool


class CaseTypeTold(msgspec.Struct, frozen=True):
    """案件类型 / A type of cases."""

    id: str
    version: int
    title: Words
    fields: list[CaseFieldTold]
    deadline: str
    states: dict[str, str]
    remind: str
    actions: dict[str, CaseActionTold]


class CaseTypeList(msgspec.Struct, frozen=True):
    """全部类型 / Every type."""

    types: list[CaseTypeTold]


class AttachmentTold(msgspec.Struct, frozen=True):
    """已附上的文件 / A file that was attached."""

    sha256: str
    media: Annotated[str, Meta(description="由内容判定的类型 / its type, told from its bytes")]
    size: int
    case: CaseAnswer


class NewRegister(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """新台账 / A register to be made."""

    title: Annotated[str, Meta(max_length=200)]
    type: Annotated[str, Meta(max_length=40)]
    rules: Annotated[list[RegisterRule], Meta(max_length=200)] = []


class RegisterRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """派发规则:字段为该值者归该单位 / Whose an item is: where the field has the value; without a field every item."""

    unit: _Name
    field: _Name = ""
    value: Annotated[str, Meta(max_length=2000)] = ""
    owner: _Name = ""


class RegisterProgress(msgspec.Struct, frozen=True):
    """完成情况 / How far it is."""

    items: int
    done: int
    merged: int
    complete: bool
    states: dict[str, int]


class RegisterTold(msgspec.Struct, frozen=True):
    """台账 / A register."""

    id: str
    title: str
    type: str
    created: str
    progress: RegisterProgress


class RegisterList(msgspec.Struct, frozen=True):
    """全部台账,新的在前 / Every register, the newest first."""

    registers: list[RegisterTold]


class RegisterStory(msgspec.Struct, frozen=True):
    """台账及各单位完成情况 / A register, and how far each unit is."""

    register: RegisterTold
    rules: list[RegisterRule]
    units: dict[str, RegisterProgress]


class RegisterRowError(msgspec.Struct, frozen=True):
    """未收的一行 / A row that was not taken."""

    line: int
    column: str
    detail: str


class RegisterImported(msgspec.Struct, frozen=True):
    """导入结果 / What an import did."""

    rows: int
    taken: int
    encoding: str
    refused: int
    errors: Annotated[list[RegisterRowError], Meta(description="前 1000 个错误 / the first 1,000 of them")]


class RegisterAssigned(msgspec.Struct, frozen=True):
    """派发件数 / How many items were assigned."""

    assigned: int
