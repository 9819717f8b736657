"""The tables of reports: a part of `tables`, which is long enough without it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, Text, UniqueConstraint, text

from hutong.kernel.records.schema import metadata

#: Subjects that people reported (`hutong.reports`): numbers, senders, web names. Counters follow `report_subjects`.
report_matters = Table(
    "report_matters",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("key", BigInteger, nullable=False),
    Column("city", Text, nullable=False),
    Column("operator", Text, nullable=False),
    Column("reports", BigInteger, nullable=False),
    Column("reporters", BigInteger, nullable=False),
    Column("lost", BigInteger, nullable=False),  # fen
    Column("first_ms", BigInteger, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
    Column("case", Text, nullable=False),
    Column("case_version", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("finding", Text, nullable=False),
    Column("closed_ms", BigInteger, nullable=False),
    UniqueConstraint("kind", "subject"),
    Index("ix_report_matters_last_ms", "last_ms"),
    Index("ix_report_matters_case", "case"),
    Index("ix_report_matters_closed_ms", "closed_ms"),
    Index(
        "ix_report_matters_kept",
        "state",
        "last_ms",
        sqlite_where=text("substr(subject, 1, 5) <> 'gone:'"),
        postgresql_where=text("substr(subject, 1, 5) <> 'gone:'"),
    ),
    Index("ix_report_matters_subject", "subject"),  # by bytes in PostgreSQL too, see `reading.begins`
)

#: `who` and `place` are keyed pseudonyms; they and the text are forgotten after a time.
reports = Table(
    "reports",
    metadata,
    Column("id", Text, primary_key=True),
    Column("receipt", Text, nullable=False, unique=True),
    Column("request", Text, unique=True),
    Column("digest", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("matter", Text, ForeignKey("report_matters.id"), nullable=False),
    Column("source", Text, nullable=False),
    Column("taker", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("names", Text, nullable=False),  # divided by spaces
    Column("happened_ms", BigInteger, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("lost", BigInteger, nullable=False),  # fen
    Column("joined", Text, nullable=False),
    Column("forgotten", Integer, nullable=False),  # 1 or 0
    Index("ix_reports_received_ms", "received_ms"),
    Index("ix_reports_matter", "matter", "received_ms"),
    Index("ix_reports_kind", "kind", "received_ms"),
    Index("ix_reports_forgotten", "forgotten", "received_ms"),
)

#: What a report is about: its own matter, and those of the web names in a message.
report_subjects = Table(
    "report_subjects",
    metadata,
    Column("report", Text, ForeignKey("reports.id"), primary_key=True),
    Column("matter", Text, ForeignKey("report_matters.id"), primary_key=True),
    Column("who", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Index("ix_report_subjects_matter", "matter", "who"),
    Index("ix_report_subjects_matter_at", "matter", "at_ms", "who", "place"),
)
