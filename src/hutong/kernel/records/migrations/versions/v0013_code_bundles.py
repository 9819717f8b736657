"""Bundles of codes: whose, and until when; which of them are revoked."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Make the tables and their indexes."""
    op.create_table(
        "code_bundles",
        sa.Column("handle", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("issued_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("handle", name="pk_code_bundles"),
    )
    op.create_index("ix_code_bundles_person", "code_bundles", ["person", "expires_ms"])
    op.create_index("ix_code_bundles_expires_ms", "code_bundles", ["expires_ms"])
    op.create_table(
        "code_revocations",
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("handle", sa.Text(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("version", name="pk_code_revocations"),
        sa.UniqueConstraint("handle", name="uq_code_revocations_handle"),
    )
    op.create_index("ix_code_revocations_until_ms", "code_revocations", ["until_ms"])
