"""Appeals against blocks with their one-time codes, and people handed over to the dissuasion desk."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the tables of appeals and hand-offs."""
    _codes()
    _appeals()
    _handoffs()


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _whole(*names: str, nullable: bool = False) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=nullable) for name in names]


def _small(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.Integer(), nullable=False) for name in names]


def _codes() -> None:
    op.create_table(
        "appeal_codes",
        *_text("ticket", "number", "digest"),
        *_whole("made_ms"),
        *_small("tries"),
        *_whole("proven_ms", nullable=True),
        *_text("appeal"),
        sa.PrimaryKeyConstraint("ticket", name="pk_appeal_codes"),
    )
    for column in ("number", "made_ms"):
        op.create_index(f"ix_appeal_codes_{column}", "appeal_codes", [column])


def _appeals() -> None:
    op.create_table(
        "appeals",
        *_text("id", "receipt", "number", "city", "operator", "blocks", "words", "contact", "state"),
        *_whole("found_ms", "due_ms"),
        *_whole("decided_ms", nullable=True),
        *_text("who", "reasons", "plan"),
        *_whole("effect_ms", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_appeals"),
        sa.UniqueConstraint("receipt", name="uq_appeals_receipt"),
    )
    for column in ("number", "found_ms", "decided_ms"):
        op.create_index(f"ix_appeals_{column}", "appeals", [column])
    op.create_index("ix_appeals_state", "appeals", ["state", "due_ms"])


def _handoffs() -> None:
    op.create_table(
        "handoffs",
        *_text("id", "number", "city", "operator", "condition", "body", "case"),
        *_whole("found_ms"),
        *_small("alerts"),
        *_whole("next_ms", nullable=True),
        *_small("tries"),
        *_text("trouble"),
        *_whole("delivered_ms", nullable=True),
        *_text("answer"),
        *_whole("answered_ms", nullable=True),
        *_text("answered_by"),
        *_whole("saved", "lost"),
        *_text("note"),
        sa.PrimaryKeyConstraint("id", name="pk_handoffs"),
    )
    for column in ("number", "found_ms", "next_ms", "answered_ms"):
        op.create_index(f"ix_handoffs_{column}", "handoffs", [column])
    op.create_table(
        "handoff_places",
        *_text("node"),
        *_whole("seq"),
        sa.PrimaryKeyConstraint("node", name="pk_handoff_places"),
    )
