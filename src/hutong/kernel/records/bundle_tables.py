"""The tables of bundles of codes: a part of `tables`, which is long enough without it.

`handle` is random, 16 hex letters; `person` is a keyed pseudonym. No code is kept, nor what one says.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table, Text

from hutong.kernel.records.schema import metadata

#: Who was given a bundle, until the last of its codes has expired.
code_bundles = Table(
    "code_bundles",
    metadata,
    Column("handle", Text, primary_key=True),
    Column("person", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("issued_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Index("ix_code_bundles_person", "person", "expires_ms"),
    Index("ix_code_bundles_expires_ms", "expires_ms"),
)

#: Versions rise with the time of revoking (ms since 1970), so that records restored from a backup never repeat one.
code_revocations = Table(
    "code_revocations",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("handle", Text, nullable=False, unique=True),
    Column("until_ms", BigInteger, nullable=False),
    Index("ix_code_revocations_until_ms", "until_ms"),
)
