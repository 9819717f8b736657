"""`hutong sampling`: stations, receipts and results at the centre, tubes, recalls, conflicts, emergency orders.

Deeds with tubes at the centre are those of the account that `--by` names, and its role must allow them; files of
results and of stations go in as the machine's user. People are shown as the beginning of their pseudonym.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path  # cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, cast

import msgspec
from cyclopts import App, Parameter

from hutong.app.cli_records import machine_user, open_records
from hutong.app.config import load_config
from hutong.app.sampling_desk import open_desk
from hutong.app.sampling_emergency_cli import app as emergency
from hutong.app.sampling_emergency_cli import who
from hutong.app.sampling_station_cli import app as station
from hutong.app.sampling_station_cli import now_ms
from hutong.kernel.access.trail import Trail
from hutong.kernel.clock import SystemClock
from hutong.kernel.reporter import rfc3339_ms
from hutong.sampling.conflicts import conflict_rules
from hutong.sampling.emergency.model import Actor
from hutong.sampling.errors import REASON_TITLES, SamplingError, SamplingRefused
from hutong.sampling.identity import IdentityKind, masked_person
from hutong.sampling.model import RESULT_TITLES, TOLD_TITLES, Result, told_of
from hutong.sampling.table import BATCH_TITLES, MOVES, STATE_TITLES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.kernel.records import Database
    from hutong.sampling.desk import SamplingDesk
    from hutong.sampling.errors import Reason
    from hutong.sampling.model import Tube

app = App(name="sampling", help="核酸采样:采样点、结果、召回、应急 / Sampling: stations, results, recalls, emergencies")
app.command(station)
app.command(emergency)
app.command("hutong.app.stations_serve:serve", name="serve", help="采样点服务进程 / The process that stations merge at")

_SOME_WRONG: Final = 1

ConfigFile = Annotated[Path | None, Parameter(help="配置文件 (TOML) / settings file (TOML)")]
DataFolder = Annotated[Path | None, Parameter(help="数据目录 / data folder")]
Json = Annotated[bool, Parameter(name="--json", negative="", help="JSON 输出 / as JSON")]
By = Annotated[str, Parameter(help="以此账号办理 / account whose deed it is")]


class _Opened(NamedTuple):
    """The open records, and the desk over them."""

    database: Database
    desk: SamplingDesk


@contextmanager
def _opened(config: Path | None, data: Path | None) -> Iterator[_Opened]:
    settings = load_config(config, data=data)
    with open_records(settings) as database:
        yield _Opened(database, open_desk(settings, database, Trail(database), SystemClock()))


@app.command
def receive(
    batch: Annotated[str, Parameter(name="BATCH", help="批次号 / number of the batch")],
    tubes: Annotated[
        tuple[str, ...], Parameter(name="TUBE", help="收到的试管;缺省为全批 / tubes; all known if none")
    ] = (),
    /,
    *,
    laboratory: Annotated[str, Parameter(help="接收的实验室 / laboratory that has them")],
    by: By,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> int:
    """实验室接收一批试管;缺少的列出 / Tubes of a batch are at the laboratory; says which are missing."""
    with _opened(config, data) as (database, desk):
        done = desk.receive(batch, tubes, laboratory, who(database, by), now_ms())
        for _, refused in done.refused:
            sys.stderr.write(f"{refused}\n")
        found = done.batch
        title = BATCH_TITLES[found.state]  # type: ignore[index]  # rows hold these alone
        _say(f"{batch} {title['zh']} {found.state}: {found.received}/{max(found.expected, found.known)}")
        for missing in done.missing:
            _say(f"  未到 missing: {missing}")
    return _SOME_WRONG if done.refused or done.missing else 0


@app.command
def results(
    file: Annotated[Path, Parameter(name="FILE", help="CSV 文件 (UTF-8 或 GB 18030) / CSV file")],
    /,
    *,
    laboratory: Annotated[str, Parameter(help="实验室代号:a-z, 0-9, - / short name of the laboratory")],
    json: Json = False,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> int:
    """导入实验室结果;有误的行逐行说明,其余收下,可重复导入 / Take in results; wrong rows are told, the rest goes in."""
    with _opened(config, data) as (_, desk):
        try:
            content = file.read_bytes()
        except OSError as error:
            raise SamplingError(f"The file cannot be read: {error.strerror}.", where=str(file)) from error
        actor = Actor(machine_user(), frozenset({"sampling.results"}))
        done = desk.results(content, laboratory, file.name, actor, now_ms())
        if json:
            _say(msgspec.json.encode(done).decode())
        else:
            for it in done.notes:
                kind = "收下而存疑 taken" if it.taken else "未收 refused"
                zh = conflict_rules()[it.reason].zh if it.taken else REASON_TITLES[cast("Reason", it.reason)]["zh"]
                sys.stderr.write(f"{file}:{it.row}: {it.column}: {zh}; {it.what} ({kind})\n")
            _say(f"{done.taken} 收下 taken, {done.again} 重复 again, {done.refused} 未收 refused ({done.encoding})")
        return _SOME_WRONG if done.refused else 0


@app.command
def show(
    tube: Annotated[str, Parameter(name="TUBE", help="试管条码 / barcode of the tube")],
    /,
    *,
    json: Json = False,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """一个条码的全部经过:人数、状态、结果、冲突 / All that is known of a barcode."""
    with _opened(config, data) as (_, desk):
        barcode = tube.partition("@")[0]
        story, events = desk.sampling.story(barcode), desk.sampling.events(barcode)
        if not events:
            raise SamplingRefused("no-tube", f"There is no tube {barcode[:60]!r}.", fix="Check the barcode.")
        conflicts = desk.sampling.conflicts(barcode=barcode, limit=1000)
        if json:
            shown = {"tubes": [_tube_of(it) for it in story.tubes], "conflicts": conflicts, "waiting": story.waiting}
            _say(msgspec.json.encode(shown).decode())
            return
        for it in story.tubes:
            _tell_tube(it)
        for kept in events:
            at, said = rfc3339_ms(kept.time_ms), ""
            if kept.offset_ms:
                said = f" (采样点时钟 station's clock {rfc3339_ms(kept.event.at_ms)})"
            _say(f"{at} {MOVES[kept.event.action].zh} {kept.event.action} {kept.event.station}{said}")
        for found in conflicts:
            rule = conflict_rules()[found.rule]
            _say(f"! {rule.zh} {found.rule}: {found.tube} {found.about}".rstrip())


@app.command
def person(
    kind: Annotated[IdentityKind, Parameter(name="KIND", help="证件或码 / document, or code")],
    identity: Annotated[str, Parameter(name="IDENTITY", help="号码;- 为读标准输入 / number; - = standard input")],
    /,
    *,
    by: By,
    purpose: Annotated[str, Parameter(help="用途 / what for")],
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """一个人的结果;查询入操作记录 / A person's results; the look-up is on the trail."""
    with _opened(config, data) as (database, desk):
        text = sys.stdin.readline() if identity == "-" else identity
        _, found = desk.person(kind, text, purpose, who(database, by), now_ms())
        for it in found:
            _say(f"{rfc3339_ms(it.at_ms)} {it.tube} {TOLD_TITLES[it.result]['zh']} {it.result or 'waiting'}")


