"""The table of stations that are being paired: a part of `tables`, which is long enough without it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, Table, Text

from hutong.kernel.records.schema import metadata

#: One-time codes that pair a device with a station, one for each at most; see `sampling.station.pairing`.
station_pairings = Table(
    "station_pairings",
    metadata,
    Column("station", Text, primary_key=True),
    Column("district", Text, nullable=False),
    Column("digest", Text, nullable=False),  # SHA-256 of station and code
    Column("made_ms", BigInteger, nullable=False),
    Column("tries", Integer, nullable=False),
)
