"""Settings of admission and of the edge: parts of the tree in `config`, which is long enough without them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from hutong.app import checks
from hutong.kernel import addresses
from hutong.kernel.settings import Doc, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.app.codes_config import CodesConfig
    from hutong.app.sampling_config import SamplingConfig


class OverloadConfig(msgspec.Struct, frozen=True):
    """Admission to the public services of codes and sampling."""

    target_ms: Annotated[
        int,
        Meta(ge=1, le=1000),
        Doc(
            zh="办理一个请求的目标时间:同时办理的请求数据此调整",
            en="time at work that is aimed at; how many requests are at work at once follows it",
            unit="ms",
        ),
    ] = 100
    at_once: Annotated[
        int,
        Meta(ge=2, le=4096),
        Doc(zh="同时办理的请求数上限", en="the most requests at work at once", unit="requests"),
    ] = 256
    window_s: Annotated[
        int,
        Meta(ge=10, le=3600),
        Doc(zh="排队凭证到时后的有效时间", en="how long a waiting ticket is good from its time on", unit="s"),
    ] = 60
    horizon_s: Annotated[
        int,
        Meta(ge=30, le=7200),
        Doc(
            zh="最远约到多久以后;更远的不发凭证,只告知多久后再来",
            en="how far ahead a time is promised; beyond it people are told when to try again, without a ticket",
            unit="s",
        ),
    ] = 600


class EdgeConfig(msgspec.Struct, frozen=True):
    """The edge (nginx) before the public services; `hutong edge write` writes its configuration from these."""

    listen: Annotated[
        str, Doc(zh="公众入口的监听地址", en="address for everybody", check=addresses.parse_host_port)
    ] = "127.0.0.1:8082"
    application: Annotated[
        str,
        Doc(zh="公众入口转往的应用地址", en="where it passes requests on to", check=addresses.parse_host_port),
    ] = "127.0.0.1:8085"
    workers: Annotated[int, Meta(ge=1, le=64), Doc(zh="公众入口的工作进程数", en="worker processes for everybody")] = 2
    stations_listen: Annotated[
        str, Doc(zh="采样点入口的监听地址", en="address for stations", check=addresses.parse_host_port)
    ] = "127.0.0.1:8092"
    stations_application: Annotated[
        str,
        Doc(
            zh="采样点入口转往的应用地址",
            en="where requests of stations are passed on to",
            check=addresses.parse_host_port,
        ),
    ] = "127.0.0.1:8083"
    stations_workers: Annotated[
        int, Meta(ge=1, le=64), Doc(zh="采样点入口的工作进程数", en="worker processes for stations")
    ] = 1
    stations_networks: Annotated[
        tuple[str, ...],
        Meta(min_length=1),
        Doc(
            zh="采样点所在网段,其余拒绝",
            en="networks of the stations; others are refused",
            check=addresses.parse_network,
        ),
    ] = ("127.0.0.1/32", "::1/128")
    tls_certificate: Annotated[
        str, Doc(zh="TLS 证书链文件 (PEM),空则不用 TLS", en="file of the TLS certificate chain (PEM); empty = no TLS")
    ] = ""
    tls_key: Annotated[str, Doc(zh="TLS 私钥文件 (PEM)", en="file of the TLS private key (PEM)")] = ""
    root: Annotated[
        str,
        Doc(
            zh="静态页面目录(index.html、static/),空则无",
            en="folder of static pages (index.html, static/); empty = none",
            check=checks.folder_or_none,
        ),
    ] = ""
    connections: Annotated[
        int,
        Meta(ge=1, le=65_535),
        Doc(
            zh="同一地址的连接数上限;运营商地址转换后面有许多人",
            en="connections of one address; many people may be behind an operator's address translation",
        ),
    ] = 512
    handshakes: Annotated[
        int,
        Meta(ge=1, le=1_000_000),
        Doc(
            zh="每秒完整 TLS 握手数上限,恢复会话不计",
            en="full TLS handshakes a second; those that resume a session are not counted",
        ),
    ] = 2000
    cache_mb: Annotated[
        int, Meta(ge=1, le=1_048_576), Doc(zh="副本所占磁盘上限", en="disk for copies of answers", unit="MiB")
    ] = 1024


def crowd_processes(codes: CodesConfig, sampling: SamplingConfig) -> dict[str, int]:
    """How many processes serve each part of the edge, by its name."""
    return {"public": codes.processes, "stations": sampling.processes}


def edge_problems(edge: EdgeConfig, processes: dict[str, int]) -> Iterator[Problem]:
    """What must hold between them; `processes`: how many there are of each part, at ports one after the other."""
    for missing, given in (("tls_certificate", edge.tls_key), ("tls_key", edge.tls_certificate)):
        if given and not getattr(edge, missing):
            yield Problem(("edge", missing), "TLS needs a certificate and its key.", f"Set edge.{missing} too.")
    taken: set[addresses.HostPort] = set()
    for name, part in (("application", "public"), ("stations_application", "stations")):
        first = addresses.parse_host_port(getattr(edge, name))
        own = [addresses.HostPort(first.host, first.port + more) for more in range(processes[part])]
        if any(it.port > addresses.HIGHEST_PORT or it.collides_with(other) for it in own for other in taken):
            fix = "Choose other ports, or fewer processes."
            yield Problem(("edge", name), f"edge.{name}: {len(own)} processes have no room there.", fix)
        taken |= set(own)
    for name in ("listen", "stations_listen"):
        listener = addresses.parse_host_port(getattr(edge, name))
        if any(listener.collides_with(other) for other in taken):
            fix = "Give each listener of the edge and each process of the applications a port of its own."
            yield Problem(("edge", name), f"edge.{name}: {listener} is taken.", fix)
        taken.add(listener)
