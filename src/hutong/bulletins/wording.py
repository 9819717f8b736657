"""Numbers and changes in words: one way to write each, for sentences and tables alike. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from hutong.bulletins.changes import SMALL, change, tenths_of

if TYPE_CHECKING:
    from hutong.bulletins.definitions import FigureDef, Form, Unit
    from hutong.bulletins.model import Figure, Of

_FEN = 100


class Say(Protocol):
    """Says a text of `texts.toml` in one language."""

    def __call__(self, key: str, /, **places: object) -> str:
        """The text of a key."""


def number(value: int, unit: Unit) -> str:
    """12,345; of yuan, whose values are in fen, 1,234 or 1,234.05."""
    if unit != "yuan":
        return f"{value:,}"
    yuan, fen = divmod(value, _FEN)
    return f"{yuan:,}.{fen:02d}" if fen else f"{yuan:,}"


def tenths(value: int) -> str:
    """123 tenths: 12.3."""
    return f"{value // 10:,}.{value % 10}"


def cell(of: Of, unit: Unit, say: Say) -> str:
    """A figure in a table, without its unit."""
    if of.value is None:
        return say("bulletins.doc.unknown")
    if of.whole is None:
        return number(of.value, unit)
    if of.whole < SMALL:
        return say("bulletins.share.small", part=number(of.value, unit), whole=number(of.whole, unit))
    return f"{tenths(tenths_of(of))}%"


def amount(of: Of, unit: Unit, say: Say) -> str:
    """A figure in a sentence, with its unit."""
    if of.value is None:
        return say("bulletins.doc.unknown")
    if of.whole is not None and of.whole >= SMALL:
        part, whole = number(of.value, unit), number(of.whole, unit)
        return say("bulletins.share.of", percent=cell(of, unit, say), part=part, whole=whole)
    one = of.value == 1 and unit not in {"yuan", "share"}
    return say(f"bulletins.{'one' if one else 'unit'}.{unit}", number=cell(of, unit, say))


def changed(now: Of, then: Of, unit: Unit, say: Say) -> str:
    """How a figure changed, in a table."""
    found = change(now, then)
    places = {name: tenths(it) if name == "tenths" else number(it, unit) for name, it in found.numbers.items()}
    return say(f"bulletins.change.{found.kind}", **places)


def place(figure: Figure, of: FigureDef, form: Form, say: Say) -> str:
    """What a place of a sentence says."""
    if not form:
        return amount(figure.now, of.unit, say)
    then = figure.previous if form == "previous" else figure.year
    return say(f"bulletins.change.on_{form}", change=changed(figure.now, then, of.unit, say))
