"""The values of reports: what somebody tells, what became of it, what many told of one subject. No decisions."""

from __future__ import annotations

from typing import Final, Literal, get_args

import msgspec

Kind = Literal["call", "message", "web"]
Source = Literal["page", "api", "csv", "console", "cli"]
#: "" = no case yet; open = somebody examines it; closed = answered.
State = Literal["", "open", "closed"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
SOURCES: Final[tuple[Source, ...]] = get_args(Source)
#: What a case may have found; "" where it does not say.
FINDINGS: Final = ("fraud", "spoofed", "nuisance", "legitimate")
#: Those that clear the number: its owner did nothing wrong.
CLEARING: Final = frozenset({"spoofed", "legitimate"})

LONGEST_TEXT: Final = 2000
MOST_LOST_FEN: Final = 10**13


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody tells.

    Attributes:
        kind: of what.
        number: who called, or sent the message; as written. name: a web name or address; as written.
        text: the message, or what happened, up to LONGEST_TEXT letters.
        happened_ms: when, ms since 1970; 0 = now. lost_fen: what was lost, in fen.
        reporter: the reporter's number, as written; only its pseudonym is kept.
    """

    kind: Kind
    number: str = ""
    name: str = ""
    text: str = ""
    happened_ms: int = 0
    lost_fen: int = 0
    reporter: str = ""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """How a report came in.

    Attributes:
        source: by which way. address: the asker's IP address; "" where there is none.
        taker: the account that took it; "" on the public page.
        key: the request's; a repeated one has no second effect and gets the same receipt.
    """

    source: Source
    address: str = ""
    taker: str = ""
    key: str = ""


class Taken(msgspec.Struct, frozen=True):
    """What became of a report that came in.

    Attributes:
        id, receipt: its own. matter: what it is joined to. reporters: distinct ones of the matter.
        joined: the reporter's own first report of this subject; "" where this is it. case: the matter's; "" = none.
        again: this was a repeated request, and nothing happened.
    """

    id: str
    receipt: str
    matter: str
    reporters: int
    joined: str = ""
    case: str = ""
    again: bool = False


class Matter(msgspec.Struct, frozen=True):
    """What was reported of one subject.

    Attributes:
        subject: canonical digits, a sender's text, or a web name; "" once it was forgotten. key: number key; 0 = none.
        city, operator: of the number, as `kernel.figures` names them.
        reports, reporters: how many, and of how many different people. lost_fen: in all.
        first_ms, last_ms: of the reports. case, state, finding, closed_ms: of the last case; "" and 0 where none is.
    """

    id: str
    kind: Kind
    subject: str
    key: int
    city: str
    operator: str
    reports: int
    reporters: int
    lost_fen: int
    first_ms: int
    last_ms: int
    case: str
    state: State
    finding: str
    closed_ms: int


class Report(msgspec.Struct, frozen=True):
    """One report as it is kept; `who` and `place` are pseudonyms, "" once they were forgotten, like the text."""

    id: str
    receipt: str
    kind: Kind
    matter: str
    source: Source
    taker: str
    who: str
    place: str
    text: str
    names: tuple[str, ...]
    happened_ms: int
    received_ms: int
    lost_fen: int
    joined: str
    forgotten: bool
