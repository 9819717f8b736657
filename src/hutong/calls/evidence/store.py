"""`DATA/evidence/<id>.json`: results of backtests, each named for its content, written once and whole."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from hutong.calls.evidence.model import FORMAT, Backtest, encoded, id_of
from hutong.kernel.errors import HutongError
from hutong.kernel.json_bytes import UNREADABLE

if TYPE_CHECKING:
    from pathlib import Path

FOLDER: Final = "evidence"
_ID: Final = re.compile(r"[0-9a-f]{16}")


class EvidenceError(HutongError):
    """Evidence is missing, damaged, or cannot be kept."""


class Kept(NamedTuple):
    """A result and its id."""

    id: str
    backtest: Backtest


class EvidenceStore:
    """The results of a node.

    Args:
        folder: where they are; made when the first is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, Backtest] = {}

    def keep(self, backtest: Backtest) -> str:
        """Keep a result; gives its id. The same result again changes nothing.

        Raises:
            EvidenceError: it cannot be written.
        """
        content = encoded(backtest)
        evidence_id = id_of(content)
        target, fresh = self._folder / f"{evidence_id}.json", self._folder / f".{evidence_id}.{os.getpid()}.new"
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o750)
            with fresh.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(target)
        except OSError as error:
            raise EvidenceError(f"The evidence cannot be kept: {error.strerror}.", where=str(target)) from error
        return evidence_id

    def load(self, evidence_id: str) -> Backtest:
        """A result.

        Raises:
            EvidenceError: there is none of this id, or its file was damaged or changed.
        """
        if evidence_id in self._known:
            return self._known[evidence_id]
        path = self._folder / f"{evidence_id}.json"
        if not _ID.fullmatch(evidence_id) or not path.is_file():
            raise EvidenceError(
                f"There is no evidence {evidence_id[:40]!r}.",
                fix="`hutong rules backtest` makes some and tells its id.",
            )
        try:
            content = path.read_bytes()
            if id_of(content) != evidence_id:
                raise EvidenceError(
                    "This evidence was changed after it was made.", where=str(path), fix="Run it again."
                )
            backtest = msgspec.json.decode(content, type=Backtest)
        except (OSError, *UNREADABLE) as error:
            raise EvidenceError(f"This evidence cannot be read: {error}.", where=str(path)) from error
        if backtest.format != FORMAT:
            raise EvidenceError(f"This evidence has format {backtest.format}.", where=str(path), fix="Run it again.")
        self._known[evidence_id] = backtest
        return backtest

    def of_rule(self, rule_id: str, version: int) -> list[Kept]:
        """Results that tested a rule in this version, newest first; damaged ones are left out."""
        return [it for it in self.all() if it.backtest.rule(rule_id, version) is not None]

    def all(self) -> list[Kept]:
        """Every result, newest first; damaged ones are left out."""
        found = []
        for path in self._folder.glob("*.json"):
            try:
                found.append(Kept(path.stem, self.load(path.stem)))
            except EvidenceError:
                continue
        return sorted(found, key=lambda it: (-it.backtest.made_ms, it.id))
