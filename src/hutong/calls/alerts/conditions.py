"""Alert conditions from files to what `alerts.watch` runs: ages, bits, tariffs. No clock; files are read here only.

Conditions are rules over another vocabulary: same language, same samples, same lint. On top of that a condition's id
begins with its kind, and an age (`call.talk_s`, `call.ring_s`) is compared with plain numbers only, so that it is known
beforehand when a call must be looked at.
"""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from hutong.calls.alerts.features import ALERT_VOCABULARY, TARIFFS
from hutong.calls.alerts.record import ALERT_SLOTS, KINDS, kind_of
from hutong.calls.alerts.watch import Watch
from hutong.calls.mirror import cursors as mirror_cursors
from hutong.calls.mirror import table as mirror_calls
from hutong.kernel.errors import RuleError
from hutong.kernel.numbering import NUMBER_FIELDS
from hutong.kernel.rules.analysis import TooManyAlternatives, never_holds
from hutong.kernel.rules.ruleset import LEVELS, Ruleset, build_ruleset
from hutong.kernel.rules.tree import And, Compare, Const, Flag, Load, Not, Or, features_read
from hutong.kernel.rules.watcher import RuleWatcher

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from hutong.kernel.rules.tree import Boolean

#: The conditions and the tariffs that Hutong ships, and where a node's own are within its data folder.
SHIPPED_ALERTS: Final = Path(__file__).parent / "rules"
OWN_ALERTS: Final = "alerts"
TARIFF_FILE: Final = "tariffs.csv"
STAGES_FILE: Final = "stages.jsonl"
#: Every set in force is kept here, so that an alert can be explained later.
SETS: Final = "sets"

_MOST_DIGITS = 15
_COUNT_SHIFT = 50
_HEADINGS = ["prefix", "tariff", "what"]
_TALK, _RING = ALERT_VOCABULARY.index("call.talk_s"), ALERT_VOCABULARY.index("call.ring_s")
_ANSWERED = ALERT_VOCABULARY.index("call.answered")
_SUSPICIONS = tuple(
    ALERT_VOCABULARY.index(name)
    for name in ("call.fired", "call.action", "call.declared", "caller.flagged", "caller.listed_block")
) + tuple(ALERT_VOCABULARY.index(f"caller.{name}") for name in ("listed_since", "blocked_since"))
_MS = 1000
_AT_ONCE = 0.5


class Conditions(NamedTuple):
    """A set of conditions and the tariffs they are judged with: prefix (digits with country code) to tariff."""

    ruleset: Ruleset
    tariffs: dict[str, str]


NO_CONDITIONS: Final = Conditions(build_ruleset([], [], ALERT_VOCABULARY), {})


def alert_paths(data: Path) -> list[Path]:
    """Where a node's conditions come from, in order: shipped, its own."""
    return [SHIPPED_ALERTS, data / OWN_ALERTS]


def check_conditions(ruleset: Ruleset) -> None:
    """Raise RuleError for what a set of conditions may not be, beyond what rules may not be."""
    for rule in ruleset.rules:
        if kind_of(rule.id) not in KINDS or "." not in rule.id:
            raise RuleError(
                f"the id {rule.id!r} does not say what kind of alert it is.",
                where=rule.id,
                fix=f"Begin it with {', '.join(f'{kind}.' for kind in KINDS)}",
            )
    if len(ruleset) > mirror_calls.SLOTS:
        raise RuleError(f"there are {len(ruleset)} alert conditions.", fix=f"At most {mirror_calls.SLOTS} fit.")
    ages_of(ruleset)


def ages_of(ruleset: Ruleset) -> tuple[list[int], list[int]]:
    """Ages in ms at which calls must be looked at: while they ring, while they talk. Both begin with 0.

    Raises:
        RuleError: an age is not compared with a plain number, or there are too many.
    """
    found: list[list[int]] = []
    for feature in (_RING, _TALK):
        seconds = {bound for tree in ruleset.trees for bound in _bounds(tree, feature)}
        # A millisecond more, so that `>` holds as well as `>=`.
        ages = [0, *(int(bound * _MS) + 1 for bound in sorted(seconds) if bound > 0)]
        if len(ages) > mirror_calls.CURSORS:
            name = ruleset.vocabulary.features[feature].name
            raise RuleError(
                f"{name} is compared with {len(ages) - 1} different numbers.",
                fix=f"At most {mirror_calls.CURSORS - 1}: let conditions share some.",
            )
        found.append(ages)
    return found[0], found[1]


def _bounds(expr: Boolean, feature: int) -> Iterator[float]:
    match expr:
        case Compare(_, Load(place), Const(value)) | Compare(_, Const(value), Load(place)) if place == feature:
            yield value
        case Not(item):
            yield from _bounds(item, feature)
        case And(items) | Or(items):
            for item in items:
                yield from _bounds(item, feature)
        case Flag():
            return
        case _:
            if feature in features_read(expr):
                name = ALERT_VOCABULARY.features[feature].name
                raise RuleError(
                    f"{name} is compared with something else than a plain number.",
                    fix=f"Write {name} >= 600, so that it is known when a call must be looked at.",
                )


def _plain(ruleset: Ruleset, *, answered: bool) -> int:
    """Whether a condition may hold, as soon as a call was set up or answered, of which nothing is suspicious."""
    assumed: list[Boolean] = [Compare("==", Load(place), Const(0.0)) for place in _SUSPICIONS]
    assumed += [Compare("<", Load(_TALK), Const(_AT_ONCE))]
    if answered:
        assumed += [Compare("==", Load(_ANSWERED), Const(1.0))]
    else:
        assumed += [Compare("==", Load(_ANSWERED), Const(0.0)), Compare("<", Load(_RING), Const(_AT_ONCE))]
    try:
        return int(any(not never_holds(And((tree, *assumed)), ruleset.vocabulary) for tree in ruleset.trees))
    except TooManyAlternatives:
        return 1


