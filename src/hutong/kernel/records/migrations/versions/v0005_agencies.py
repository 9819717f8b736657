"""Partner agencies, and the accounts and tokens that are bound to one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the table of agencies; nobody is bound to one so far."""
    op.create_table(
        "agencies",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("id", "zh", "en", "kind", "units", "contact")),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_agencies"),
    )
    for table in ("accounts", "tokens"):
        op.add_column(table, sa.Column("agency", sa.Text(), nullable=False, server_default=""))
