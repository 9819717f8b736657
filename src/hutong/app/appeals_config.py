"""Settings of appeals and of hand-offs: a part of the tree in `config`, which is long enough without it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from hutong.app import checks
from hutong.kernel.settings import Doc


class AppealsConfig(msgspec.Struct, frozen=True):
    """Appeals of the owners of blocked numbers."""

    code_webhook_url: Annotated[
        str,
        Doc(
            zh="短信或语音网关:验证码 POST 到此网址(带签名),空则不发",
            en="gateway for messages or calls that one-time codes are posted to, signed; empty = none",
            check=checks.url_or_none,
        ),
    ] = ""
    code_webhook_secret: Annotated[
        str, Doc(zh="网关签名密钥,与网关共有", en="secret of the signature, shared with the gateway")
    ] = ""
    code_file: Annotated[
        str,
        Doc(
            zh="仅供调试:验证码写入此文件,每行一个 JSON",
            en="for trying out only: file that one-time codes are appended to, a line of JSON each",
            check=checks.file_or_none,
        ),
    ] = ""
    codes_per_minute: Annotated[
        int,
        Meta(ge=1, le=10_000),
        Doc(zh="全部号码每分钟最多发送的验证码数", en="one-time codes a minute, all numbers together", unit="codes"),
    ] = 60
    allow_days: Annotated[
        int,
        Meta(ge=1, le=3650),
        Doc(
            zh="误拦由规则或号段造成时,放行名单条目的期限",
            en="term of the entry that allows a number which a rule or a wider entry blocked by mistake",
            unit="d",
        ),
    ] = 180
    keep_days: Annotated[
        int,
        Meta(ge=30, le=3650),
        Doc(
            zh="裁定后多久删除申诉人的号码、陈述与联系方式",
            en="how long after the decision number, words and contact are kept",
            unit="d",
        ),
    ] = 365


class HandoffConfig(msgspec.Struct, frozen=True):
    """Handing people who are worked on over to the dissuasion desk; off while neither address nor file is named."""

    webhook_url: Annotated[
        str,
        Doc(
            zh="劝阻席(96110)接收移交的网址(POST,带签名),空则不发",
            en="address of the dissuasion desk that hand-offs are posted to, signed; empty = none",
            check=checks.url_or_none,
        ),
    ] = ""
    webhook_secret: Annotated[
        str, Doc(zh="移交的签名密钥,与劝阻席共有", en="secret of the signature, shared with the desk")
    ] = ""
    file: Annotated[
        str,
        Doc(
            zh="移交写入的文件,每行一个 JSON;空则不写",
            en="file that hand-offs are appended to, a line of JSON each; empty = none",
            check=checks.file_or_none,
        ),
    ] = ""
    again_minutes: Annotated[
        int,
        Meta(ge=1, le=1440),
        Doc(
            zh="同一被叫多久内的告警算作同一移交",
            en="for how long further alerts about a person are the same hand-off",
            unit="min",
        ),
    ] = 60
    keep_days: Annotated[
        int, Meta(ge=1, le=3650), Doc(zh="多久后删除被叫号码", en="how long the person's number is kept", unit="d")
    ] = 90
