"""The tree of settings: names, defaults, bounds, both languages' descriptions. Defaults are loopback only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from hutong.app import checks
from hutong.app.appeals_config import AppealsConfig, HandoffConfig
from hutong.app.cases_config import CaseContactConfig, CasesConfig
from hutong.app.codes_config import CodesConfig
from hutong.app.orders_config import OrdersConfig
from hutong.app.overload_config import EdgeConfig, OverloadConfig, crowd_processes, edge_problems
from hutong.app.replica_config import ReplicaConfig
from hutong.app.reports_config import ReportsConfig
from hutong.app.sampling_config import SamplingConfig
from hutong.app.scans_config import ScansConfig
from hutong.kernel import addresses, settings
from hutong.kernel.access.permissions import Role  # noqa: TC001  # msgspec reads the annotation
from hutong.kernel.settings import Doc, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hutong.kernel.toml_lines import Place

TrunkKind = Literal["international", "inter-network", "local", "enterprise"]
_Level = Literal["debug", "info", "warning", "error"]


class NodeConfig(msgspec.Struct, frozen=True):
    """This node."""

    name: Annotated[str, Doc(zh="本节点的名称", en="name of this node", check=checks.name)] = "node1"
    data: Annotated[
        str, Doc(zh="数据目录(命令行 --data 优先)", en="data folder (--data wins)", check=checks.not_empty)
    ] = "./var"


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
    ] = "http://127.0.0.1:8081/redress"


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
            check=checks.area,
        ),
    ] = ""
    time_zone: Annotated[
        str, Doc(zh="判断昼夜所用的时区", en="time zone that tells day from night", check=checks.time_zone)
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
            check=checks.folder_or_none,
        ),
    ] = ""


class TrunkConfig(msgspec.Struct, frozen=True):
    """One trunk: who sends from these networks."""

    name: Annotated[str, Doc(zh="中继名称", en="name of the trunk", check=checks.name)]
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
            check=checks.host_port_or_none,
        ),
    ] = ""


class RoamingConfig(msgspec.Struct, frozen=True):
    """Whether a Chinese subscriber who calls from abroad is really roaming there."""

    table: Annotated[bool, Doc(zh="查询数据目录下的漫游表", en="ask the roaming table in the data folder")] = True
    http_url: Annotated[
        str,
        Doc(zh="漫游查询网址,空则不用", en="address of a look-up service; empty = none", check=checks.url_or_none),
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


class ArchiveConfig(msgspec.Struct, frozen=True):
    """Verdicts and outcomes as Parquet tables, for replays and questions over months."""

    enabled: Annotated[
        bool, Doc(zh="将判决与结果归档到数据目录下的 archive", en="archive verdicts and outcomes in DATA/archive")
    ] = True
    keep_days: Annotated[
        int, Meta(ge=1, le=3650), Doc(zh="归档保存时间(按 UTC 日)", en="how long days (UTC) are kept", unit="d")
    ] = 35


class MirrorConfig(msgspec.Struct, frozen=True):
    """Signalling that a proxy or probe mirrors to us (HEPv3)."""

    listen: Annotated[
        tuple[str, ...],
        Doc(zh="监听地址,空则不接收", en="addresses to listen on; empty = none", check=addresses.parse_listener),
    ] = ()
    key: Annotated[str, Doc(zh="鉴权密钥,空则不查", en="authentication key of the senders; empty = not asked")] = ""
    wait_ms: Annotated[
        int,
        Meta(ge=0, le=10_000),
        Doc(
            zh="镜像的 INVITE 等待其筛查请求的时间,过后按观察模式判决",
            en="how long a mirrored INVITE waits for the call to be screened; then it is judged in observe mode",
            unit="ms",
        ),
    ] = 500
    calls: Annotated[
        int,
        Meta(ge=1024, le=16_777_216),
        Doc(zh="同时跟踪的呼叫数", en="calls that are followed at once", unit="calls"),
    ] = 262_144


class AlertsConfig(msgspec.Struct, frozen=True):
    """Who is told of alerts on calls under way, besides the people at the console."""

    webhook_url: Annotated[
        str,
        Doc(
            zh="接收告警的网址(POST,带签名),空则不发",
            en="address that alerts are posted to, signed; empty = none",
            check=checks.url_or_none,
        ),
    ] = ""
    webhook_secret: Annotated[
        str, Doc(zh="签名密钥,与接收方共有", en="secret of the signature, shared with the receiver")
    ] = ""
    file: Annotated[
        str,
        Doc(
            zh="告警写入的文件,每行一个 JSON;空则不写",
            en="file that alerts are appended to, a line of JSON each; empty = none",
            check=checks.file_or_none,
        ),
    ] = ""


class KafkaConfig(msgspec.Struct, frozen=True):
    """Calls from Kafka, and verdicts to it."""

    bootstrap_servers: Annotated[
        tuple[str, ...],
        Doc(zh="Kafka 服务器,空则不用", en="brokers to begin with; empty = no Kafka", check=addresses.parse_host_port),
    ] = ()
    calls_topic: Annotated[str, Doc(zh="接收呼叫的主题,空则不接收", en="topic that calls come from; empty = none")] = (
        "hutong.calls"
    )
    outcomes_topic: Annotated[
        str,
        Doc(
            zh="接收呼叫结果(接通、结束)的主题,空则不接收;跟踪的呼叫数见 mirror.calls",
            en="topic that answers and ends of calls come from; empty = none; mirror.calls says how many are followed",
        ),
    ] = ""
    verdicts_topic: Annotated[
        str, Doc(zh="发布判决的主题,空则不发布", en="topic that verdicts go to; empty = none")
    ] = "hutong.verdicts"
    dead_topic: Annotated[
        str,
        Doc(zh="无法使用的消息转入的主题", en="topic for messages that cannot be used", check=checks.not_empty),
    ] = "hutong.calls.dead"
    group: Annotated[
        str, Doc(zh="消费组,各节点相同", en="consumer group, the same on every node", check=checks.not_empty)
    ] = "hutong"
    whole_numbers: Annotated[
        bool, Doc(zh="判决中的号码不掩码", en="verdicts carry whole numbers; masked otherwise")
    ] = False
    security_protocol: Annotated[
        Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"], Doc(zh="安全协议", en="security protocol")
    ] = "plaintext"
    sasl_mechanism: Annotated[
        Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], Doc(zh="SASL 机制", en="SASL mechanism")
    ] = ""
    username: Annotated[str, Doc(zh="SASL 用户名", en="SASL user name")] = ""
    password_file: Annotated[
        str, Doc(zh="存放 SASL 口令的文件", en="file that holds the SASL password", check=checks.file_or_none)
    ] = ""
    ca_file: Annotated[
        str, Doc(zh="CA 证书文件 (PEM)", en="file of the CA's certificates (PEM)", check=checks.file_or_none)
    ] = ""
    certificate_file: Annotated[
        str, Doc(zh="客户端证书文件 (PEM)", en="file of the client's certificate (PEM)", check=checks.file_or_none)
    ] = ""
    key_file: Annotated[
        str, Doc(zh="客户端私钥文件 (PEM)", en="file of the client's private key (PEM)", check=checks.file_or_none)
    ] = ""


class RecordsConfig(msgspec.Struct, frozen=True):
    """The database of people, tokens, changes and figures."""

    url: Annotated[
        str,
        Doc(
            zh="postgresql://… 数据库;空则用数据目录下的 SQLite",
            en="postgresql://… database; empty = SQLite in the data folder",
            check=checks.records_url,
        ),
    ] = ""


class ServeConfig(msgspec.Struct, frozen=True):
    """API and pages."""

    listen: Annotated[
        str,
        Doc(zh="控制台与接口的监听地址", en="address of console and API", check=addresses.parse_host_port),
    ] = "127.0.0.1:8080"
    public_listen: Annotated[
        str,
        Doc(zh="公众页面的监听地址", en="address of the public pages", check=addresses.parse_host_port),
    ] = "127.0.0.1:8081"
    hosts: Annotated[
        tuple[str, ...],
        Doc(
            zh="控制台的其他主机名(反向代理之后)",
            en="further host names of the console (behind a reverse proxy)",
            check=checks.host_name,
        ),
    ] = ()
    proxies: Annotated[
        tuple[str, ...],
        Doc(
            zh="可信反向代理:其 X-Forwarded-For 指明客户端",
            en="trusted reverse proxies: their X-Forwarded-For names the client",
            check=addresses.parse_network,
        ),
    ] = ()
    https: Annotated[
        bool, Doc(zh="经 HTTPS 访问(Cookie 仅限 HTTPS)", en="reached over HTTPS: cookies for HTTPS only")
    ] = False
    tls_certificate: Annotated[
        str, Doc(zh="TLS 证书链文件 (PEM),空则不用 TLS", en="file of the TLS certificate chain (PEM); empty = no TLS")
    ] = ""
    tls_key: Annotated[str, Doc(zh="TLS 私钥文件 (PEM)", en="file of the TLS private key (PEM)")] = ""


class AccessConfig(msgspec.Struct, frozen=True):
    """Signing in."""

    session_hours: Annotated[
        int, Meta(ge=1, le=168), Doc(zh="登录最长有效时间", en="longest life of a session", unit="h")
    ] = 12
    idle_minutes: Annotated[
        int, Meta(ge=1, le=1440), Doc(zh="无操作多久后退出", en="a session ends after so long without use", unit="min")
    ] = 60
    token_days: Annotated[
        int, Meta(ge=1, le=3650), Doc(zh="接口令牌最长有效期", en="longest life of an API token", unit="d")
    ] = 365


class OidcConfig(msgspec.Struct, frozen=True):
    """Signing in at an OpenID provider."""

    issuer: Annotated[
        str, Doc(zh="OpenID 提供方网址,空则不用", en="issuer of the provider; empty = none", check=checks.url_or_none)
    ] = ""
    client_id: Annotated[str, Doc(zh="客户端标识", en="client id")] = ""
    client_secret: Annotated[str, Doc(zh="客户端密钥", en="client secret")] = ""
    redirect_url: Annotated[
        str,
        Doc(
            zh="回调网址:控制台网址加 /signin/oidc/callback",
            en="where the provider sends people back: the console's address and /signin/oidc/callback",
            check=checks.url_or_none,
        ),
    ] = ""
    groups_claim: Annotated[str, Doc(zh="列出用户组的声明", en="claim that lists a person's groups")] = "groups"


class OidcRoleConfig(msgspec.Struct, frozen=True):
    """The role that members of a provider's group get; the first that fits counts."""

    group: Annotated[str, Doc(zh="用户组", en="group", check=checks.not_empty)]
    role: Annotated[Role, Doc(zh="角色", en="role")]


