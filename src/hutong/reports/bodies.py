"""The bodies of the API of reports, as the document describes them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from hutong.reports.model import LONGEST_TEXT, MOST_LOST_FEN, Kind  # msgspec reads it

_Written = Annotated[str, Meta(max_length=64, description="照原样填写 / as it is written")]


class NewReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """一条举报 / A report."""

    kind: Kind
    number: _Written = ""
    name: Annotated[str, Meta(max_length=2000, description="网址 / a web name or address")] = ""
    text: Annotated[str, Meta(max_length=LONGEST_TEXT, description="短信或经过 / the message, or what happened")] = ""
    time: Annotated[str, Meta(max_length=64, description="发生时间,RFC 3339;空为现在 / when; empty = now")] = ""
    lost_fen: Annotated[int, Meta(ge=0, le=MOST_LOST_FEN, description="损失,分 / the loss, in fen (0.01 yuan)")] = 0
    reporter: Annotated[str, Meta(max_length=64, description="举报人号码,只存代号 / only a pseudonym is kept")] = ""


class ReportReceipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """受理编号 / A receipt."""

    receipt: Annotated[str, Meta(max_length=64, description="照原样填写 / as it is written")]


class ReportTaken(msgspec.Struct, frozen=True):
    """受理结果 / What became of it."""

    id: str
    receipt: Annotated[str, Meta(description="16 位受理编号 / the receipt's 16 digits")]
    matter: Annotated[str, Meta(description="并入的举报对象 / what it was joined to")]
    reporters: Annotated[int, Meta(description="不同举报人数 / distinct reporters of it")]
    joined: Annotated[str, Meta(description="同一人先前的举报 / the same person's first report; empty = this one")]
    case: Annotated[str, Meta(description="案件,空为尚无 / its case; empty = none yet")]


class ReportTold(msgspec.Struct, frozen=True):
    """一条举报及其进展 / A report and how it stands."""

    id: str
    receipt: str
    kind: Kind
    subject: Annotated[str, Meta(description="号码已掩码 / numbers are masked; empty = forgotten")]
    source: Literal["page", "api", "csv", "console", "cli"]
    received_ms: int
    happened_ms: int
    lost_fen: int
    reporters: int
    reports: int
    stands: Literal["received", "examined", "fraud", "spoofed", "nuisance", "legitimate", "closed"]
    case: str
    joined: str
    forgotten: bool
    text: Annotated[str, Meta(description="电话号码已掩码 / telephone numbers are masked")] = ""


class ReportPage(msgspec.Struct, frozen=True):
    """举报列表 / Reports, the latest first."""

    reports: list[ReportTold]
    count: Annotated[int, Meta(description="最多计到一万 / counted up to ten thousand")]
