"""The tree of settings: names, defaults, bounds, both languages' descriptions. Defaults are loopback only."""

from __future__ import annotations

import os
import re
import zoneinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from hutong.kernel import addresses, settings
from hutong.kernel.errors import ConfigError
from hutong.kernel.settings import Doc, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TrunkKind = Literal["international", "inter-network", "local", "enterprise"]
_Level = Literal["debug", "info", "warning", "error"]


def _name(text: str) -> None:
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", text) is None:
        raise ConfigError(f"{text!r} is not a name.", fix="Use up to 63 letters, digits, dots, dashes, underscores.")


def _not_empty(text: str) -> None:
    if not text.strip():
        raise ConfigError("it is empty.", fix="Give a value or leave the line out.")


def _time_zone(text: str) -> None:
    try:
        zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(f"time zone {text!r} does not exist.", fix="Write it like Asia/Shanghai.") from None


def _area(text: str) -> None:
    if text and re.fullmatch(r"0?[1-9][0-9]{1,2}", text) is None:
        raise ConfigError(f"{text!r} is not an area code.", fix="Write it like 021 or 0571, or leave it empty.")


def _folder_or_none(text: str) -> None:
    if text and not Path(text).is_dir():
        raise ConfigError(f"folder {text!r} does not exist.", fix="Make it, or leave this empty.")


def _host_port_or_none(text: str) -> None:
    if text:
        addresses.parse_host_port(text)


def _url_or_none(text: str) -> None:
    if text:
        addresses.parse_http_url(text)


class NodeConfig(msgspec.Struct, frozen=True):
    """This node."""

    name: Annotated[str, Doc(zh="本节点的名称", en="name of this node", check=_name)] = "node1"
    data: Annotated[str, Doc(zh="数据目录(命令行 --data 优先)", en="data folder (--data wins)", check=_not_empty)] = (
        "./var"
    )


class SipConfig(msgspec.Struct, frozen=True):
    """The SIP redirect server."""

    listen: Annotated[
        tuple[str, ...],
        Meta(min_length=1),
        Doc(zh="监听地址", en="addresses to listen on", check=addresses.parse_listener),
    ] = ("udp:127.0.0.1:5060", "tcp:127.0.0.1:5060")
    next_hop: Annotated[
        str,
        Doc(
            zh="放行的呼叫转向的下一跳,写入 302 的 Contact",
            en="host:port that passed calls are redirected to, in the Contact of the 302",
            check=addresses.parse_host_port,
        ),
    ] = "127.0.0.1:5080"
    proxies: Annotated[
        tuple[str, ...],
        Doc(
            zh="可信代理:其 X-Hutong-Source 头域指明呼叫的真实来源",
            en="trusted proxies: their X-Hutong-Source header names the true source of a call",
            check=addresses.parse_network,
        ),
    ] = ("127.0.0.1/32", "::1/128")
    redress_url: Annotated[
        str,
        Doc(
            zh="申诉网址,写入 608 应答的 Call-Info (RFC 8688)",
            en="where a blocked caller may appeal, in the Call-Info of a 608 (RFC 8688)",
            check=addresses.parse_http_url,
        ),
    ] = "http://127.0.0.1:8080/redress"


class CallsConfig(msgspec.Struct, frozen=True):
    """Judging calls."""

    budget_ms: Annotated[
        int,
        Meta(ge=1, le=5000),
        Doc(
            zh="每次判决的时间预算,超过即放行",
            en="time budget of a verdict; beyond it the call passes",
            unit="ms",
        ),
    ] = 50
    home_area: Annotated[
        str,
        Doc(
            zh="本地区号,用于补全不带区号的固话",
            en="home area code, completes numbers without one",
            check=_area,
        ),
    ] = ""
    time_zone: Annotated[
        str, Doc(zh="判断昼夜所用的时区", en="time zone that tells day from night", check=_time_zone)
    ] = "Asia/Shanghai"
    night_from: Annotated[
        int, Meta(ge=0, le=23), Doc(zh="夜间从几点开始", en="hour at which night begins", unit="h")
    ] = 22
    night_to: Annotated[int, Meta(ge=0, le=23), Doc(zh="夜间到几点结束", en="hour at which night ends", unit="h")] = 8
    rules_dir: Annotated[
        str,
        Doc(
            zh="另加的规则目录(数据目录下的 rules 总会读取)",
            en="a further folder of rule files (DATA/rules is always read)",
            check=_folder_or_none,
        ),
    ] = ""


class TrunkConfig(msgspec.Struct, frozen=True):
    """One trunk: who sends from these networks."""

    name: Annotated[str, Doc(zh="中继名称", en="name of the trunk", check=_name)]
    kind: Annotated[
        TrunkKind,
        Doc(
            zh="国际、网间、本网、企业",
            en="from abroad, from another operator, from this network, from an enterprise",
        ),
    ]
    networks: Annotated[
        tuple[str, ...],
        Meta(min_length=1),
        Doc(zh="来源网段", en="networks that its calls come from", check=addresses.parse_network),
    ]
    ranges: Annotated[
        tuple[str, ...],
        Doc(zh="企业自有号段", en="an enterprise's own number ranges", check=addresses.parse_range),
    ] = ()
    next_hop: Annotated[
        str,
        Doc(
            zh="本中继的下一跳,空则用 sip.next_hop",
            en="next hop; empty = sip.next_hop",
            check=_host_port_or_none,
        ),
    ] = ""


