"""Settings of personal codes: a part of the tree in `config`, which is long enough without it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from hutong.kernel.settings import Doc


class CodesConfig(msgspec.Struct, frozen=True):
    """Personal codes."""

    algorithm: Annotated[
        Literal["EdDSA", "ES256"], Doc(zh="新密钥的签名算法", en="algorithm of keys that are made from now on")
    ] = "EdDSA"
    key_days: Annotated[
        int,
        Meta(ge=7, le=365),
        Doc(zh="签名密钥多久换一把", en="after how long the next key signs", unit="d"),
    ] = 90
    hours: Annotated[
        int,
        Meta(ge=1, le=72),
        Doc(zh="手机一次领取多久的码", en="for how long a phone's bundle of codes lasts", unit="h"),
    ] = 24
    step_seconds: Annotated[
        int,
        Meta(ge=60, le=3600),
        Doc(zh="每个码显示多久", en="for how long each code is shown", unit="s"),
    ] = 300
    slack_seconds: Annotated[
        int,
        Meta(ge=0, le=600),
        Doc(
            zh="显示前后多久仍算有效(手机时钟误差)",
            en="for how long before and after that it is good, for clocks that differ",
            unit="s",
        ),
    ] = 60
    paper_days: Annotated[int, Meta(ge=1, le=90), Doc(zh="纸质码的有效期", en="term of paper codes", unit="d")] = 30
