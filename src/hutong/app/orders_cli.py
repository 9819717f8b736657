"""`hutong orders`: asked for, decided, listed, shown; evidence packs made, and verified offline.

Deeds are those of the account that `--by` names, and its role must allow them: two persons stay two. Whoever reaches
the data folder could name anybody; what is asked here keeps honest people from mistakes, and the trail says which user
of this machine it was.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path  # cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated, Final, cast

import msgspec
from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from hutong.app.cli_records import machine_user, open_records
from hutong.app.config import load_config
from hutong.app.orders_work import order_desk
from hutong.kernel.access.errors import AccessError
from hutong.kernel.access.people import People
from hutong.kernel.access.permissions import permissions_of
from hutong.kernel.access.refs import Refs
from hutong.kernel.audit.notes import read_public_key
from hutong.kernel.cases.calendar import show_moment
from hutong.kernel.clock import SystemClock
from hutong.kernel.lists.store import ListStore
from hutong.kernel.reporter import masked, rfc3339_ms
from hutong.orders.errors import OrderError, OrderRefused
from hutong.orders.model import Action, Actor, Deed, Kind, Role, State, Wish
from hutong.orders.query import OrderQuery
from hutong.orders.table import MOVES, STATE_TITLES
from hutong.orders.words import masked_scope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.app.config import Config
    from hutong.kernel.records import Database
    from hutong.orders.desk import OrderDesk
    from hutong.orders.evidence.gathering import EvidenceDesk
    from hutong.orders.model import Order

app = App(name="orders", help="指令:申请、审批、解除、证据包 / Block, unblock and limit orders, evidence packs")

_NS_IN_MS: Final = 1_000_000
_PIPE_WIDTH: Final = 1000
_DAY_S: Final = 86_400

OrderId = Annotated[str, Parameter(name="ORDER", help="指令编号 / id of the order")]
By = Annotated[str, Parameter(help="以此账号办理 / account whose deed it is")]
Why = Annotated[str, Parameter(help="原因 / why")]
Confirm = Annotated[bool, Parameter(negative="", help="确认范围受保护或很大 / the scope is known to be guarded")]
ConfigFile = Annotated[Path | None, Parameter(help="配置文件 (TOML) / settings file (TOML)")]
DataFolder = Annotated[Path | None, Parameter(help="数据目录 / data folder")]


class _Sitting(msgspec.Struct, frozen=True):
    """Settings, open records and lists, the orders, the time."""

    config: Config
    database: Database
    lists: ListStore
    desk: OrderDesk
    now_ms: int

    def actor(self, by: str) -> Actor:
        """The person with this account.

        Raises:
            OrderError: there is none, or it is disabled.
        """
        fix = "`hutong people list` shows all."
        try:
            account = People(self.database).account(by)
        except AccessError:
            raise OrderError(f"There is no account {by!r}.", where="--by", fix=fix) from None
        if account.disabled:
            raise OrderError(f"The account {by!r} is disabled.", where="--by", fix=fix)
        return Actor(account.name, permissions_of(account.role), machine_user())


@contextmanager
def _opened(config: Path | None, data: Path | None) -> Iterator[_Sitting]:
    settings = load_config(config, data=data)
    with open_records(settings, missing="There are no orders yet.") as database:
        lists = ListStore(settings.data / "lists")
        try:
            lists.open()
            desk = order_desk(settings, database, lists, Refs(settings.data / "keys" / "refs.key"))
            yield _Sitting(settings, database, lists, desk, SystemClock().wall() // _NS_IN_MS)
        finally:
            lists.close()


@app.command
def request(  # noqa: PLR0913  # an order's own parts, one option each
    kind: Annotated[Kind, Parameter(name="KIND", help="封停、解封、限制 / block, unblock, limit")],
    target: Annotated[str, Parameter(name="TARGET", help="号码、号段 0755* 或区间 / number, prefix or range")],
    /,
    *,
    agency: Annotated[str, Parameter(help="发文机关 / issuing agency")],
    document: Annotated[str, Parameter(help="文号 / number of its document")],
    basis: Annotated[tuple[str, ...], Parameter(help="法律依据编号 / ids of legal bases, docs/orders.md")],
    reason: Why,
    days: Annotated[int, Parameter(help="期限,天 / term in days")],
    by: By,
    role: Annotated[Role, Parameter(help="作为主叫、被叫或任一 / whose number it is in a call")] = "caller",
    basis_text: Annotated[str, Parameter(help="条款说明 / the provision in words")] = "",
    per_hour: Annotated[int, Parameter(help="限制:每小时次数 / of a limit: calls an hour")] = 0,
    case: Annotated[str, Parameter(help="案件编号 / id of its case")] = "",
    confirm: Confirm = False,
    key: Annotated[str, Parameter(help="请求键,重复无二次效果 / a repeated request with this key has one effect")] = "",
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """申请指令;须由另一人批准 / Ask for an order; another person must approve it."""
    wish = Wish(
        kind=kind,
        target=target,
        role=role,
        agency=agency,
        document=document,
        basis=basis,
        basis_text=basis_text,
        reason=reason,
        term_s=days * _DAY_S,
        per_hour=per_hour,
        confirmed=confirm,
        case=case,
    )
    with _opened(config, data) as it:
        answer = it.desk.request(wish, it.actor(by), it.now_ms, key=key)
    sys.stdout.write(f"{answer.order}\n")


@app.command
def approve(
    order: OrderId, /, *, by: By, confirm: Confirm = False, config: ConfigFile = None, data: DataFolder = None
) -> None:
    """批准他人的申请,即时生效 / Approve what another person requested; it takes effect at once."""
    _do(order, Deed("approve", confirmed=confirm), by, config, data)


@app.command
def decline(order: OrderId, /, *, reason: Why, by: By, config: ConfigFile = None, data: DataFolder = None) -> None:
    """驳回他人的申请 / Decline what another person requested."""
    _do(order, Deed("decline", reason), by, config, data)


@app.command
def withdraw(order: OrderId, /, *, reason: Why, by: By, config: ConfigFile = None, data: DataFolder = None) -> None:
    """撤回自己的申请 / Withdraw one's own request."""
    _do(order, Deed("withdraw", reason), by, config, data)


