"""Why a person has the colour they have, in plain words: from the rule, the change by hand and the evidence themselves.

Nothing here decides anything. What a page, a letter or a command shows is made of `Told`.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from hutong.codes.status.bases import bases
from hutong.codes.status.changes import HOUSE
from hutong.codes.status.evidence import Declaration, Evidence, Order, Result, Visit
from hutong.kernel.cases.calendar import show_moment
from hutong.kernel.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hutong.codes.status.appeals import Appeal
    from hutong.codes.status.changes import Change
    from hutong.codes.status.colour_rules import ColourRule
    from hutong.codes.status.model import ColourEvent, Standing

Language = Literal["zh", "en"]
FILE: Final = Path(__file__).with_name("words.toml")
_HOUSE: Final = {"zh": "本平台", "en": "this platform"}


class Told(msgspec.Struct, frozen=True):
    """What a person is told.

    Attributes:
        colour: its name. words: one plain line, why and what to do. lines: reason, basis, term, appeal.
        evidence: what it rests on, a line each.
    """

    colour: str
    words: str
    lines: tuple[str, ...]
    evidence: tuple[str, ...] = ()


class Reason(msgspec.Struct, frozen=True):
    """What a standing is explained from.

    Attributes:
        rule: that decided; None where a change by hand did, or where the rule is not known any more.
        change: by hand. event: how the standing came about; None where nothing is kept of it.
        agencies: names of agencies by id, in the reader's language. appeal: the latest against this standing.
    """

    standing: Standing
    rule: ColourRule | None = None
    change: Change | None = None
    event: ColourEvent | None = None
    agencies: dict[str, str] = {}
    appeal: Appeal | None = None


def tell(reason: Reason, lang: Language, *, green: str = "green") -> Told:
    """Why somebody has the colour they have.

    Args:
        green: the colour that everybody has, against which nobody appeals.
    """
    standing = reason.standing
    lines = list(_because(reason, lang))
    lines.append(_say("line.until", lang, until=show_moment(standing.until_ms)))
    if standing.commitment:
        lines.append(_say("line.commitment", lang, commitment=standing.commitment))
    if reason.appeal is not None:
        due = show_moment(reason.appeal.due_ms)
        lines.append(_say(f"line.{reason.appeal.state}", lang, reasons=reason.appeal.reasons, due=due))
    if standing.colour != green and (reason.appeal is None or reason.appeal.state != "open"):
        lines.append(_say("line.appeal", lang))
    words = reason.rule.words[lang] if reason.rule is not None else ""
    return Told(_say(f"colour.{standing.colour}", lang), words, tuple(lines), _evidence(reason, lang))


def tell_as_of(standing: Standing, rule: ColourRule | None, lang: Language, at_ms: int) -> Told:
    """The same from a copy, while the records are away: without evidence, change by hand and appeals."""
    lines = [_say("line.by_hand_away", lang)] if standing.change else list(_because(Reason(standing, rule), lang))
    lines.append(_say("line.until", lang, until=show_moment(standing.until_ms)))
    if standing.commitment:
        lines.append(_say("line.commitment", lang, commitment=standing.commitment))
    lines.append(_say("line.as_of", lang, at=show_moment(at_ms)))
    return Told(_say(f"colour.{standing.colour}", lang), rule.words[lang] if rule else "", tuple(lines))


def _because(reason: Reason, lang: Language) -> Sequence[str]:
    change, rule = reason.change, reason.rule
    if change is not None:
        names = reason.agencies | {HOUSE: _HOUSE[lang]}
        agency, second = (names.get(it, it) for it in (change.requested_agency, change.decided_agency))
        return (
            _say("line.by_hand", lang, agency=agency, second=second, reason=change.reason),
            _say("line.basis", lang, basis=getattr(bases()[change.basis], lang)),
            _say("line.document", lang, document=change.document),
        )
    if rule is None:
        return (_say("line.gone", lang),)
    return _say("line.rule", lang, title=rule.title[lang]), _say("line.basis", lang, basis=rule.basis)


def _evidence(reason: Reason, lang: Language) -> tuple[str, ...]:
    if reason.event is None or reason.change is not None:
        return ()
    gone = (_say("line.gone", lang),) if reason.event.sealed is None or reason.event.gone else ()
    return (*(tell_evidence(it.evidence, lang) for it in reason.event.items), *gone)


def tell_evidence(it: Evidence, lang: Language) -> str:
    """One item of evidence in one line."""
    facts = {
        "at": show_moment(it.at_ms),
        "source": _say("evidence.source", lang, source=it.source) if it.source else "",
    }
    match it:
        case Result():
            kind = "inconclusive" if it.result == "positive" and it.mixed > 1 else it.result
            return _say(f"evidence.result_{kind}", lang, mixed=str(it.mixed), **facts)
        case Visit():
            return _say(f"evidence.visit_{it.risk}", lang, place=it.place, **facts)
        case Declaration():
            return _say("evidence.declaration", lang, **facts)
        case Order():
            until = show_moment(it.until_ms)
            return _say(f"evidence.order_{it.order}", lang, until=until, document=it.document, **facts)


def _say(name: str, lang: Language, **facts: str) -> str:
    group, _, word = name.partition(".")
    return _texts()[group][word][lang].format(**facts)


@cache
def _texts() -> dict[str, dict[str, dict[str, str]]]:
    try:
        return tomllib.loads(FILE.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise StateError(f"The words cannot be read: {error}.", where=str(FILE), fix="Install Hutong again.") from error
