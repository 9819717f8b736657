"""Fraud cases and losses as agencies give them: a CSV file or rows of the API, each row right or told what is wrong.

The last word of an agency on a city and a period counts. A period is written as that of the bulletin that is to say it.
"""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from hutong.bulletins.errors import BulletinError
from hutong.bulletins.periods import read_period
from hutong.kernel.numbering import AREAS, label
from hutong.kernel.records import tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from hutong.kernel.access.trail import Trail
    from hutong.kernel.records import Database

LARGEST: Final = 2 * 1024 * 1024
MOST_ROWS: Final = 10_000
_TABLE: Final = tables.losses
_LONGEST: Final = 80
_DIGITS: Final = 15
_COLUMNS: Final = {
    "agency": ("agency", "单位"),
    "city": ("city", "地市", "城市"),
    "period": ("period", "周期"),
    "cases": ("cases", "案件数", "案件"),
    "amount": ("amount", "金额", "损失金额", "金额（元）"),
}
_AMOUNT: Final = re.compile(r"(\d{1,13})(?:\.(\d{1,2}))?")
_CITIES: Final = {
    word: area
    for area in AREAS
    if area != "none"
    for full in (label("area", area, "zh"), label("area", area, "en"))
    for word in (area, full, full.removesuffix("市"))
}


class LossRow(msgspec.Struct, frozen=True):
    """What an agency gave of one city and period; the amount in fen."""

    agency: str
    city: str
    period: str
    cases: int
    amount: int


class RowError(msgspec.Struct, frozen=True):
    """What is wrong with a row (1 is the head of a file)."""

    row: int
    column: str
    what: str


class Taken(msgspec.Struct, frozen=True):
    """How many rows were taken in, and what is wrong with the others."""

    taken: int
    errors: tuple[RowError, ...] = ()


class GivenLoss(msgspec.Struct, frozen=True):
    """A kept row, who gave it and when."""

    agency: str
    city: str
    period: str
    cases: int
    amount: int
    who: str
    given_ms: int


class Losses:
    """What agencies gave.

    Args:
        database: opened by whoever made it. trail: told who took what in.
    """

    def __init__(self, database: Database, trail: Trail) -> None:
        self._database, self._trail = database, trail

    def all(self) -> list[GivenLoss]:
        """Every row, latest period first."""
        order = (_TABLE.c.period.desc(), _TABLE.c.agency, _TABLE.c.city)
        with self._database.read() as connection:
            return [GivenLoss(*row) for row in connection.execute(sa.select(_TABLE).order_by(*order))]

    def take_in(self, rows: Iterable[Mapping[str, str]], who: str, address: str, now_ms: int, first: int = 2) -> Taken:
        """Take rows in: right ones all together, the others are told.

        Args:
            rows: by the names of `LossRow`. first: number of the first row.
        """
        good: dict[tuple[str, str, str], LossRow] = {}
        errors: list[RowError] = []
        for number, row in enumerate(rows, first):
            if not any(value.strip() for value in row.values()):
                continue
            read = read_row(row)
            if isinstance(read, LossRow):
                good[read.agency, read.city, read.period] = read
            else:
                errors.append(RowError(number, *read))
        if good:
            self._keep(list(good.values()), who, address, now_ms)
        return Taken(len(good), tuple(errors))

    def take_file(self, content: bytes, who: str, address: str, now_ms: int) -> Taken:
        """Take a CSV file in.

        Raises:
            BulletinError: it is too large, in no encoding that is read, or lacks a column.
        """
        return self.take_in(list(_rows_of(content)), who, address, now_ms)

    def _keep(self, rows: list[LossRow], who: str, address: str, now_ms: int) -> None:
        make = sqlite.insert if self._database.is_sqlite else postgresql.insert
        values: list[dict[str, Any]] = [msgspec.structs.asdict(it) | {"who": who, "given_ms": now_ms} for it in rows]
        add = make(_TABLE)
        named = {name: add.excluded[name] for name in ("cases", "amount", "who", "given_ms")}
        with self._database.write() as connection:
            keys = ["agency", "city", "period"]
            connection.execute(add.on_conflict_do_update(index_elements=keys, set_=named), values)
            periods = sorted({it.period for it in rows})
            after = {"rows": len(rows), "periods": periods[:20]}
            self._trail.record(who, address, "bulletins.losses", after=after, now_ms=now_ms)


def read_row(row: Mapping[str, str]) -> LossRow | tuple[str, str]:
    """A row, or the column that is wrong and why."""
    agency, city = row.get("agency", "").strip(), row.get("city", "").strip()
    cases, amount = row.get("cases", "").strip().replace(",", ""), row.get("amount", "").strip().replace(",", "")
    if not agency or len(agency) > _LONGEST or not agency.isprintable() or agency[0] in "=+-@":
        return "agency", "It is missing, too long, or begins like a formula."
    if city and city not in _CITIES:
        return "city", f"{city[:20]!r} is no area code or name of a city."
    try:
        period = read_period(row.get("period", "").strip()).key
    except BulletinError as error:
        return "period", str(error.what)
    if not cases.isascii() or not cases.isdigit() or len(cases) > _DIGITS:
        return "cases", f"{cases[:20]!r} is no count."
    found = _AMOUNT.fullmatch(amount)
    if found is None or not amount.isascii():
        return "amount", f"{amount[:20]!r} is no amount in yuan, such as 1234.50."
    fen = int(found[1]) * 100 + int((found[2] or "0").ljust(2, "0"))
    return LossRow(agency, _CITIES.get(city, ""), period, int(cases), fen)


def _rows_of(content: bytes) -> Iterator[dict[str, str]]:
    if len(content) > LARGEST:
        raise BulletinError(f"The file is larger than {LARGEST >> 20} MiB.", reason="large", fix="Divide it.")
    lines = csv.reader(io.StringIO(_text_of(content), newline=""))
    try:
        heads = [head.strip().lower() for head in next(lines, [])]
        places = {name: next((heads.index(it) for it in said if it in heads), -1) for name, said in _COLUMNS.items()}
        lacking = [said[0] for name, said in _COLUMNS.items() if places[name] < 0]
        if lacking:
            raise BulletinError(
                f"The file lacks the columns {', '.join(lacking)}.",
                reason="columns",
                fix="Its first row names them: agency, city, period, cases, amount (单位、地市、周期、案件数、金额).",
            )
        for number, line in enumerate(lines):
            if number >= MOST_ROWS:
                raise BulletinError(f"The file has more than {MOST_ROWS:,} rows.", reason="rows", fix="Divide it.")
            yield {name: line[at] if at < len(line) else "" for name, at in places.items()}
    except csv.Error as error:
        raise BulletinError(f"The file is no CSV: {error}.", reason="csv") from error


def _text_of(content: bytes) -> str:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise BulletinError("The file is neither in UTF-8 nor in GB 18030.", reason="encoding", fix="Save it as CSV UTF-8.")
