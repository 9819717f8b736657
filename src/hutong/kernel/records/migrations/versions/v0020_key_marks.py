"""Marks of keys outside of the records, how far followers are, and whose the codes of registrations are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Make the tables, and the columns of registrations by code with their index."""
    op.create_table(
        "key_marks",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("mark", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_key_marks"),
    )
    op.create_table(
        "follower_positions",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_follower_positions"),
    )
    op.create_table(
        "follower_owed",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("again_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", "number", name="pk_follower_owed"),
    )
    op.create_index("ix_follower_owed_again", "follower_owed", ["name", "again_ms"])
    op.add_column("sampling_events", sa.Column("person", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("sampling_events", sa.Column("handle", sa.Text(), server_default=sa.text("''"), nullable=False))
    waiting = sa.text("handle <> ''")
    op.create_index(
        "ix_sampling_events_handle", "sampling_events", ["handle"], sqlite_where=waiting, postgresql_where=waiting
    )
