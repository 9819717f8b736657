"""`hutong codes people-key`: whether the keys of people are those of the records; new ones where they are lost."""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003  # cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated

import sqlalchemy as sa
from cyclopts import Parameter

from hutong.app.cli_records import machine_user, open_records
from hutong.app.codes_status_work import people_of
from hutong.app.config import load_config
from hutong.app.persons_work import key_folder
from hutong.app.scans_work import scan_keys
from hutong.codes.people import day_keys
from hutong.codes.scans.emptying import let_days_go
from hutong.kernel import persons
from hutong.kernel.access.trail import Trail
from hutong.kernel.clock import SystemClock
from hutong.kernel.errors import StateError
from hutong.kernel.key_marks import KeyMarks

if TYPE_CHECKING:
    from hutong.app.config import Config
    from hutong.codes.people.day_keys import DayKeys
    from hutong.kernel.records import Database

_NS_IN_MS = 1_000_000


def people_key(
    *,
    anew: Annotated[
        bool, Parameter(negative="", help="密钥已永久丢失:重新开始,所有人须重新登记 / lost for good: begin anew")
    ] = False,
    reason: Annotated[str, Parameter(help="理由,重新开始时必填 / why, to begin anew")] = "",
    config: Annotated[Path | None, Parameter(help="配置文件 (TOML) / settings file (TOML)")] = None,
    data: Annotated[Path | None, Parameter(help="数据目录 / data folder")] = None,
) -> None:
    """人员密钥是否在位;恢复备份后先查此项 / Whether the keys of people are in place; ask it after a restore."""
    settings = load_config(config, data=data)
    with open_records(settings) as database:
        try:
            people_of(settings, database).check_keys()
            lost = None
        except StateError as error:
            lost = error
        if anew:
            if lost is None:
                raise StateError("The keys are in place.", where=str(key_folder(settings)), fix="Nothing is lost.")
            if not reason.strip():
                raise StateError("It needs its reason.", where="--reason")
            _begin_anew(settings, database, reason)
        elif lost is not None:
            raise lost
    sys.stdout.write(f"{key_folder(settings)}: 在位 in place\n")


def _begin_anew(config: Config, database: Database, reason: str) -> None:
    """New keys for those that are lost, in one transaction: where it fails, it may be asked for again."""
    now_ms = SystemClock().wall() // _NS_IN_MS
    people, marks = people_of(config, database), KeyMarks(database)
    lost_days = not _is_here(people.days)
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
        gone = [name for name in (persons.MARK, day_keys.MARK) if marks.forget(name)]
        if lost_days:
            people.abandon(connection)
            for keys in (people.days, scan_keys(config, database)):
                keys.abandon()
        people_of(config, database).check_keys()  # new ones, and their marks
        trail = Trail(database)
        trail.record(machine_user(), "local", "codes.people_key", after={"keys": gone}, purpose=reason, now_ms=now_ms)
    if lost_days:
        let_days_go(database, day_keys.day_of(now_ms) + 2)  # a scanner's clock may be ahead


def _is_here(days: DayKeys) -> bool:
    try:
        days.check()
    except StateError:
        return False
    return True
