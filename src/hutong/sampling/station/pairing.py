"""Pairing: how a device becomes a station. A one-time code, given by hand, is exchanged for all that a station needs.

A code is good for a quarter of an hour, for five tries and for one device; only its hash is kept. A station is one
device: whoever pairs anew ends the token of the device before, and goes on behind the numbers that the centre knows.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Final

import msgspec
import sqlalchemy as sa

from hutong.kernel.access.account import is_name
from hutong.kernel.access.permissions import permissions_of
from hutong.kernel.records import sampling_tables, station_tables, tables
from hutong.sampling.errors import SamplingError, SamplingRefused
from hutong.sampling.machine import check_station
from hutong.sampling.model import Terms  # noqa: TC001  # msgspec reads the annotation

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.kernel.access.tokens import Tokens
    from hutong.kernel.records import Database

CODE_MS: Final = 15 * 60_000
TRIES: Final = 5
#: What a station's token may do.
SCOPE: Final = "sampling.register"
TITLE: Final = "station page"

#: Letters that nobody mistakes for each other (Crockford's base 32); 60 bits.
_LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ALIKE: Final = str.maketrans("OIL", "011")
_LENGTH: Final = 12
_GROUP: Final = 4
_LONGEST: Final = 200
_ROWS: Final = station_tables.station_pairings


class Paired(msgspec.Struct, frozen=True):
    """What a device is given.

    Attributes:
        token: proves who it is; good until `until_ms`. key: of persons, hex. sequence: the last number of this
            station that the centre knows. apart_ms: people in two tubes closer than this are told. now_ms: the time.
    """

    station: str
    district: str
    token: str
    until_ms: int
    key: str
    terms: Terms
    sequence: int
    apart_ms: int
    now_ms: int


class Pairings:
    """The pairings of a node.

    Args:
        database: opened by whoever made it. tokens: gives tokens, each for so many ms. key: gives the key of persons.
        terms: how a district samples at a time. apart_ms, token_ms: from the settings.
    """

    def __init__(  # everything that it is wired to
        self,
        database: Database,
        tokens: Tokens,
        key: Callable[[], bytes],
        terms: Callable[[str, int], Terms],
        apart_ms: int,
        token_ms: int,
    ) -> None:
        self._database, self._tokens, self._key, self._terms = database, tokens, key, terms
        self._apart_ms, self._token_ms = apart_ms, token_ms

    def begin(self, station: str, district: str, now_ms: int) -> str:
        """A code that pairs one device with the station; it ends one that was given before.

        Raises:
            SamplingRefused: "field": no station is called so. SamplingError: it is no account that may register.
        """
        check_station(station, district)
        if not _may_register(self._database, station):
            fix = f"Make it: hutong people add {station} --role operator"
            raise SamplingError("A station is an account that may register; this one is none.", where=station, fix=fix)
        code = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
        row = {"district": district, "digest": _digest(station, code), "made_ms": now_ms, "tries": 0}
        with self._database.write() as connection:
            connection.execute(sa.delete(_ROWS).where(_ROWS.c.station == station))
            connection.execute(sa.delete(_ROWS).where(_ROWS.c.made_ms <= now_ms - CODE_MS))
            connection.execute(sa.insert(_ROWS).values(station=station, **row))
        return f"{station}:" + "-".join(code[at : at + _GROUP] for at in range(0, _LENGTH, _GROUP))

    def finish(self, text: str, now_ms: int) -> Paired:
        """What the device gets for a code, once; the tokens of the station's devices before it are over then.

        Raises:
            SamplingRefused: "pairing": wrong, over, tried too often, or used.
        """
        key = self._key()
        station, district, digest = self._proven(text, now_ms)
        terms, until_ms = self._terms(district, now_ms), now_ms + self._token_ms
        with self._database.write() as connection:  # the device before goes on wherever this one does not become it
            used = sa.delete(_ROWS).where(_ROWS.c.station == station, _ROWS.c.digest == digest)
            if connection.execute(used).rowcount != 1:
                raise _no_pairing()
            for it in self._tokens.of(station):
                if it.title == TITLE and it.is_live(now_ms):
                    self._tokens.revoke(it.id, now_ms)
            _, token = self._tokens.make(station, TITLE, [SCOPE], until_ms, now_ms)
        stations = sampling_tables.sampling_stations  # asked last: the device before gives no more numbers now
        with self._database.read() as connection:
            known = sa.select(stations.c.sequence).where(stations.c.station == station)
            sequence = connection.execute(known).scalar() or 0
        return Paired(station, district, token, until_ms, key.hex(), terms, sequence, self._apart_ms, now_ms)

    def _proven(self, text: str, now_ms: int) -> tuple[str, str, str]:
        """Station, district and digest of a code that is good. A try counts before it is looked at."""
        station, _, written = "".join(text[:_LONGEST].split()).rpartition(":")
        station, code = station.lower(), written.upper().replace("-", "").translate(_ALIKE)
        if not is_name(station):
            raise _no_pairing()
        good = sa.and_(_ROWS.c.station == station, _ROWS.c.tries < TRIES, _ROWS.c.made_ms > now_ms - CODE_MS)
        with self._database.write() as connection:
            tried = sa.update(_ROWS).where(good).values(tries=_ROWS.c.tries + 1)
            row = connection.execute(tried.returning(_ROWS.c.digest, _ROWS.c.district)).one_or_none()
        if row is None or not hmac.compare_digest(row.digest, _digest(station, code)):
            raise _no_pairing()
        return station, row.district, row.digest


def _no_pairing() -> SamplingRefused:
    return SamplingRefused(
        "pairing", "This code pairs nothing: it is wrong, over or used.", where="code", fix="Ask for another."
    )


def _may_register(database: Database, station: str) -> bool:
    accounts = tables.accounts
    with database.read() as connection:
        found = sa.select(accounts.c.role).where(accounts.c.name == station, ~accounts.c.disabled)
        role = connection.execute(found).scalar()
    return role is not None and SCOPE in permissions_of(role)


def _digest(station: str, code: str) -> str:
    return hashlib.sha256(f"{station}:{code}".encode("utf-8", "surrogatepass")).hexdigest()