@app.command
def lift(order: OrderId, /, *, reason: Why, by: By, config: ConfigFile = None, data: DataFolder = None) -> None:
    """提前解除 / Lift an order early."""
    _do(order, Deed("lift", reason), by, config, data)


def _do(order: str, deed: Deed, by: str, config: Path | None, data: Path | None) -> None:
    with _opened(config, data) as it:
        answer = it.desk.do(order, deed, it.actor(by), it.now_ms)
    sys.stdout.write(f"{answer.order} {STATE_TITLES[answer.state]['zh']} {answer.state}\n")


@app.command(name="list")
def list_(  # a query's own parts, one option each
    text: Annotated[
        str, Parameter(name="TEXT", help="编号或文号开头 / id, or beginning of the document's number")
    ] = "",
    /,
    *,
    state: Annotated[State | None, Parameter(help="状态 / state")] = None,
    number: Annotated[str, Parameter(help="涉及的号码 / number that it covers")] = "",
    limit: Annotated[int, Parameter(help="最多几件 / at most so many")] = 50,
    json: Annotated[bool, Parameter(negative="", help="每行一个 JSON / one JSON object a line")] = False,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """列出指令,最近变动者在前 / Orders, what changed last stands first."""
    with _opened(config, data) as it:
        numbering = it.desk.orders.numbering
        key = numbering.read(number).key if number else 0
        query = OrderQuery(states=(state,) if state else (), text=text, number=key)
        found, count = it.desk.orders.listing(query, limit)
        if json:
            _write([_plain(it, order) for order in found])
            return
        table = Table(box=None, pad_edge=False)
        for heading in ("编号 id", "类别 kind", "范围 scope", "状态 state", "到期 ends", "文号 document"):
            table.add_column(heading)
        for order in found:
            state_ = f"{STATE_TITLES[order.state]['zh']} {order.state}"
            ends = show_moment(order.ends_ms) if order.ends_ms else ""
            table.add_row(order.id, order.kind, masked_scope(order, numbering), state_, ends, order.document)
    _print(table)
    sys.stdout.write(f"{len(found)} / {count}\n")


def _plain(it: _Sitting, order: Order) -> dict[str, object]:
    """An order without its keys, numbers masked."""
    plain: dict[str, object] = msgspec.to_builtins(order)
    for name in ("key", "last", "former"):
        plain.pop(name)
    texts = {name: masked(str(plain[name])) for name in ("reason", "basis_text", "ended_why")}
    return plain | texts | {"scope": masked_scope(order, it.desk.orders.numbering)}


@app.command
def show(
    order: OrderId,
    /,
    *,
    json: Annotated[bool, Parameter(negative="", help="每行一个 JSON / one JSON object a line")] = False,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """一件指令及其全部经过 / One order and its whole story."""
    with _opened(config, data) as it:
        found, events = it.desk.orders.order(order), it.desk.orders.events(order)
        plain = _plain(it, found)
    story: list[dict[str, object]] = [
        {"seq": event.seq, "time": rfc3339_ms(event.time_ms), "who": event.who, "action": event.action}
        | {"reason": masked(str(event.said.get("reason", "")))}
        for event in events
    ]
    if json:
        _write([plain, *story])
        return
    for name in ("id", "kind", "scope", "role", "agency", "document", "basis", "reason", "state", "ended_why"):
        sys.stdout.write(f"  {name}: {plain[name]}\n")
    table = Table(box=None, pad_edge=False)
    for heading in ("序 no.", "时间 time", "谁 who", "操作 action", "原因 why"):
        table.add_column(heading)
    for event in story:
        action = cast("Action", event["action"])
        did = f"{MOVES[action].zh} {action}"
        table.add_row(str(event["seq"]), str(event["time"]), str(event["who"]), did, str(event["reason"]))
    _print(table)


@app.command
def pack(  # noqa: PLR0913  # what a pack may be about, one option each
    *,
    purpose: Annotated[str, Parameter(help="用途,记入操作记录 / what for; goes on the trail")],
    out: Annotated[Path, Parameter(help="写入此文件 / file to write")],
    by: By,
    order: Annotated[str, Parameter(help="指令编号 / of this order")] = "",
    case: Annotated[str, Parameter(help="案件编号 / of this case")] = "",
    number: Annotated[str, Parameter(help="号码 / of this number")] = "",
    days: Annotated[int, Parameter(help="号码:最近多少天的呼叫 / of a number: calls of so many days")] = 30,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """制作证据包 (ZIP,带签名) / Make an evidence pack: a signed ZIP."""
    if sum(map(bool, (order, case, number))) != 1:
        raise OrderRefused("field", "Name an order, a case or a number.", fix="--order ID, --case ID or --number N.")
    with _opened(config, data) as it:
        desk, actor, now_ms = _packs(it), it.actor(by), it.now_ms
        if order:
            made = desk.of_order(order, purpose, actor, now_ms)
        elif case:
            made = desk.of_case(case, purpose, actor, now_ms)
        else:
            made = desk.of_number(number, now_ms - days * _DAY_S * 1000, now_ms, purpose, actor, now_ms)
    try:
        # For its owner alone: the numbers in it are whole.
        draft = out.with_name(f"{out.name}.new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(made)
        draft.replace(out)
    except OSError as error:
        raise OrderError(f"The file cannot be written: {error.strerror}.", where=str(out)) from error
    sys.stdout.write(f"{out} {len(made):,} B\n")


def _packs(it: _Sitting) -> EvidenceDesk:
    # They load compiled code, which the other commands do without.
    from hutong.app.cases_work import open_cases  # noqa: PLC0415
    from hutong.app.evidence_calls import evidence_desk  # noqa: PLC0415
    from hutong.calls.index import VerdictIndex  # noqa: PLC0415
    from hutong.calls.stories.stories import Stories  # noqa: PLC0415
    from hutong.orders.evidence.gathering import Turns  # noqa: PLC0415

    data, index = it.config.data, VerdictIndex(it.config.data)
    stories = Stories(data, index, Refs(data / "keys" / "refs.key").ref, it.config.calls.home_area)
    cases = open_cases(it.config, it.database)
    return evidence_desk(it.config, it.database, it.desk.orders, cases, index, stories, it.lists, Turns())


@app.command(name="verify-pack")
def verify_pack(
    file: Annotated[Path, Parameter(name="FILE", help="证据包 / the pack")],
    /,
    *,
    key: Annotated[tuple[str, ...], Parameter(help="公钥 / public keys, as `hutong audit key` prints them")],
) -> None:
    """离线核验证据包,指出第一个不符的文件 / Verify a pack offline; names the first bad file."""
    from hutong.orders.evidence.verify import PackError  # noqa: PLC0415
    from hutong.orders.evidence.verify import verify_pack as verified  # noqa: PLC0415

    keys = [read_public_key(it) for it in key]
    try:
        with file.open("rb") as source:
            manifest = verified(source, keys)
    except OSError as error:
        raise PackError(f"The file cannot be read: {error.strerror}.", where=str(file)) from error
    files, proofs = len(manifest.files), manifest.counts.get("proofs", 0)
    about = f"{manifest.about['kind']} {manifest.about['id'] or manifest.about['title']}"
    sys.stdout.write(f"{about}, {manifest.made}, {manifest.made_by} ({manifest.node}): {manifest.purpose}\n")
    sys.stdout.write(f"相符:{files} 个文件,{proofs} 条证明 / {files} files and {proofs} proofs agree\n")


def _write(values: list[dict[str, object]]) -> None:
    for value in values:
        sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


def _print(table: Table) -> None:
    # In a pipe there is no window to fit into: nothing is wrapped or cut.
    Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, markup=False, highlight=False).print(table)
