"""Marks: what is known of numbers beside their calls, and which numbers' marks changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the tables of marks."""
    op.create_table(
        "marks",
        _number(),
        _whole("key"),
        _text("kind"),
        _text("ref"),
        _text("who"),
        _whole("at_ms"),
        _whole("until_ms"),
        _whole("value"),
        sa.Column("dropped_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_marks"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_marks_key", "marks", ["key", "kind", "at_ms", "who"])
    op.create_index("ix_marks_kind_at_ms", "marks", ["kind", "at_ms"])
    op.create_index("ix_marks_kind_ref", "marks", ["kind", "ref"])
    for column in ("until_ms", "dropped_ms"):
        op.create_index(f"ix_marks_{column}", "marks", [column])
    op.create_table(
        "mark_changes",
        _number(),
        _whole("key"),
        _whole("at_ms"),
        sa.PrimaryKeyConstraint("id", name="pk_mark_changes"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_mark_changes_at_ms", "mark_changes", ["at_ms"])


def _number() -> sa.Column[int]:
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("id", kind, nullable=False, autoincrement=True)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _whole(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, autoincrement=False)
