"""`/rules`: every rule, how often it fires, and one rule wholly: text, words, samples, stage with history, hits.

Belongs here: routes, figures beside rules. Not here: reading rule files (`calls.rule_book`), words and colours
(`rule_words`), evidence and moving a rule to another stage (`rule_stages`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from litestar import Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath  # noqa: TC002  # Litestar reads the annotations

from hutong.calls.console import rule_stages
from hutong.calls.console.error_words import Said  # noqa: TC001  # Litestar reads the annotations
from hutong.calls.console.rule_stages import StageViews
from hutong.calls.console.rule_words import given_words, in_colours, words_of
from hutong.calls.console.spans import SPANS, Span, span_of
from hutong.calls.evidence.live import drifted
from hutong.calls.rule_book import Book, RuleShelf, Written, runbook_section
from hutong.kernel.errors import HutongError, RuleError
from hutong.kernel.rules.lint import sample_vector
from hutong.kernel.rules.machine import run_rules
from hutong.kernel.rules.ruleset import STAGES, Rule, Ruleset
from hutong.kernel.web.charts import Chart, Series
from hutong.kernel.web.exports import asks_export, export_rows
from hutong.kernel.web.guard import requires
from hutong.kernel.web.tables import (
    Column,
    Filter,
    TableSpec,
    page_of,
    read_query,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from litestar.handlers import HTTPRouteHandler

    from hutong.calls.evidence.desk import PromotionDesk
    from hutong.calls.history import History, Point
    from hutong.kernel.access.trail import Trail
    from hutong.kernel.web.console import Console

AnyRequest = Request[Any, Any, Any]

_ACTIONS: Final = ("pass", "warn", "block")
_MINUTE_MS = 60_000
_SPANS: Final = {"hits_5m": 5, "hits_1h": 60, "hits_24h": 1440}
_REFUSED = 422


class Row(NamedTuple):
    """A rule in the table. Hits are calls on which it fired; None where the figures cannot be had.

    `rate` is the share of all calls of the last 24 hours on which it fired.
    """

    rule: Rule
    title: str
    family: str
    family_text: str
    hits_5m: int | None
    hits_1h: int | None
    hits_24h: int | None
    rate: float | None


class Sampled(NamedTuple):
    """A sample run now: what it gives, what it should do, what the compiled rule did, and why it fired."""

    given: list[str]
    wanted: bool
    fired: bool
    because: list[str]


class RulePages:
    """What the pages of rules share.

    Args:
        console: makes the pages.
        shelf: the rules.
        history: how often they fired.
        trail: what is exported is on it.
        stages: evidence and proposals.
    """

    def __init__(
        self, console: Console, *, shelf: RuleShelf, history: History, trail: Trail, stages: StageViews
    ) -> None:
        self._console = console
        self._shelf = shelf
        self._history = history
        self._trail = trail
        self._stages = stages

    # The table

    def overview(self, request: AnyRequest) -> Response[Any]:
        """`/rules`."""
        try:
            book = self._shelf.book()
        except RuleError as error:
            return self._console.page(request, "rules_none.html", refused=[error.fix or str(error)])
        lang = self._console.language(request)
        rows = self._rows(book, lang)
        spec = _table(sorted({(row.family, row.family_text) for row in rows}))
        query = read_query(spec, dict(request.query_params))
        if asks_export(request):
            return export_rows(self._console, self._trail, request, spec, query, rows, _value)
        in_force = self._shelf.in_force()
        return self._console.page(
            request,
            "rules.html",
            view=page_of(spec, query, rows, _value),
            stages={stage: sum(row.rule.stage == stage for row in rows) for stage in STAGES},
            digest=book.ruleset.digest,
            open_ones=self._stages.open_ones(),
            drifted=drifted(book.changes, self._console.now_ms()),
            waiting=bool(in_force) and in_force != book.ruleset.digest and not book.refused,
            refused=book.refused,
            figures=all(row.hits_24h is not None for row in rows),
        )

    def _rows(self, book: Book, lang: str) -> list[Row]:
        now = self._console.now_ms()
        try:
            hits = {name: self._history.totals("rule", now - span * _MINUTE_MS, now) for name, span in _SPANS.items()}
            calls = sum(it.attempts for it in self._history.totals("action", now - 1440 * _MINUTE_MS, now).values())
        except HutongError:
            hits, calls = {}, 0
        texts = self._console.frame.texts
        rows = []
        for rule in book.ruleset.rules:
            written = book.written.get(rule.id)
            family = written.family if written else ""
            key = f"rule_page.family.{family}"
            counts = {name: totals[rule.id].attempts if rule.id in totals else 0 for name, totals in hits.items()}
            rows.append(
                Row(
                    rule=rule,
                    title=rule.title[lang],
                    family=family,
                    family_text=texts.say(key, lang) if key in texts else family,
                    hits_5m=counts.get("hits_5m"),
                    hits_1h=counts.get("hits_1h"),
                    hits_24h=counts.get("hits_24h"),
                    rate=counts["hits_24h"] / calls if calls else 0.0 if hits else None,
                )
            )
        return rows

    # One rule

    def rule(self, request: AnyRequest, rule_id: str, said: Said | None = None, why: str = "") -> Response[Any]:
        """`/rules/{id}`."""
        book, at = self._find(rule_id)
        rule, lang = book.ruleset.rules[at], self._console.language(request)
        span = span_of(request.query_params)
        written = book.written.get(rule.id)
        return self._console.page(
            request,
            "rules_one.html",
            status=200 if said is None else _REFUSED,
            rule=rule,
            title=rule.title[lang],
            written=written,
            text=in_colours(written.text) if written else None,
            file=_file_name(written),
            words=words_of(book.ruleset.trees[at], book.ruleset.vocabulary, lang, rule.when),
            runbook=runbook_section(rule.runbook),
            samples=run_samples(book.ruleset, at, lang),
            changes=book.history(rule.id),
            stages=self._stages.view(request, rule, book.changes),
            refused=book.refused,
            spans=SPANS,
            span=span,
            charts=self._charts(request, rule, span),
            recent=self._recent(rule),
            trouble=said,
            why=why,
            done=request.query_params.get("done", ""),
        )

    def _find(self, rule_id: str) -> tuple[Book, int]:
        book = self._shelf.book()
        at = book.ruleset.index(rule_id)
        if at is None:
            raise NotFoundException
        return book, at

    def _recent(self, rule: Rule) -> tuple[int, int] | None:
        """Calls on which a rule fired, and all calls, in 24 hours."""
        now = self._console.now_ms()
        since = now - 1440 * _MINUTE_MS
        try:
            hits = self._history.totals("rule", since, now).get(rule.id)
            calls = sum(it.attempts for it in self._history.totals("action", since, now).values())
        except HutongError:
            return None
        return (hits.attempts if hits else 0), calls

    def _charts(self, request: AnyRequest, rule: Rule, span: Span) -> dict[str, Chart] | None:
        now = self._console.now_ms()
        try:
            hits = span.ended(self._history.series("rule", rule.id, span.since(now), now, span.step), now)
            calls = self._history.many("action", _ACTIONS, span.since(now), now, span.step)
        except HutongError:
            return None
        zone = self._console.zone(request)

        def say(key: str) -> str:
            return self._console.say(request, f"rule_page.chart.{key}")

        return hit_charts(hits, list(calls.values()), [span.label(it.at_ms, zone) for it in hits], say)


def run_samples(ruleset: Ruleset, at: int, lang: str) -> list[Sampled]:
    """Each sample of a rule through the compiled set, as a call would go."""
    fired = np.zeros(max(len(ruleset), 1), dtype=np.uint8)
    found = []
    for sample in ruleset.rules[at].samples:
        vector = sample_vector(sample, ruleset.vocabulary)
        run_rules(ruleset.program, vector, fired)
        hit = bool(fired[at])
        because = ruleset.explain(at, vector, "zh" if lang == "zh" else "en") if hit else []
        given = given_words(list(sample.given.items()), ruleset.vocabulary, lang)
        found.append(Sampled(given, sample.fires, hit, because))
    return found


def hit_charts(
    hits: Sequence[Point], calls: Sequence[Sequence[Point]], labels: list[str], say: Callable[[str], str]
) -> dict[str, Chart]:
    """How often a rule fired, by what became of the call; and on which share of all calls."""
    totals = [sum(series[at].attempts for series in calls) for at in range(len(hits))]

    def each(figure: Callable[[Point, int], float]) -> list[float | None]:
        # Without a call there is nothing to fire on: a gap, not a nought.
        return [figure(it, total) if total else None for it, total in zip(hits, totals, strict=True)]

    count = Chart(
        "bar",
        labels,
        [
            Series(say("blocked"), each(lambda it, _: it.blocked), "block"),
            Series(say("warned"), each(lambda it, _: it.warned), "warn"),
            Series(say("passed"), each(lambda it, _: max(it.attempts - it.warned - it.blocked, 0)), "pass"),
        ],
        stacked=True,
        x_text=say("from"),
    )
    rates = each(lambda it, total: round(it.attempts / total * 100, 3))
    return {"count": count, "rate": Chart("line", labels, [Series(say("rate"), rates)], unit="%", x_text=say("from"))}


def _file_name(written: Written | None) -> str:
    """The file as people know it: what Hutong ships by name, one's own by its whole path."""
    if written is None:
        return ""
    return f"{written.file.name}:{written.line}" if written.shipped else f"{written.file}:{written.line}"


