"""`hutong codes status`: colours shown, explained, changed by two agencies, appealed against; their rules checked.

Whose code it is, is said by the pseudonym, or by the number of the identity document on standard input (`-`): what
stands on a command line is seen by everybody on the machine. Deeds are those of the account that `--by` names.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from cyclopts import App, Parameter

from hutong.app.cases_work import open_cases
from hutong.app.cli_records import machine_user, open_records
from hutong.app.cli_terms import Lang, language_of
from hutong.app.codes_status_work import status_desk
from hutong.app.config import load_config
from hutong.codes.people.documents import DocumentKind, read_document
from hutong.codes.people.errors import PersonRefused
from hutong.codes.people.pseudonyms import is_pseudonym
from hutong.codes.status.appeals import Correction, Verdict
from hutong.codes.status.changes import HOUSE, STATE_TITLES, Action, Actor, State, Wish
from hutong.codes.status.colour_rules import COLOUR_TITLES, Colour, check_rules
from hutong.codes.status.errors import StatusRefused
from hutong.codes.status.evidence import Evidence, read_evidence
from hutong.codes.status.loading import OWN, rule_sources, rules_of
from hutong.kernel.access.errors import AccessError
from hutong.kernel.access.people import People as Accounts
from hutong.kernel.access.permissions import permissions_of
from hutong.kernel.cases.calendar import show_moment
from hutong.kernel.cases.model import Actor as CaseActor
from hutong.kernel.clock import SystemClock
from hutong.kernel.declared.source import Source
from hutong.kernel.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.codes.status.desk import StatusDesk
    from hutong.codes.status.model import Standing
    from hutong.kernel.records import Database

app = App(name="status", help="码色:查看、解释、改码、申诉、规则 / Colours: show, explain, change, appeal, rules")
rules_app = App(name="rules", help="码色规则:列出、检查 / Colour rules: list them, check them")
app.command(rules_app)

_NS_IN_MS: Final = 1_000_000
_DAY_S: Final = 86_400

Person = Annotated[
    str,
    Parameter(
        name="PERSON", allow_leading_hyphen=True, help="代号;- 从标准输入读证件号 / pseudonym; - = document on stdin"
    ),
]
ChangeId = Annotated[str, Parameter(name="CHANGE", help="改码编号 / id of the change")]
By = Annotated[str, Parameter(help="以此账号办理 / account whose deed it is")]
Why = Annotated[str, Parameter(help="原因 / why")]
Purpose = Annotated[str, Parameter(help="用途,记入操作记录 / what for; goes on the trail")]
Rows = Annotated[
    str, Parameter(name="FILE", allow_leading_hyphen=True, help="JSON 行文件,- 为标准输入 / JSON lines, - for stdin")
]
ConfigFile = Annotated[Path | None, Parameter(help="配置文件 (TOML) / settings file (TOML)")]
DataFolder = Annotated[Path | None, Parameter(help="数据目录 / data folder")]


class _Sitting(msgspec.Struct, frozen=True):
    """Open records, the colours, the time."""

    database: Database
    desk: StatusDesk
    now_ms: int

    def actor(self, by: str) -> Actor:
        """The person with this account, and whose they are.

        Raises:
            StatusRefused: there is none, or it is disabled.
        """
        try:
            account = Accounts(self.database).account(by)
        except AccessError:
            account = None
        if account is None or account.disabled:
            fix = "`hutong people list` shows all."
            raise StatusRefused("not-allowed", f"There is no account {by!r} in use.", where="--by", fix=fix)
        return Actor(account.name, permissions_of(account.role), account.agency or HOUSE, machine_user())

    def person(self, said: str) -> str:
        """The pseudonym of whom a command is about.

        Raises:
            PersonRefused: it is none, and no document either.
        """
        if said == "-":
            return self.desk.statuses.people.pseudonyms.of(read_document("id", sys.stdin.readline().strip()))
        if not is_pseudonym(said):
            fix = "Give 32 hex letters, or - and the number of an identity card on standard input."
            raise PersonRefused("no-person", "This is no pseudonym.", where="PERSON", fix=fix)
        return said


@contextmanager
def _opened(config: Path | None, data: Path | None) -> Iterator[_Sitting]:
    settings = load_config(config, data=data)
    with open_records(settings, existing=False) as database:
        desk = status_desk(settings, database, lambda: open_cases(settings, database))
        yield _Sitting(database, desk, SystemClock().wall() // _NS_IN_MS)


# People and evidence


class _Registration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    number: str
    name: str
    kind: DocumentKind = "id"
    phone: str = ""


class _Item(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    person: str
    evidence: msgspec.Raw


@app.command
def register(rows: Rows, /, *, config: ConfigFile = None, data: DataFolder = None) -> int:
    """登记人员,每行 {"number","name","phone","kind"};输出代号 / Register people; writes their pseudonyms."""
    wrong = 0
    with _opened(config, data) as it:
        for at, line in _lines(rows):
            try:
                said = msgspec.json.decode(line, type=_Registration)
                document = read_document(said.kind, said.number)
                person = it.desk.statuses.people.register(document, said.name, said.phone, it.now_ms)
                it.desk.statuses.judge_again(person, it.now_ms)
                sys.stdout.write(f"{person}\n")
            except (msgspec.DecodeError, PersonRefused) as error:
                wrong += 1
                sys.stderr.write(f"{rows}:{at}: {error}\n")
    return 1 if wrong else 0


@app.command
def take(rows: Rows, /, *, config: ConfigFile = None, data: DataFolder = None) -> int:
    """导入依据,每行 {"person","evidence"} / Take evidence; the same id again changes nothing (docs/status.md)."""
    found: dict[str, list[Evidence]] = {}
    wrong = 0
    with _opened(config, data) as it:
        for at, line in _lines(rows):
            try:
                said = msgspec.json.decode(line, type=_Item)
                evidence = read_evidence(bytes(said.evidence), it.now_ms)
                found.setdefault(it.person(said.person), []).append(evidence)
            except (msgspec.DecodeError, PersonRefused, StatusRefused) as error:
                wrong += 1
                sys.stderr.write(f"{rows}:{at}: {error}\n")
        outcomes = it.desk.take(found, machine_user(), "local", it.now_ms)
    for outcome in outcomes:
        if outcome.refused:
            wrong += 1
            sys.stderr.write(f"{outcome.person}: {outcome.refused}\n")
    changed = sum(outcome.changed is not None for outcome in outcomes)
    sys.stdout.write(f"{len(found)} 人 people, {changed} 变码 changed, {wrong} 有误 wrong\n")
    return 1 if wrong else 0


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise StateError(f"The file cannot be read: {error.strerror}.", where=str(file)) from error


def _lines(rows: str) -> Iterator[tuple[int, bytes]]:
    text = sys.stdin.buffer.read() if rows == "-" else _content(Path(rows))
    yield from ((at, line) for at, line in enumerate(text.splitlines(), 1) if line.strip())


@app.command
def forget(person: Person, /, *, purpose: Purpose, by: By, config: ConfigFile = None, data: DataFolder = None) -> None:
    """删除某人的全部信息 / Delete all that is kept of a person."""
    with _opened(config, data) as it:
        it.desk.forget(it.person(person), it.actor(by), purpose, it.now_ms)


# Colours


@app.command
def show(person: Person, /, *, config: ConfigFile = None, data: DataFolder = None) -> None:
    """码色、规则、期限与存证编号 / A colour, its rule, term and commitment; no personal data."""
    with _opened(config, data) as it:
        _write_standing(it.desk.statuses.standing(it.person(person), it.now_ms))


@app.command
def explain(
    person: Person,
    /,
    *,
    purpose: Purpose,
    by: By,
    lang: Lang = None,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """为何是此码色:依据与期限 / Why a person has a colour, as they are told themselves."""
    with _opened(config, data) as it:
        _, told = it.desk.explain(it.person(person), language_of(lang), purpose, it.actor(by), it.now_ms)
    sys.stdout.write("\n".join([told.colour, *filter(None, [told.words]), *told.lines, *told.evidence]) + "\n")


def _write_standing(standing: Standing) -> None:
    plain: dict[str, Any] = {"colour": f"{COLOUR_TITLES[standing.colour]['zh']} {standing.colour}"}
    plain |= {"rule": standing.rule, "commitment": standing.commitment, "event": standing.event}
    plain |= {name: show_moment(getattr(standing, f"{name}_ms")) for name in ("since", "until", "as_of")}
    sys.stdout.writelines(f"{name:<11} {value}\n" for name, value in plain.items())


# Changes by hand


@app.command(name="set")
def set_(  # noqa: PLR0913  # a change's own parts, one option each
    person: Person,
    colour: Annotated[Colour, Parameter(name="COLOUR", help="码色 / colour")],
    /,
    *,
    reason: Why,
    basis: Annotated[str, Parameter(help="法律依据编号 / id of a legal basis, docs/status.md")],
    document: Annotated[str, Parameter(help="文号 / number of the agency's document")],
    by: By,
    days: Annotated[int, Parameter(help="期限,天 / term in days")],
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """申请改码;须由另一单位的另一人批准 / Ask for a colour; another person of another agency must approve it."""
    with _opened(config, data) as it:
        wish = Wish(
            person=it.person(person),
            colour=colour,
            reason=reason,
            basis=basis,
            document=document,
            term_s=days * _DAY_S,
        )
        change = it.desk.changes.request(wish, it.actor(by), it.now_ms)
    sys.stdout.write(f"{change.id}\n")


@app.command
def approve(change: ChangeId, /, *, by: By, config: ConfigFile = None, data: DataFolder = None) -> None:
    """批准另一单位的改码申请,即时生效 / Approve what another agency asked; it takes effect at once."""
    _do(change, "approve", "", by, config, data)


@app.command
def decline(change: ChangeId, /, *, reason: Why, by: By, config: ConfigFile = None, data: DataFolder = None) -> None:
    """驳回另一单位的改码申请 / Decline what another agency asked."""
    _do(change, "decline", reason, by, config, data)


@app.command
def withdraw(change: ChangeId, /, *, reason: Why, by: By, config: ConfigFile = None, data: DataFolder = None) -> None:
    """撤回自己的改码申请 / Withdraw one's own request."""
    _do(change, "withdraw", reason, by, config, data)


