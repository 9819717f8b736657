"""Settings of cases: a part of the tree in `config`, which is long enough without it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from hutong.app import checks
from hutong.kernel.settings import Doc


class CasesConfig(msgspec.Struct, frozen=True):
    """Who is told of cases: by a file, a webhook, e-mail."""

    file: Annotated[
        str,
        Doc(
            zh="通知写入的文件,每行一个 JSON;空则不写",
            en="file that notices are appended to, a line of JSON each; empty = none",
            check=checks.file_or_none,
        ),
    ] = ""
    webhook_url: Annotated[
        str,
        Doc(
            zh="接收案件通知的网址(POST,带签名),空则不发",
            en="address that notices are posted to, signed; empty = none",
            check=checks.url_or_none,
        ),
    ] = ""
    webhook_secret: Annotated[
        str, Doc(zh="通知的签名密钥,与接收方共有", en="secret of the notices' signature, shared with the receiver")
    ] = ""
    smtp_server: Annotated[
        str,
        Doc(
            zh="发送邮件的 SMTP 服务器,空则不发邮件",
            en="host:port of the SMTP server; empty = no e-mail",
            check=checks.host_port_or_none,
        ),
    ] = ""
    smtp_sender: Annotated[str, Doc(zh="发件人地址", en="address that letters come from")] = ""
    smtp_user: Annotated[str, Doc(zh="SMTP 用户,空则不登录", en="user at the SMTP server; empty = none asked")] = ""
    smtp_password: Annotated[str, Doc(zh="SMTP 口令", en="password at the SMTP server")] = ""
    smtp_tls: Annotated[bool, Doc(zh="用 STARTTLS 加密", en="encrypt with STARTTLS")] = True


class CaseContactConfig(msgspec.Struct, frozen=True):
    """Who reads the letters of a recipient of notices."""

    recipient: Annotated[
        str,
        Doc(
            zh="account:账号、unit:单位 或 chain:督办层级",
            en="account:NAME, unit:NAME, or chain:STEP of the duty chain",
            check=checks.recipient,
        ),
    ]
    mail: Annotated[tuple[str, ...], Meta(min_length=1), Doc(zh="邮件地址", en="e-mail addresses", check=checks.mail)]
