"""The tables of phones that fetch codes: a part of `tables`, which is long enough without it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, Table, Text

from hutong.kernel.records.schema import metadata

#: Phones that may fetch somebody's codes. `token`: SHA-256 of what the phone holds; `day`: last heard of, since 1970.
code_devices = Table(
    "code_devices",
    metadata,
    Column("token", Text, primary_key=True),
    Column("person", Text, nullable=False, index=True),  # a keyed pseudonym
    Column("made_ms", BigInteger, nullable=False),
    Column("day", Integer, nullable=False, index=True),
)

#: One-time codes of people who fetch their first bundle; see `kernel.one_time`.
code_arrivals = Table(
    "code_arrivals",
    metadata,
    Column("ticket", Text, primary_key=True),
    Column("number", Text, nullable=False, index=True),
    Column("digest", Text, nullable=False),
    Column("made_ms", BigInteger, nullable=False, index=True),
    Column("tries", Integer, nullable=False),
    Column("proven_ms", BigInteger),
)
