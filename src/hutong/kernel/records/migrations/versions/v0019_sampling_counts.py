"""How many samples, tubes and results there are, by hour, district and station; where stations are and what waits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

_INTO = "INSERT INTO sampling_counts (what, hour, district, station, step, count)"
_SPENT = (
    "CASE WHEN reported_ms < opened_ms THEN 0 WHEN (reported_ms - opened_ms) / 1800000 > 480 THEN 480 "
    "ELSE (reported_ms - opened_ms) / 1800000 END"
)
_TESTED = "reported_ms / 3600000"
#: What, its hour, its step, of which tubes.
_COUNTED = (
    ("state", "0", "0", "1 = 1"),
    ("'tubes'", "opened_ms / 3600000", "0", "1 = 1"),
    ("'results'", _TESTED, "0", "reported_ms > 0"),
    ("'positives'", _TESTED, "0", "reported_ms > 0 AND result = 'positive'"),
    ("'spent'", _TESTED, _SPENT, "reported_ms > 0"),
)


def upgrade() -> None:
    """Make the table, and count what is there."""
    op.create_table(
        "sampling_counts",
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("district", sa.Text(), nullable=False),
        sa.Column("station", sa.Text(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("what", "hour", "district", "station", "step", name="pk_sampling_counts"),
    )
    op.add_column("sampling_stations", sa.Column("district", sa.Text(), nullable=False, server_default=""))
    op.add_column("sampling_stations", sa.Column("waiting", sa.BigInteger(), nullable=False, server_default="0"))
    op.drop_index("ix_sampling_tubes_district", "sampling_tubes")
    op.create_index("ix_sampling_tubes_district", "sampling_tubes", ["district", "state", "opened_ms"])
    for what, hour, step, where in _COUNTED:
        place = "''" if what == "'spent'" else "station"
        chosen = f"SELECT {what}, {hour}, district, {place}, {step}, count(*) FROM sampling_tubes WHERE {where}"  # noqa: S608  # our own words
        op.execute(f"{_INTO} {chosen} GROUP BY 1, 2, 3, 4, 5")
    samples = "SELECT 'samples', p.at_ms / 3600000, t.district, t.station, 0, count(*) FROM sampling_people p "
    op.execute(f"{_INTO} {samples} JOIN sampling_tubes t ON t.id = p.tube GROUP BY 2, 3, 4")
    op.execute(
        "UPDATE sampling_stations SET district = found.district FROM (SELECT station, min(district) AS district "
        "FROM sampling_counts WHERE hour = 0 AND district <> '' GROUP BY station) AS found "
        "WHERE found.station = sampling_stations.station"
    )
