"""Every table of the records, once for both engines. The migrations lead to exactly this; a test compares them.

Times are milliseconds since 1970 UTC. Columns are stable: a migration expands first, and contracts only when no version
that is still in use reads the old form (docs/adr/0007).
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from hutong.kernel.records import (
    bundle_tables,  # noqa: F401  # declares its tables
    change_tables,  # noqa: F401  # declares its tables
    code_tables,  # noqa: F401  # declares its tables
    device_tables,  # noqa: F401  # declares its tables
    key_tables,  # noqa: F401  # declares its tables
    report_tables,  # noqa: F401  # declares its tables
    sampling_tables,  # noqa: F401  # declares its tables
    scan_tables,  # noqa: F401  # declares its tables
    schema,
    station_tables,  # noqa: F401  # declares its tables
)
from hutong.kernel.records.schema import ROW_NUMBER

metadata = schema.metadata

accounts = Table(
    "accounts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("password", Text),  # argon2id in PHC form; null for those who sign in elsewhere
    Column("must_change", Boolean, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("subject", Text, unique=True),  # issuer and subject at an OpenID provider; null for accounts of this house
    Column("language", Text, nullable=False),
    Column("zone", Text, nullable=False),
    Column("theme", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("signed_in_ms", BigInteger),
    Column("agency", Text, nullable=False, server_default=text("''")),  # whose cases alone are seen; or empty
)

agencies = Table(
    "agencies",
    metadata,
    Column("id", Text, primary_key=True),
    Column("zh", Text, nullable=False),
    Column("en", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("units", Text, nullable=False),  # JSON
    Column("contact", Text, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),  # SHA-256 of the cookie's value
    Column("account", Text, ForeignKey("accounts.name", ondelete="CASCADE"), nullable=False, index=True),
    Column("address", Text, nullable=False),
    Column("started_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
    Column("ends_ms", BigInteger, nullable=False, index=True),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text, ForeignKey("accounts.name", ondelete="CASCADE"), nullable=False, index=True),
    Column("title", Text, nullable=False),
    Column("scopes", Text, nullable=False),  # names of permissions, divided by spaces
    Column("digest", Text, nullable=False),  # SHA-256 of the secret
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("revoked_ms", BigInteger),
    Column("used_ms", BigInteger),
    Column("agency", Text, nullable=False, server_default=text("''")),  # as of accounts
)

#: Proofs that failed or passed, by a hash of the name: too coarse to find from it a password that was typed as a name.
attempts = Table(
    "attempts",
    metadata,
    Column("bucket", Integer, primary_key=True, autoincrement=False),
    Column("place", Text, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("failed_ms", BigInteger, nullable=False),
    Column("passed_ms", BigInteger, nullable=False),
    Index(None, "place"),
)

#: Append-only: triggers refuse everything but INSERT.
trail = Table(
    "trail",
    metadata,
    Column("id", ROW_NUMBER, primary_key=True, autoincrement=True),
    Column("time_ms", BigInteger, nullable=False, index=True),
    Column("who", Text, nullable=False, index=True),
    Column("address", Text, nullable=False),
    Column("deed", Text, nullable=False, index=True),
    Column("target", Text, nullable=False, index=True),
    Column("before", Text),  # JSON
    Column("after", Text),  # JSON
    Column("purpose", Text, nullable=False),
    sqlite_autoincrement=True,
)

#: The trail as a Merkle log: each entry's number, from 1 without gaps, and its leaf hash. Append-only, as what follows.
audit_leaves = Table(
    "audit_leaves",
    metadata,
    Column("number", ROW_NUMBER, primary_key=True, autoincrement=False),
    Column("entry", BigInteger, nullable=False, unique=True),
    Column("hash", LargeBinary, nullable=False),
)

#: Roots of complete subtrees of 2^level leaves, so that roots and proofs need not look at every leaf.
audit_nodes = Table(
    "audit_nodes",
    metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("place", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
)

#: What each key signed; the note says everything, the other columns find it.
audit_checkpoints = Table(
    "audit_checkpoints",
    metadata,
    Column("signer", Text, primary_key=True),  # the key's name and id
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
)

#: Counts of one node's calls in one minute (since 1970), by kind and name: rule, trunk, callee area, action.
calls_minutes = Table(
    "calls_minutes",
    metadata,
    Column("node", Text, primary_key=True),
    Column("minute", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("attempts", BigInteger, nullable=False, server_default=text("0")),
    Column("warned", BigInteger, nullable=False, server_default=text("0")),
    Column("blocked", BigInteger, nullable=False, server_default=text("0")),
    Index(None, "node", "kind", "name", "minute"),
)

#: How far each node's journal has been counted, in the transaction that counted it.
calls_progress = Table(
    "calls_progress",
    metadata,
    Column("node", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
)

#: Cases as their events have made them: a projection of `case_events`, kept in the same transaction.
cases = Table(
    "cases",
    metadata,
    Column("id", Text, primary_key=True),
    Column("type", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("is_open", Integer, nullable=False),  # 1 or 0
    Column("level", Integer, nullable=False, server_default=text("0")),  # steps of the chain that supervise it
    Column("waits", Text, nullable=False, server_default=text("''")),  # the action that waits for a second person
    Column("priority", Integer, nullable=False),
    Column("owner", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("register", Text, nullable=False),
    Column("item", Text),  # the row's key in its register
    Column("parent", Text, nullable=False),
    Column("next_due_ms", BigInteger, nullable=False),
    Column("wake_ms", BigInteger, nullable=False),
    Column("found_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),  # the whole case, JSON
    UniqueConstraint("register", "item"),
    # Pages count and sort in the index alone: what they filter by stands behind what they sort by.
    Index("ix_cases_open_due", "is_open", "next_due_ms", "state"),
    Index("ix_cases_owner", "owner", "is_open", "next_due_ms", "state"),
    Index("ix_cases_unit", "unit", "is_open", "next_due_ms", "state"),
    Index("ix_cases_type", "type", "is_open", "next_due_ms", "state"),
    Index("ix_cases_register", "register", "is_open", "next_due_ms", "state"),
    Index("ix_cases_changed", "changed_ms"),
    Index("ix_cases_open_changed", "is_open", "changed_ms", "state"),
    Index("ix_cases_state", "state", "changed_ms", "title"),
    Index("ix_cases_owner_changed", "owner", "changed_ms", "state", "unit", "type"),
    Index("ix_cases_unit_changed", "unit", "changed_ms", "state", "type"),
    Index("ix_cases_type_changed", "type", "changed_ms", "state"),
    Index("ix_cases_register_changed", "register", "changed_ms", "state", "unit", "owner"),
    Index("ix_cases_parent", "parent", sqlite_where=text("parent <> ''"), postgresql_where=text("parent <> ''")),
    Index(
        "ix_cases_late",
        *("is_open", "next_due_ms", "unit", "level", "owner"),
        sqlite_where=text("is_open = 1"),
        postgresql_where=text("is_open = 1"),
    ),
    Index("ix_cases_waits", "next_due_ms", sqlite_where=text("waits <> ''"), postgresql_where=text("waits <> ''")),
    Index("ix_cases_wake_ms", "wake_ms", sqlite_where=text("wake_ms > 0"), postgresql_where=text("wake_ms > 0")),
)

#: The truth about cases. Append-only: triggers refuse everything but INSERT.
case_events = Table(
    "case_events",
    metadata,
    Column("case", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("said", Text, nullable=False),  # JSON
    Column("changes", Text, nullable=False),  # JSON
    Index(None, "time_ms", "action"),
)

#: What a case is found by: values of its searched fields.
case_keys = Table(
    "case_keys",
    metadata,
    Column("key", Text(collation="C").with_variant(Text(), "sqlite"), primary_key=True),
    Column("case", Text, primary_key=True, index=True),
)

#: How many cases of a scope (all, type, unit, owner, register) and a name are in a state.
case_counts = Table(
    "case_counts",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("state", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Index("ix_case_counts_name", "scope", "name"),  # by bytes in PostgreSQL too, see `reading.begins`
)

#: Answers to requests that carried a key, so that a repeated one has no second effect.
case_requests = Table(
    "case_requests",
    metadata,
    Column("key", Text, primary_key=True),
    Column("digest", Text, nullable=False),  # SHA-256 of who asked for what
    Column("answer", Text, nullable=False),  # JSON
    Column("time_ms", BigInteger, nullable=False, index=True),
)

case_registers = Table(
    "case_registers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("rules", Text, nullable=False),  # JSON
    Column("who", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)

#: Files that are kept under their SHA-256 in the data folder.
case_attachments = Table(
    "case_attachments",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("media", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("added_ms", BigInteger, nullable=False),
)

#: Notices that are to be brought, in the transaction of what they tell of; `next_ms` is null once they were.
case_notices = Table(
    "case_notices",
    metadata,
    Column("id", ROW_NUMBER, primary_key=True, autoincrement=True),
    Column("case", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("body", Text, nullable=False),  # JSON
    Column("made_ms", BigInteger, nullable=False, index=True),
    Column("next_ms", BigInteger, index=True),
    Column("tries", Integer, nullable=False),
    Column("trouble", Text, nullable=False),
    sqlite_autoincrement=True,
)

case_views = Table(
    "case_views",
    metadata,
    Column("owner", Text, ForeignKey("accounts.name", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("query", Text, nullable=False),  # JSON
)

#: What is known of numbers beside their calls (`kernel.marks`). `who` is a pseudonym.
marks = Table(
    "marks",
    metadata,
    Column("id", ROW_NUMBER, primary_key=True, autoincrement=True),
    Column("key", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("ref", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False, index=True),
    Column("value", BigInteger, nullable=False),
    Column("dropped_ms", BigInteger, index=True),
    Index("ix_marks_key", "key", "kind", "at_ms", "who"),
    Index("ix_marks_kind_at_ms", "kind", "at_ms"),
    Index("ix_marks_kind_ref", "kind", "ref"),
    sqlite_autoincrement=True,
)

#: Which numbers' marks changed, in order; kept for a day.
mark_changes = Table(
    "mark_changes",
    metadata,
    Column("id", ROW_NUMBER, primary_key=True, autoincrement=True),
    Column("key", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False, index=True),
    sqlite_autoincrement=True,
)

#: Calls of one day (of the node's zone), counted from the archive; what can be counted again replaces it.
daily_figures = Table(
    "daily_figures",
    metadata,
    Column("node", Text, primary_key=True),
    Column("day", Text, primary_key=True),  # 2026-11-20
    Column("name", Text, primary_key=True),
    Column("item", Text, primary_key=True),  # a rule's id; "" for all
    Column("city", Text, primary_key=True),
    Column("operator", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

#: Calls of one day that one rule blocked, by the block of 10,000 numbers that their callers are of.
daily_campaigns = Table(
    "daily_campaigns",
    metadata,
    Column("node", Text, primary_key=True),
    Column("day", Text, primary_key=True),
    Column("rule", Text, primary_key=True),
    Column("block", Text, primary_key=True),
    Column("calls", BigInteger, nullable=False),
    Column("numbers", BigInteger, nullable=False),
)

#: Which days were counted, and how far.
daily_counted = Table(
    "daily_counted",
    metadata,
    Column("node", Text, primary_key=True),
    Column("day", Text, primary_key=True),
    Column("until_ms", BigInteger, nullable=False),
    Column("counted_ms", BigInteger, nullable=False),
)

#: Fraud cases and losses (in fen) of a period, as an agency gave them last.
losses = Table(
    "losses",
    metadata,
    Column("agency", Text, primary_key=True),
    Column("city", Text, primary_key=True),
    Column("period", Text, primary_key=True),
    Column("cases", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("given_ms", BigInteger, nullable=False),
    Index(None, "period"),
)

#: Bulletins. Triggers refuse to change or delete what is signed.
bulletins = Table(
    "bulletins",
    metadata,
    Column("id", Text, primary_key=True),
    Column("node", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("period", Text, nullable=False),
    Column("issue", Integer, nullable=False),
    Column("start_ms", BigInteger, nullable=False, index=True),
    Column("provisional", Integer, nullable=False),  # 1 or 0
    Column("body", Text, nullable=False),  # the whole value, JSON
    Column("digest", Text, nullable=False),  # SHA-256 of the body
    Column("made_ms", BigInteger, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("corrects", Text, nullable=False),
    Column("signed_ms", BigInteger),
    Column("signed_by", Text, nullable=False),
    Column("files", Text, nullable=False),  # JSON: SHA-256 of each document, by its name
    UniqueConstraint("node", "period", "issue"),
)

#: One-time codes of appeals, as hashes, and what was proven with them; kept for a day.
appeal_codes = Table(
    "appeal_codes",
    metadata,
    Column("ticket", Text, primary_key=True),  # SHA-256 of what the asker holds
    Column("number", Text, nullable=False, index=True),  # a reference, see `access.refs`
    Column("digest", Text, nullable=False),
    Column("made_ms", BigInteger, nullable=False, index=True),
    Column("tries", Integer, nullable=False),
    Column("proven_ms", BigInteger),
    Column("appeal", Text, nullable=False, default=""),
)

#: Appeals against blocks; `id` is that of the case. `effect_ms` is null until a lifting has taken effect.
appeals = Table(
    "appeals",
    metadata,
    Column("id", Text, primary_key=True),
    Column("receipt", Text, nullable=False, unique=True),
    Column("number", Text, nullable=False, index=True),  # a reference; empty once forgotten
    Column("city", Text, nullable=False),
    Column("operator", Text, nullable=False),
    Column("blocks", Text, nullable=False),  # JSON
    Column("words", Text, nullable=False),
    Column("contact", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("found_ms", BigInteger, nullable=False, index=True),
    Column("due_ms", BigInteger, nullable=False),
    Column("decided_ms", BigInteger, index=True),
    Column("who", Text, nullable=False),
    Column("reasons", Text, nullable=False),
    Column("plan", Text, nullable=False),  # JSON
    Column("effect_ms", BigInteger),
    Index("ix_appeals_state", "state", "due_ms"),
    Index(
        "ix_appeals_waiting",
        *("state", "effect_ms", "decided_ms"),  # SQLite takes it only where it seems the narrower one
        sqlite_where=text("state = 'lifted' AND effect_ms IS NULL"),
        postgresql_where=text("state = 'lifted' AND effect_ms IS NULL"),
    ),
)

#: People who are handed over to the dissuasion desk; `next_ms` is null once it has them.
handoffs = Table(
    "handoffs",
    metadata,
    Column("id", Text, primary_key=True),  # that of the first alert
    Column("number", Text, nullable=False, index=True),  # a reference; empty once forgotten
    Column("city", Text, nullable=False),
    Column("operator", Text, nullable=False),
    Column("condition", Text, nullable=False),
    Column("body", Text, nullable=False),  # JSON
    Column("case", Text, nullable=False),
    Column("found_ms", BigInteger, nullable=False, index=True),
    Column("alerts", Integer, nullable=False),
    Column("next_ms", BigInteger, index=True),
    Column("tries", Integer, nullable=False),
    Column("trouble", Text, nullable=False),
    Column("delivered_ms", BigInteger),
    Column("answer", Text, nullable=False),
    Column("answered_ms", BigInteger, index=True),
    Column("answered_by", Text, nullable=False),
    Column("saved", BigInteger, nullable=False),
    Column("lost", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    # Lists by answer come in the order of the index, and all money is counted in it alone.
    Index("ix_handoffs_answer", "answer", "found_ms", "saved", "lost"),
)

#: How far each node's alerts were handed over, in the transaction that took them.
handoff_places = Table(
    "handoff_places",
    metadata,
    Column("node", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
)

#: Orders as their events have made them: a projection of `order_events`, kept in the same transaction.
orders = Table(
    "orders",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("key", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("agency", Text, nullable=False),
    Column("document", Text(collation="C").with_variant(Text(), "sqlite"), nullable=False, index=True),
    Column("requested_by", Text, nullable=False),
    Column("entry", BigInteger, nullable=False),
    Column("case", Text, nullable=False),
    Column("ends_ms", BigInteger, nullable=False),
    Column("wake_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("body", Text, nullable=False),  # the whole order, JSON
    Index("ix_orders_state", "state", "changed_ms"),
    Index("ix_orders_changed", "changed_ms"),
    Index("ix_orders_ends", "state", "ends_ms"),
    Index("ix_orders_all_ends", "ends_ms"),
    Index("ix_orders_kind", "kind", "changed_ms", "state"),
    Index("ix_orders_key", "key"),
    Index("ix_orders_case", "case"),
    Index("ix_orders_agency", "agency", "changed_ms", "state"),
    Index("ix_orders_wake_ms", "wake_ms", sqlite_where=text("wake_ms > 0"), postgresql_where=text("wake_ms > 0")),
    Index("ix_orders_last", "last", sqlite_where=text("last > 0"), postgresql_where=text("last > 0")),
    Index("ix_orders_entry", "entry", sqlite_where=text("entry > 0"), postgresql_where=text("entry > 0")),
)

#: The truth about orders. Append-only: triggers refuse everything but INSERT. `key`: of the request that it answers.
order_events = Table(
    "order_events",
    metadata,
    Column("order", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("said", Text, nullable=False),  # JSON
    Column("changes", Text, nullable=False),  # JSON
    Column("key", Text, unique=True),
    Column("digest", Text),
    Index(None, "time_ms", "action"),
)
