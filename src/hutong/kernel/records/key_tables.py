"""The tables of keys that lie outside of the records, and of followers: a part of `tables`, which is long enough."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table, Text

from hutong.kernel.records.schema import metadata

#: By what a key is known that lies outside of the records: a keyed digest, never the key. See `kernel.key_marks`.
key_marks = Table(
    "key_marks",
    metadata,
    Column("name", Text, primary_key=True),
    Column("mark", Text, nullable=False),
)

#: How far somebody has followed a numbered line of rows; written with what came of them.
follower_positions = Table(
    "follower_positions",
    metadata,
    Column("name", Text, primary_key=True),
    Column("number", BigInteger, nullable=False),
)

#: Numbers of a line that could not be taken yet, because somebody's rows or keys are not as they must be.
follower_owed = Table(
    "follower_owed",
    metadata,
    Column("name", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("again_ms", BigInteger, nullable=False),
    Index("ix_follower_owed_again", "name", "again_ms"),
)
