"""Indexes of the closed loop: matters that wait and are kept, subjects and counters by how they begin, and others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

_INDEXES = (
    ("ix_report_matters_kept", "report_matters", ("state", "last_ms"), "substr(subject, 1, 5) <> 'gone:'"),
    (
        *("ix_appeals_waiting", "appeals"),
        ("state", "effect_ms", "decided_ms"),
        "state = 'lifted' AND effect_ms IS NULL",
    ),
    ("ix_handoffs_answer", "handoffs", ("answer", "found_ms", "saved", "lost"), ""),
)


def upgrade() -> None:
    """Make the indexes."""
    for name, table, columns, where in _INDEXES:
        only = sa.text(where) if where else None
        op.create_index(name, table, list(columns), sqlite_where=only, postgresql_where=only)
    collated = "" if op.get_bind().dialect.name == "sqlite" else ' COLLATE "C"'
    op.create_index("ix_report_matters_subject", "report_matters", [sa.text(f"subject{collated}")])
    op.create_index("ix_case_counts_name", "case_counts", ["scope", sa.text(f"name{collated}")])
