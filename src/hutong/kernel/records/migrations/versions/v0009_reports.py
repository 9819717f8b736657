"""Reports from people, the subjects that they are about, and what is about which."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Make the tables of reports."""
    _matters()
    _reports()
    _subjects()


def _texts(names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names.split()]


def _wholes(names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=False, autoincrement=False) for name in names.split()]


def _matters() -> None:
    op.create_table(
        "report_matters",
        *_texts("id kind subject"),
        *_wholes("key"),
        *_texts("city operator"),
        *_wholes("reports reporters lost first_ms last_ms"),
        *_texts("case"),
        *_wholes("case_version"),
        *_texts("state finding"),
        *_wholes("closed_ms"),
        sa.PrimaryKeyConstraint("id", name="pk_report_matters"),
        sa.UniqueConstraint("kind", "subject", name="uq_report_matters_kind_subject"),
    )
    for column in ("last_ms", "case", "closed_ms"):
        op.create_index(f"ix_report_matters_{column}", "report_matters", [column])


def _reports() -> None:
    op.create_table(
        "reports",
        *_texts("id receipt"),
        sa.Column("request", sa.Text()),
        *_texts("digest kind matter source taker who place text names"),
        *_wholes("happened_ms received_ms lost"),
        *_texts("joined"),
        sa.Column("forgotten", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_reports"),
        sa.UniqueConstraint("receipt", name="uq_reports_receipt"),
        sa.UniqueConstraint("request", name="uq_reports_request"),
        sa.ForeignKeyConstraint(["matter"], ["report_matters.id"], name="fk_reports_matter"),
    )
    op.create_index("ix_reports_received_ms", "reports", ["received_ms"])
    for column in ("matter", "kind", "forgotten"):
        op.create_index(f"ix_reports_{column}", "reports", [column, "received_ms"])


def _subjects() -> None:
    op.create_table(
        "report_subjects",
        *_texts("report matter who place"),
        *_wholes("at_ms"),
        sa.PrimaryKeyConstraint("report", "matter", name="pk_report_subjects"),
        sa.ForeignKeyConstraint(["report"], ["reports.id"], name="fk_report_subjects_report"),
        sa.ForeignKeyConstraint(["matter"], ["report_matters.id"], name="fk_report_subjects_matter"),
    )
    op.create_index("ix_report_subjects_matter", "report_subjects", ["matter", "who"])
    op.create_index("ix_report_subjects_matter_at", "report_subjects", ["matter", "at_ms", "who", "place"])
