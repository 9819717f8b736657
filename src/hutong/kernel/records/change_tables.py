"""The table of change events: a part of `tables`, which is long enough without it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Table, Text

from hutong.kernel.records.schema import metadata

#: What replicas are told (`kernel.replica`), written in the transaction of what changed. Numbers rise with the time (ms
#: since 1970), so that records restored from a backup, which has none of these, never repeat one.
changes = Table(
    "changes",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("body", Text, nullable=False),  # the change, JSON
)
