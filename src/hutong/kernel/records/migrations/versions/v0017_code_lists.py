"""Lists of colours, venues and look-ups by index: changes and appeals by state, venues by kind, place and title."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

_INDEXES = (
    ("ix_code_changes_list", "code_changes", ("state", "id")),
    ("ix_code_changes_list_requested", "code_changes", ("requested_agency", "state", "id")),
    ("ix_code_changes_list_decided", "code_changes", ("decided_agency", "state", "id")),
    ("ix_code_appeals_list", "code_appeals", ("state", "id")),
    ("ix_code_colours_colour", "code_colours", ("colour",)),
    ("ix_code_lookup_orders_state_changed", "code_lookup_orders", ("state", "changed_ms")),
    *((f"ix_code_venues_{name}_id", "code_venues", (name, "id")) for name in ("district", "unit", "kind", "state")),
)


def upgrade() -> None:
    """Make the indexes, and give venues the column of their title."""
    title = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")
    op.add_column("code_venues", sa.Column("title", title, nullable=False, server_default=sa.text("''")))
    said = "json_extract(body, '$.title')" if op.get_bind().dialect.name == "sqlite" else "body::json ->> 'title'"
    op.execute(sa.text(f"UPDATE code_venues SET title = {said}"))  # noqa: S608  # our own words
    op.drop_index("ix_code_venues_district", "code_venues")
    op.drop_index("ix_code_venues_unit", "code_venues")
    op.create_index("ix_code_venues_title", "code_venues", ["title"])
    for name, table, columns in _INDEXES:
        op.create_index(name, table, list(columns))
