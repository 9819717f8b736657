"""`hutong sampling station`: a station at the command line; needs its own folder and nothing else.

`register` reads what scanners type, a line for each person, and answers each line once it is durable.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path  # cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from cyclopts import App, Parameter

from hutong.app.cli_records import machine_user, open_records
from hutong.app.codes_work import code_issuer, key_ring
from hutong.app.config import load_config
from hutong.app.persons_work import KEY_SET_FILE, give_codes, persons_of, station_identities
from hutong.app.sampling_work import open_emergencies, open_sampling
from hutong.app.stations_site import pairings_of
from hutong.kernel.access.trail import Trail
from hutong.kernel.clock import SystemClock
from hutong.kernel.reporter import rfc3339_ms
from hutong.sampling.errors import REASON_TITLES, SamplingError, SamplingRefused
from hutong.sampling.identity import IdentityKind, give_key
from hutong.sampling.machine import check_station
from hutong.sampling.model import Deed, HandOver, MergeAnswer, Register, Seal
from hutong.sampling.station.exchange import Merged, export_lines, merge_all, merge_lines
from hutong.sampling.station.remote import RemoteCentre
from hutong.sampling.station.store import FILE, About, StationStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.app.config import Config
    from hutong.kernel.records import Database

app = App(name="station", help="采样点:离线登记、封管、交接、合并 / A station: works without the centre, merges later")

_NS_IN_MS: Final = 1_000_000
_SOME_WRONG: Final = 1
_AROUND: Final = 2  # lines of a file that are no events
_HOUR_MS: Final = 3_600_000

Folder = Annotated[Path, Parameter(name="--store", help="采样点目录 / the station's folder")]
ConfigFile = Annotated[Path | None, Parameter(help="配置文件 (TOML) / settings file (TOML)")]
DataFolder = Annotated[Path | None, Parameter(help="数据目录 / data folder")]
Json = Annotated[bool, Parameter(name="--json", negative="", help="JSON 输出 / as JSON")]
By = Annotated[str, Parameter(help="采样员 / who samples")]


def now_ms() -> int:
    """Ms since 1970."""
    return SystemClock().wall() // _NS_IN_MS


@contextmanager
def _opened(folder: Path) -> Iterator[StationStore]:
    store = StationStore(folder)
    store.open()
    try:
        yield store
    finally:
        store.close()


@app.command
def prepare(
    name: Annotated[str, Parameter(name="NAME", help="采样点名称 / the station's name: a-z, 0-9, -")],
    /,
    *,
    store: Folder,
    district: Annotated[str, Parameter(help="行政区划代码 / code of the district, six digits")] = "",
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """在中心制备一个采样点目录(含人员代号密钥) / Make a station's folder at the centre, with the key of pseudonyms."""
    check_station(name, district)
    settings = load_config(config, data=data)
    with open_records(settings, existing=False) as database:
        terms = open_emergencies(settings, database).terms(district, now_ms())
        about = About(name, district, terms, settings.sampling.apart_hours * _HOUR_MS)
        give_key(persons_of(settings, database), store)
        _give_codes(settings, database, store)
        made = StationStore(store)
        made.make(about)
        made.close()
        said = {"district": district}
        Trail(database).record(machine_user(), "local", "sampling.station", name, after=said, now_ms=now_ms())
    _say(f"{store / FILE}")


@app.command
def pair(
    name: Annotated[
        str, Parameter(name="NAME", help="采样点名称,须有同名账号 / the station's name, which has an account")
    ],
    /,
    *,
    district: Annotated[str, Parameter(help="行政区划代码 / code of the district, six digits")] = "",
    config: ConfigFile = None,
    data: DataFolder = None,
) -> None:
    """采样点页面的配对码:一刻钟内有效,只用一次 / A code that makes a tablet the station, once, within 15 minutes."""
    settings = load_config(config, data=data)
    with open_records(settings) as database:
        code = pairings_of(settings, database).begin(name, district, now_ms())
        said = {"district": district}
        Trail(database).record(machine_user(), "local", "sampling.pair", name, after=said, now_ms=now_ms())
    _say(code)


