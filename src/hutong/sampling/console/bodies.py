"""The bodies of requests and answers about sampling, as typed values; the document is made from what stands here."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from hutong.sampling.emergency.model import EmergencyState  # noqa: TC001  # msgspec reads the annotations
from hutong.sampling.identity import IdentityKind  # noqa: TC001  # as above
from hutong.sampling.model import Action, BatchState, Finding, Result, State, Told  # noqa: TC001  # as above

Time = Annotated[str | None, Meta(description="RFC 3339, UTC")]
Barcode = Annotated[str, Meta(min_length=1, max_length=40, examples=["XA20220415001"])]
_Text = Annotated[str, Meta(max_length=200)]


class TurnaroundTold(msgspec.Struct, frozen=True):
    """采样到检测用时,精确到半小时 / From the first sample to the test, to half an hour."""

    results: Annotated[int, Meta(description="结果数 / of how many results")]
    p50_s: Annotated[int, Meta(description="一半不超过 / half took no longer, seconds")]
    p90_s: Annotated[int, Meta(description="九成不超过 / nine of ten took no longer, seconds")]


class HourTold(msgspec.Struct, frozen=True):
    """一小时 / An hour."""

    begins: str
    samples: int
    results: int
    positives: int
    turnaround: TurnaroundTold


class SamplingNow(msgspec.Struct, frozen=True):
    """采样现状 / How sampling stands."""

    as_of: str
    hourly: Annotated[int, Meta(description="最近一小时人次,约数 / samples of the last sixty minutes, about")]
    tubes: Annotated[dict[str, int], Meta(description="各状态试管 / tubes by state")]
    oldest: Time
    turnaround: TurnaroundTold
    held: Annotated[int, Meta(description="待核定 / results that wait for a decision")]
    conflicts: Annotated[dict[str, int], Meta(description="各类冲突 / conflicts by rule")]
    stations: int
    silent: int
    unmerged: Annotated[int, Meta(description="采样点尚未合并的事件 / events that stations said they still have")]
    emergencies: Annotated[list[str], Meta(description="生效中或待批准 / in force or waiting for approval, ids")]
    hours: Annotated[list[HourTold], Meta(description="最近 24 小时 / the last 24 hours")]


class DistrictTold(msgspec.Struct, frozen=True):
    """一个区县 / A district."""

    code: str
    zh: str
    en: str
    hourly: int
    samples: Annotated[int, Meta(description="24 小时 / of 24 hours")]
    positives: Annotated[int, Meta(description="24 小时阳性管 / positive tubes of 24 hours")]
    waiting: int
    oldest: Time
    stations: int
    silent: int
    load: Annotated[int, Meta(description="每个在采的采样点每小时人次 / samples an hour for each station at work")]


class DistrictList(msgspec.Struct, frozen=True):
    """区县 / Districts."""

    districts: list[DistrictTold]


class StationTold(msgspec.Struct, frozen=True):
    """采样点 / A station."""

    station: str
    district: str
    mark: Annotated[str, Meta(description="heard, silent, rested")]
    contact: Time
    clock_ms: Annotated[int, Meta(description="时钟比中心慢多少 / by how much its clock is behind, ms")]
    unmerged: int
    sequence: int


class StationList(msgspec.Struct, frozen=True):
    """采样点 / Stations."""

    stations: list[StationTold]


class TubeListed(msgspec.Struct, frozen=True):
    """列表中的试管 / A tube in a list."""

    id: str
    barcode: str
    station: str
    district: str
    state: State
    batch: str
    result: Finding
    held: bool
    calls: bool
    people: int
    opened: Time
    reported: Time


class TubeList(msgspec.Struct, frozen=True):
    """试管 / Tubes."""

    tubes: list[TubeListed]
    next: Annotated[int | None, Meta(description="下一页的 cursor / cursor of the next page")]


class PersonInTube(msgspec.Struct, frozen=True):
    """管内一人,已掩码 / Somebody in a tube, masked."""

    person: str
    at: Time
    told: Told
    retest: bool


class TubeTold(msgspec.Struct, frozen=True):
    """试管 / A tube."""

    id: str
    station: str
    district: str
    size: int
    state: State
    result: Finding
    held: bool
    calls: bool
    batch: str
    laboratory: str
    opened: Time
    received: Time
    reported: Time
    people: list[PersonInTube]


class TubeEvent(msgspec.Struct, frozen=True):
    """经过 / Something that happened."""

    id: str
    at: Time
    action: Action
    station: str
    by: str


class ConflictTold(msgspec.Struct, frozen=True):
    """冲突 / A conflict."""

    rule: str
    barcode: str
    tube: str
    about: str
    found: Time


class ConflictList(msgspec.Struct, frozen=True):
    """冲突 / Conflicts."""

    conflicts: list[ConflictTold]


class TubeStory(msgspec.Struct, frozen=True):
    """一个条码的全部经过 / All that is known of a barcode."""

    tubes: list[TubeTold]
    events: list[TubeEvent]
    conflicts: list[ConflictTold]


class Registration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """登记一人入管 / Somebody's swab goes into a tube. Numbers stand in bodies: addresses are logged."""

    kind: IdentityKind
    identity: Annotated[str, Meta(min_length=1, max_length=2000)]
    size: Annotated[int, Meta(ge=1, le=20, description="几人一管 / people to a tube")]
    district: Annotated[str, Meta(max_length=12, examples=["610102"])] = ""
    retest: bool = False
    fields: Annotated[dict[str, _Text], Meta(max_length=10, description="另外询问的 / what is asked beside")] = {}


