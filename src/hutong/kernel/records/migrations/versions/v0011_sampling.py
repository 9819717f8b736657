"""Sampling: events of tubes, what is folded from them, stations, what people are told, emergencies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_INDEXES = {
    "sampling_events": {"barcode": ["barcode"], "merged_ms": ["merged_ms"], "station": ["station", "sequence"]},
    "sampling_tubes": {
        "barcode": ["barcode"],
        "last_ms": ["last_ms"],
        "state": ["state", "opened_ms"],
        "district": ["district", "opened_ms", "state"],
    },
    "sampling_people": {"barcode": ["barcode"], "person": ["person", "at_ms"]},
    "sampling_conflicts": {"found_ms": ["found_ms"], "rule": ["rule", "found_ms"]},
    "sampling_batches": {"handed_ms": ["handed_ms"], "state": ["state", "handed_ms"]},
    "sampling_stations": {"contact_ms": ["contact_ms"]},
    "sampling_told": {"at_ms": ["at_ms"], "person": ["person", "number"]},
    "sampling_emergencies": {"state": ["state", "ends_ms"], "district": ["district", "state"]},
}
_PARTIAL = {
    "batch": (["batch"], "batch <> ''"),
    "calls": (["opened_ms"], "calls = 1"),
    "held": (["opened_ms"], "held = 1"),
    "reported": (["reported_ms", "opened_ms"], "reported_ms > 0"),
}


def upgrade() -> None:
    """Make the tables of sampling."""
    _tubes()
    _around()
    for table, indexes in _INDEXES.items():
        for name, columns in indexes.items():
            op.create_index(f"ix_{table}_{name}", table, columns)
    for name, (columns, where) in _PARTIAL.items():
        op.create_index(
            f"ix_sampling_tubes_{name}",
            "sampling_tubes",
            columns,
            sqlite_where=sa.text(where),
            postgresql_where=sa.text(where),
        )


def _tubes() -> None:
    op.create_table(
        "sampling_events",
        *_texts("id barcode station"),
        *_wholes("sequence offset_ms merged_ms"),
        *_texts("body"),
        sa.PrimaryKeyConstraint("id", name="pk_sampling_events"),
    )
    op.create_table(
        "sampling_tubes",
        *_texts("id barcode station district state batch result"),
        *_small("held calls people"),
        *_wholes("opened_ms reported_ms last_ms"),
        *_texts("body"),
        sa.PrimaryKeyConstraint("id", name="pk_sampling_tubes"),
    )
    op.create_table(
        "sampling_people",
        *_texts("tube person barcode"),
        *_wholes("at_ms"),
        *_small("retest"),
        sa.PrimaryKeyConstraint("tube", "person", name="pk_sampling_people"),
    )
    op.create_table(
        "sampling_conflicts",
        *_texts("barcode rule tube about"),
        *_wholes("found_ms"),
        sa.PrimaryKeyConstraint("barcode", "rule", "tube", "about", name="pk_sampling_conflicts"),
    )


def _around() -> None:
    op.create_table(
        "sampling_batches",
        *_texts("id state station courier laboratory"),
        *_small("expected known received"),
        *_wholes("handed_ms received_ms"),
        sa.PrimaryKeyConstraint("id", name="pk_sampling_batches"),
    )
    op.create_table(
        "sampling_stations",
        *_texts("station"),
        *_wholes("contact_ms offset_ms sequence"),
        sa.PrimaryKeyConstraint("station", name="pk_sampling_stations"),
    )
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "sampling_told",
        sa.Column("number", number, autoincrement=True, nullable=False),
        *_texts("person tube result"),
        *_wholes("at_ms"),
        sa.PrimaryKeyConstraint("number", name="pk_sampling_told"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "sampling_emergencies",
        *_texts("id district state"),
        *_wholes("ends_ms changed_ms version"),
        *_texts("body"),
        sa.PrimaryKeyConstraint("id", name="pk_sampling_emergencies"),
    )


def _texts(names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names.split()]


def _wholes(names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=False, autoincrement=False) for name in names.split()]


def _small(names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.Integer(), nullable=False, autoincrement=False) for name in names.split()]
