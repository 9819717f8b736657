"""Phones that fetch codes, and the one-time codes that they begin with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Make the tables and their indexes."""
    op.create_table(
        "code_devices",
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("token", name="pk_code_devices"),
    )
    op.create_index("ix_code_devices_person", "code_devices", ["person"])
    op.create_index("ix_code_devices_day", "code_devices", ["day"])
    op.create_table(
        "code_arrivals",
        sa.Column("ticket", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("proven_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("ticket", name="pk_code_arrivals"),
    )
    op.create_index("ix_code_arrivals_number", "code_arrivals", ["number"])
    op.create_index("ix_code_arrivals_made_ms", "code_arrivals", ["made_ms"])