@app.command
def renew(*, store: Folder, config: ConfigFile = None, data: DataFolder = None) -> None:
    """在中心更新采样点目录中的验码密钥与注销表 / Give a station's folder the newest keys and revocations of codes."""
    settings = load_config(config, data=data)
    with _opened(store) as opened, open_records(settings) as database:
        give_key(persons_of(settings, database), store)  # says so where it is another node's
        _give_codes(settings, database, store)
        _say(f"{opened.about().name} {store / KEY_SET_FILE}")


@app.command
def register(  # noqa: PLR0913  # a registration's own parts, one option each
    tube: Annotated[str, Parameter(name="TUBE", help="试管条码 / barcode of the tube")],
    identities: Annotated[
        tuple[str, ...],
        Parameter(
            name="IDENTITY",
            help="证件号或码;缺省时逐行读标准输入,其后可接制表符与各人自己的 名称=内容 / "
            "number or code; lines of standard input if none: IDENTITY, then a person's own NAME=VALUE after tabs",
        ),
    ] = (),
    /,
    *,
    store: Folder,
    size: Annotated[int, Parameter(help="几人一管 / people to a tube: 1, 5, 10, 20")],
    kind: Annotated[IdentityKind, Parameter(help="证件或码 / document, or code")] = "id-card",
    retest: Annotated[bool, Parameter(negative="", help="召回单采复核 / the single test of a recalled person")] = False,
    twice: Annotated[
        bool, Parameter(negative="", help="确认此人今日在另一管 / known to be in another tube today")
    ] = False,
    field: Annotated[
        tuple[str, ...], Parameter(help="另外询问的内容,各人相同 / what is asked beside, the same of all: contact=…")
    ] = (),
    by: By = "",
) -> int:
    """登记入管;每行落盘后才应答 / Register people to a tube; each is answered once it is durable."""
    fields = _fields(field)
    wrong = 0
    with _opened(store) as opened:
        people = station_identities(store, now_ms)
        district = opened.about().district
        for line in identities or sys.stdin:
            if not line.strip():
                continue
            try:
                text, own = _line(line)
                person, said = people.person(kind, text), fields | own
                deed = Register(tube=tube, size=size, person=person, district=district, retest=retest, fields=said)
                event = opened.do(deed, by, now_ms(), os.urandom(8), twice=twice)
                members = opened.story(tube).tubes[-1].members
                _say(f"ok {event.id} {len(members)}/{size}")
            except SamplingRefused as refused:
                wrong += 1
                _say(f"refused {refused.reason} {REASON_TITLES[refused.reason]['zh']}: {refused}")
    return _SOME_WRONG if wrong else 0


@app.command
def seal(
    tube: Annotated[str, Parameter(name="TUBE", help="试管条码 / barcode of the tube")],
    /,
    *,
    store: Folder,
    people: Annotated[int, Parameter(help="管内人数 / people in it, as counted")],
    by: By = "",
) -> None:
    """封管 / Seal a tube."""
    with _opened(store) as opened:
        event = opened.do(Seal(tube=tube, people=people), by, now_ms(), os.urandom(8))
    _say(f"ok {event.id}")


@app.command(name="hand-over")
def hand_over(
    batch: Annotated[str, Parameter(name="BATCH", help="批次号 / number of the batch")],
    tubes: Annotated[tuple[str, ...], Parameter(name="TUBE", help="试管条码 / barcodes of its tubes")],
    /,
    *,
    store: Folder,
    courier: Annotated[str, Parameter(help="转运人 / who takes them")],
    by: By = "",
) -> None:
    """交接转运一批试管:全部或全不 / Hand a batch over to the courier: all of its tubes, or none."""
    deeds: list[Deed] = [HandOver(tube=it, batch=batch, expected=len(tubes), courier=courier) for it in tubes]
    with _opened(store) as opened:
        events = opened.do_all(deeds, by, now_ms(), [os.urandom(8) for _ in deeds])
    _say(f"ok {batch} {len(events)}")


