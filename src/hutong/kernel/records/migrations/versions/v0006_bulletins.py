"""Calls counted by day, losses that agencies gave, and bulletins, which do not change once they are signed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_REFUSAL = "a signed bulletin does not change"
_SQLITE_GUARD = f"""
CREATE TRIGGER bulletins_no_{{0}} BEFORE {{0}} ON bulletins WHEN OLD.signed_ms IS NOT NULL
BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END
"""
_POSTGRESQL_GUARDS = (
    f"""
    CREATE FUNCTION bulletins_refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$
    """,
    """
    CREATE TRIGGER bulletins_signed BEFORE UPDATE OR DELETE ON bulletins
    FOR EACH ROW WHEN (OLD.signed_ms IS NOT NULL) EXECUTE FUNCTION bulletins_refuse()
    """,
)


def upgrade() -> None:
    """Make the tables of bulletins."""
    _table("daily_figures", "node day name item city operator", "value")
    _table("daily_campaigns", "node day rule block", "calls numbers")
    _table("daily_counted", "node day", "until_ms counted_ms")
    _table(
        "losses", "agency city period", "cases amount", sa.Column("who", sa.Text(), nullable=False), _whole("given_ms")
    )
    op.create_index("ix_losses_period", "losses", ["period"])
    _bulletins()


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _whole(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _table(name: str, key: str, values: str, *more: sa.Column[str] | sa.Column[int]) -> None:
    columns = [*map(_text, key.split()), *map(_whole, values.split()), *more]
    op.create_table(name, *columns, sa.PrimaryKeyConstraint(*key.split(), name=f"pk_{name}"))


def _bulletins() -> None:
    op.create_table(
        "bulletins",
        *map(_text, ("id", "node", "kind", "period")),
        sa.Column("issue", sa.Integer(), nullable=False),
        _whole("start_ms"),
        sa.Column("provisional", sa.Integer(), nullable=False),
        *map(_text, ("body", "digest")),
        _whole("made_ms"),
        *map(_text, ("made_by", "corrects")),
        sa.Column("signed_ms", sa.BigInteger()),
        *map(_text, ("signed_by", "files")),
        sa.PrimaryKeyConstraint("id", name="pk_bulletins"),
        sa.UniqueConstraint("node", "period", "issue", name="uq_bulletins_node_period_issue"),
    )
    op.create_index("ix_bulletins_start_ms", "bulletins", ["start_ms"])
    if op.get_bind().dialect.name == "sqlite":
        for deed in ("UPDATE", "DELETE"):
            op.execute(_SQLITE_GUARD.format(deed))
    else:
        for statement in _POSTGRESQL_GUARDS:
            op.execute(statement)
