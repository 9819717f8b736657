"""Settings of orders: a part of the tree in `config`, which is long enough without it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from hutong.kernel.errors import ConfigError, ListError
from hutong.kernel.lists.targets import read_target
from hutong.kernel.settings import Doc


def target(text: str) -> None:
    """A number, prefix or range."""
    try:
        read_target(text)
    except ListError as error:
        raise ConfigError(error.what, fix=error.fix) from error


class OrdersConfig(msgspec.Struct, frozen=True):
    """Block, unblock and limit orders: what they are held to."""

    longest_days: Annotated[
        int, Meta(ge=1, le=3660), Doc(zh="期限最长多少天", en="the longest term of an order, in days")
    ] = 365
    decide_days: Annotated[
        int,
        Meta(ge=1, le=90),
        Doc(zh="无人审批的申请多少天后失效", en="a request that nobody decides expires after so many days"),
    ] = 7
    protected: Annotated[
        tuple[str, ...],
        Doc(
            zh="需两人都明确确认才可列入指令的号码、号段(如医院、公共服务)",
            en="numbers, prefixes and ranges that an order may meet only if both persons confirm it (hospitals …)",
            check=target,
        ),
    ] = ()
    wide: Annotated[
        int,
        Meta(ge=1, le=10_000_000_000),
        Doc(
            zh="范围超过多少个号码须两人都明确确认",
            en="a scope of more numbers than this must be confirmed by both persons",
        ),
    ] = 10_000