@app.command
def status(*, store: Folder, json: Json = False) -> None:
    """采样点现状:未合并、被拒、未封的管 / What the station has: waiting, refused, open tubes."""
    with _opened(store) as opened:
        about, found = opened.about(), opened.standing()
    if json:
        _say(msgspec.json.encode({"about": about, "standing": found}).decode())
        return
    _say(f"采样点 station: {about.name} {about.district}")
    sizes = ", ".join(map(str, about.terms.sizes))
    first = "; 离线优先 offline first" if about.terms.offline_first else ""
    _say(f"规格 sizes: {sizes}; 询问 asked: {', '.join(about.terms.fields) or '—'}{first}")
    if about.terms.order:
        _say(f"应急 emergency: {about.terms.order} → {rfc3339_ms(about.terms.until_ms)}")
    _say(f"事件 events: {found.events}; 未合并 waiting: {found.waiting}; 被拒 refused: {len(found.refused)}")
    _say(f"未封 open tubes: {', '.join(found.open) or '—'}")
    _say(f"上次合并 last merge: {rfc3339_ms(found.last_merge_ms) if found.last_merge_ms else '—'}")
    for it in found.refused:
        _say(f"refused {it.id} {it.reason}: {it.what}")


@app.command
def export(
    file: Annotated[Path, Parameter(name="FILE", help="写入的文件 / file to write")],
    /,
    *,
    store: Folder,
    everything: Annotated[bool, Parameter(negative="", help="含已合并的 / what was merged too")] = False,
) -> None:
    """导出未合并的事件,由人带到中心 / Write what was not merged into a file, to be carried to the centre."""
    with _opened(store) as opened:
        draft = file.with_name(f"{file.name}.new")
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as out:
                lines = 0
                for line in export_lines(opened, now_ms(), everything=everything):
                    out.write(line)
                    lines += 1
                out.flush()
                os.fsync(out.fileno())
            draft.replace(file)
        except OSError as error:
            raise SamplingError(f"The file cannot be written: {error.strerror}.", where=str(file)) from error
    _say(f"{file}: {lines - _AROUND} 事件 events")


