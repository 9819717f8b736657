"""What may be done with a tube next. Pure: the tube's story, what is wanted, terms and time in; a refusal out.

This is the judgement of a station, and of whoever works at the centre while it is connected. What has already happened
elsewhere is not judged but folded (`fold`): a swab that is in a tube is in it, whatever the rules say.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from hutong.sampling.errors import SamplingRefused
from hutong.sampling.model import FIELDS, SIZES, HandOver, Recall, Receive, Register, Report, Seal, Settle
from hutong.sampling.table import MOVES, STATE_TITLES

if TYPE_CHECKING:
    from hutong.sampling.fold import Story
    from hutong.sampling.model import Action, Deed, Event, Terms, Tube

_BARCODE: Final = re.compile(r"[A-Z0-9][A-Z0-9-]{5,31}")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_PERSON: Final = re.compile(r"[0-9a-f]{16,64}|code:[0-9a-f]{16}")
#: The year 10000; hours until then fit the records' numbers.
_LATEST_MS: Final = 253_402_300_800_000
_DISTRICT: Final = re.compile(r"[0-9]{6}(?:[0-9]{3}){0,2}|")
_BATCH: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,39}")
_ID: Final = re.compile(r"[a-z0-9-]{1,32}\.[0-9]{1,12}\.[0-9a-f]{16,64}")
LONGEST: Final = 200
LARGEST_BATCH: Final = 10_000
#: A laboratory's clock may be ahead of the centre's by so much.
_AHEAD_MS: Final = 10 * 60_000


def judge(story: Story, event: Event, terms: Terms, now_ms: int) -> None:
    """Whether an event may happen to a tube now.

    Args:
        story: what is known of the barcode. terms: how the district samples.

    Raises:
        SamplingRefused: says why not.
    """
    check_form(event)
    deed = event.deed
    match deed:
        case Register():
            register(_here(story, event.station), deed, terms)
        case Seal():
            seal(_here(story, event.station), deed)
        case HandOver():
            hand_over(_here(story, event.station), deed)
        case Receive():
            receive(story.tubes, deed)
        case Report():
            report(story.tubes, deed, now_ms)
        case Settle():
            settle(story.find(deed.of), deed)
        case Recall():
            recall(story.find(deed.of), deed)


def register(tube: Tube | None, deed: Register, terms: Terms) -> None:
    """Whether somebody's swab may go into a tube; None where nobody's is in it yet. Raises SamplingRefused."""
    if deed.size not in terms.sizes:
        allowed = ", ".join(map(str, terms.sizes))
        raise SamplingRefused(
            "size", f"Tubes of {deed.size} are not used here now.", where="size", fix=f"Use {allowed}."
        )
    wanted = [name for name in terms.fields if not deed.fields.get(name, "").strip()]
    if wanted:
        raise SamplingRefused("field", f"Asked here, and not given: {', '.join(wanted)}.", where="fields")
    if tube is None:
        return
    _from_here(tube, "register")
    if tube.size != deed.size:
        raise SamplingRefused("size-differs", f"This tube is for {tube.size} people.", where=deed.tube)
    if any(it.person == deed.person for it in tube.members):
        raise SamplingRefused("person-twice", "This person is in the tube already.", where=deed.tube)
    if len(tube.members) >= tube.size:
        raise SamplingRefused("full", "The tube is full.", where=deed.tube, fix="Seal it, and take another.")


def seal(tube: Tube | None, deed: Seal) -> None:
    """Whether a tube may be sealed. Raises SamplingRefused."""
    it = _there(tube, deed.tube)
    _from_here(it, "seal")
    if deed.people != len(it.members):
        raise SamplingRefused(
            "field",
            f"{len(it.members)} people are in the tube, not {deed.people}.",
            where=deed.tube,
            fix="Count again.",
        )


def hand_over(tube: Tube | None, deed: HandOver) -> None:
    """Whether a tube may go to the courier. Raises SamplingRefused."""
    _from_here(_there(tube, deed.tube), "hand-over")


def receive(tubes: tuple[Tube, ...], deed: Receive) -> None:
    """Whether a laboratory may take a tube; one that was not handed over is taken too. Raises SamplingRefused."""
    _from_here(_there(_latest(tubes), deed.tube), "receive")


def report(tubes: tuple[Tube, ...], deed: Report, now_ms: int) -> None:
    """Whether a result can be that of a tube, by its date. Raises SamplingRefused."""
    check_tested(tubes, deed.tested_ms, deed.tested_ms, now_ms)
    _from_here(_there(_latest(tubes), deed.tube), "report")


def check_tested(tubes: tuple[Tube, ...], begins_ms: int, tested_ms: int, now_ms: int) -> None:
    """Whether a tube can have been tested between these times.

    Raises:
        SamplingRefused: "date": it is in the future, or before anybody's swab went into it.
    """
    if begins_ms > now_ms + _AHEAD_MS:
        raise SamplingRefused("date", "The test is in the future.", where="tested", fix="Check date and clock.")
    if tubes and tested_ms < min(it.opened_ms for it in tubes):
        raise SamplingRefused("date", "The test is before the sampling.", where="tested", fix="Check date and tube.")


def settle(tube: Tube | None, deed: Settle) -> None:
    """Whether a person may decide what holds. Raises SamplingRefused."""
    _from_here(_there(tube, deed.of), "settle")
    if not deed.reason.strip():
        raise SamplingRefused("field", "It needs its reason.", where="reason")


def recall(tube: Tube | None, deed: Recall) -> None:
    """Whether the people of a tube may be called for single tests. Raises SamplingRefused."""
    it = _there(tube, deed.of)
    _from_here(it, "recall")
    if not it.calls_people:
        raise SamplingRefused("not-mixed", "Its result calls nobody for a single test.", where=deed.of)


def check_form(event: Event) -> None:
    """Whether an event is of the right form, wherever it comes from.

    Raises:
        SamplingRefused: "field".
    """
    deed = event.deed
    _match(_ID, event.id, "id")
    _match(_NAME, event.station, "station")
    if not event.id.startswith(f"{event.station}.{event.sequence}."):
        raise SamplingRefused("field", "The id is of another station or sequence.", where="id")
    _match(_BARCODE, deed.tube, "tube")
    if isinstance(deed, Register):
        _check_registration(deed)
    if isinstance(deed, Settle | Recall):
        _match(_ID, deed.of, "event of a tube")
    if isinstance(deed, HandOver | Receive):
        _match(_BATCH, deed.batch, "batch")
    if isinstance(deed, HandOver) and not 1 <= deed.expected <= LARGEST_BATCH:
        raise SamplingRefused("field", f"A batch has 1 to {LARGEST_BATCH} tubes.", where="expected")
    for text in (event.by, *_texts(deed)):
        if len(text) > LONGEST or not text.isprintable():
            raise SamplingRefused("field", "A text is too long, or not printable.", where=deed.tube)
    times = (event.at_ms, deed.tested_ms) if isinstance(deed, Report) else (event.at_ms,)
    if any(not 0 <= it < _LATEST_MS for it in times):
        raise SamplingRefused("date", "A time is before 1970 or beyond the calendar.", where=deed.tube)


def _check_registration(deed: Register) -> None:
    _match(_PERSON, deed.person, "person")
    _match(_DISTRICT, deed.district, "district")
    if deed.size not in SIZES:
        raise SamplingRefused("size", f"There are no tubes of {deed.size}.", where="size")
    if set(deed.fields) - set(FIELDS):
        raise SamplingRefused("field", "Something is given that nobody asks for.", where="fields")


def _texts(deed: Deed) -> tuple[str, ...]:
    match deed:
        case Register():
            return tuple(deed.fields.values())
        case HandOver():
            return (deed.courier,)
        case Receive() | Report():
            return (deed.laboratory,)
        case Settle() | Recall():
            return (deed.reason,)
        case _:
            return ()


def forms() -> dict[str, str]:
    """What names must look like, as regular expressions of a whole text: for stations that judge in a browser."""
    known = {"tube": _BARCODE, "station": _NAME, "person": _PERSON, "district": _DISTRICT, "batch": _BATCH, "id": _ID}
    return {name: form.pattern for name, form in known.items()}


def check_station(name: str, district: str) -> None:
    """Whether a station may be called so, and be there. Raises SamplingRefused: "field"."""
    _match(_NAME, name, "station")
    _match(_DISTRICT, district, "district")


def _match(form: re.Pattern[str], text: str, what: str) -> None:
    if form.fullmatch(text) is None:
        raise SamplingRefused("field", f"{text[:40]!r} is no {what}.", where=what)


def _here(story: Story, station: str) -> Tube | None:
    """The station's latest tube of the barcode; one that other stations use is refused where these came first."""
    own = [it for it in story.tubes if it.station == station]
    if own:
        return max(own, key=lambda it: it.number)
    if any(not it.result for it in story.tubes):
        raise SamplingRefused(
            "at-another-station",
            "Another station uses a tube with this barcode.",
            where=story.barcode,
            fix="Take another.",
        )
    return None


def _latest(tubes: tuple[Tube, ...]) -> Tube | None:
    return max(tubes, key=lambda it: (it.round, it.opened_ms, it.id), default=None)


def _there(tube: Tube | None, what: str) -> Tube:
    if tube is None:
        raise SamplingRefused("no-tube", f"There is no tube {what[:60]!r}.", fix="Check the barcode.")
    return tube


def _from_here(tube: Tube, action: Action) -> None:
    if tube.state not in MOVES[action].sources:
        state = STATE_TITLES[tube.state]["en"]
        raise SamplingRefused("not-from-here", f"{action} is not possible while a tube is {state}.", where=tube.id)
