"""Settings of reports from people: a part of the tree in `config`, which is long enough without it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from hutong.kernel.settings import Doc


class ReportsConfig(msgspec.Struct, frozen=True):
    """Reports from people: how many the public pages take, and how long what they say is kept."""

    per_minute: Annotated[
        int,
        Meta(ge=1, le=60),
        Doc(zh="每个地址每分钟可提交的举报或查询", en="reports or look-ups that one address may send a minute"),
    ] = 6
    per_second: Annotated[
        int,
        Meta(ge=1, le=1000),
        Doc(zh="公众页面每秒合计受理的提交", en="forms that the public pages take a second, of everybody together"),
    ] = 20
    keep_days: Annotated[
        int,
        Meta(ge=31, le=3650),
        Doc(
            zh="举报内容与举报人代号的保存天数;案件未办结的保留",
            en="how long texts and pseudonyms of reports are kept; while a case is open they stay",
            unit="d",
        ),
    ] = 180
