"""A bulletin's value as a document of headings, sentences, tables and drawings, in one language. Pure.

HTML, Word, PDF and the console's page are made from this document, and it is made from the value alone.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from hutong.bulletins import wording
from hutong.bulletins.changes import change
from hutong.bulletins.definitions import Place, parts_of
from hutong.bulletins.periods import read_period
from hutong.kernel.numbering import label
from hutong.kernel.web.charts import Chart, Series

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hutong.bulletins.definitions import Definitions, FigureDef, Section
    from hutong.bulletins.model import Bulletin, Figure, Of
    from hutong.bulletins.wording import Say

#: Rows of a table of cities; the rest is added up.
MOST_CITIES: Final = 15
_CALLS: Final = ("calls.attempts", "calls.blocked", "calls.warned")


class Heading(msgspec.Struct, frozen=True, tag="heading"):
    """A heading. `name` is good for an id."""

    text: str
    name: str


class Sentence(msgspec.Struct, frozen=True, tag="sentence"):
    """A sentence about figures."""

    text: str


class Note(msgspec.Struct, frozen=True, tag="note"):
    """What one must know in order to read the rest."""

    text: str
    late: bool = False


class Row(msgspec.Struct, frozen=True):
    """A row of a table.

    Attributes:
        figure: id of the figure that it is about; "" for others.
        tones: of each cell "better" or "worse" where it says such a change; empty where none does.
    """

    cells: tuple[str, ...]
    figure: str = ""
    tones: tuple[str, ...] = ()


class TableBlock(msgspec.Struct, frozen=True, tag="table"):
    """A table; all but the first `words` columns are numbers."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    words: int = 1


class Drawing(msgspec.Struct, frozen=True, tag="drawing"):
    """A drawing of a chart."""

    title: str
    chart: Chart


Block = Heading | Sentence | Note | TableBlock | Drawing


class Signature(NamedTuple):
    """Who signed, and when (ms)."""

    who: str
    time_ms: int


class Document(msgspec.Struct, frozen=True):
    """A bulletin in one language."""

    lang: str
    title: str
    facts: tuple[str, ...]
    blocks: tuple[Block, ...]
    foot: str


def compose(
    bulletin: Bulletin, definitions: Definitions, lang: str, say: Say, signature: Signature | None = None
) -> Document:
    """The document of a bulletin.

    Args:
        say: says texts in `lang`.
    """
    it = _Composer(bulletin, definitions, lang, say)
    foot = say("bulletins.doc.draft")
    if signature is not None:
        foot = say("bulletins.doc.signed", who=signature.who, time=it.moment(signature.time_ms))
    return Document(lang, say(f"bulletins.doc.heading_{bulletin.kind}"), tuple(it.facts()), tuple(it.blocks()), foot)


def sentence(text: str, figures: dict[str, Figure], definitions: Definitions, lang: str, say: Say) -> str:
    """A sentence with its places filled in; where its first figure is not known, that it is not."""
    parts = list(parts_of(text))
    first = next(part for part in parts if isinstance(part, Place))
    if figures[first.figure].now.value is None:
        return say("bulletins.doc.no_figure", title=definitions.of(first.figure).title[lang])
    return "".join(
        part
        if isinstance(part, str)
        else wording.place(figures[part.figure], definitions.of(part.figure), part.form, say)
        for part in parts
    )


