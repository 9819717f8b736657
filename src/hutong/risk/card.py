"""The model card as a page: what a model is for, where it comes from, how good it is and where it must not be used."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hutong.risk.reasons import column_words

if TYPE_CHECKING:
    from hutong.risk.model_file import Stored

_MOST_COLUMNS: Final = 20

_TEXTS: Final = Path(__file__).with_name("card.toml")
_PRECISIONS: Final = (0.9, 0.95, 0.99, 0.995)


def card_page(stored: Stored, lang: str) -> str:
    """The card as Markdown in "zh" or "en"."""
    texts, card = tomllib.loads(_TEXTS.read_text(encoding="utf-8"))[lang], stored.card
    facts = [
        ("version", stored.version),
        ("trained", f"{card.trained} · Hutong {card.hutong}"),
        ("table", f"{card.table} · SHA-256 {card.table_digest}"),
        ("edges", f"{card.edges} · SHA-256 {card.edges_digest}" if card.edges else "–"),
        ("users", f"{card.users:,}"),
        ("fraud", f"{card.fraud:,} ({card.fraud / card.users:.1%})"),
        ("links", f"{card.links:,}"),
        ("seed", str(card.seed)),
    ]
    lines = [f"# {texts['title']}", "", "| | |", "|---|---|"]
    lines += [f"| {texts[name]} | {value} |" for name, value in facts]
    lines += ["", f"## {texts['use_title']}", "", *(f"- {line}" for line in texts["use"])]
    lines += ["", f"## {texts['held']}", "", "| | |", "|---|--:|"]
    lines += [f"| {name} | {value:.4f} |" for name, value in card.held_out.items()]
    lines += ["", f"## {texts['thresholds']}", "", "| | |", "|---|--:|"]
    lines.append(f"| {texts['best']} | {stored.model.threshold():.4f} |")
    for precision in _PRECISIONS:
        threshold = stored.model.threshold(precision)
        shown = f"{threshold:.4f}" if threshold <= 1 else texts["never"]
        lines.append(f"| {texts['precision']} {precision:g} | {shown} |")
    heads = [str(texts[name]) for name in ("column", "meaning", "gain", "permutation")]
    lines += ["", f"## {texts['columns']}", "", f"| {' | '.join(heads)} |", "|---|---|--:|--:|"]
    for row in card.importances[:_MOST_COLUMNS]:
        meaning = column_words().get(row.column, {}).get(lang, "")
        lines.append(f"| {row.column} | {meaning} | {row.gain:.1%} | {row.permutation:+.4f} |")
    if card.notes:
        lines += ["", f"## {texts['notes']}", "", *(f"- {note}" for note in card.notes)]
    return "\n".join(lines) + "\n"