@app.command
def lift(change: ChangeId, /, *, reason: Why, by: By, config: ConfigFile = None, data: DataFolder = None) -> None:
    """提前解除改码 / Lift a colour given by hand."""
    _do(change, "lift", reason, by, config, data)


def _do(change: str, action: Action, reason: str, by: str, config: Path | None, data: Path | None) -> None:
    with _opened(config, data) as it:
        after = it.desk.changes.do(change, action, it.actor(by), it.now_ms, reason)
    sys.stdout.write(f"{after.id} {STATE_TITLES[after.state]['zh']} {after.state}\n")


@app.command
def changes(
    *,
    state: Annotated[State | None, Parameter(help="状态 / state")] = None,
    limit: Annotated[int, Parameter(help="最多几件 / at most so many")] = 50,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """列出人工改码,每行一个 JSON,不含人员 / Changes by hand, a line of JSON each, without the people."""
    with _opened(config, data) as it:
        for change in it.desk.changes.listing(state, limit):
            plain = msgspec.structs.asdict(change)
            del plain["person"], plain["reason_key"]
            sys.stdout.write(f"{msgspec.json.encode(plain).decode()}\n")


# Appeals


@app.command
def appeal(
    person: Person,
    /,
    *,
    words: Annotated[str, Parameter(help="本人陈述 / what the person says")],
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """受理对码色的申诉,立案 / Take in an appeal against a colour; opens its case."""
    with _opened(config, data) as it:
        taken = it.desk.appeals.take(it.person(person), words, it.now_ms)
    sys.stdout.write(f"{taken.id} {show_moment(taken.due_ms)}\n")


@app.command
def decide(  # a decision's own parts, one option each
    of: Annotated[str, Parameter(name="APPEAL", help="申诉(案件)编号 / id of the appeal and its case")],
    verdict: Annotated[Verdict, Parameter(name="VERDICT", help="维持或更正 / upheld or corrected")],
    /,
    *,
    reason: Why,
    by: By,
    void: Annotated[tuple[str, ...], Parameter(help="有误的依据编号 / ids of evidence that was wrong")] = (),
    add: Annotated[tuple[str, ...], Parameter(help="补充的依据,JSON / evidence that was missing, JSON")] = (),
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """裁定申诉,更正即时生效 / Decide an appeal; what is put right takes effect at once."""
    with _opened(config, data) as it:
        who = it.actor(by)
        correction = Correction(void, tuple(read_evidence(text.encode(), it.now_ms) for text in add))
        actor = CaseActor(who.name, who.permissions, who.address)
        _, moved = it.desk.appeals.decide(of, verdict, reason, actor, it.now_ms, correction)
    _write_standing(moved.standing)


# Rules


@rules_app.command(name="list")
def list_(*, config: ConfigFile = None, data: DataFolder = None) -> None:
    """列出生效的规则,按判定次序 / The rules in force, in the order in which they decide."""
    settings = load_config(config, data=data)
    rules = rules_of(settings.data / OWN)
    for rule in (*rules.rules, rules.otherwise):
        when = rule.when or "otherwise"
        sys.stdout.write(f"{rule.name:<28} {rule.colour:<7} {rule.term_h:>4} h  {rule.title['zh']}  {when}\n")


@rules_app.command
def lint(
    files: Annotated[
        tuple[Path, ...], Parameter(name="FILE", help="规则文件,缺省为生效的规则 / default: those in force")
    ] = (),
    /,
    *,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> int:
    """检查规则:名称、样例、能否命中 / Check rules: names, samples, whether they can ever decide."""
    if files:
        sources = [Source(str(file), _content(file).decode("utf-8", "replace")) for file in files]
    else:
        sources = rule_sources(load_config(config, data=data).data / OWN)
    rules, findings = check_rules(sources)
    sys.stdout.writelines(f"{finding}\n" for finding in findings)
    if rules is None:
        return 1
    sys.stdout.write(f"{len(rules.rules) + 1} 条规则 rules, SHA-256 {rules.digest}\n")
    return 0
