"""`hutong codes people-key`: whether the keys of people are those of the records; new ones where they are lost."""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003  # cyclopts reads the annotations
from typing import Annotated

from cyclopts import Parameter

from hutong.app.cli_records import machine_user, open_records
from hutong.app.codes_status_work import people_of
from hutong.app.config import load_config
from hutong.app.persons_work import key_folder
from hutong.codes.people import day_keys
from hutong.kernel import persons
from hutong.kernel.access.trail import Trail
from hutong.kernel.clock import SystemClock
from hutong.kernel.errors import StateError
from hutong.kernel.key_marks import KeyMarks

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
            with database.write():
                marks = KeyMarks(database)
                gone = [name for name in (persons.MARK, day_keys.MARK) if marks.forget(name)]
                now_ms = SystemClock().wall() // _NS_IN_MS
                trail = Trail(database)
                trail.record(
                    machine_user(), "local", "codes.people_key", after={"keys": gone}, purpose=reason, now_ms=now_ms
                )
            people_of(settings, database).check_keys()
        elif lost is not None:
            raise lost
    sys.stdout.write(f"{key_folder(settings)}: 在位 in place\n")
