"""The bodies of the API of appeals, as the document describes them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from hutong.appeals.model import LONGEST_CONTACT, LONGEST_REASONS, LONGEST_WORDS
from hutong.kernel.web.api.bodies import Words  # noqa: TC001  # msgspec reads it

#: Whether others show the number: no, some of the blocks are about that, or all are.
Shown = Literal["none", "some", "only"]
_Secret = Annotated[str, Meta(max_length=64)]


class AskCode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """向号码发送验证码 / Send a one-time code to a number."""

    number: Annotated[str, Meta(min_length=1, max_length=40)]
    language: Literal["zh", "en"] = "zh"


class CodeSent(msgspec.Struct, frozen=True):
    """出示验证码所用的凭据 / What the code must be shown with."""

    ticket: str
    minutes: int


class ShowCode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """出示验证码 / Show a code."""

    ticket: _Secret
    code: Annotated[str, Meta(max_length=12)]


class BlockTold(msgspec.Struct, frozen=True):
    """拦截的原因 / One thing that blocks the number."""

    kind: Annotated[
        Literal["list", "rule", "shown"],
        Meta(
            description="名单、规则、他人冒用显示该号码(号码自己的呼叫未被拦截) / "
            "a list, a rule, or a rule about others that show the number: its own calls are not refused for that"
        ),
    ]
    title: Words
    basis: Annotated[Words, Meta(description="法律依据 / legal basis")]
    agency: Annotated[str, Meta(description="决定机关,空为本节点 / who ordered it; empty = this node's operator")]
    since_ms: int
    until_ms: Annotated[int, Meta(description="0 为无期限 / 0 = without a term")]


class NumberTold(msgspec.Struct, frozen=True):
    """号码是否被拦截及原因 / Whether the number is blocked, and by what."""

    proof: Annotated[str, Meta(description="申诉凭据,30 分钟有效 / to appeal with, good for 30 minutes")]
    number: Annotated[str, Meta(description="已掩码 / masked")]
    blocks: list[BlockTold]
    receipt: Annotated[str, Meta(description="未决申诉的受理编号 / receipt of an appeal that is open; empty = none")]


class NewAppeal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """提出申诉 / Appeal."""

    proof: _Secret
    words: Annotated[str, Meta(min_length=1, max_length=LONGEST_WORDS)]
    contact: Annotated[str, Meta(max_length=LONGEST_CONTACT)] = ""


class ReceiptTold(msgspec.Struct, frozen=True):
    """申诉进展 / What became of an appeal."""

    receipt: str
    state: Literal["open", "upheld", "lifting", "lifted"]
    found_ms: int
    due_ms: int
    decided_ms: int | None
    reasons: str
    shown: Annotated[
        Shown, Meta(description="拦截是否针对他人冒用 / whether the blocks are about others that show the number")
    ] = "none"


class AppealTold(msgspec.Struct, frozen=True):
    """申诉 / An appeal, its number masked."""

    id: Annotated[str, Meta(description="即案件编号 / that of its case")]
    receipt: str
    number: str
    state: Literal["open", "upheld", "lifted"]
    blocks: list[BlockTold]
    words: str
    contact: str
    found_ms: int
    due_ms: int
    decided_ms: int | None
    who: Annotated[str, Meta(description="裁定人 / who decided")]
    reasons: str
    effect_ms: Annotated[int | None, Meta(description="解除生效的时间 / when the lifting took effect")]


class AppealPage(msgspec.Struct, frozen=True):
    """申诉,先到期者在前 / Appeals, what must be decided first standing first."""

    appeals: list[AppealTold]
    total: int


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """裁定 / A decision."""

    outcome: Annotated[Literal["upheld", "lifted"], Meta(description="维持、解除 / the block stays, or is lifted")]
    reasons: Annotated[
        str, Meta(min_length=1, max_length=LONGEST_REASONS, description="告知申诉人 / told to the appellant")
    ]
