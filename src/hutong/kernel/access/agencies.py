"""Partner agencies: the police, operators and banks whose people and programs see their own cases and nothing else.

An account or a token that is bound to an agency sees what is of its units. Whoever is a partner and bound to none, or
to one that is disabled, sees nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, get_args

import msgspec
import sqlalchemy as sa

from hutong.kernel.access.account import is_name, normal_name
from hutong.kernel.access.errors import AccessError
from hutong.kernel.records import tables

if TYPE_CHECKING:
    from collections.abc import Collection

    from hutong.kernel.access.permissions import Role
    from hutong.kernel.records import Connection, Database

Kind = Literal["police", "operator", "bank", "other"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
KIND_TITLES: Final[dict[Kind, dict[str, str]]] = {
    "police": {"zh": "公安", "en": "police"},
    "operator": {"zh": "运营商", "en": "operator"},
    "bank": {"zh": "银行", "en": "bank"},
    "other": {"zh": "其他", "en": "other"},
}
#: What tables and the trail call this house itself where they say who acted.
_RESERVED: Final = frozenset({"house"})
_LONGEST: Final = 100
_MOST_UNITS: Final = 50
_AGENCIES = tables.agencies


class Agency(msgspec.Struct, frozen=True):
    """A partner agency.

    Attributes:
        id: a short name, as of accounts. zh, en: its names.
        units: whose cases it works on, as cases say it. contact: an e-mail address or a telephone, for people.
        disabled: its accounts and tokens see nothing.
    """

    id: str
    zh: str
    en: str
    kind: Kind
    units: tuple[str, ...]
    contact: str = ""
    disabled: bool = False
    created_ms: int = 0


class Agencies:
    """The agencies in the records.

    Args:
        database: opened by whoever made it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Agency]:
        """Every agency, by id."""
        with self._database.read() as connection:
            return [_agency(row) for row in connection.execute(sa.select(_AGENCIES).order_by(_AGENCIES.c.id))]

    def agency(self, of: str) -> Agency:
        """The agency of that id.

        Raises:
            AccessError: there is none (`no-agency`).
        """
        with self._database.read() as connection:
            return _known(connection, of)

    def add(self, new: Agency, now_ms: int) -> Agency:
        """Make an agency; returns it as it is kept.

        Raises:
            AccessError: its id has no proper form, is taken or means this house, or a name, kind, unit or contact will
                not do.
        """
        agency = msgspec.structs.replace(
            new,
            id=normal_name(new.id),
            zh=_text(new.zh),
            en=_text(new.en),
            units=tuple(dict.fromkeys(_text(unit) for unit in new.units)),
            contact=_text(new.contact) if new.contact.strip() else "",
            disabled=False,
            created_ms=now_ms,
        )
        if not is_name(agency.id) or agency.kind not in KINDS or not 0 < len(agency.units) <= _MOST_UNITS:
            raise _unfit()
        if agency.id in _RESERVED:
            raise AccessError("agency-taken", f"{agency.id!r} is this house itself.", fix="Choose another.")
        row = msgspec.structs.asdict(agency) | {"units": msgspec.json.encode(agency.units).decode()}
        with self._database.write() as connection:
            self._database.hold(connection, "agencies")
            if connection.execute(sa.select(_AGENCIES.c.id).where(_AGENCIES.c.id == agency.id)).first():
                raise AccessError("agency-taken", f"There is an agency {agency.id!r} already.", fix="Choose another.")
            connection.execute(sa.insert(_AGENCIES).values(row))
        return agency

    def set_disabled(self, of: str, disabled: bool) -> Agency:  # noqa: FBT001  # the value itself
        """Let an agency's people and programs see nothing from the next second on, or their cases again.

        Raises:
            AccessError: there is none (`no-agency`).
        """
        with self._database.write() as connection:
            agency = _known(connection, of)
            connection.execute(sa.update(_AGENCIES).where(_AGENCIES.c.id == agency.id).values(disabled=disabled))
        return msgspec.structs.replace(agency, disabled=disabled)


def units_of(connection: Connection, role: Role, agencies: Collection[str]) -> frozenset[str] | None:
    """Whose cases somebody sees who is bound to these agencies (empty texts are none); None = everybody's."""
    bound = {name for name in agencies if name}
    if not bound:
        return frozenset() if role == "partner" else None
    enabled = sa.select(_AGENCIES.c.units).where(_AGENCIES.c.id.in_(bound), ~_AGENCIES.c.disabled)
    found = [frozenset(msgspec.json.decode(it, type=list[str])) for it in connection.execute(enabled).scalars()]
    return frozenset.intersection(*found) if len(found) == len(bound) else frozenset()


def sees(connection: Connection, account: str, unit: str) -> bool:
    """Whether an account sees cases of a unit; what is no account of this node is not bound."""
    mine = sa.select(tables.accounts.c.role, tables.accounts.c.agency).where(tables.accounts.c.name == account)
    row = connection.execute(mine).first()
    units = None if row is None else units_of(connection, row.role, [row.agency])
    return units is None or unit in units


def check_agency(connection: Connection, of: str) -> str:
    """The id of an agency that somebody may be bound to; an empty text stays.

    Raises:
        AccessError: there is none (`no-agency`).
    """
    return _known(connection, of).id if of else ""


def facts_of(agency: Agency) -> dict[str, object]:
    """What the trail says of a new agency."""
    return {"zh": agency.zh, "en": agency.en, "kind": agency.kind, "units": agency.units}


def _known(connection: Connection, of: str) -> Agency:
    name = normal_name(of)
    row = connection.execute(sa.select(_AGENCIES).where(_AGENCIES.c.id == name)).first() if is_name(name) else None
    if row is None:
        raise AccessError("no-agency", "There is no such agency.", fix="See the list of agencies.")
    return _agency(row)


def _agency(row: sa.Row[tuple[object, ...]]) -> Agency:
    fields = {str(name): value for name, value in row._mapping.items()}  # noqa: SLF001  # the library's public name
    return msgspec.convert(fields | {"units": msgspec.json.decode(str(fields["units"]))}, Agency)


def _text(text: str) -> str:
    text = " ".join(text.split())
    if not text or len(text) > _LONGEST or not text.isprintable():
        raise _unfit()
    return text


def _unfit() -> AccessError:
    return AccessError(
        "agency-form",
        "An agency has an id in Latin letters, a name in each language, a kind and its units.",
        fix=f"Texts have up to {_LONGEST} characters; kinds: {', '.join(KINDS)}; 1 to {_MOST_UNITS} units.",
    )
