"""The tables of codes' people and colours: a part of `tables`, which is long enough without it.

`person` is a keyed pseudonym. What is sealed can be read until its `day` (days since 1970 in China), with keys that are
in no table (docs/adr/0012). Nothing is found by name, document or telephone: they are nowhere.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text, text

from hutong.kernel.records.schema import metadata

#: A person's keys, one for each day that something is kept until, wrapped by the key of that day.
code_person_keys = Table(
    "code_person_keys",
    metadata,
    Column("person", Text, primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("wrapped", LargeBinary, nullable=False),
    Index("ix_code_person_keys_day", "day"),
)

code_people = Table(
    "code_people",
    metadata,
    Column("person", Text, primary_key=True),
    Column("day", Integer, nullable=False, index=True),
    Column("sealed", LargeBinary, nullable=False),  # name, kind and tail of the document, telephone, birthday
)

#: What colours rest on; `item` is a keyed digest of the sender's id. `void`: the case that found it wrong, or empty.
code_evidence = Table(
    "code_evidence",
    metadata,
    Column("person", Text, primary_key=True),
    Column("item", Text, primary_key=True),
    Column("day", Integer, nullable=False, index=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("void", Text, nullable=False),
)

#: The colour that each person has now. `rule`: id@version, or change:ID. `again_ms`: judged again then; null = never.
code_colours = Table(
    "code_colours",
    metadata,
    Column("person", Text, primary_key=True),
    Column("colour", Text, nullable=False, index=True),
    Column("rule", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("commitment", Text, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("as_of_ms", BigInteger, nullable=False),
    Column("again_ms", BigInteger, index=True),
)

#: Every change of a colour or of its reason; sealed is what opens its commitment.
code_colour_events = Table(
    "code_colour_events",
    metadata,
    Column("id", Text, primary_key=True),
    Column("person", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("day", Integer, nullable=False, index=True),
    Column("before", Text, nullable=False),  # the colour; empty where there was none
    Column("colour", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("rules", Text, nullable=False),  # digest
    Column("commitment", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Index("ix_code_colour_events_person", "person", "at_ms"),
)

#: Changes by hand: two people of two agencies. `person` and `reason` are empty once forgotten.
code_changes = Table(
    "code_changes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("person", Text, nullable=False),
    Column("colour", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("reason_key", Text, nullable=False),  # the same for reasons that read alike
    Column("basis", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("term_s", BigInteger, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("requested_agency", Text, nullable=False),
    Column("requested_ms", BigInteger, nullable=False),
    Column("decided_by", Text, nullable=False),
    Column("decided_agency", Text, nullable=False),
    Column("decided_ms", BigInteger, nullable=False),
    Column("ends_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger, nullable=False),
    Column("ended_by", Text, nullable=False),
    Column("ended_why", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Index("ix_code_changes_person", "person", "state"),
    Index("ix_code_changes_state", "state", "ends_ms"),
    Index("ix_code_changes_requested_by", "requested_by", "requested_ms"),
    Index("ix_code_changes_requested_agency", "requested_agency", "requested_ms"),
    Index("ix_code_changes_decided_by", "decided_by", "decided_ms"),
    Index("ix_code_changes_reason_key", "reason_key", "requested_ms"),
    # Lists: ids follow the time.
    Index("ix_code_changes_list", "state", "id"),
    Index("ix_code_changes_list_requested", "requested_agency", "state", "id"),
    Index("ix_code_changes_list_decided", "decided_agency", "state", "id"),
)

#: Appeals have the ids of their cases. `person` and `sealed` are empty once forgotten.
code_appeals = Table(
    "code_appeals",
    metadata,
    Column("id", Text, primary_key=True),
    Column("person", Text, nullable=False, index=True),
    Column("event", Text, nullable=False),
    Column("change", Text, nullable=False),
    Column("day", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # the person's words
    Column("state", Text, nullable=False),
    Column("found_ms", BigInteger, nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Column("decided_ms", BigInteger),
    Column("who", Text, nullable=False),
    Column("reasons", Text, nullable=False),
    Index("ix_code_appeals_state", "state", "due_ms"),
    Index("ix_code_appeals_list", "state", "id"),
)

#: Who may show whose code.
code_links = Table(
    "code_links",
    metadata,
    Column("id", Text, primary_key=True),
    Column("guardian", Text, nullable=False, index=True),
    Column("ward", Text, nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("consent_of", Text, nullable=False),
    Column("proof", Text, nullable=False),
    Column("begins_ms", BigInteger, nullable=False),
    Column("ends_ms", BigInteger, nullable=False, index=True),
    Column("ended_ms", BigInteger, nullable=False),
    Index("ix_code_links_ended", "ended_ms", sqlite_where=text("ended_ms > 0"), postgresql_where=text("ended_ms > 0")),
)
