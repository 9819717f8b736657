"""Notices that rule files or stages changed and compiles the new set; the old one stays until that worked.

A polling object without a clock or a thread: its owner asks when it has time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hutong.kernel.errors import RuleError
from hutong.kernel.rules.loader import load_ruleset, rule_files
from hutong.kernel.rules.stages import read_stages, stages_in_force

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hutong.kernel.rules.ruleset import Ruleset, Stage
    from hutong.kernel.rules.vocabulary import Vocabulary

POLL_EVERY = 250_000_000  # ns; a change is in force well within a second and a poll in between costs nothing

_Signature = tuple[tuple[str, int, int, int, int], ...]


class RuleWatcher:
    """Keeps a ruleset up with its files.

    Args:
        vocabulary: the names that rules may use.
        paths: rule files and folders, in order; folders may come into being later.
        stages: the stages file, which may come into being later.
    """

    def __init__(self, vocabulary: Vocabulary, paths: Sequence[Path], stages: Path | None = None) -> None:
        self._vocabulary = vocabulary
        self._paths = tuple(paths)
        self._stages = stages
        self._seen: _Signature | None = None
        self._next = 0
        self._current: Ruleset | None = None

    @property
    def current(self) -> Ruleset | None:
        """The last set that compiled; None before the first."""
        return self._current

    def poll(self, now: int) -> Ruleset | None:
        """A new set, or None where nothing changed what is in force.

        Args:
            now: nanoseconds of any clock that does not go back; files are looked at every `POLL_EVERY`.

        Raises:
            RuleError: the files changed and are refused (`RulesetError` lists every error). The old set stays
                in force, and the error is raised once for each state of the files.
        """
        if self._seen is not None and now < self._next:
            return None
        self._next = now + POLL_EVERY
        signature = self._signature()
        if signature == self._seen:
            return None
        # Taken before reading: a file that is written meanwhile has another signature at the next poll.
        self._seen = signature
        try:
            fresh = load_ruleset(self._paths, self._vocabulary, stages=self._read_stages())
        except OSError as error:
            what = f"the rules cannot be read: {error.strerror}."
            raise RuleError(what, where=str(error.filename or ""), fix="Check the permissions.") from None
        if self._current is not None and fresh.digest == self._current.digest:
            return None
        self._current = fresh
        return fresh

    def _read_stages(self) -> dict[tuple[str, int], Stage]:
        return stages_in_force(read_stages(self._stages)) if self._stages is not None else {}

    def _signature(self) -> _Signature:
        try:
            files = rule_files(self._paths)
        except OSError as error:
            return ((str(error), 0, 0, 0, 0),)
        if self._stages is not None:
            files.append(self._stages)
        found = []
        for file in files:
            try:
                stat = file.stat()
            except OSError as error:
                found.append((str(file), error.errno or 0, 0, 0, 0))
            else:
                found.append((str(file), stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))
        return tuple(found)
