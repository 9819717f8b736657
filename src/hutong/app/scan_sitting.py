"""What commands about venues and scans share: their options, and the node that they work on, open."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from cyclopts import Parameter

from hutong.app.cli_records import machine_user, open_records
from hutong.app.config import load_config
from hutong.app.scans_work import ScanParts, scan_parts
from hutong.codes.scans.lookup_orders import seeker_of
from hutong.kernel.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.app.config import Config
    from hutong.codes.scans.lookup_model import Seeker
    from hutong.kernel.records import Database

_NS_IN_MS: Final = 1_000_000

By = Annotated[str, Parameter(help="以此账号办理 / account whose deed it is")]
Why = Annotated[str, Parameter(help="原因 / why")]
Json = Annotated[bool, Parameter(negative="", help="每行一个 JSON / one JSON object a line")]
ConfigFile = Annotated[Path | None, Parameter(help="配置文件 (TOML) / settings file (TOML)")]
DataFolder = Annotated[Path | None, Parameter(help="数据目录 / data folder")]


class Sitting(msgspec.Struct, frozen=True):
    """Settings, open records, what belongs to scanning, the time."""

    config: Config
    database: Database
    parts: ScanParts
    now_ms: int

    def seeker(self, by: str) -> Seeker:
        """The person with this account; who has none may do nothing."""
        return seeker_of(self.database, by, machine_user())


@contextmanager
def opened(config: Path | None, data: Path | None) -> Iterator[Sitting]:
    """A node's venues and scans, open within.

    Raises:
        HutongError: settings, records or the file of districts cannot be read.
    """
    settings = load_config(config, data=data)
    with open_records(settings, existing=False) as database:
        yield Sitting(settings, database, scan_parts(settings, database), SystemClock().wall() // _NS_IN_MS)