def _spans(parts: Sequence[Sequence[int] | bytes]) -> NDArray[np.int64]:
    ends = np.cumsum([len(part) for part in parts], dtype=np.int64)
    starts = ends - np.array([len(part) for part in parts], dtype=np.int64)
    return np.stack([starts, ends], axis=1).reshape(-1, 2)


def _hash(rule_id: str) -> int:
    """A condition's mark in the call table; never 0."""
    return int.from_bytes(hashlib.blake2b(rule_id.encode(), digest_size=7).digest(), "little") or 1


def watch_for(conditions: Conditions, calls: NDArray[np.int64]) -> Watch:
    """Make a set ready to run, and the call table ready for it.

    Args:
        conditions: checked by `check_conditions`.
        calls: the call table, or `mirror_calls.no_table()`.
    """
    ruleset, tariffs = conditions
    digest = int(ruleset.digest[:16], 16)
    digest = digest - 2**64 if digest >= 2**63 else digest
    bits = list(range(len(ruleset)))
    if mirror_calls.in_use(calls):
        bits = mirror_cursors.slots_for(calls, [_hash(rule.id) for rule in ruleset.rules])
        mirror_cursors.set_cursors(calls, digest, ages_of(ruleset))
    reads = [ruleset.features_of(rule) for rule in range(len(ruleset))]
    ids = [rule.id.encode() for rule in ruleset.rules]
    known = sorted((int(prefix) | len(prefix) << _COUNT_SHIFT, TARIFFS.index(it)) for prefix, it in tariffs.items())
    return Watch(
        program=ruleset.program,
        stages=np.array([LEVELS[rule.stage] for rule in ruleset.rules], dtype=np.int64),
        bits=np.array(bits, dtype=np.int64),
        versions=np.array([rule.version for rule in ruleset.rules], dtype=np.int64),
        reads=np.array([place for one in reads for place in one], dtype=np.int64),
        read_spans=_spans(reads),
        digest=digest,
        ids=np.frombuffer(bytearray(b"".join(ids) or b"\0"), dtype=np.uint8),
        id_spans=_spans(ids),
        nothing=np.zeros(2, dtype=np.int64),
        plain=np.array([_plain(ruleset, answered=answered) for answered in (False, True)], dtype=np.int64),
        tariffs=np.array([prefix for prefix, _ in known], dtype=np.int64),
        tariff_codes=np.array([code for _, code in known], dtype=np.int64),
        features=ALERT_VOCABULARY.defaults(),
        fired=np.zeros(max(len(ruleset), 1), dtype=np.uint8),
        number=np.zeros(NUMBER_FIELDS, dtype=np.int64),
        text=np.zeros(24, dtype=np.uint8),
        alert=np.zeros(ALERT_SLOTS, dtype=np.int64),
        written=np.zeros(1, dtype=np.int64),
    )


def read_tariffs(paths: Sequence[Path]) -> dict[str, str]:
    """Tariffs of the files that are there, the later ones winning: columns prefix, tariff, what.

    Raises:
        RuleError: a file is wrong; says where.
    """
    tariffs: dict[str, str] = {}
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise RuleError(f"the tariffs cannot be read: {error}.", where=str(path), fix="Save it as UTF-8.") from None
        rows = csv.reader(io.StringIO(text))
        if next(rows, []) != _HEADINGS:
            raise RuleError("the first line is not right.", where=f"{path}:1", fix=f"Write {','.join(_HEADINGS)}.")
        for row in rows:
            if not row:
                continue  # an empty line
            prefix, tariff = row[0].strip(), row[1].strip() if len(row) > 1 else ""
            whole = prefix.isascii() and prefix.isdigit() and len(prefix) <= _MOST_DIGITS
            if not whole or tariff not in TARIFFS:
                raise RuleError(
                    f"{','.join(row)!r} is no prefix with its tariff.",
                    where=f"{path}:{rows.line_num}",
                    fix=f"Digits with country code, then one of {', '.join(TARIFFS)}.",
                )
            tariffs[prefix] = tariff
    return tariffs


class ConditionWatcher:
    """Keeps conditions and tariffs up with their files; polled by its owner, like `RuleWatcher`.

    Args:
        data: the data folder.
    """

    def __init__(self, data: Path) -> None:
        own = data / OWN_ALERTS
        self._watcher = RuleWatcher(ALERT_VOCABULARY, alert_paths(data), own / STAGES_FILE)
        self._tariffs = [SHIPPED_ALERTS / TARIFF_FILE, own / TARIFF_FILE]
        self._seen: tuple[tuple[int, int], ...] = ()
        self._current: Conditions | None = None

    def poll(self, now: int) -> Conditions | None:
        """New conditions, or None where nothing changed.

        Args:
            now: nanoseconds of any clock that does not go back.

        Raises:
            RuleError: the files changed and are refused; told once for each state of them.
        """
        seen = tuple(_stat(path) for path in self._tariffs)
        ruleset = self._watcher.poll(now)
        if ruleset is not None:
            check_conditions(ruleset)
        current = self._current if ruleset is None else Conditions(ruleset, {})
        if current is None or (ruleset is None and seen == self._seen):
            return None
        # Kept before the tariffs are read: a set is given once only, and these may be refused now and mended later.
        self._seen, self._current = seen, current
        self._current = current._replace(tariffs=read_tariffs(self._tariffs))
        return self._current


def _stat(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_ino, found.st_mtime_ns
