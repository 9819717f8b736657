"""Settings of sampling: a part of the tree in `config`, which is long enough without it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from hutong.app import checks
from hutong.kernel.errors import ConfigError
from hutong.kernel.settings import Doc
from hutong.sampling.model import FIELDS, SIZES


def field(name: str) -> None:
    """Something that may be asked of people."""
    if name not in FIELDS:
        raise ConfigError(f"{name!r} is nothing that is asked of people.", fix=f"Known: {', '.join(FIELDS)}.")


def size(people: int) -> None:
    """How many people a tube is for."""
    if people not in SIZES:
        raise ConfigError(f"There are no tubes of {people}.", fix=f"Known: {', '.join(map(str, SIZES))}.")


class SamplingConfig(msgspec.Struct, frozen=True):
    """Sampling: tubes, what people are asked, conflicts, how long it is kept."""

    listen: Annotated[
        str,
        Doc(
            zh="供采样点合并的监听地址,如 127.0.0.1:8083;空为不提供",
            en="address that stations merge at, such as 127.0.0.1:8083; empty = none",
            check=checks.host_port_or_none,
        ),
    ] = ""
    processes: Annotated[
        int,
        Meta(ge=1, le=64),
        Doc(
            zh="采样点服务的进程数;第 n 个监听 listen 的端口加 n-1,由边缘分派",
            en="processes that serve stations; the n-th listens n - 1 ports above listen",
            unit="processes",
        ),
    ] = 1
    sizes: Annotated[
        tuple[int, ...],
        Doc(
            zh="平时可用的试管规格(几人一管):1, 5, 10, 20;空则都可用",
            en="sizes of tubes in ordinary times, people to a tube: 1, 5, 10, 20; empty = all",
            check=size,
        ),
    ] = ()
    fields: Annotated[
        tuple[str, ...],
        Doc(
            zh="平时另外询问的内容:contact, residence, occupation",
            en="what is asked of people beside who they are: contact, residence, occupation",
            check=field,
        ),
    ] = ()
    apart_hours: Annotated[
        int,
        Meta(ge=1, le=168),
        Doc(
            zh="同一人在多少小时内进入两管算冲突",
            en="a person in two tubes within so many hours is a conflict",
        ),
    ] = 12
    clock_seconds: Annotated[
        int,
        Meta(ge=1, le=3600),
        Doc(
            zh="采样点时钟相差多少秒以内不校正",
            en="a station's clock may differ by so many seconds before its times are corrected",
        ),
    ] = 5
    silent_minutes: Annotated[
        int,
        Meta(ge=1, le=1440),
        Doc(
            zh="采样点多久没有联系算失联",
            en="a station that was not heard of for so long is silent",
            unit="min",
        ),
    ] = 30
    keep_days: Annotated[
        int, Meta(ge=1, le=3660), Doc(zh="采样记录保留天数", en="how long sampling is kept, in days")
    ] = 30
    emergency_hours: Annotated[
        int,
        Meta(ge=1, le=8760),
        Doc(zh="应急采样指令最长多少小时", en="the longest term of an emergency order, in hours"),
    ] = 168