class ApiConfig(msgspec.Struct, frozen=True):
    """Limits of the HTTP API."""

    max_calls: Annotated[
        int, Meta(ge=1, le=10_000), Doc(zh="一次请求最多筛查的呼叫数", en="calls in one request", unit="calls")
    ] = 1000
    calls_per_second: Annotated[
        int,
        Meta(ge=1, le=1_000_000),
        Doc(zh="每个令牌每秒筛查的呼叫数", en="calls a second for each token", unit="calls"),
    ] = 10_000
    requests_per_second: Annotated[
        int,
        Meta(ge=1, le=100_000),
        Doc(zh="每个令牌每秒的其他请求数", en="other requests a second for each token", unit="requests"),
    ] = 50


class EvidenceConfig(msgspec.Struct, frozen=True):
    """What a backtest must show before a rule may warn or block, and when a rule that does is stopped."""

    days: Annotated[int, Meta(ge=1, le=365), Doc(zh="证据的有效期", en="how old a backtest may be", unit="d")] = 30
    block_per_million: Annotated[
        float,
        Meta(gt=0, le=1_000_000),
        Doc(
            zh="拦截规则的误伤上限:每百万次正常呼叫,取 95 % 区间的上端",
            en="limit of rules that block: false positives per million legitimate calls, end of the 95 % interval",
        ),
    ] = 10.0
    warn_per_million: Annotated[
        float,
        Meta(gt=0, le=1_000_000),
        Doc(
            zh="提示规则的误伤上限:每百万次正常呼叫,取 95 % 区间的上端",
            en="limit of rules that warn: false positives per million legitimate calls, end of the 95 % interval",
        ),
    ] = 100.0


