"""`hutong codes scans`: merged from devices' files, looked up under an order, told to the person; devices' clocks.

Deeds are those of the account that `--by` names, its agency and its role: two persons stay two. Whoever reaches the
data folder could name anybody; what is asked here keeps honest people from mistakes, and the trail says which user of
this machine it was.
"""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003  # cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from cyclopts import App, Parameter

from hutong.app.cli_terms import Lang, language_of
from hutong.app.persons_work import persons_of
from hutong.app.scan_device_cli import app as device
from hutong.app.scan_sitting import By, ConfigFile, DataFolder, Json, Sitting, Why, opened
from hutong.codes.people.day_keys import day_of, day_text
from hutong.codes.people.documents import DocumentKind, read_document
from hutong.codes.people.pseudonyms import is_pseudonym
from hutong.codes.scans.errors import ScanError, ScanRefused
from hutong.codes.scans.files import read_batches
from hutong.codes.scans.group import MOST_AT_ONCE
from hutong.codes.scans.lookup_model import STATE_TITLES, OrderWish, Scope, ScopeKind, State
from hutong.codes.scans.notices import nothing_told
from hutong.kernel.access.trail import Trail
from hutong.kernel.cases.calendar import show_moment
from hutong.kernel.lists.csv_file import read_time
from hutong.kernel.reporter import rfc3339_ms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.codes.scans.lookup_model import LookupOrder
    from hutong.codes.scans.model import Answer, Refusal

app = App(name="scans", help="扫码登记:合并、依令查询、告知 / Scans: merge, look up under an order, tell people")
orders = App(name="order", help="查询令:申请、审批、撤销 / Orders of look-up: ask, decide, revoke")
app.command(orders)
app.command(device)

_DAY_S: Final = 86_400
MERGE: Final = "codes.merge"

OrderId = Annotated[str, Parameter(name="ORDER", help="查询令编号 / id of the order")]
Kind = Annotated[ScopeKind, Parameter(name="KIND", help="venue 场所,person 人 / who was there; where somebody was")]
About = Annotated[
    str,
    Parameter(
        name="ABOUT",
        allow_leading_hyphen=True,
        help="场所编号或人的代号;- 从标准输入读证件号 / venue, or pseudonym; - = number of a document on stdin",
    ),
]
Since = Annotated[str, Parameter(help="从何时起,如 2026-11-20T08:00:00+08:00 / from when on")]
Until = Annotated[str, Parameter(help="到何时前 / to before when")]
Document = Annotated[DocumentKind, Parameter(help="证件种类 / kind of the document")]


def _about(it: Sitting, kind: ScopeKind, said: str, document: DocumentKind) -> str:
    """The venue or the person that a command is about."""
    if kind == "venue" or is_pseudonym(said):
        return said
    if said != "-":
        fix = "Give 32 hex letters, or - and the number of the document on standard input."
        raise ScanRefused("scope", "This is no pseudonym of a person.", where="ABOUT", fix=fix)
    return persons_of(it.config, it.database).of(read_document(document, sys.stdin.readline().strip()))


def _write(values: list[object]) -> None:
    for value in values:
        sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


