"""People behind codes, their keys, evidence, colours, changes by hand, appeals, family links."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_INDEXES = {
    "code_person_keys": {"day": ["day"]},
    "code_people": {"day": ["day"]},
    "code_evidence": {"day": ["day"]},
    "code_colours": {"again_ms": ["again_ms"]},
    "code_colour_events": {"day": ["day"], "person": ["person", "at_ms"]},
    "code_changes": {
        "person": ["person", "state"],
        "state": ["state", "ends_ms"],
        "requested_by": ["requested_by", "requested_ms"],
        "requested_agency": ["requested_agency", "requested_ms"],
        "decided_by": ["decided_by", "decided_ms"],
        "reason_key": ["reason_key", "requested_ms"],
    },
    "code_appeals": {"person": ["person"], "state": ["state", "due_ms"]},
    "code_links": {"guardian": ["guardian"], "ward": ["ward"], "ends_ms": ["ends_ms"]},
}


def upgrade() -> None:
    """Make the tables."""
    _make("code_person_keys", ["person", "day"], _text("person"), _small("day"), _bytes("wrapped"))
    _make("code_people", ["person"], _text("person"), _small("day"), _bytes("sealed"))
    item = (_text("person"), _text("item"), _small("day"), _bytes("sealed"), _text("void"))
    _make("code_evidence", ["person", "item"], *item)
    _make(
        "code_colours",
        ["person"],
        *(_text(name) for name in ("person", "colour", "rule", "event", "commitment")),
        *(_whole(name) for name in ("since_ms", "until_ms", "as_of_ms")),
        _whole("again_ms", nullable=True),
    )
    _make(
        "code_colour_events",
        ["id"],
        *(_text("id"), _text("person"), _whole("at_ms"), _small("day")),
        *(_text(name) for name in ("before", "colour", "rule", "rules", "commitment")),
        _bytes("sealed"),
    )
    _make(
        "code_changes",
        ["id"],
        *(_text(name) for name in ("id", "person", "colour", "state", "reason", "reason_key", "basis", "document")),
        *(_whole("term_s"), _text("requested_by"), _text("requested_agency"), _whole("requested_ms")),
        *(_text("decided_by"), _text("decided_agency"), _whole("decided_ms")),
        *(_whole("ends_ms"), _whole("ended_ms"), _text("ended_by"), _text("ended_why"), _whole("version")),
    )
    _make(
        "code_appeals",
        ["id"],
        *(_text(name) for name in ("id", "person", "event", "change")),
        *(_small("day"), _bytes("sealed"), _text("state"), _whole("found_ms"), _whole("due_ms")),
        *(_whole("decided_ms", nullable=True), _text("who"), _text("reasons")),
    )
    _make(
        "code_links",
        ["id"],
        *(_text(name) for name in ("id", "guardian", "ward", "kind", "consent_of", "proof")),
        *(_whole(name) for name in ("begins_ms", "ends_ms", "ended_ms")),
    )
    ended = sa.text("ended_ms > 0")
    op.create_index("ix_code_links_ended", "code_links", ["ended_ms"], sqlite_where=ended, postgresql_where=ended)


def _make(name: str, key: list[str], *columns: sa.Column[object]) -> None:
    op.create_table(name, *columns, sa.PrimaryKeyConstraint(*key, name=f"pk_{name}"))
    for index, indexed in _INDEXES[name].items():
        op.create_index(f"ix_{name}_{index}", name, indexed)


def _text(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Text(), nullable=False)


def _whole(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def _small(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _bytes(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.LargeBinary(), nullable=False)
