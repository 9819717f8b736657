"""Cases: their events, which are the truth, and what is kept beside them to find and count them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_REFUSAL = "the events of cases are only ever added to"
_SQLITE_GUARD = f"""
CREATE TRIGGER case_events_no_{{0}} BEFORE {{0}} ON case_events BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END
"""
_POSTGRESQL_GUARDS = (
    f"""
    CREATE FUNCTION case_events_refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$
    """,
    """
    CREATE TRIGGER case_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON case_events
    FOR EACH STATEMENT EXECUTE FUNCTION case_events_refuse()
    """,
)
_INDEXES = {
    "ix_cases_open_due": ["is_open", "next_due_ms", "state"],
    "ix_cases_owner": ["owner", "is_open", "next_due_ms", "state"],
    "ix_cases_unit": ["unit", "is_open", "next_due_ms", "state"],
    "ix_cases_type": ["type", "is_open", "next_due_ms", "state"],
    "ix_cases_register": ["register", "is_open", "next_due_ms", "state"],
    "ix_cases_changed": ["changed_ms"],
    "ix_cases_open_changed": ["is_open", "changed_ms", "state"],
    "ix_cases_state": ["state", "changed_ms", "title"],
    "ix_cases_owner_changed": ["owner", "changed_ms", "state", "unit", "type"],
    "ix_cases_unit_changed": ["unit", "changed_ms", "state", "type"],
    "ix_cases_type_changed": ["type", "changed_ms", "state"],
    "ix_cases_register_changed": ["register", "changed_ms", "state", "unit", "owner"],
}


def upgrade() -> None:
    """Make the tables of cases."""
    _cases()
    _events()
    _beside()
    _told()


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _whole(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, autoincrement=False)


def _small(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _cases() -> None:
    op.create_table(
        "cases",
        _text("id"),
        _text("type"),
        _text("state"),
        _small("is_open"),
        _small("priority"),
        _text("owner"),
        _text("unit"),
        _text("register"),
        sa.Column("item", sa.Text()),
        _text("parent"),
        _whole("next_due_ms"),
        _whole("wake_ms"),
        _whole("found_ms"),
        _whole("changed_ms"),
        _whole("version"),
        _text("title"),
        _text("body"),
        sa.PrimaryKeyConstraint("id", name="pk_cases"),
        sa.UniqueConstraint("register", "item", name="uq_cases_register_item"),
    )
    for name, columns in _INDEXES.items():
        op.create_index(name, "cases", columns)
    for name, column, where in (
        ("ix_cases_parent", "parent", "parent <> ''"),
        ("ix_cases_wake_ms", "wake_ms", "wake_ms > 0"),
    ):
        op.create_index(name, "cases", [column], sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def _events() -> None:
    op.create_table(
        "case_events",
        _text("case"),
        _whole("seq"),
        _whole("time_ms"),
        _text("who"),
        _text("action"),
        _text("said"),
        _text("changes"),
        sa.PrimaryKeyConstraint("case", "seq", name="pk_case_events"),
    )
    op.create_index("ix_case_events_time_ms_action", "case_events", ["time_ms", "action"])
    if op.get_bind().dialect.name == "sqlite":
        for deed in ("UPDATE", "DELETE"):
            op.execute(_SQLITE_GUARD.format(deed))
    else:
        for statement in _POSTGRESQL_GUARDS:
            op.execute(statement)


def _beside() -> None:
    key = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")
    op.create_table(
        "case_keys",
        sa.Column("key", key, nullable=False),
        _text("case"),
        sa.PrimaryKeyConstraint("key", "case", name="pk_case_keys"),
    )
    op.create_index("ix_case_keys_case", "case_keys", ["case"])
    op.create_table(
        "case_counts",
        _text("scope"),
        _text("name"),
        _text("state"),
        _whole("count"),
        sa.PrimaryKeyConstraint("scope", "name", "state", name="pk_case_counts"),
    )
    op.create_table(
        "case_requests",
        _text("key"),
        _text("digest"),
        _text("answer"),
        _whole("time_ms"),
        sa.PrimaryKeyConstraint("key", name="pk_case_requests"),
    )
    op.create_index("ix_case_requests_time_ms", "case_requests", ["time_ms"])
    op.create_table(
        "case_registers",
        _text("id"),
        _text("title"),
        _text("type"),
        _text("rules"),
        _text("who"),
        _whole("created_ms"),
        sa.PrimaryKeyConstraint("id", name="pk_case_registers"),
    )


def _told() -> None:
    op.create_table(
        "case_attachments",
        _text("sha256"),
        _text("name"),
        _text("media"),
        _whole("size"),
        _text("who"),
        _whole("added_ms"),
        sa.PrimaryKeyConstraint("sha256", name="pk_case_attachments"),
    )
    op.create_table(
        "case_notices",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False, autoincrement=True),
        _text("case"),
        _whole("seq"),
        _text("recipient"),
        _text("body"),
        _whole("made_ms"),
        sa.Column("next_ms", sa.BigInteger()),
        _small("tries"),
        _text("trouble"),
        sa.PrimaryKeyConstraint("id", name="pk_case_notices"),
        sqlite_autoincrement=True,
    )
    for column in ("made_ms", "next_ms"):
        op.create_index(f"ix_case_notices_{column}", "case_notices", [column])
    op.create_table(
        "case_views",
        _text("owner"),
        _text("name"),
        _text("query"),
        sa.PrimaryKeyConstraint("owner", "name", name="pk_case_views"),
        sa.ForeignKeyConstraint(["owner"], ["accounts.name"], name="fk_case_views_owner", ondelete="CASCADE"),
    )
