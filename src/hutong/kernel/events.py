"""What every event has. The events themselves belong to the systems (`<system>/model.py`)."""

from __future__ import annotations

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """Something that happened. A subclass names its kind: `class CallEnded(Event, tag="call-ended")`.

    Attributes:
        id: identifier, unique within the node.
        time_ns: when it happened, nanoseconds since 1970-01-01T00:00:00Z.
    """

    id: str
    time_ns: int
