"""The trail's numbers, leaf hashes and checkpoints; entries of before are numbered in their order."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from hutong.kernel.audit.log import number_rest

revision = "0002"
down_revision = "0001"

_TABLES = ("audit_leaves", "audit_nodes", "audit_checkpoints")
_SQLITE_GUARD = """
CREATE TRIGGER {0}_no_{1} BEFORE {1} ON {0} BEGIN SELECT RAISE(ABORT, 'the trail is only ever added to'); END
"""
_POSTGRESQL_GUARD = """
CREATE TRIGGER {0}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {0}
FOR EACH STATEMENT EXECUTE FUNCTION trail_refuse()
"""


def upgrade() -> None:
    """Make the tables and number what is there."""
    op.create_table(
        "audit_leaves",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False, autoincrement=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_audit_leaves"),
        sa.UniqueConstraint("entry", name="uq_audit_leaves_entry"),
    )
    op.create_table(
        "audit_nodes",
        sa.Column("level", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("place", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "place", name="pk_audit_nodes"),
    )
    op.create_table(
        "audit_checkpoints",
        sa.Column("signer", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("time_ms", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("signer", "size", name="pk_audit_checkpoints"),
    )
    sqlite = op.get_bind().dialect.name == "sqlite"
    for table in _TABLES:
        if sqlite:
            for deed in ("UPDATE", "DELETE"):
                op.execute(_SQLITE_GUARD.format(table, deed))
        else:
            op.execute(_POSTGRESQL_GUARD.format(table))
    if not sqlite:  # a process of the version before may be writing; what it has begun is waited for
        op.execute("LOCK TABLE trail IN SHARE ROW EXCLUSIVE MODE")
    number_rest(op.get_bind())
