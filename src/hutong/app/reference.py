"""The generated parts of `docs/operate`: `python -m hutong.app.reference docs/operate` renews them.

A test holds the pages to what stands here, so that they cannot fall behind the code.
"""

from __future__ import annotations

import ast
import importlib
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from hutong.app.config import Config
from hutong.app.supervision import diagram
from hutong.kernel import metrics, settings
from hutong.kernel.access.permissions import permissions_table
from hutong.kernel.metrics import Metric

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SYSTEMS = ("appeals", "bulletins", "calls", "codes", "handoff", "orders", "reports", "risk", "sampling", "simulation")

_SOURCE = Path(__file__).resolve().parents[1]
_MEANINGS = Path(__file__).with_name("log_events.toml")
_LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}

_BEGIN = "<!-- generated: python -m hutong.app.reference docs/operate -->"
_END = "<!-- end of the generated part -->"


def settings_table() -> str:
    """Every setting with its type, default and meaning, a table for each section."""
    lines: list[str] = []
    section = ""
    for entry in settings.entries(Config):
        if entry.section != section:
            section = entry.section
            heading = f"[[{section}]]" if entry.repeated else f"[{section}]"
            lines += ["", f"## `{heading}`", "", "| key | type | default | meaning | 含义 |", "|---|---|---|---|---|"]
        default = "required" if entry.default is None else f"`{msgspec.json.encode(entry.default).decode()}`"
        unit = f" ({entry.doc.unit})" if entry.doc.unit else ""
        kind = entry.type_name.replace("|", "\\|")
        lines.append(f"| `{entry.key}` | {kind} | {default} | {entry.doc.en}{unit} | {entry.doc.zh} |")
    return "\n".join(lines[1:]) + "\n"


def metrics_table() -> str:
    """Every metric with its type, unit, labels and meaning."""
    lines = ["| name | type | unit | labels | meaning | 含义 |", "|---|---|---|---|---|---|"]
    for metric in all_metrics():
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        lines.append(f"| `{metric.name}` | {metric.kind} | {metric.unit} | {labels} | {metric.en} | {metric.zh} |")
    return "\n".join(lines) + "\n"


def states() -> str:
    """The supervision table as a diagram."""
    return f"```mermaid\n{diagram()}```\n"


class LogCall(NamedTuple):
    """A place that logs: its module, the event, its level ("" where that is decided first), the names of its facts."""

    module: str
    event: str
    level: str
    facts: tuple[str, ...]


def log_calls() -> Iterator[LogCall]:
    """Every place in the source that logs, in the order of modules; an event named while it runs has the name "".

    What `tell(kind, …)` of the screening loop names is logged by whoever wires the loop.
    """
    for path in sorted(_SOURCE.rglob("*.py")):
        module = path.relative_to(_SOURCE).as_posix()
        text = path.read_text(encoding="utf-8")
        chosen = "say = self._reporter.log." in text  # the level, before the event
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            event = node.args[0].value if isinstance(node.args[0], ast.Constant) else ""
            facts = tuple(word.arg for word in node.keywords if word.arg and word.arg != "exc_info")
            if chosen and isinstance(node.func, ast.Name) and node.func.id == "say" and event:
                yield LogCall(module, str(event), "", facts)
            if not isinstance(node.func, ast.Attribute):
                continue
            owner = ast.unparse(node.func.value).rpartition(".")[2].lstrip("_")
            if owner == "log" and node.func.attr in _LEVELS:
                yield LogCall(module, str(event), node.func.attr, facts)
            elif node.func.attr == "tell" and owner in {"self", "loop"} and event:
                yield LogCall(module, str(event), "error", ("trouble",))


def log_meanings() -> dict[str, dict[str, str]]:
    """What each event means: process, zh, en; level and facts too where it gets its name only while it runs."""
    return tomllib.loads(_MEANINGS.read_text(encoding="utf-8"))


def logs_table() -> str:
    """Every event with its process, level, facts and meaning."""
    found: dict[str, list[LogCall]] = {}
    for call in log_calls():
        found.setdefault(call.event, []).append(call)
    lines = ["| event | process | level | facts | meaning | 含义 |", "|---|---|---|---|---|---|"]
    for event, meaning in log_meanings().items():
        calls = found.get(event, [])
        levels = {call.level.replace("exception", "error") for call in calls if call.level}
        levels |= set(meaning.get("level", "").split())
        facts = dict.fromkeys([*(fact for call in calls for fact in call.facts), *meaning.get("facts", "").split()])
        named = ", ".join(f"`{fact}`" for fact in facts)
        lines.append(
            f"| `{event}` | {meaning['process']} | {', '.join(sorted(levels))} | {named} "
            f"| {meaning['en']} | {meaning['zh']} |"
        )
    return "\n".join(lines) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_table,
    "metrics.md": metrics_table,
    "logs.md": logs_table,
    "processes.md": states,
    "../people.md": permissions_table,
}


def all_metrics() -> Iterator[Metric]:
    """What the kernel declares, then what each system that runs on a node does."""
    yield from metrics.METRICS
    for system in SYSTEMS:
        if not importlib.import_module(f"hutong.{system}.system").SYSTEM.on_node:
            continue
        values = vars(importlib.import_module(f"hutong.{system}.metrics")).values()
        groups = [list(one.values()) if isinstance(one, dict) else [one] for one in values]
        declared = dict.fromkeys(one for group in groups for one in group if isinstance(one, Metric))
        yield from (one for one in declared if one not in metrics.METRICS)


def renewed(page: str, part: str) -> str:
    """The page with its generated part replaced.

    Raises:
        ValueError: the page does not have the two lines that enclose the part.
    """
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise ValueError(f"the page needs the lines {_BEGIN!r} and {_END!r}")
    return f"{before}{begin}\n{part}{end}{after}"


def renew(folder: Path) -> None:
    """Renew the pages in this folder."""
    for name, part in PAGES.items():
        page = folder / name
        page.write_text(renewed(page.read_text(), part()))


if __name__ == "__main__":
    renew(Path(sys.argv[1]))
