"""`hutong alerts`: alerts on calls under way, on record and as they come. Numbers are masked, as everywhere."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

import msgspec
from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from hutong.app.cli_terms import ConfigFile, DataFolder, Lang, existing_folder, language_of
from hutong.app.config import load_config
from hutong.calls.alerts.queries import DEPTH, AlertFilters
from hutong.calls.alerts.record import alert_id
from hutong.calls.alerts.views import AlertViews
from hutong.kernel.errors import ListError, StateError
from hutong.kernel.lists.csv_file import read_time
from hutong.kernel.numbering import Numbering
from hutong.kernel.reporter import rfc3339_ms

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hutong.calls.alerts.table import AlertEvent, AlertRow
    from hutong.calls.alerts.views import AlertView
    from hutong.kernel.rules.vocabulary import Language

app = App(name="alerts", help="通话中告警：列出、查看、跟踪 / Alerts on calls under way: list, show, follow")

_PIPE_WIDTH: Final = 1000
#: How often `follow` looks, seconds.
_LOOK_S: Final = 0.25
_AT_ONCE: Final = 500
_NOT_FOUND: Final = 1
_MS: Final = 1000
_HEADINGS: Final = {
    "zh": ("编号", "时间", "类别", "条件", "阶段", "主叫", "被叫", "中继", "通话", "状态"),
    "en": ("id", "time", "kind", "condition", "stage", "caller", "callee", "trunk", "talk", "state"),
}
_KINDS: Final = {
    "long": {"zh": "过长", "en": "long"},
    "costly": {"zh": "高资费", "en": "costly"},
    "suspicious": {"zh": "可疑", "en": "suspicious"},
    "victim": {"zh": "受害人", "en": "victim"},
}
_STAGES: Final = {"observe": {"zh": "仅观察", "en": "observe"}, "alert": {"zh": "告警", "en": "alert"}}
_STATES: Final = {
    "": {"zh": "通话中", "en": "goes on"},
    "ended": {"zh": "已结束", "en": "ended"},
    "lost": {"zh": "未见结束", "en": "end not seen"},
}
_EVENTS: Final = {
    "raised": {"zh": "告警", "en": "raised"},
    "ended": {"zh": "结束", "en": "ended"},
    "lost": {"zh": "失去跟踪", "en": "lost"},
}
_FACTS: Final = {
    "verdict": {"zh": "判决", "en": "verdict"},
    "call": {"zh": "呼叫标识", "en": "Call-ID"},
    "ended": {"zh": "结束时间", "en": "ended"},
    "release": {"zh": "释放原因", "en": "release"},
    "read": {"zh": "读取的值", "en": "values read"},
}

Json = Annotated[bool, Parameter(help="每行一个 JSON / one JSON object a line", negative="")]
Stage = Annotated[Literal["observe", "alert"] | None, Parameter(help="阶段 / stage")]


class _Reader:
    """The alerts of a data folder, and how they are told.

    Raises:
        ConfigError: there is no such folder, or the settings are wrong.
    """

    def __init__(self, data: Path, config: Path | None, language: Language) -> None:
        settings = load_config(config, data=existing_folder(data))
        self.lang: Language = language
        self.views = AlertViews(settings.data, settings.node.name, Numbering(settings.calls.home_area), lambda _key: "")
        self.table = self.views.table
        self._zone = ZoneInfo(settings.calls.time_zone)

    def when(self, ms: int) -> str:
        """A moment in the node's zone."""
        moment = datetime.fromtimestamp(ms / _MS, UTC).astimezone(self._zone)
        return moment.isoformat(sep=" ", timespec="seconds")[:19]

    def cells(self, it: AlertView) -> tuple[str, ...]:
        """One line of a table, in the order of the headings."""
        lang = self.lang
        return (
            it.id,
            self.when(it.time_ms),
            _KINDS[it.kind][lang] if it.kind in _KINDS else it.kind,
            f"{it.title[lang]} ({it.rule})",
            _STAGES[it.stage][lang],
            it.caller,
            it.callee,
            it.trunk,
            f"{it.seconds:,.0f} s",
            _STATES[it.end_phase][lang],
        )

    def told(self, row: AlertRow) -> dict[str, Any]:
        """One alert for programs; names as in the API."""
        it = self.views.view(row)
        return {
            "id": it.id,
            "kind": it.kind,
            "rule": it.rule,
            "version": it.version,
            "stage": it.stage,
            "title": it.title,
            "time": rfc3339_ms(it.time_ms),
            "caller": it.caller,
            "callee": it.callee,
            "trunk": it.trunk,
            "call_id": it.call_id,
            "verdict": it.verdict,
            "answered": it.answered,
            "ring_s": row.ring_ms / _MS,
            "talk_s": it.seconds,
            "values": it.figures,
            "ended": None if it.goes_on else rfc3339_ms(it.ended_ms),
            "outcome": it.end_phase,
            "release": it.release,
        }


def _line(value: object) -> None:
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


