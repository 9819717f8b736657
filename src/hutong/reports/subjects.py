"""What a report is about, read out of what somebody told: each number, sender and web name in its one form. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from hutong.kernel.cases.fields import is_text
from hutong.kernel.numbering.keys import KIND_NUMBER, key_kind
from hutong.reports.errors import ReportError
from hutong.reports.model import KINDS, LONGEST_TEXT, MOST_LOST_FEN, Kind, Told
from hutong.reports.names import names_in, read_name

if TYPE_CHECKING:
    from hutong.kernel.numbering import Numbering

_LONGEST_SENDER: Final = 64
_LONGEST_NAME: Final = 2000
_SHORTEST_REPORTER: Final = 7
_OLDEST_MS: Final = 366 * 86_400_000
_AHEAD_MS: Final = 10 * 60_000


class Subject(NamedTuple):
    """What is reported: canonical digits, a sender's text, or a web name; its number key or 0; where it is from."""

    kind: Kind
    text: str
    key: int = 0
    klass: str = "unknown"
    city: str = ""
    operator: str = ""


class Checked(NamedTuple):
    """A report that can be taken: as told, cleaned; the reporter's canonical digits; the first subject is its own."""

    told: Told
    reporter: str
    subjects: tuple[Subject, ...]


def check(told: Told, numbering: Numbering, now_ms: int) -> Checked:
    """Read a report.

    Raises:
        ReportError: a field is wrong or missing; `where` is its name.
    """
    if told.kind not in KINDS:
        raise ReportError("kind", "Say what is reported: call, message or web.", where="kind")
    text = told.text.replace("\r\n", "\n").replace("\r", "\n").strip()
    if len(text) > LONGEST_TEXT or not is_text(text):
        raise ReportError(
            "text", f"The text has more than {LONGEST_TEXT} letters, or holds control letters.", where="text"
        )
    if not 0 <= told.lost_fen <= MOST_LOST_FEN:
        raise ReportError("lost", "The loss is no amount.", where="lost")
    happened = told.happened_ms or now_ms
    if not now_ms - _OLDEST_MS <= happened <= now_ms + _AHEAD_MS:
        raise ReportError("time", "The time lies ahead, or more than a year back.", where="time")
    clean = msgspec.structs.replace(told, text=text, happened_ms=min(happened, now_ms))
    return Checked(clean, _reporter(told.reporter, numbering), _subjects(clean, numbering))


def _reporter(written: str, numbering: Numbering) -> str:
    if not written.strip():
        return ""
    number = numbering.read(written.strip()[:_LONGEST_SENDER])
    if key_kind(number.key) != KIND_NUMBER or len(number.digits) < _SHORTEST_REPORTER:
        raise ReportError("reporter", "Your own number cannot be read as one.", where="reporter")
    return number.digits


def _subjects(told: Told, numbering: Numbering) -> tuple[Subject, ...]:
    if told.kind == "call":
        return (_number("call", told.number, numbering),)
    if told.kind == "web":
        return (_web(told.name),)
    found = [Subject("web", name) for name in names_in(told.text)]
    if told.name.strip():
        found.insert(0, _web(told.name))
    if told.number.strip():
        found.insert(0, _sender(told.number, numbering))
    if not found:
        raise ReportError("sender", "A message needs its sender's number, or a web name in it.", where="number")
    return tuple({(it.kind, it.text): it for it in found}.values())


def _number(kind: Kind, written: str, numbering: Numbering) -> Subject:
    if not written.strip():
        raise ReportError("number", "The number that called is missing.", where="number")
    number = numbering.read(written.strip()[:_LONGEST_SENDER])
    if len(written.strip()) > _LONGEST_SENDER or key_kind(number.key) != KIND_NUMBER:
        raise ReportError("number", "This is not a telephone number.", where="number")
    return Subject(kind, number.digits, number.key, number.klass, *number.place)


def _sender(written: str, numbering: Numbering) -> Subject:
    sender = " ".join(written.split())
    if len(sender) > _LONGEST_SENDER or not sender.isprintable():
        raise ReportError("sender", "The sender is too long, or holds control letters.", where="number")
    number = numbering.read(sender)
    if key_kind(number.key) == KIND_NUMBER:
        return _number("message", sender, numbering)
    # A name in letters: no call comes from it, and digits alone are always canonical.
    return Subject("message", sender.lower())


def _web(written: str) -> Subject:
    name = read_name(written) if len(written) <= _LONGEST_NAME else ""
    if not name:
        raise ReportError("name", "This is no web name that can be reported.", where="name")
    return Subject("web", name)