@app.command
def merge(
    sources: Annotated[
        tuple[Path, ...], Parameter(name="SOURCE", help="采样点目录或导出的文件 / stations' folders, or exported files")
    ],
    /,
    *,
    everything: Annotated[bool, Parameter(negative="", help="含已合并的 / what was merged too")] = False,
    answer: Annotated[
        Path | None, Parameter(help="给采样点的回执(单个文件) / the answer for the station (one file)")
    ] = None,
    json: Json = False,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> int:
    """在中心合并采样点的事件;可重复,不重不漏 / Merge stations at the centre; as often as one likes, with one effect."""
    if answer is not None and len(sources) != 1:
        raise SamplingError("An answer is that to one file.", where="--answer", fix="Merge one file at a time.")
    settings = load_config(config, data=data)
    wrong = 0
    with open_records(settings, existing=False) as database:
        centre = open_sampling(settings, database)
        for source in sources:
            if source.is_dir():
                with _opened(source) as store:
                    done = merge_all(store, centre, now_ms(), now_ms(), everything=everything)
            else:
                with _reading(source).open("rb") as lines:
                    done, told = merge_lines(lines, str(source), centre, now_ms())
                if answer is not None:
                    answer.write_bytes(msgspec.json.encode(told))
            wrong += len(done.refused) + done.cut
            said = {"taken": done.taken, "again": done.again, "refused": len(done.refused), "cut": done.cut}
            Trail(database).record(machine_user(), "local", "sampling.merge", source.name, after=said, now_ms=now_ms())
            _tell(source, done, json=json)
    return _SOME_WRONG if wrong else 0


@app.command
def send(
    *,
    store: Folder,
    to: Annotated[str, Parameter(help="中心地址 / address of the centre, such as https://stations.example")],
    token_file: Annotated[Path, Parameter(help="令牌文件(仅本人可读) / file of the station's token")],
    everything: Annotated[bool, Parameter(negative="", help="含已合并的 / what was merged too")] = False,
    json: Json = False,
) -> int:
    """联网时把事件送到中心;断网不丢,可随时再送 / Send events to the centre; what was not answered is sent again."""
    centre = RemoteCentre(to, _reading(token_file).read_text(encoding="utf-8").strip())
    with _opened(store) as opened:
        try:
            done = merge_all(opened, centre, now_ms(), now_ms(), everything=everything)
        finally:
            centre.close()
        _tell(store, done, json=json)
    return _SOME_WRONG if done.refused else 0


@app.command
def acknowledge(
    file: Annotated[Path, Parameter(name="FILE", help="中心的回执 / the centre's answer")], /, *, store: Folder
) -> None:
    """采样点收下中心的回执 / Take the centre's answer, which says what it has."""
    with _opened(store) as opened:
        try:
            told = msgspec.json.decode(_reading(file).read_bytes(), type=MergeAnswer)
        except msgspec.MsgspecError as error:
            raise SamplingError(f"This is no answer of a centre: {error}.", where=str(file)) from error
        own = f"{opened.about().name}."
        if not all(of.startswith(own) for of in (*told.taken, *(it.id for it in told.refused))):
            raise SamplingError("This is the answer to another station.", where=str(file))
        opened.merged(told.taken, told.refused, told.terms, now_ms())
        _say(f"未合并 waiting: {opened.standing().waiting}")


@app.command
def forget(
    *, store: Folder, hours: Annotated[int, Parameter(help="早于多少小时 / older than so many hours")] = 24
) -> None:
    """删除已合并的旧事件 / Forget what the centre has taken and is old."""
    with _opened(store) as opened:
        gone = opened.forget(now_ms() - hours * _HOUR_MS)
    _say(f"已删除 forgotten: {gone}")


def _give_codes(settings: Config, database: Database, store: Path) -> None:
    ring, at_ms = key_ring(settings), now_ms()
    if not ring.terms(at_ms):
        ring.rotate(at_ms)
    give_codes(store, ring.key_set(at_ms), code_issuer(settings, database).news(0, at_ms))


def _reading(file: Path) -> Path:
    if not file.is_file():
        raise SamplingError("There is no such file.", where=str(file))
    return file


def _line(line: str) -> tuple[str, dict[str, str]]:
    """What somebody shows, and what they alone were asked: `IDENTITY`, then `NAME=VALUE` after tabs."""
    text, *given = line.strip().split("\t")
    try:
        return text.strip(), _fields(tuple(it for it in given if it.strip()))
    except SamplingError as wrong:
        raise SamplingRefused("field", wrong.what, where="fields") from wrong


def _fields(given: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for it in given:
        name, divided, value = it.partition("=")
        if not divided:
            raise SamplingError(f"{it[:20]!r} is no field.", where="--field", fix="Write it like contact=13800000000.")
        found[name.strip()] = value.strip()
    return found


def _tell(source: Path, done: Merged, *, json: bool) -> None:
    if json:
        _say(msgspec.json.encode(done).decode())
        return
    _say(f"{source}: {done.taken} 已收 taken ({done.again} 重复 again), {len(done.refused)} 拒收 refused")
    if done.offset_ms:
        _say(f"  时钟相差 the clock is {done.offset_ms / 1000:+.1f} s behind; 时间已校正 times are corrected")
    if done.cut:
        _say("  文件不完整,完整的行已收 the file was cut; whole lines were taken")
    for it in done.refused:
        _say(f"  refused {it.id} {it.reason}: {it.what}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