class RiskConfig(msgspec.Struct, frozen=True):
    """Scoring numbers that call, beside the calls."""

    model: Annotated[
        str,
        Doc(
            zh="模型文件(由 hutong risk train 生成),空则不评分",
            en="model file, made by `hutong risk train`; empty = no scores",
        ),
    ] = ""
    every_minutes: Annotated[
        int, Meta(ge=1, le=1440), Doc(zh="为活跃号码评分的间隔", en="how often active numbers are scored", unit="min")
    ] = 15
    days: Annotated[
        int,
        Meta(ge=1, le=365),
        Doc(
            zh="评分所依据的呼叫天数,亦为评分的有效期",
            en="days of calls that a score looks back on, and how long it is kept",
            unit="d",
        ),
    ] = 30


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
    archive: ArchiveConfig = ArchiveConfig()
    mirror: MirrorConfig = MirrorConfig()
    alerts: AlertsConfig = AlertsConfig()
    kafka: KafkaConfig = KafkaConfig()
    records: RecordsConfig = RecordsConfig()
    serve: ServeConfig = ServeConfig()
    access: AccessConfig = AccessConfig()
    oidc: OidcConfig = OidcConfig()
    oidc_roles: tuple[OidcRoleConfig, ...] = ()
    api: ApiConfig = ApiConfig()
    evidence: EvidenceConfig = EvidenceConfig()
    cases: CasesConfig = CasesConfig()
    case_contacts: tuple[CaseContactConfig, ...] = ()
    orders: OrdersConfig = OrdersConfig()
    appeals: AppealsConfig = AppealsConfig()
    handoff: HandoffConfig = HandoffConfig()
    reports: ReportsConfig = ReportsConfig()
    codes: CodesConfig = CodesConfig()
    scans: ScansConfig = ScansConfig()
    sampling: SamplingConfig = SamplingConfig()
    replica: ReplicaConfig = ReplicaConfig()
    risk: RiskConfig = RiskConfig()
    overload: OverloadConfig = OverloadConfig()
    edge: EdgeConfig = EdgeConfig()
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
    yield from _web(config)
    yield from _told(config)
    yield from edge_problems(config.edge, crowd_processes(config.codes, config.sampling))
    if config.kafka.security_protocol.startswith("sasl") and not (
        config.kafka.sasl_mechanism and config.kafka.username
    ):
        yield Problem(("kafka", "sasl_mechanism"), "SASL has no mechanism or user name.", "Set both.")
    if config.kafka.outcomes_topic and config.kafka.outcomes_topic == config.kafka.calls_topic:
        yield Problem(("kafka", "outcomes_topic"), "calls come from it.", "Choose another topic.")
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


