"""Settings of venues, scans and look-ups: a part of the tree in `config`, which is long enough without it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from hutong.app import checks
from hutong.kernel.settings import Doc


class ScansConfig(msgspec.Struct, frozen=True):
    """Scanning: venues, check-ins, look-ups under orders."""

    districts: Annotated[
        str,
        Doc(
            zh="各区县的文件(名称、位置、图上方格),空为西安市",
            en="file of districts: names, where they are, tiles of the map; empty = those of Xi'an",
            check=checks.file_or_none,
        ),
    ] = ""
    lookup_days: Annotated[
        int, Meta(ge=1, le=30), Doc(zh="查询令的最长期限", en="longest term of an order of look-up", unit="d")
    ] = 7
    quiet_days: Annotated[
        int,
        Meta(ge=0, le=365),
        Doc(zh="查询令最长可暂缓告知本人多久", en="for how long an order may keep people from being told", unit="d"),
    ] = 90
    decide_days: Annotated[
        int,
        Meta(ge=1, le=14),
        Doc(zh="查询申请多久无人批准即失效", en="after how long a request that nobody decides lapses", unit="d"),
    ] = 3
