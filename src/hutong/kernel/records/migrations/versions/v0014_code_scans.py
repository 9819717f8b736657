"""Venues, scans by day, devices, findings, look-up orders and what people are told of look-ups."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

_SLOTS = 16
_INDEXES = {
    "code_venues": {"changed_ms": ["changed_ms"], "district": ["district", "state"], "unit": ["unit"]},
    "code_scan_sources": {"contact_ms": ["contact_ms"]},
    "code_scan_findings": {"found_ms": ["found_ms"]},
    "code_scan_notices": {"who": ["who"], "until_ms": ["until_ms"]},
    "code_lookup_orders": {
        "state": ["state", "ends_ms"],
        "agency": ["agency", "changed_ms"],
        "changed_ms": ["changed_ms"],
    },
}
_SCANS = {"who": ["who"], "place": ["place"], "code": ["code"]}


def upgrade() -> None:
    """Make the tables and their indexes."""
    _venues_and_orders()
    for slot in range(_SLOTS):
        name = f"code_scans_{slot:02d}"
        op.create_table(
            name,
            _number(),
            sa.Column("who", sa.LargeBinary()),
            _bytes("place"),
            sa.Column("code", sa.LargeBinary()),
            _bytes("sealed"),
            sa.PrimaryKeyConstraint("number", name=f"pk_{name}"),
        )
        _index(name, _SCANS)
    _around()
    for table, indexes in _INDEXES.items():
        _index(table, indexes)


def _venues_and_orders() -> None:
    op.create_table(
        "code_venues",
        *_texts("id kind district unit state"),
        *_wholes("changed_ms version"),
        *_texts("body"),
        sa.PrimaryKeyConstraint("id", name="pk_code_venues"),
    )
    op.create_table(
        "code_lookup_orders",
        *_texts("id agency state"),
        *_wholes("ends_ms changed_ms version"),
        _small("lookups"),
        *_wholes("rows"),
        *_texts("body"),
        sa.PrimaryKeyConstraint("id", name="pk_code_lookup_orders"),
    )


def _around() -> None:
    op.create_table(
        "code_scan_days", _small("slot"), _small("day"), sa.PrimaryKeyConstraint("slot", name="pk_code_scan_days")
    )
    op.create_table(
        "code_scan_sources",
        *_texts("device series ranges"),
        *_wholes("ahead_ms"),
        _small("wrong"),
        *_wholes("contact_ms"),
        sa.PrimaryKeyConstraint("device", "series", name="pk_code_scan_sources"),
    )
    op.create_table(
        "code_scan_findings",
        _small("day"),
        _bytes("code"),
        *_texts("kind"),
        *_wholes("found_ms"),
        _bytes("sealed"),
        sa.PrimaryKeyConstraint("day", "code", "kind", name="pk_code_scan_findings"),
    )
    op.create_table(
        "code_scan_notices",
        _number(),
        _bytes("who"),
        *_wholes("until_ms"),
        _bytes("sealed"),
        sa.PrimaryKeyConstraint("number", name="pk_code_scan_notices"),
    )


def _index(table: str, indexes: dict[str, list[str]]) -> None:
    for name, columns in indexes.items():
        op.create_index(f"ix_{table}_{name}", table, columns)


def _number() -> sa.Column[int]:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("number", number, autoincrement=True, nullable=False)


def _texts(names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names.split()]


def _wholes(names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=False, autoincrement=False) for name in names.split()]


def _small(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False, autoincrement=False)


def _bytes(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=False)