def _told(config: Config) -> Iterator[Problem]:
    """A webhook comes with its secret, letters with a sender."""
    for section in ("alerts", "cases", "handoff"):
        told = getattr(config, section)
        if told.webhook_url and not told.webhook_secret:
            fix = f"Set {section}.webhook_secret too."
            yield Problem((section, "webhook_secret"), "the webhook has no secret.", fix)
    if config.appeals.code_webhook_url and not config.appeals.code_webhook_secret:
        fix = "Set appeals.code_webhook_secret too."
        yield Problem(("appeals", "code_webhook_secret"), "the gateway for codes has no secret.", fix)
    if (config.codes.operator_url or config.codes.operator_file) and not config.codes.operator_secret:
        fix = "Set codes.operator_secret too."
        yield Problem(("codes", "operator_secret"), "nothing is shared with the operator.", fix)
    if config.cases.smtp_server and not config.cases.smtp_sender:
        yield Problem(("cases", "smtp_sender"), "letters have no sender.", "Set cases.smtp_sender too.")
    if not config.cases.smtp_tls:
        for name in ("smtp_user", "smtp_password"):
            if getattr(config.cases, name):
                fix = "Set cases.smtp_tls = true, or leave cases.smtp_user and cases.smtp_password out."
                yield Problem(("cases", name), "it would be sent unencrypted, since cases.smtp_tls is false.", fix)


def _web(config: Config) -> Iterator[Problem]:
    """Certificate and key come together; so do issuer, client and where people are sent back to."""
    serve, oidc = config.serve, config.oidc
    for missing, given in (("tls_certificate", serve.tls_key), ("tls_key", serve.tls_certificate)):
        if given and not getattr(serve, missing):
            yield Problem(("serve", missing), "TLS needs a certificate and its key.", f"Set serve.{missing} too.")
    for name in ("client_id", "redirect_url"):
        if oidc.issuer and not getattr(oidc, name):
            yield Problem(("oidc", name), "signing in at a provider needs it.", f"Set oidc.{name}.")


def _repeated_listeners(config: Config) -> Iterator[Problem]:
    """A transport, address and port can be listened on once; port 0 is another one each time."""
    asked: list[tuple[Place, str]] = [
        *((("sip", "listen"), text) for text in config.sip.listen),
        *((("serve", key), f"tcp:{getattr(config.serve, key)}") for key in ("listen", "public_listen")),
        *((("mirror", "listen"), text) for text in config.mirror.listen),
    ]
    taken: list[tuple[Place, addresses.Listener]] = []
    for place, text in asked:
        listener = addresses.parse_listener(text)
        by = next((other for other, it in taken if it.collides_with(listener)), None)
        if by == place:
            yield Problem(place, f"{listener} is there twice.", "Remove one.")
        elif by is not None:
            yield Problem(place, f"{listener} is taken by {'.'.join(map(str, by))}.", "Choose another port.")
        taken.append((place, listener))
