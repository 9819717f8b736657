"""Bodies of the API of bulletins."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

Text = Annotated[str, Meta(max_length=200)]


class BulletinTold(msgspec.Struct, frozen=True):
    """一期通报 / A bulletin."""

    id: str
    kind: str
    period: str
    issue: int
    provisional: Annotated[bool, Meta(description="周期未结束 / the period had not ended")]
    digest: Annotated[str, Meta(description="内容的 SHA-256 / of its content")]
    made_ms: int
    made_by: str
    corrects: Annotated[str, Meta(description="所更正的通报 / the bulletin that it corrects")]
    signed_ms: int | None
    signed_by: str


class BulletinList(msgspec.Struct, frozen=True):
    """通报 / Bulletins."""

    bulletins: list[BulletinTold]


class BulletinWhole(msgspec.Struct, frozen=True):
    """一期通报及其全部数值 / A bulletin and all its values."""

    bulletin: BulletinTold
    values: Annotated[dict[str, Any], Meta(description="文字、表格、图均由此而来 / what texts, tables and charts say")]


class NewBulletin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """拟一期通报 / A bulletin to be made."""

    period: Annotated[str, Meta(max_length=10, description="2026-11-20, 2026-W47, 2026-11")]
    reason: Annotated[str, Meta(max_length=500, description="更正原因 / why a signed one is corrected")] = ""


class Signing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """签发 / Sign what was seen."""

    digest: Annotated[str, Meta(max_length=64, description="所见内容的 SHA-256 / of the content that was seen")]


class NewLoss(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """一行案件与损失 / Cases and losses of one agency, city and period."""

    agency: Text
    period: Text
    cases: Annotated[int, Meta(ge=0, le=10**12)]
    amount: Annotated[str, Meta(max_length=20, description="元 / yuan, such as 1234.50")]
    city: Annotated[Text, Meta(description="区号或名称 / area code or name")] = ""


class NewLosses(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """案件与损失 / Cases and losses."""

    rows: Annotated[list[NewLoss], Meta(max_length=1000)]


class LossError(msgspec.Struct, frozen=True):
    """哪一行错在何处 / What is wrong with a row; the first is 1."""

    row: int
    column: str
    what: str


class LossesTaken(msgspec.Struct, frozen=True):
    """收到多少行 / How many rows were taken in, and what is wrong with the others."""

    taken: int
    errors: list[LossError]
