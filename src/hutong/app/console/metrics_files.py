"""The metrics that processes leave in files, as one exposition: no family twice, no series twice.

Processes that serve nothing write `DATA/run/NAME.prom` (`Metrics.write`); who serves `/metrics` adds them to its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_SUFFIX = ".prom"


def merged_metrics(run_folder: Path, own: bytes = b"") -> bytes:
    """One exposition (Prometheus text 0.0.4) of this process's own and of every file in the run folder.

    Of a series that several have, counters are added up, and of others the last one counts, files in the order of their
    names after `own`. A file that cannot be read or is no exposition is left out, and a comment says so.

    Args:
        run_folder: holds `*.prom`; may be missing.
        own: what this process exposes itself.
    """
    texts = [("", own.decode())]
    unread: list[str] = []
    for file in sorted(run_folder.glob(f"*{_SUFFIX}")):
        try:
            texts.append((file.name, file.read_bytes().decode()))
        except (OSError, UnicodeDecodeError):
            unread.append(file.name)
    merged: dict[str, _Merged] = {}
    for name, text in texts:
        try:
            families = list(text_string_to_metric_families(text))
        except ValueError:
            unread.append(name)
            continue
        for family in families:
            merged.setdefault(family.name, _Merged(family)).add(family)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(merged.values()))
    notes = "".join(f"# {name} is no exposition and was left out\n" for name in unread)
    return generate_latest(registry) + notes.encode()


class _Merged:
    """A family put together; its description is the first one's."""

    def __init__(self, first: Family) -> None:
        self.family = Family(first.name, first.documentation, first.type, first.unit)
        self._places: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}

    def add(self, family: Family) -> None:
        """Take another's samples; one of another type cannot be the same thing and is left out."""
        if family.type != self.family.type:
            return
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            at = self._places.setdefault(key, len(self.family.samples))
            if at == len(self.family.samples):
                self.family.samples.append(sample)
            elif family.type == "counter":
                before = self.family.samples[at]
                self.family.samples[at] = before._replace(value=before.value + sample.value)
            else:
                self.family.samples[at] = sample


class _Collected:
    def __init__(self, merged: Iterable[_Merged]) -> None:
        self._merged = list(merged)

    def collect(self) -> Iterator[Family]:
        """Families in the order in which they first came."""
        return (one.family for one in self._merged)
