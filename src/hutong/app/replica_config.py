"""Settings of read replicas: a part of the tree in `config`, which is long enough without it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from hutong.app import checks
from hutong.kernel.settings import Doc


class ReplicaConfig(msgspec.Struct, frozen=True):
    """Read replicas of codes and results: what must be readable when the records are gone."""

    url: Annotated[
        str,
        Doc(
            zh="副本跟随的节点地址(采样点监听或其前面的边缘),如 https://stations.example;空则跟随本机数据库",
            en="node that the replica follows (its listener for stations, or the edge before it); empty = own records",
            check=checks.url_or_none,
        ),
    ] = ""
    token_file: Annotated[
        str,
        Doc(
            zh="存放令牌的文件,令牌须有 replica.follow 权限;url 非空时必填",
            en="file with the token, which has the permission replica.follow; needed with url",
            check=checks.file_or_none,
        ),
    ] = ""
    keep_days: Annotated[
        int,
        Meta(ge=1, le=30),
        Doc(
            zh="变更保留多久;离线更久的副本重新建立",
            en="how long changes are kept; a replica that was away for longer is made anew",
            unit="d",
        ),
    ] = 2
