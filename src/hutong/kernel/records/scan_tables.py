"""The tables of venues, scans and look-ups: a part of `tables`, which is long enough without it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text, text

from hutong.kernel.records.schema import ROW_NUMBER, metadata

#: More days than scans are kept (14), today and the day that is being emptied.
SLOTS: Final = 16

#: Venues; `body` is the whole of one, JSON.
code_venues = Table(
    "code_venues",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("district", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("changed_ms", BigInteger, nullable=False, index=True),
    Column("version", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Column(
        "title",
        Text(collation="C").with_variant(Text(), "sqlite"),
        nullable=False,
        server_default=text("''"),
        index=True,
    ),
    # Lists follow the id, whichever of these they are about.
    *(Index(f"ix_code_venues_{name}_id", name, "id") for name in ("district", "unit", "kind", "state")),
)


def _scans(slot: int) -> Table:
    name = f"code_scans_{slot:02d}"
    return Table(
        name,
        metadata,
        Column("number", ROW_NUMBER, primary_key=True, autoincrement=True),
        Column("who", LargeBinary),
        Column("place", LargeBinary, nullable=False),
        Column("code", LargeBinary),
        Column("sealed", LargeBinary, nullable=False),
        Index(f"ix_{name}_who", "who"),
        Index(f"ix_{name}_place", "place"),
        Index(f"ix_{name}_code", "code"),
    )


#: Scans, a table for each day in turn, so that a day goes as a whole on either engine. Person, place and code are
#: keyed hashes, the rest is sealed: with the key of the day gone, rows say nothing.
code_scans = tuple(_scans(slot) for slot in range(SLOTS))

#: Which day each of these tables holds.
code_scan_days = Table(
    "code_scan_days",
    metadata,
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("day", Integer, nullable=False),
)

#: Which scans of a device's store are here: numbers as ranges, so that whatever comes twice counts once.
code_scan_sources = Table(
    "code_scan_sources",
    metadata,
    Column("device", Text, primary_key=True),
    Column("series", Text, primary_key=True),
    Column("ranges", Text, nullable=False),  # JSON
    Column("ahead_ms", BigInteger, nullable=False),
    Column("wrong", Integer, nullable=False),  # 1 or 0: its clock
    Column("contact_ms", BigInteger, nullable=False, index=True),
)

#: Codes that were seen where or when they cannot be.
code_scan_findings = Table(
    "code_scan_findings",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("code", LargeBinary, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("found_ms", BigInteger, nullable=False, index=True),
    Column("sealed", LargeBinary, nullable=False),
)

#: What people will be told of look-ups: found and read only by who knows the pseudonym of the day.
code_scan_notices = Table(
    "code_scan_notices",
    metadata,
    Column("number", ROW_NUMBER, primary_key=True, autoincrement=True),
    Column("who", LargeBinary, nullable=False, index=True),
    Column("until_ms", BigInteger, nullable=False, index=True),
    Column("sealed", LargeBinary, nullable=False),
)

#: Orders that allow look-ups; `body` is the whole of one, JSON.
code_lookup_orders = Table(
    "code_lookup_orders",
    metadata,
    Column("id", Text, primary_key=True),
    Column("agency", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("ends_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False, index=True),
    Column("version", BigInteger, nullable=False),
    Column("lookups", Integer, nullable=False),
    Column("rows", BigInteger, nullable=False),  # that were answered
    Column("body", Text, nullable=False),
    Index("ix_code_lookup_orders_state", "state", "ends_ms"),
    Index("ix_code_lookup_orders_state_changed", "state", "changed_ms"),
    Index("ix_code_lookup_orders_agency", "agency", "changed_ms"),
)