class RoamingConfig(msgspec.Struct, frozen=True):
    """Whether a Chinese subscriber who calls from abroad is really roaming there."""

    table: Annotated[bool, Doc(zh="查询数据目录下的漫游表", en="ask the roaming table in the data folder")] = True
    http_url: Annotated[
        str,
        Doc(zh="漫游查询网址,空则不用", en="address of a look-up service; empty = none", check=_url_or_none),
    ] = ""
    http_budget_ms: Annotated[
        int, Meta(ge=1, le=5000), Doc(zh="漫游查询的时间预算", en="time budget of a look-up", unit="ms")
    ] = 200


class WindowsConfig(msgspec.Struct, frozen=True):
    """Sliding windows by caller, callee and trunk."""

    memory_mb: Annotated[
        int,
        Meta(ge=1, le=1_048_576),
        Doc(
            zh="窗口所用内存,固定不变;每个号码不超过 384 字节",
            en="memory for windows, fixed; at most 384 bytes a number",
            unit="MiB",
        ),
    ] = 256


class JournalConfig(msgspec.Struct, frozen=True):
    """The record of every verdict."""

    keep_hours: Annotated[
        int, Meta(ge=1, le=87_600), Doc(zh="日志保存时间", en="how long records are kept", unit="h")
    ] = 72
    segment_mb: Annotated[int, Meta(ge=1, le=4096), Doc(zh="日志分段大小", en="size of a segment file", unit="MiB")] = (
        64
    )
    sync_ms: Annotated[
        int, Meta(ge=1, le=60_000), Doc(zh="落盘 (fsync) 间隔", en="interval between fsyncs", unit="ms")
    ] = 200


class ServeConfig(msgspec.Struct, frozen=True):
    """API and pages."""

    listen: Annotated[str, Doc(zh="网页监听地址", en="address of the web pages", check=addresses.parse_host_port)] = (
        "127.0.0.1:8080"
    )


class LogConfig(msgspec.Struct, frozen=True):
    """What the processes say on standard error."""

    level: Annotated[_Level, Doc(zh="最低日志级别", en="lowest level that is written")] = "info"
    format: Annotated[Literal["console", "json"], Doc(zh="格式:给人看或给机器读", en="for people or for machines")] = (
        "console"
    )


class Config(msgspec.Struct, frozen=True):
    """All settings of a node."""

    node: NodeConfig = NodeConfig()
    sip: SipConfig = SipConfig()
    calls: CallsConfig = CallsConfig()
    trunks: tuple[TrunkConfig, ...] = ()
    roaming: RoamingConfig = RoamingConfig()
    windows: WindowsConfig = WindowsConfig()
    journal: JournalConfig = JournalConfig()
    serve: ServeConfig = ServeConfig()
    log: LogConfig = LogConfig()

    @property
    def data(self) -> Path:
        """The data folder."""
        return Path(self.node.data)


def load_config(
    file: Path | None = None, *, data: Path | None = None, environ: Mapping[str, str] | None = None
) -> Config:
    """Settings from defaults, the file, the environment (this process's unless given), `--data`; later wins.

    Raises:
        ConfigErrors: everything that is wrong, each with its place.
    """
    config = settings.load(Config, file, os.environ if environ is None else environ, check_config)
    if data is None:
        return config
    return msgspec.structs.replace(config, node=msgspec.structs.replace(config.node, data=str(data)))


def check_config(config: Config) -> Iterator[Problem]:
    """What must hold between settings that are each right by themselves."""
    yield from _repeated_listeners(config)
    names: dict[str, int] = {}
    networks: dict[addresses.Network, str] = {}
    for at, trunk in enumerate(config.trunks):
        if trunk.name in names:
            yield Problem(("trunks", at, "name"), f"two trunks are named {trunk.name!r}.", "Rename one.")
        names[trunk.name] = at
        if trunk.ranges and trunk.kind != "enterprise":
            yield Problem(
                ("trunks", at, "ranges"),
                f"trunk {trunk.name!r} is {trunk.kind} and has ranges.",
                'Remove ranges, or set kind = "enterprise".',
            )
        for text in trunk.networks:
            network = addresses.parse_network(text)
            if network in networks:
                yield Problem(
                    ("trunks", at, "networks"),
                    f"network {text} already belongs to trunk {networks[network]!r}.",
                    "Give it to one of them; a narrower network inside a wider one is fine.",
                )
            networks[network] = trunk.name


def _repeated_listeners(config: Config) -> Iterator[Problem]:
    seen: set[str] = set()
    for text in config.sip.listen:
        listener = addresses.parse_listener(text)
        if str(listener) in seen and listener.address.port:
            yield Problem(("sip", "listen"), f"{listener} is there twice.", "Remove one.")
        seen.add(str(listener))
