"""What the process of the demo's city is told: the node's addresses, and an account with a token for each station."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from hutong.kernel.access.people import People
from hutong.kernel.access.tokens import Tokens
from hutong.kernel.districts import load_districts

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.kernel.records.database import Database

_FILE: Final = "city.json"
_TOKEN_MS: Final = 86_400_000


class Plan(msgspec.Struct, frozen=True):
    """What the process is told: address of the stations' service, settings and data of the node, a token for each."""

    url: str
    config: str
    data: str
    tokens: dict[str, str]


def prepare(database: Database, folder: Path, url: str, now_ms: int) -> Path:
    """An account with a token for a station in each district; the plan is in the file that is returned."""
    people, tokens, made = People(database), Tokens(database, 1), dict[str, str]()
    for code, district in load_districts().district.items():
        name = f"s{code}"
        people.add(name, f"{district.zh}采样点 {district.en}", "operator", now_ms)
        made[name] = tokens.make(name, "demo", ["sampling.register"], now_ms + _TOKEN_MS, now_ms)[1]
    file = folder / _FILE
    file.touch(0o600)
    file.write_bytes(msgspec.json.encode(Plan(url, str(folder / "hutong.toml"), str(folder / "data"), made)))
    return file