@app.command
def recall(
    tube: Annotated[
        str, Parameter(name="TUBE", help="试管;缺省列出待召回的 / tube; lists what is to be recalled if none")
    ] = "",
    /,
    *,
    by: By = "",
    reason: Annotated[str, Parameter(help="说明 / a remark")] = "",
    limit: Annotated[int, Parameter(help="最多几管 / at most so many tubes")] = 50,
    json: Json = False,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """召回混采阳性管的人做单采;不带试管则列出 / Call a positive mixed tube's people for single tests, or list these."""
    with _opened(config, data) as (database, desk):
        if tube:
            found = desk.recall(tube, reason, who(database, by), now_ms())
            _say(f"{found.id} {STATE_TITLES['recalled']['zh']} recalled: {len(found.members)}")
            return
        calls = desk.sampling.calls(limit)
        if json:
            rows = [
                {"tube": it.tube.id, "result": it.tube.result, "open": [masked_person(p) for p in it.open]}
                for it in calls
            ]
            _say(msgspec.json.encode(rows).decode())
            return
        for it in calls:
            state = STATE_TITLES[it.tube.state]
            result = RESULT_TITLES[it.tube.result]["zh"]
            people = f"{len(it.open)}/{len(it.tube.members)}"
            _say(f"{it.tube.id} {result} {it.tube.result} {state['zh']}: 未复核 not tested {people}")


@app.command
def settle(
    tube: Annotated[
        str, Parameter(name="TUBE", help="试管,多管同码时用编号 / tube; its id where a barcode has several")
    ],
    result: Annotated[Result, Parameter(name="RESULT", help="核定的结果 / what holds")],
    /,
    *,
    reason: Annotated[str, Parameter(help="理由 / why")],
    by: By,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """核定矛盾或存疑的结果 / Decide what holds where results or stations contradict each other."""
    with _opened(config, data) as (database, desk):
        found = desk.settle(tube, result, reason, who(database, by), now_ms())
        _say(f"{found.id} {RESULT_TITLES[result]['zh']} {result}")


@app.command
def conflicts(
    *,
    rule: Annotated[str, Parameter(help="规则编号 / id of a rule, docs/sampling.md")] = "",
    limit: Annotated[int, Parameter(help="最多几条 / at most so many")] = 50,
    json: Json = False,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """采样冲突,最新在前 / Conflicts of sampling, the latest first."""
    with _opened(config, data) as (_, desk):
        found = desk.sampling.conflicts(rule=rule, limit=limit)
        if json:
            _say(msgspec.json.encode(found).decode())
            return
        for it in found:
            title = conflict_rules()[it.rule]
            _say(f"{rfc3339_ms(it.found_ms)} {it.barcode} {title.zh} {it.rule} {it.tube} {it.about}".rstrip())


def _tell_tube(it: Tube) -> None:
    state, result = STATE_TITLES[it.state], RESULT_TITLES[it.result]
    _say(
        f"{it.id}: {state['zh']} {it.state}, {len(it.members)}/{it.size} 人 people, {result['zh']} {it.result}".rstrip()
    )
    if it.batch:
        _say(f"  批次 batch {it.batch}, {it.courier} → {it.laboratory or '—'}")
    for member in it.members:
        told = told_of(it, member)
        _say(f"  {masked_person(member.person)} {rfc3339_ms(member.at_ms)} {TOLD_TITLES[told]['zh']} {told}".rstrip())


def _tube_of(it: Tube) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(it)
    members = [
        {"person": masked_person(member.person), "at_ms": member.at_ms, "told": told_of(it, member)}
        for member in it.members
    ]
    return plain | {"id": it.id, "state": it.state, "members": members, "held": it.is_held, "calls": it.calls_people}


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
