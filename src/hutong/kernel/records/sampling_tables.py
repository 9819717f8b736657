"""The tables of sampling: a part of `tables`, which is long enough without it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text, text

from hutong.kernel.records.schema import ROW_NUMBER, metadata

#: What happened to tubes: the truth about sampling; everything else of it is folded from here (`sampling.fold`).
sampling_events = Table(
    "sampling_events",
    metadata,
    Column("id", Text, primary_key=True),  # made where it happened
    Column("barcode", Text, nullable=False, index=True),
    Column("station", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("offset_ms", BigInteger, nullable=False),
    Column("merged_ms", BigInteger, nullable=False, index=True),
    Column("body", Text, nullable=False),  # the event, JSON
    # Of a registration by a code: whose it is, once that is known; until then the code's handle.
    Column("person", Text, nullable=False, server_default=text("''")),
    Column("handle", Text, nullable=False, server_default=text("''")),
    Index("ix_sampling_events_station", "station", "sequence"),
    Index(
        "ix_sampling_events_handle", "handle", sqlite_where=text("handle <> ''"), postgresql_where=text("handle <> ''")
    ),
)

#: Tubes as their events make them. `last_ms`: of anything that happened to the barcode. `calls`: somebody whom it calls
#: back is not tested yet.
sampling_tubes = Table(
    "sampling_tubes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("barcode", Text, nullable=False, index=True),
    Column("station", Text, nullable=False),
    Column("district", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("batch", Text, nullable=False),
    Column("result", Text, nullable=False),
    Column("held", Integer, nullable=False),  # 1 or 0
    Column("calls", Integer, nullable=False),  # 1 or 0
    Column("people", Integer, nullable=False),
    Column("opened_ms", BigInteger, nullable=False),
    Column("reported_ms", BigInteger, nullable=False),
    Column("last_ms", BigInteger, nullable=False, index=True),
    Column("body", Text, nullable=False),  # the whole tube, JSON
    Index("ix_sampling_tubes_state", "state", "opened_ms"),
    Index("ix_sampling_tubes_district", "district", "state", "opened_ms"),
    Index("ix_sampling_tubes_batch", "batch", sqlite_where=text("batch <> ''"), postgresql_where=text("batch <> ''")),
    Index("ix_sampling_tubes_calls", "opened_ms", sqlite_where=text("calls = 1"), postgresql_where=text("calls = 1")),
    Index("ix_sampling_tubes_held", "opened_ms", sqlite_where=text("held = 1"), postgresql_where=text("held = 1")),
    Index(
        "ix_sampling_tubes_reported",
        *("reported_ms", "opened_ms"),
        sqlite_where=text("reported_ms > 0"),
        postgresql_where=text("reported_ms > 0"),
    ),
)

#: Whose sample is in which tube. `person` is a pseudonym.
sampling_people = Table(
    "sampling_people",
    metadata,
    Column("tube", Text, primary_key=True),
    Column("person", Text, primary_key=True),
    Column("barcode", Text, nullable=False, index=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("retest", Integer, nullable=False),  # 1 or 0
    Index("ix_sampling_people_person", "person", "at_ms"),
)

#: Where events do not fit each other, by the rules of `sampling/conflicts.toml`.
sampling_conflicts = Table(
    "sampling_conflicts",
    metadata,
    Column("barcode", Text, primary_key=True),
    Column("rule", Text, primary_key=True),
    Column("tube", Text, primary_key=True),
    Column("about", Text, primary_key=True),
    Column("found_ms", BigInteger, nullable=False, index=True),
    Index("ix_sampling_conflicts_rule", "rule", "found_ms"),
)

#: Batches of tubes on their way to a laboratory.
sampling_batches = Table(
    "sampling_batches",
    metadata,
    Column("id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("station", Text, nullable=False),
    Column("courier", Text, nullable=False),
    Column("laboratory", Text, nullable=False),
    Column("expected", Integer, nullable=False),
    Column("known", Integer, nullable=False),
    Column("received", Integer, nullable=False),
    Column("handed_ms", BigInteger, nullable=False, index=True),
    Column("received_ms", BigInteger, nullable=False),
    Index("ix_sampling_batches_state", "state", "handed_ms"),
)

#: How many there are of what, by hour (since 1970, UTC; 0 = now), district and station (`sampling.counts`).
sampling_counts = Table(
    "sampling_counts",
    metadata,
    Column("what", Text, primary_key=True),
    Column("hour", Integer, primary_key=True, autoincrement=False),
    Column("district", Text, primary_key=True),
    Column("station", Text, primary_key=True),
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("count", BigInteger, nullable=False),
)

#: When stations were last heard of, where they are, how their clocks stand, and how much they said still waits there.
sampling_stations = Table(
    "sampling_stations",
    metadata,
    Column("station", Text, primary_key=True),
    Column("contact_ms", BigInteger, nullable=False, index=True),
    Column("offset_ms", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("district", Text, nullable=False, server_default=text("''")),
    Column("waiting", BigInteger, nullable=False, server_default="0"),
)

#: What people are to be told, in order: whoever tells them follows the numbers.
sampling_told = Table(
    "sampling_told",
    metadata,
    Column("number", ROW_NUMBER, primary_key=True, autoincrement=True),
    Column("person", Text, nullable=False),
    Column("tube", Text, nullable=False),
    Column("result", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False, index=True),
    Index("ix_sampling_told_person", "person", "number"),
    sqlite_autoincrement=True,
)

#: Emergency sampling of districts, ordered by two persons for a term.
sampling_emergencies = Table(
    "sampling_emergencies",
    metadata,
    Column("id", Text, primary_key=True),
    Column("district", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("ends_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("body", Text, nullable=False),  # the whole order, JSON
    Index("ix_sampling_emergencies_state", "state", "ends_ms"),
    Index("ix_sampling_emergencies_district", "district", "state"),
)