class Sealing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """封管 / A tube is sealed."""

    people: Annotated[int, Meta(ge=0, le=100, description="清点人数 / people counted")]


class HandingOver(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """交接 / A batch goes to the courier: all of it, or nothing."""

    tubes: Annotated[list[Barcode], Meta(min_length=1, max_length=500)]
    courier: Annotated[str, Meta(min_length=1, max_length=100)]


class Receipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """实验室接收 / A batch is at the laboratory."""

    laboratory: Annotated[str, Meta(min_length=1, max_length=100)]
    tubes: Annotated[list[Barcode], Meta(max_length=1000, description="空为已知全部 / empty: all that are known")] = []


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """核定 / What holds of a tube."""

    result: Result
    reason: Annotated[str, Meta(min_length=1, max_length=200)]


class Why(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """理由 / Why."""

    reason: Annotated[str, Meta(max_length=1000)] = ""


class BatchTold(msgspec.Struct, frozen=True):
    """批次 / A batch."""

    id: str
    state: BatchState
    station: str
    courier: str
    laboratory: str
    expected: int
    known: int
    received: int
    handed: Time


class BatchList(msgspec.Struct, frozen=True):
    """批次 / Batches."""

    batches: list[BatchTold]
    next: Annotated[int | None, Meta(description="下一页的 cursor / cursor of the next page")]


class RefusedTube(msgspec.Struct, frozen=True):
    """未收 / A tube that was refused."""

    tube: str
    reason: str


class BatchStory(msgspec.Struct, frozen=True):
    """批次及缺少的试管 / A batch, and the tubes that did not come."""

    batch: BatchTold
    missing: list[str]
    refused: list[RefusedTube] = []


class RowTold(msgspec.Struct, frozen=True):
    """一行的说明 / What is to be said of a row."""

    row: Annotated[int, Meta(description="表头为 1 / the header is 1")]
    column: str
    reason: str
    taken: Annotated[bool, Meta(description="收下而存疑 / it went in all the same")]


class ResultsTold(msgspec.Struct, frozen=True):
    """导入 / What became of a file; at most 1,000 rows are told of."""

    rows: int
    taken: int
    again: int
    refused: int
    encoding: str
    notes: list[RowTold]


class CalledTube(msgspec.Struct, frozen=True):
    """须单采复核的管 / A tube whose people are to be tested singly; `open`: who was not since, masked."""

    tube: str
    result: Finding
    state: State
    open: list[str]


class CalledList(msgspec.Struct, frozen=True):
    """召回 / Recalls."""

    tubes: list[CalledTube]


class Shown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """某人所示 / What somebody shows."""

    kind: IdentityKind
    identity: Annotated[str, Meta(min_length=1, max_length=2000)]


class ResultOfPerson(msgspec.Struct, frozen=True):
    """某人的一个结果 / What a person is told of one tube."""

    tube: str
    sampled: Time
    told: Told
    reported: Time


class PersonTold(msgspec.Struct, frozen=True):
    """某人的结果 / A person's results."""

    person: str
    results: list[ResultOfPerson]


class NewEmergency(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """申请应急采样 / Emergency sampling that is asked for."""

    district: Annotated[str, Meta(min_length=6, max_length=6, examples=["610102"])]
    preset: Annotated[str, Meta(max_length=40, examples=["city-wide"])]
    term_h: Annotated[int, Meta(ge=1, le=8760, description="期限,小时 / term in hours")]
    agency: Annotated[str, Meta(min_length=1, max_length=100)]
    document: Annotated[str, Meta(min_length=1, max_length=100)]
    reason: Annotated[str, Meta(min_length=1, max_length=1000)]


class EmergencyTold(msgspec.Struct, frozen=True):
    """应急采样指令 / An emergency order."""

    id: str
    district: str
    preset: str
    agency: str
    document: str
    reason: str
    term_h: int
    state: EmergencyState
    requested_by: str
    requested: Time
    decided_by: str
    ends: Time
    ended: Time


class EmergencyList(msgspec.Struct, frozen=True):
    """应急采样指令 / Emergency orders."""

    emergencies: list[EmergencyTold]
