"""Orders: their events, which are the truth, and the rows that are found by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_REFUSAL = "the events of orders are only ever added to"
_SQLITE_GUARD = f"""
CREATE TRIGGER order_events_no_{{0}} BEFORE {{0}} ON order_events BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END
"""
_POSTGRESQL_GUARDS = (
    f"""
    CREATE FUNCTION order_events_refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$
    """,
    """
    CREATE TRIGGER order_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON order_events
    FOR EACH STATEMENT EXECUTE FUNCTION order_events_refuse()
    """,
)
_INDEXES = {
    "ix_orders_state": ["state", "changed_ms"],
    "ix_orders_changed": ["changed_ms"],
    "ix_orders_ends": ["state", "ends_ms"],
    "ix_orders_all_ends": ["ends_ms"],
    "ix_orders_kind": ["kind", "changed_ms", "state"],
    "ix_orders_key": ["key"],
    "ix_orders_case": ["case"],
    "ix_orders_agency": ["agency", "changed_ms", "state"],
}
_PARTIAL = {"wake_ms": "wake_ms > 0", "last": "last > 0", "entry": "entry > 0"}


def upgrade() -> None:
    """Make the tables of orders."""
    op.create_table(
        "orders",
        *(_text(name) for name in ("id", "kind", "state", "target")),
        *(_whole(name) for name in ("key", "last")),
        _text("agency"),
        sa.Column("document", sa.Text(collation="C").with_variant(sa.Text(), "sqlite"), nullable=False),
        _text("requested_by"),
        _whole("entry"),
        _text("case"),
        *(_whole(name) for name in ("ends_ms", "wake_ms", "changed_ms", "version")),
        _text("body"),
        sa.PrimaryKeyConstraint("id", name="pk_orders"),
    )
    for name, columns in _INDEXES.items():
        op.create_index(name, "orders", columns)
    op.create_index("ix_orders_document", "orders", ["document"])
    for column, where in _PARTIAL.items():
        op.create_index(
            f"ix_orders_{column}", "orders", [column], sqlite_where=sa.text(where), postgresql_where=sa.text(where)
        )
    op.create_table(
        "order_events",
        _text("order"),
        _whole("seq"),
        _whole("time_ms"),
        *(_text(name) for name in ("who", "action", "said", "changes")),
        sa.Column("key", sa.Text()),
        sa.Column("digest", sa.Text()),
        sa.PrimaryKeyConstraint("order", "seq", name="pk_order_events"),
        sa.UniqueConstraint("key", name="uq_order_events_key"),
    )
    op.create_index("ix_order_events_time_ms_action", "order_events", ["time_ms", "action"])
    if op.get_bind().dialect.name == "sqlite":
        for deed in ("UPDATE", "DELETE"):
            op.execute(_SQLITE_GUARD.format(deed))
    else:
        for statement in _POSTGRESQL_GUARDS:
            op.execute(statement)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _whole(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, autoincrement=False)
