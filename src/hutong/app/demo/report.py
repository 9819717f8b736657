"""What the demo says in the terminal: a live table where there is one, plain lines elsewhere, and the summary."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.live import Live
from rich.table import Table
from rich.text import Text

from hutong.kernel.web.texts import LANGUAGES, Texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from hutong.app.demo.ledger import Ledger

_TOP = 8
_LINE_EVERY_S = 5


def terminal_language(environ: Mapping[str, str]) -> str:
    """Chinese in a Chinese locale, else English."""
    locale = environ.get("LC_ALL") or environ.get("LC_MESSAGES") or environ.get("LANG") or ""
    return LANGUAGES[0] if locale.lower().startswith("zh") else "en"


class Report:
    """Tells people how the demo goes.

    Args:
        console: where to.
        language: one of `LANGUAGES`.
        ledger: what has become of the calls.
    """

    def __init__(self, console: Console, language: str, ledger: Ledger) -> None:
        self._texts = Texts([Path(__file__).with_name("texts.toml")])
        self._console, self._language, self._ledger = console, language, ledger
        self._live: Live | None = None
        self._last_attempts = 0
        self._last_at = 0.0
        self._first_block_told = False

    def say(self, key: str, **values: object) -> None:
        """One line."""
        self._console.print(self._text(f"demo.{key}", **values), highlight=False, soft_wrap=True)

    def _text(self, key: str, **values: object) -> str:
        return self._texts.say(key, self._language, **values)

    def begin(self) -> None:
        """From here on `second` keeps a table up to date, where the terminal can show one."""
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()

    def second(self, at_s: float) -> None:
        """A second has gone by.

        Args:
            at_s: seconds since the first call.
        """
        ledger = self._ledger
        if ledger.fraud_blocked and not self._first_block_told:
            self._first_block_told = True
            self.say("first_block", seconds=max(round(at_s), 1))
        rate = (ledger.attempts - self._last_attempts) / max(at_s - self._last_at, 0.1)
        if self._live is not None:
            self._live.update(self._table(rate), refresh=True)
        elif round(at_s) % _LINE_EVERY_S:
            return
        else:
            self._console.print(self._line(at_s, rate), highlight=False, soft_wrap=True)
        self._last_attempts, self._last_at = ledger.attempts, at_s

    def _line(self, at_s: float, rate: float) -> str:
        ledger = self._ledger
        return self._text(
            "line.second", at=round(at_s), rate=round(rate), passed=ledger.passed, warned=ledger.warned,
            blocked=ledger.blocked, wrong=ledger.wrong_blocks,
        )  # fmt: skip

    def _table(self, rate: float) -> Table:
        ledger = self._ledger
        table = Table(show_header=False, box=None, pad_edge=False)
        table.add_column(min_width=36)
        table.add_column(justify="right", min_width=8)
        table.add_row(self._text("summary.attempts"), f"{ledger.attempts:,}  ({rate:.0f}/s)")
        table.add_row(self._text("summary.passed"), f"{ledger.passed:,}")
        table.add_row(self._text("summary.warned"), Text(f"▲ {ledger.warned:,}", style="yellow"))
        table.add_row(self._text("summary.blocked"), Text(f"■ {ledger.blocked:,}", style="red"))
        for rule, count in ledger.by_rule.most_common(_TOP):
            table.add_row(f"  {rule}", f"{count:,}")
        table.add_row(self._text("summary.wrong"), f"{ledger.wrong_blocks:,}")
        return table

    def end(self) -> None:
        """No more table."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def summary(self) -> None:
        """What became of all calls."""
        ledger = self._ledger
        table = Table(title=self._text("summary.title"), title_justify="left", show_header=False, box=None)
        table.add_column()
        table.add_column(justify="right")
        for name, value in (
            ("attempts", ledger.attempts),
            ("passed", ledger.passed),
            ("warned", ledger.warned),
            ("blocked", ledger.blocked),
            ("wrong", ledger.wrong_blocks),
            ("missed", ledger.missed),
            ("failures", ledger.failures),
            ("failed", ledger.failed),
            ("unscreened", ledger.unscreened),
        ):
            table.add_row(self._text(f"summary.{name}"), f"{value:,}")
        self._console.print(table)
        self._console.print(self._rules())
        self._console.print(self._sources())
        self._mishaps()
        self._console.print(self._text("summary.good" if ledger.good else "summary.bad"), highlight=False)

    def _rules(self) -> Table:
        table = Table(box=None)
        table.add_column(self._text("summary.by_rule"))
        table.add_column(self._text("summary.blocked"), justify="right")
        for rule, count in self._ledger.by_rule.most_common():
            table.add_row(rule, f"{count:,}")
        return table

    def _sources(self) -> Table:
        outcomes = ("passed", "warned", "blocked", "failed")
        table = Table(box=None)
        table.add_column(self._text("summary.by_source"))
        for outcome in outcomes:
            table.add_column(self._text(f"summary.{outcome}"), justify="right")
        counts = self._ledger.by_source
        for source in sorted({source for source, _ in counts}):
            row = [f"{counts[source, outcome]:,}" for outcome in outcomes]
            table.add_row(self._text(f"source.{source}"), *row)
        return table

    def _mishaps(self) -> None:
        if not self._ledger.mishaps:
            return
        self._console.print(self._text("summary.mishaps"))
        for mishap in self._ledger.mishaps:
            attempt = mishap.attempt
            call = f"{attempt.source}: {attempt.caller} → {attempt.callee} ({attempt.trunk}, {mishap.call_id})"
            self._console.print(f"  {call}: {mishap.why}", highlight=False, markup=False, soft_wrap=True)
