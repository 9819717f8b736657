"""What boards of cases count by: the level of supervision, and what waits for a second person."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_CASES = sa.table("cases", *(sa.column(name) for name in ("id", "is_open", "level", "waits", "body")))


def upgrade() -> None:
    """Add the columns, fill them for open cases, add the indexes."""
    op.add_column("cases", sa.Column("level", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.add_column("cases", sa.Column("waits", sa.Text(), nullable=False, server_default=sa.text("''")))
    _fill()
    for name, columns, where in (
        ("ix_cases_late", ["is_open", "next_due_ms", "unit", "level", "owner"], "is_open = 1"),
        ("ix_cases_waits", ["next_due_ms"], "waits <> ''"),
    ):
        op.create_index(name, "cases", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def _fill() -> None:
    connection = op.get_bind()
    for of, body in connection.execute(sa.select(_CASES.c.id, _CASES.c.body).where(_CASES.c.is_open == 1)).all():
        case = msgspec.json.decode(body)
        pending = case.get("pending")
        values = {"level": case.get("level", 0), "waits": pending["request"]["action"] if pending else ""}
        if values != {"level": 0, "waits": ""}:
            connection.execute(sa.update(_CASES).where(_CASES.c.id == of).values(values))