def _table(families: list[tuple[str, str]]) -> TableSpec:
    stages = tuple((stage, f"stage.{stage}") for stage in STAGES)
    return TableSpec(
        id="rules",
        columns=(
            Column("id", "rule_page.column.id"),
            Column("title", "rule_page.column.title"),
            Column("family", "rule_page.column.family"),
            Column("stage", "rule_page.column.stage"),
            Column("action", "rule_page.column.action"),
            Column("version", "rule_page.column.version", number=True),
            Column("hits_5m", "rule_page.column.hits_5m", number=True),
            Column("hits_1h", "rule_page.column.hits_1h", number=True),
            Column("hits_24h", "rule_page.column.hits_24h", number=True),
            Column("rate", "rule_page.column.rate", number=True),
        ),
        filters=(
            Filter("stage", "rule_page.column.stage", "choice", stages),
            Filter("action", "rule_page.column.action", "choice", stages),
            Filter("family", "rule_page.column.family", "choice", tuple(families)),
            Filter("text", "rule_page.column.text"),
        ),
        sizes=(50, 100),
    )


def _value(row: Row, key: str) -> Any:  # noqa: ANN401  # a column of any type
    match key:
        case "id" | "version":
            return getattr(row.rule, key)
        case "stage" | "action":
            return row.rule.stage if key == "stage" else row.rule.action
        case "text":
            return f"{row.rule.id} {row.title} {row.rule.when} {row.rule.basis}"
        case _:
            return getattr(row, key)


def routes(
    console: Console, *, shelf: RuleShelf, history: History, trail: Trail, promotion: PromotionDesk
) -> list[HTTPRouteHandler]:
    """`/rules`, `/rules/{id}`, the forms that move a rule, and the pages of evidence; see `RulePages`."""
    views = StageViews(console, promotion)
    pages = RulePages(console, shelf=shelf, history=history, trail=trail, stages=views)

    @get("/rules", opt=requires("rules.read"), sync_to_thread=True)
    def rules(request: AnyRequest) -> Response[Any]:
        return pages.overview(request)

    @get("/rules/{rule_id:str}", opt=requires("rules.read"), sync_to_thread=True)
    def rule(request: AnyRequest, rule_id: FromPath[str]) -> Response[Any]:
        return pages.rule(request, rule_id)

    return [rules, rule, *rule_stages.routes(console, views, promotion, pages.rule)]
