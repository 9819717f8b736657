"""What the bodies of every part of the API share."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Words = Annotated[dict[str, str], Meta(description='两种语言 / both languages: {"zh": …, "en": …}')]


class Problem(msgspec.Struct, frozen=True):
    """错误 (RFC 9457) / What is wrong with a request (RFC 9457)."""

    type: Annotated[str, Meta(description="错误类别 / kind of problem, a URI reference; about:blank for none")]
    title: Annotated[str, Meta(description="类别名称 / the kind in words")]
    status: Annotated[int, Meta(description="HTTP 状态码 / HTTP status")]
    instance: Annotated[str, Meta(description="请求路径 / path that was asked")]
    detail: Annotated[str, Meta(description="何处有误、如何处理 / what is wrong, and what to do")] = ""