@app.command(name="list")
def list_alerts(  # noqa: PLR0913  # a filter each
    *,
    kind: Annotated[Literal["long", "costly", "suspicious", "victim"] | None, Parameter(help="类别 / kind")] = None,
    rule: Annotated[str, Parameter(help="条件编号 / id of the condition")] = "",
    stage: Stage = None,
    state: Annotated[
        Literal["on", "over"] | None, Parameter(help="通话中或已结束 / whether the call goes on or is over")
    ] = None,
    since: Annotated[str, Parameter(help="从此刻起 (RFC 3339) / from this moment")] = "",
    until: Annotated[str, Parameter(help="此刻之前 (RFC 3339) / before this moment")] = "",
    sort: Annotated[Literal["time", "talk"], Parameter(help="按时间或通话时长 / by time or by talk")] = "time",
    limit: Annotated[int, Parameter(help="最多条数 / alerts at most")] = 50,
    json: Json = False,
    data: DataFolder = Path("var"),
    config: ConfigFile = None,
    lang: Lang = None,
) -> None:
    """列出告警，新的在前 / List alerts, newest first."""
    if not 1 <= limit <= DEPTH:
        raise StateError(f"from 1 to {DEPTH:,} alerts are listed.", where="--limit")
    reader = _Reader(data, config, language_of(lang))
    wanted = AlertFilters(
        since_ms=_moment(since, "--since"),
        until_ms=_moment(until, "--until"),
        kind=kind or "",
        rule=rule,
        stage=stage or "",
        state=state or "",
    )
    rows = reader.table.rows(wanted, limit=limit, sort=sort)
    if json:
        for row in rows:
            _line(reader.told(row))
        return
    if not rows:
        sys.stdout.write("没有告警\n" if reader.lang == "zh" else "no alerts\n")
        return
    table = Table(box=None, pad_edge=False)
    for heading in _HEADINGS[reader.lang]:
        table.add_column(heading)
    for row in rows:
        table.add_row(*reader.cells(reader.views.view(row)))
    # In a pipe there is no window to fit into: nothing is wrapped or cut.
    Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, markup=False, highlight=False).print(table)


def _moment(text: str, where: str) -> int:
    if not text:
        return 0
    try:
        return max(read_time(text, where) * _MS, 1)
    except ListError as error:
        raise StateError(error.what, where=where, fix="Such as 2026-03-02T08:00:00+08:00.") from error


@app.command
def show(
    alert: Annotated[str, Parameter(name="ID", help="告警编号，如 node1-48213 / an alert's id")],
    *,
    json: Json = False,
    data: DataFolder = Path("var"),
    config: ConfigFile = None,
    lang: Lang = None,
) -> int:
    """查看一条告警：条件、读取的值、呼叫的结局 / One alert: its condition, what it read, how the call ended."""
    reader = _Reader(data, config, language_of(lang))
    number = alert.rpartition("-")[2]
    seq = int(number) if number.isascii() and number.isdigit() and len(number) < 19 else 0  # noqa: PLR2004  # 64 bits
    row = next(iter(reader.table.by_seqs([seq])), None)
    if row is None or alert not in {number, alert_id(reader.views.node, seq)}:
        sys.stderr.write(f"没有该告警的记录 / no alert {alert[:100]!r} is kept in {data}\n")
        return _NOT_FOUND
    if json:
        _line(reader.told(row))
        return 0
    it, zh = reader.views.view(row), reader.lang == "zh"
    lines = list(zip(_HEADINGS[reader.lang], reader.cells(it), strict=True))
    lines += [(_FACTS["verdict"][reader.lang], str(it.verdict)), (_FACTS["call"][reader.lang], it.call_id)]
    if not it.goes_on:
        lines.append((_FACTS["ended"][reader.lang], reader.when(it.ended_ms)))
        lines.append((_FACTS["release"][reader.lang], str(it.release or "–")))
    values = "; ".join(f"{name} = {_value(value)}" for name, value in it.figures.items())
    lines.append((_FACTS["read"][reader.lang], values or "–"))
    sys.stdout.write("".join(f"{name}{':' if zh else ': '}{value}\n" for name, value in lines))
    return 0


def _value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


@app.command
def follow(
    *,
    stage: Stage = None,
    json: Json = False,
    data: DataFolder = Path("var"),
    config: ConfigFile = None,
    lang: Lang = None,
) -> int:
    """跟踪：新的告警和其结束逐条输出，Ctrl-C 结束 / Print alerts and their ends as they come, until Ctrl-C."""
    reader = _Reader(data, config, language_of(lang))
    with suppress(KeyboardInterrupt):
        after = reader.table.newest_event()
        if sys.stderr.isatty():
            sys.stderr.write(
                "等待告警，Ctrl-C 结束\n" if reader.lang == "zh" else "waiting for alerts; Ctrl-C ends it\n"
            )
        while True:
            events = reader.table.events(after, _AT_ONCE, stage or "")
            for event, rows in _with_alerts(reader, events):
                _tell(reader, event, rows, json=json)
            if events:
                after = events[-1].seq
                sys.stdout.flush()
            if len(events) < _AT_ONCE:
                time.sleep(_LOOK_S)
    return 0


def _with_alerts(reader: _Reader, events: Sequence[AlertEvent]) -> Iterator[tuple[AlertEvent, list[AlertRow]]]:
    rows = {row.seq: row for row in reader.table.by_seqs([seq for event in events for seq in event.alerts])}
    for event in events:
        yield event, [rows[seq] for seq in event.alerts if seq in rows]


def _tell(reader: _Reader, event: AlertEvent, rows: Sequence[AlertRow], *, json: bool) -> None:
    if json:
        _line(
            {
                "id": alert_id(reader.views.node, event.seq),
                "event": event.phase,
                "time": rfc3339_ms(event.time_ms),
                "alerts": [reader.told(row) for row in rows],
            }
        )
        return
    for row in rows:
        id_, _, kind, title, stage, caller, callee, trunk, talk, _ = reader.cells(reader.views.view(row))
        said = _EVENTS[event.phase][reader.lang]
        sys.stdout.write(
            f"{reader.when(event.time_ms)}  {said}  {id_}  {kind}  {title}  {stage}  "
            f"{caller} → {callee}  {trunk}  {talk}\n"
        )
