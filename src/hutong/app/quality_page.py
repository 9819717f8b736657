"""Tables of detection quality as Markdown, and their place in docs/quality.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hutong.kernel.errors import HutongError

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Iterator, Sequence

    from hutong.app.quality_figures import Figures, Honest, Kind

BEGIN: Final = "<!-- begin: make quality -->"
END: Final = "<!-- end: make quality -->"
_TOP_RULES: Final = 3
_CAMPAIGN_HEADS: Final = (
    "campaign 活动", "campaigns", "calls", "stopped 拦截", "after its first minute", "least to most",
    "after each number's first minute", "warned 提示", "calls before the first block: median, most",
    "seconds to the first block: median, most", "never blocked", "blocked by",
)  # fmt: skip
_CLASS_HEADS: Final = (
    "honest callers 正常用户", "calls", "blocked 误拦", "per million", "95 % interval", "least to most", "warned 提示",
    "blocked by",
)  # fmt: skip


class PageError(HutongError):
    """The page has no place for the tables."""


def put_into(page: str, tables: str, where: str) -> str:
    """The page with these tables between its marks.

    Raises:
        PageError: it has no marks.
    """
    before, begin, rest = page.partition(f"{BEGIN}\n")
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise PageError("The page has no place for the tables.", where=where, fix=f"Write {BEGIN} and {END} into it.")
    return f"{before}{begin}{tables}{end}{after}"


def tables(of: Figures, rules: Sequence[str]) -> str:
    """All tables of one way of judging, each line ended.

    Args:
        of: what to show.
        rules: ids by their places.
    """
    return "\n".join([*_campaigns(of, rules), "", *_classes(of, rules), "", *_untouched(of)]) + "\n"


def _campaigns(of: Figures, rules: Sequence[str]) -> Iterator[str]:
    return _table(_CAMPAIGN_HEADS, (_kind_cells(kind, rules) for kind in (*of.kinds, of.fraud)))


def _kind_cells(kind: Kind, rules: Sequence[str]) -> Iterator[str]:
    yield _named(kind.name)
    yield f"{kind.campaigns:,}"
    yield f"{kind.calls:,}"
    yield _percent(kind.stopped)
    yield f"**{_percent(kind.late)}**"
    yield f"{_percent(kind.spread[0])} to {_percent(kind.spread[1])}"
    yield _percent(kind.aged)
    yield _percent(kind.warned)
    yield f"{kind.through[0]:,.0f}, {kind.through[1]:,}"
    yield f"{kind.seconds[0]:,.0f}, {kind.seconds[1]:,.0f}" if kind.seconds else "—"
    yield f"{kind.never:,}"
    yield _top(kind.rules, rules)


def _classes(of: Figures, rules: Sequence[str]) -> Iterator[str]:
    return _table(_CLASS_HEADS, (_class_cells(one, rules) for one in (*of.classes, of.honest)))


def _class_cells(one: Honest, rules: Sequence[str]) -> Iterator[str]:
    yield _named(one.name)
    yield f"{one.calls:,}"
    yield f"{one.blocked:,}"
    yield f"**{_per_million(one.rate.per_million or 0.0)}**"
    yield f"{_per_million(one.rate.clustered_low)} to {_per_million(one.rate.clustered_high)}"
    yield f"{_per_million(one.spread[0])} to {_per_million(one.spread[1])}"
    yield f"{one.warned:,}"
    yield _top(one.rules, rules)


def _untouched(of: Figures) -> Iterator[str]:
    yield "| lines that must stay free 不得误拦 | calls they made | blocked | honest calls to them | blocked |"
    yield "|---|" + "---:|" * 4
    for it in of.untouched:
        yield _row([f"`{it.name}`", *(f"{n:,}" for n in (it.made, it.made_blocked, it.taken, it.taken_blocked))])


def _table(heads: Sequence[str], rows: Iterable[Iterator[str]]) -> Iterator[str]:
    """A name, figures, and the rules that decided."""
    yield _row(heads)
    yield "|---|" + "---:|" * (len(heads) - 2) + "---|"
    yield from map(_row, rows)


def _named(name: str) -> str:
    return f"`{name}`" if name else "**all 合计**"


def _row(cells: Iterator[str] | Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _top(counts: Counter[int], rules: Sequence[str]) -> str:
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    named = [f"{rules[rule].removeprefix('calls.')} {count:,}" for rule, count in most[:_TOP_RULES]]
    rest = sum(count for _, count in most[_TOP_RULES:])
    return ", ".join([*named, *([f"others {rest:,}"] if rest else [])])


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _per_million(value: float) -> str:
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"  # noqa: PLR2004  # digits that tell something