@app.command
def merge(
    *files: Annotated[Path, Parameter(name="FILE", help="设备导出的文件 / files that devices exported")],
    by: By,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> int:
    """合并设备的登记,重复无妨;回答写到标准输出 / Merge devices' scans, as often as you like; writes the answers."""
    wrong = 0
    with opened(config, data) as it:
        seeker = it.seeker(by)
        if MERGE not in seeker.permissions:
            raise ScanRefused("not-allowed", f"This needs the permission {MERGE}.", where="--by")
        for file in files:
            taken = 0
            try:
                for answer, bad in _merged(it, file):
                    taken += len(answer.taken)
                    _write([answer])
                    wrong += len(answer.refused) + len(bad)
                    for one in (*bad, *answer.refused):
                        sys.stderr.write(f"{file}:{one.place}: {one.reason}: {one.what}\n")
                    if answer.wrong or answer.ahead_ms:
                        sys.stderr.write(_clock(answer))
            finally:  # what was merged before something failed stays merged
                after, trail = {"taken": taken}, Trail(it.database)
                trail.record(seeker.name, seeker.address, "scans.merge", file.name, after=after, now_ms=it.now_ms)
    return 1 if wrong else 0


def _merged(it: Sitting, file: Path) -> Iterator[tuple[Answer, tuple[Refusal, ...]]]:
    try:
        with file.open(encoding="utf-8", errors="replace") as lines:
            for batch, bad in read_batches(lines, MOST_AT_ONCE):
                yield it.parts.scans.merge([batch], it.now_ms).answers[0], bad
    except OSError as error:
        raise ScanError(f"The file cannot be read: {error.strerror}.", where=str(file)) from error


def _clock(answer: Answer) -> str:
    ahead_s, lost = round(answer.ahead_ms / 1000), len(answer.wrong)
    zh = f"时钟不准:快 {ahead_s} 秒" + (f",{lost} 条时间不可知" if lost else "")
    en = f"clock off: {ahead_s} s ahead" + (f", {lost} times unknown" if lost else "")
    return f"{answer.source.device}: {zh} / {en}\n"


@app.command
def clocks(*, config: ConfigFile = None, data: DataFolder = None) -> None:
    """一天内时钟不准的设备 / Devices heard of within a day whose clock is off."""
    with opened(config, data) as it:
        for source, ahead_ms, lost, contact_ms in it.parts.scans.clocks(it.now_ms):
            note = " 时间不可知 times unknown" if lost else ""
            sys.stdout.write(f"{source.device} {round(ahead_ms / 1000):+} s {show_moment(contact_ms)}{note}\n")


@app.command
def lookup(  # noqa: PLR0913  # a look-up's own parts, one option each
    order: OrderId,
    kind: Kind,
    about: About,
    /,
    *,
    since: Since,
    until: Until,
    purpose: Annotated[str, Parameter(help="用途,记入操作记录 / what for; goes on the trail")],
    by: By,
    document: Document = "id",
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """依令查询;先入操作记录,后答复 / Look up under an order; on the trail before anything is answered."""
    with opened(config, data) as it:
        scope = _scope(it, kind, about, since, until, document)
        answer = it.parts.desk.look_up(order, scope, it.seeker(by), purpose, it.now_ms)
    for found in answer.found:
        kept = found.kept
        shown = {"time": rfc3339_ms(kept.at_ms), "said": rfc3339_ms(kept.said_ms), "clock": kept.clock}
        shown |= {"who": kept.who, "venue": kept.venue, "mode": kept.mode, "verdict": kept.verdict}
        _write([shown | {"copies": found.copies}])
    kept_since = show_moment(answer.kept_since_ms)
    sys.stderr.write(f"{len(answer.found)} 条;{kept_since} 之前的已删除 / older ones are deleted\n")


@app.command
def told(
    person: About,
    /,
    *,
    document: Document = "id",
    lang: Lang = None,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """本人被查询过的告知 / What a person is told of look-ups."""
    language = language_of(lang)
    with opened(config, data) as it:
        who = _about(it, "person", person, document)
        today, rule = day_of(it.now_ms), it.parts.scans.rule(it.now_ms)
        days = range(today - rule.notice_days - it.config.scans.quiet_days - rule.days, today + 1)
        found = it.parts.notices.of((it.parts.names.name(who, day) for day in days), it.now_ms)
    lines = [it_.told(language) for it_ in found] or [nothing_told(language)]
    sys.stdout.write("\n".join(lines) + "\n")


# Orders


@orders.command
def request(  # noqa: PLR0913  # an order's own parts, one option each
    kind: Kind,
    about: About,
    /,
    *,
    since: Since,
    until: Until,
    number: Annotated[str, Parameter(help="文号 / number of the agency's document")],
    basis: Annotated[tuple[str, ...], Parameter(help="法律依据编号 / ids of legal bases, docs/scans.md")],
    reason: Why,
    days: Annotated[int, Parameter(help="期限,天 / term in days")],
    by: By,
    basis_text: Annotated[str, Parameter(help="条款、文书 / which article, which document")] = "",
    quiet_days: Annotated[int, Parameter(help="暂缓告知本人的天数 / days until people are told")] = 0,
    quiet_why: Annotated[str, Parameter(help="为何暂缓告知 / why they must not be told yet")] = "",
    document: Document = "id",
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """申请查询令;须由另一人批准 / Ask for an order; another person must approve it."""
    with opened(config, data) as it:
        wish = OrderWish(
            scope=_scope(it, kind, about, since, until, document),
            document=number,
            basis=basis,
            basis_text=basis_text,
            reason=reason,
            term_s=days * _DAY_S,
            quiet_s=quiet_days * _DAY_S,
            quiet_why=quiet_why,
        )
        order = it.parts.orders.request(wish, it.seeker(by), it.now_ms)
    sys.stdout.write(f"{order.id}\n")


@orders.command
def decide(
    order: OrderId,
    action: Annotated[
        Literal["approve", "decline", "withdraw", "revoke"],
        Parameter(name="ACTION", help="批准、驳回、撤回、撤销 / approve, decline, withdraw, revoke"),
    ],
    /,
    *,
    by: By,
    reason: Why = "",
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """审批或终止查询令 / Decide an order, or end it."""
    with opened(config, data) as it:
        after = it.parts.orders.do(order, action, it.seeker(by), it.now_ms, reason=reason)
    sys.stdout.write(_line(after))


@orders.command(name="list")
def list_(
    *,
    by: By,
    state: Annotated[State | None, Parameter(help="状态 / state")] = None,
    limit: Annotated[int, Parameter(help="最多几件 / at most so many")] = 50,
    json: Json = False,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """列出查询令,最近变动者在前 / Orders, what changed last stands first."""
    with opened(config, data) as it:
        found = it.parts.orders.listing(it.seeker(by), limit, state or "")
    if json:
        _write(list(found))
        return
    sys.stdout.writelines(map(_line, found))


@orders.command
def show(order: OrderId, /, *, by: By, config: ConfigFile = None, data: DataFolder = None) -> None:
    """一件查询令及其使用情况 / One order, and how it was used."""
    with opened(config, data) as it:
        found = it.parts.orders.order(order, it.seeker(by))
        used = it.parts.orders.used(order)
    _write([msgspec.to_builtins(found) | {"lookups": used.lookups, "rows": used.rows}])


def _scope(it: Sitting, kind: ScopeKind, about: str, since: str, until: str, document: DocumentKind) -> Scope:
    since_ms, until_ms = read_time(since, "--since") * 1000, read_time(until, "--until") * 1000
    return Scope(kind=kind, about=_about(it, kind, about, document), since_ms=since_ms, until_ms=until_ms)


def _line(order: LookupOrder) -> str:
    scope = f"{order.scope.kind} {day_text(day_of(order.scope.since_ms))}"
    ends, state = show_moment(order.ends_ms), STATE_TITLES[order.state]["zh"]
    return f"{order.id} {state} {order.state} {order.agency} {order.document} {scope} {ends}\n"