class _Composer:
    def __init__(self, bulletin: Bulletin, definitions: Definitions, lang: str, say: Say) -> None:
        self._it, self._definitions, self._lang, self._say = bulletin, definitions, lang, say
        self._zone = ZoneInfo(bulletin.zone)
        self._figures = {figure.id: figure for figure in bulletin.figures}

    def moment(self, ms: int) -> str:
        """A moment in the node's zone, to the minute."""
        return datetime.fromtimestamp(ms / 1000, self._zone).strftime("%Y-%m-%d %H:%M")

    def _words(self, key: str, **places: object) -> str:
        return self._say(f"bulletins.doc.{key}", **places)

    def facts(self) -> Iterator[str]:
        """What stands below the title."""
        it, period = self._it, read_period(self._it.period)
        yield self._words("period", period=it.period)
        if period.kind != "day":
            yield self._words("span", first=period.first, last=period.last)
        yield self._words("issue", issue=it.issue)
        yield self._words("node", node=it.node)
        yield self._words("made", time=self.moment(it.made_ms), zone=it.zone)

    def blocks(self) -> Iterator[Block]:
        """Everything below."""
        it = self._it
        if it.corrects:
            yield Note(self._words("corrects", id=it.corrects, reason=it.reason), late=True)
        if it.provisional:
            yield Note(self._words("provisional", time=self.moment(it.until_ms)), late=True)
        if it.calls_ms is not None:
            yield Note(self._words("calls_until", time=self.moment(it.calls_ms)), late=True)
        if it.missing:
            yield Note(self._words("missing", days=", ".join(it.missing)), late=True)
        further: dict[str, Callable[[], Iterator[Block]]] = {
            "calls": self._calls,
            "losses": self._losses,
            "cases": self._units,
        }
        for section in self._definitions.section:
            yield from self._section(section)
            yield from further.get(section.id, lambda: iter(()))()

    def _section(self, section: Section) -> Iterator[Block]:
        yield Heading(section.title[self._lang], section.id)
        told: set[str] = set()
        for texts in section.sentences:
            text = sentence(texts[self._lang], self._figures, self._definitions, self._lang, self._say)
            if text not in told:
                yield Sentence(text)
            told.add(text)
        heads = ("figure", "now", "previous", "change", "year", "change_year")
        rows = tuple(self._row(self._definitions.of(name)) for name in section.figures)
        yield TableBlock(section.title[self._lang], tuple(map(self._words, heads)), rows)

    def _row(self, of: FigureDef) -> Row:
        figure, unit, say = self._figures[of.id], of.unit, self._say
        return Row(
            (
                self._head(of),
                wording.cell(figure.now, unit, say),
                wording.cell(figure.previous, unit, say),
                wording.changed(figure.now, figure.previous, unit, say),
                wording.cell(figure.year, unit, say),
                wording.changed(figure.now, figure.year, unit, say),
            ),
            of.id,
            ("", "", "", _tone(figure.now, figure.previous, of), "", _tone(figure.now, figure.year, of)),
        )

    def _head(self, of: FigureDef) -> str:
        return self._say(f"bulletins.heads.{of.unit}", title=of.title[self._lang])

    # Calls

    def _calls(self) -> Iterator[Block]:
        if any(day.blocked is not None for day in self._it.days):
            yield Drawing(self._words("trend"), self._trend())
        for kind in ("city", "operator"):
            yield from self._places(kind)
        if any(self._figures[name].parts for name in _CALLS):
            yield Note(self._words("place_note"))
        yield from self._rules()
        yield from self._campaigns()

    def _trend(self) -> Chart:
        days = self._it.days
        return Chart(
            kind="line",
            x=[day.day[5:] for day in days],
            series=[
                Series(self._words("blocked"), [day.blocked for day in days], "block"),
                Series(self._words("warned"), [day.warned for day in days], "warn"),
            ],
            unit=self._words("unit_calls"),
            x_text=self._words("day"),
        )

    def _places(self, kind: str) -> Iterator[Block]:
        """A table of cities or operators, and how many calls to each were blocked."""
        found: dict[str, list[int]] = defaultdict(lambda: [0] * len(_CALLS))
        for at, name in enumerate(_CALLS):
            for part in self._figures[name].parts:
                found[getattr(part, kind)][at] += part.value
        if not found:
            return
        ordered = sorted(found.items(), key=lambda of: (-of[1][1], -of[1][0], of[0]))
        shown = [(self._place(kind, name), numbers) for name, numbers in ordered[:MOST_CITIES]]
        rest = [numbers for _, numbers in ordered[MOST_CITIES:]]
        if rest:
            shown.append((self._words("others"), [sum(column) for column in zip(*rest, strict=True)]))
        title = self._words(f"by_{kind}")
        blocked = [numbers[1] for _, numbers in shown]
        if any(blocked):
            named = Series(self._words("blocked"), list(blocked), "block")
            names = [name for name, _ in shown]
            yield Drawing(
                f"{title} · {self._words('blocked')}", Chart("bar", names, [named], self._words("unit_calls"))
            )
        heads = (self._say(f"bulletins.column.{kind}"), *map(self._words, ("attempts", "blocked", "warned")))
        rows = tuple(Row((name, *(wording.number(it, "calls") for it in numbers))) for name, numbers in shown)
        yield TableBlock(title, heads, rows)

    def _place(self, kind: str, name: str) -> str:
        if not name:
            return self._words("unknown_place")
        return label("area" if kind == "city" else "operator", name, self._lang)

    def _rule(self, rule: str, title: dict[str, str]) -> str:
        return title.get(self._lang, rule) if rule else self._words("by_list")

    def _rules(self) -> Iterator[Block]:
        if not self._it.rules:
            return
        heads = tuple(map(self._words, ("rule", "blocked", "warned")))
        rows = [(self._rule(it.rule, it.title), it.blocked, it.warned) for it in self._it.rules]
        yield TableBlock(self._words("rules"), heads, _rows(rows))

    def _campaigns(self) -> Iterator[Block]:
        if not self._it.campaigns:
            return
        heads = tuple(map(self._words, ("block", "rule", "campaign_calls", "numbers", "days")))
        rows = [(it.block, self._rule(it.rule, it.title), it.calls, it.numbers, it.days) for it in self._it.campaigns]
        yield TableBlock(self._words("campaigns"), heads, _rows(rows), words=2)
        yield Note(self._words("campaigns_note"))

    # Losses and units

    def _losses(self) -> Iterator[Block]:
        it, say = self._it, self._say
        yield Sentence(say(f"bulletins.decline.{it.decline}"))
        if not it.losses:
            return
        heads = (
            *(say(f"bulletins.column.{name}") for name in ("agency", "city", "cases", "amount")),
            self._words("losses_previous"),
            self._words("losses_amount_previous"),
        )
        unknown = self._words("unknown")
        rows = tuple(
            Row(
                (
                    loss.agency,
                    self._place("city", loss.city),
                    wording.number(loss.cases, "cases"),
                    wording.number(loss.amount, "yuan"),
                    unknown if loss.previous_cases is None else wording.number(loss.previous_cases, "cases"),
                    unknown if loss.previous_amount is None else wording.number(loss.previous_amount, "yuan"),
                )
            )
            for loss in it.losses
        )
        yield TableBlock(self._words("losses"), heads, rows, words=2)

    def _units(self) -> Iterator[Block]:
        if not self._it.units:
            return
        names = ("cases.found", "cases.closed", "cases.returned", "cases.late")
        heads = (self._words("unit"), *(self._head(self._definitions.of(name)) for name in names))
        rows = [(it.unit or self._words("no_unit"), it.found, it.closed, it.returned, it.late) for it in self._it.units]
        yield TableBlock(self._words("units"), heads, _rows(rows))


def _tone(now: Of, then: Of, of: FigureDef) -> str:
    way = change(now, then).direction * {"up": 1, "down": -1, "": 0}[of.good]
    return {1: "better", -1: "worse"}.get(way, "")


def _rows(rows: Sequence[tuple[str | int, ...]]) -> tuple[Row, ...]:
    return tuple(Row(tuple(it if isinstance(it, str) else wording.number(it, "calls") for it in row)) for row in rows)
