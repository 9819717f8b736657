"""What a rule reads when numbers are spread over several nodes or shards: all there is, or this one's part.

Every number is at home in one place, where its calls are judged. Of what happened to it the place sees the calls that
it made; and those that it got, with what became of them, where somebody brings them there: a replay in shards does, a
proxy that spreads signalling by its caller does not. Callee and trunk of a call may be at home anywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hutong.calls.features import SIDES, VOCABULARY
from hutong.kernel.rules.ruleset import build_ruleset
from hutong.kernel.windows import SPAN_NAMES, WINDOW_FEATURES

if TYPE_CHECKING:
    from hutong.kernel.rules.ruleset import Ruleset

#: What windows say of the calls that a number made, and of nothing else.
_MADE: Final = frozenset({"attempts", "distinct_callees", "areas", "night_share", "run_sequential", "run_same"})


def _stem(name: str) -> str:
    stem, _, span = name.rpartition("_")
    return stem if span in SPAN_NAMES else name


#: Features of the caller that are whole where only calls that it made are seen.
WHOLE_BY_CALLER: Final = frozenset(f"caller.{name}" for name in WINDOW_FEATURES if _stem(name) in _MADE)
#: All that windows say of the caller: whole where the calls that it got are seen too.
OF_CALLER: Final = frozenset(f"caller.{name}" for name in WINDOW_FEATURES)
_OF_WINDOWS: Final = frozenset(f"{side}.{name}" for side in SIDES for name in WINDOW_FEATURES)


def partial_reads(ruleset: Ruleset, whole: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """The rules that read of windows what is not `whole`, by id, and what that is."""
    found = {}
    for place, rule in enumerate(ruleset.rules):
        names = [ruleset.vocabulary.features[at].name for at in ruleset.features_of(place)]
        partial = tuple(name for name in names if name in _OF_WINDOWS - whole)
        if partial:
            found[rule.id] = partial
    return found


def without_windows(ruleset: Ruleset) -> Ruleset:
    """The rules that read no windows, in order."""
    reads = partial_reads(ruleset, frozenset())
    kept = [at for at, rule in enumerate(ruleset.rules) if rule.id not in reads]
    return build_ruleset([ruleset.rules[at] for at in kept], [ruleset.trees[at] for at in kept], VOCABULARY)


def table(ruleset: Ruleset) -> str:
    """What is whole and what is partial, and the rules that read what is, as Markdown."""
    rows = []
    for side in SIDES:
        for stem in dict.fromkeys(map(_stem, WINDOW_FEATURES)):
            name = next(f"{side}.{it}" for it in WINDOW_FEATURES if _stem(it) == stem)
            spanned = f"{side}.{stem}" + ("_…" if _stem(name.partition(".")[2]) != name.partition(".")[2] else "")
            rows.append((spanned, name in WHOLE_BY_CALLER, name in OF_CALLER))
    lines = ["| features 特征 | by caller 仅按主叫 | with calls received 另送被叫侧 |", "|---|---|---|"]
    for marks in dict.fromkeys(row[1:] for row in rows):
        names = [name for name, *rest in rows if tuple(rest) == marks]
        sides = [side for side in SIDES if sum(name.startswith(f"{side}.") for name in names) * len(SIDES) == len(rows)]
        shown = ", ".join(f"`{side}.…` of windows" for side in sides) or ", ".join(f"`{name}`" for name in names)
        lines.append(f"| {shown} | {' | '.join('whole 完整' if it else 'partial 部分' for it in marks)} |")
    lines += [
        "",
        "| rules that read what is partial 读取部分特征的规则 | by caller 仅按主叫 | with calls received 另送被叫侧 |",
    ]
    lines.append("|---|---|---|")
    alone, both = partial_reads(ruleset, WHOLE_BY_CALLER), partial_reads(ruleset, OF_CALLER)
    for rule, read in alone.items():
        of_both = ", ".join(f"`{name}`" for name in both.get(rule, ())) or "none 无"
        lines.append(f"| `{rule}` | {', '.join(f'`{name}`' for name in read)} | {of_both} |")
    return "\n".join(lines)
