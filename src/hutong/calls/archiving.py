"""What the journal holds for days, kept for months: verdicts and outcomes as tables of an archive.

`work` runs it. Each turn takes a bounded stretch of the journal; an archive says itself how far it reaches, so a turn
that was cut off is done again. Asking the archive is `calls_query` and DuckDB's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from hutong.calls.explain import Verdicts
from hutong.calls.index.ids import RuleIds
from hutong.calls.model import FLAG_FAIL_OPEN, FLAG_MIRRORED, FLAG_NAMES
from hutong.calls.outcomes import decode_outcome
from hutong.calls.record import KIND_OUTCOME, KIND_VERDICT, decode
from hutong.calls.rule_book import RULESETS
from hutong.kernel.archive import Archive
from hutong.kernel.archive.store import first_day_kept
from hutong.kernel.errors import JournalError
from hutong.kernel.journal import FileJournal
from hutong.kernel.journal.frames import records_of
from hutong.kernel.journal.holds import hold, release

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from hutong.calls.model import Verdict
    from hutong.calls.outcomes import Outcome
    from hutong.kernel.journal import Frame, Record

#: In the data folder.
FOLDER: Final = "archive"
TABLES: Final = ("verdicts", "outcomes")
#: Who holds the journal's records back until they are archived.
HOLDER: Final = "archive"

_TIME: Final = pa.timestamp("ms", "UTC")
_NAME: Final = pa.dictionary(pa.int32(), pa.string())
VERDICTS: Final = pa.schema(
    [
        ("era", pa.int16()),
        ("seq", pa.int64()),
        ("time", _TIME),
        *((name, pa.string()) for name in ("call_id", "caller", "callee", "from", "diverter")),
        ("caller_key", pa.int64()),
        ("callee_key", pa.int64()),
        *((name, _NAME) for name in ("source", "trunk", "trunk_kind", "action")),
        ("code", pa.int16()),
        ("rule", _NAME),
        ("fired", pa.list_(pa.struct([("rule", pa.string()), ("values", pa.list_(pa.float64()))]))),
        *((name, pa.int64()) for name in ("caller_block", "caller_allow", "callee_block", "callee_allow")),
        ("flags", pa.list_(pa.string())),
        ("roaming", _NAME),
        ("ruleset", _NAME),
    ]
)
OUTCOMES: Final = pa.schema(
    [
        ("era", pa.int16()),
        ("seq", pa.int64()),
        ("time", _TIME),
        ("phase", _NAME),
        ("caller_key", pa.int64()),
        ("callee_key", pa.int64()),
        ("trunk", _NAME),
        ("call_id", pa.string()),
        ("verdict_seq", pa.int64()),
        ("ring_ms", pa.int64()),
        ("talk_ms", pa.int64()),
        ("release", pa.int16()),
        ("answered", pa.bool_()),
        ("status", pa.int16()),
    ]
)
_SCHEMAS: Final = {"verdicts": VERDICTS, "outcomes": OUTCOMES}
_ROWS_AT_ONCE: Final = 50_000
_TURNS: Final = 20
_NS_PER_MS: Final = 1_000_000
#: Records of the last seconds wait: a power failure could still take them back, and their numbers with them.
_SETTLED_NS: Final = 5_000_000_000


class Archiver:
    """Carries a data folder's journal into its archive. Inert until the first run; one process has one.

    Args:
        data: the data folder.
        rows_at_once: records of a turn, about. turns: of a run, at most.
    """

    def __init__(self, data: Path, rows_at_once: int = _ROWS_AT_ONCE, turns: int = _TURNS) -> None:
        self._data = data
        self._journal = FileJournal(data / "journal")
        self._archive = Archive(data / FOLDER, TABLES)
        self._verdicts = Verdicts(data)
        self._ids = RuleIds(data / RULESETS)
        self._rows_at_once, self._turns = rows_at_once, turns

    def run(self, now_ns: int) -> int:
        """Archive what the journal has gained; returns how many records were taken.

        Raises:
            ArchiveError: the archive cannot be written; the next run goes on where this one began.
        """
        self._archive.open()
        hold(self._data / "journal", HOLDER, self._archive.position.seq)
        self._notice_new_era()
        total = 0
        for _ in range(self._turns):
            taken = self._turn(now_ns - _SETTLED_NS)
            total += taken
            if not taken:
                break
        return total

    def upkeep(self, now_ns: int, keep_days: int) -> int:
        """Merge small files and delete days whose time is over; returns how many files went.

        Raises:
            ArchiveError: the disk refuses.
        """
        self._archive.open()
        return self._archive.merge() + self._archive.forget(first_day_kept(now_ns // _NS_PER_MS, keep_days))

    def lag(self) -> int:
        """Records of the journal that are not archived yet."""
        return max(self._journal.last_seq - self._archive.position.seq, 0)

    def size(self) -> int:
        """Bytes of the archive."""
        return self._archive.size()

    def close(self) -> None:
        """Let go of the archive and the journal."""
        self._archive.close()
        self._journal.close()

    def _notice_new_era(self) -> None:
        """Where the journal ends before the archive does, it lost its end, and gives the same numbers again."""
        position = self._archive.position
        if not position.seq or self._journal.last_seq >= position.seq:
            return
        after = self._journal.last_seq
        for frame in self._journal.read_frames(1, skip_corrupt=True):
            if frame.wall_ns > position.wall_ns:
                after = frame.first_seq - 1
                break
        self._archive.begin_era(after)

    def _turn(self, settled_ns: int) -> int:
        first = self._archive.position.seq + 1
        rows: dict[str, list[dict[str, Any]]] = {table: [] for table in TABLES}
        last, wall_ns, taken = first - 1, self._archive.position.wall_ns, 0
        for frame in self._journal.read_frames(first, skip_corrupt=True):
            if frame.wall_ns > settled_ns or taken >= self._rows_at_once:
                break
            for table, row in self._rows(frame, first):
                rows[table].append(row)
            taken += frame.next_seq - max(frame.first_seq, first)
            last, wall_ns = frame.next_seq - 1, frame.wall_ns
        if taken:
            tables = {table: pa.Table.from_pylist(some, schema=_SCHEMAS[table]) for table, some in rows.items()}
            self._archive.append(tables, first, last, wall_ns)
            hold(self._data / "journal", HOLDER, last)
        return taken

    def _rows(self, frame: Frame, first: int) -> Iterator[tuple[str, dict[str, Any]]]:
        """A frame's records as rows; what cannot be read was damaged, and is nothing to keep."""
        era = self._archive.position.era
        try:
            records = [record for record in records_of(frame) if record.seq >= first]
        except ValueError:
            return
        for record in records:
            try:
                if record.kind == KIND_VERDICT:
                    yield "verdicts", self._verdict(era, self._decoded(record))
                elif record.kind == KIND_OUTCOME:
                    yield "outcomes", _outcome(era, decode_outcome(record.seq, record.body))
            except JournalError:
                continue

    def _decoded(self, record: Record) -> Verdict:
        try:
            return self._verdicts.decoded(record.seq, record.body)
        except JournalError:
            # Its values do not fit its rule set: what was decided is worth keeping without them.
            return decode(record.seq, record.body, lambda _digest, _rule: 0)

    def _verdict(self, era: int, it: Verdict) -> dict[str, Any]:
        digest = int(it.ruleset, 16)
        caller_block, caller_allow, callee_block, callee_allow = it.lists
        return {
            "era": era,
            "seq": it.seq,
            "time": it.time_ms,
            "call_id": it.call_id,
            "caller": it.caller,
            "callee": it.callee,
            "from": it.from_,
            "diverter": it.diverter,
            "caller_key": it.caller_key,
            "callee_key": it.callee_key,
            "source": it.source,
            "trunk": it.trunk,
            "trunk_kind": it.trunk_kind,
            "action": it.action,
            "code": it.code,
            "rule": None if it.rule is None else self._ids.of(digest, it.rule),
            "fired": [{"rule": self._ids.of(digest, index), "values": values} for index, values in it.fired],
            "caller_block": caller_block,
            "caller_allow": caller_allow,
            "callee_block": callee_block,
            "callee_allow": callee_allow,
            "flags": it.flags,
            "roaming": it.roaming,
            "ruleset": it.ruleset,
        }


def stop_holding(data: Path) -> None:
    """Nothing is archived any more: the journal need not wait for it."""
    release(data / "journal", HOLDER)


def _outcome(era: int, it: Outcome) -> dict[str, Any]:
    return {
        "era": era,
        "seq": it.seq,
        "time": it.time_ms,
        "phase": it.phase,
        "caller_key": it.caller_key,
        "callee_key": it.callee_key,
        "trunk": it.trunk,
        "call_id": it.call_id,
        "verdict_seq": it.verdict_seq,
        "ring_ms": it.ring_ms,
        "talk_ms": it.talk_ms,
        "release": it.release,
        "answered": it.answered,
        "status": it.status,
    }


def empty_tables() -> dict[str, str]:
    """For `ArchiveQuery.opened`: tables that have no file yet."""
    return {
        "outcomes": "SELECT 0::SMALLINT AS era, 0::BIGINT AS seq, now() AS time, '' AS phase, 0::BIGINT AS caller_key, "
        "0::BIGINT AS callee_key, '' AS trunk, '' AS call_id, 0::BIGINT AS verdict_seq, 0::BIGINT AS ring_ms, "
        "0::BIGINT AS talk_ms, 0::SMALLINT AS release, false AS answered, 0::SMALLINT AS status WHERE false",
    }


def order_of(lasts: Sequence[tuple[int, int]]) -> Mapping[int, int]:
    """What is added to the numbers of each era so that all of them stand in one row.

    Args:
        lasts: (era, its last number), in order of eras.
    """
    bases, base = {}, 0
    for era, last in lasts:
        bases[era] = base
        base += last
    return bases


def calls_query(bases: Mapping[int, int]) -> str:
    """SQL that joins `verdicts` and `outcomes` to call records in the layout of docs/records.md, in order of events.

    A call of which nothing was heard again after every call under way was lost from sight at once was lost then.
    """
    kept = ", ".join(f"'{FLAG_NAMES[flag]}'" for flag in (FLAG_FAIL_OPEN, FLAG_MIRRORED))
    base = " ".join(f"WHEN {era} THEN {base}" for era, base in bases.items())

    def order(era: str, seq: str) -> str:
        return f"{seq} + CASE {era} {base} ELSE 0 END" if base else seq

    return f"""
        WITH followed AS (
            SELECT era, verdict_seq,
                min(seq) FILTER (phase = 'answered') AS answered_seq,
                arg_min(time, seq) FILTER (phase = 'answered') AS answered_at,
                min(seq) FILTER (phase <> 'answered') AS ended_seq,
                arg_min(time, seq) FILTER (phase <> 'answered') AS ended_at,
                arg_min(phase, seq) FILTER (phase <> 'answered') AS ended_how,
                bool_or(answered) AS answered,
                arg_max(ring_ms, seq) AS ring_ms,
                arg_max(talk_ms, seq) AS talk_ms,
                arg_max(release, seq) AS release
            FROM outcomes WHERE verdict_seq > 0 GROUP BY ALL
        ), all_lost AS (
            SELECT era, seq, time FROM outcomes WHERE phase = 'lost' AND trunk = '' AND verdict_seq = 0
        ), calls AS (
            SELECT v.*, f.* EXCLUDE (era, verdict_seq),
                coalesce(f.answered_seq, 9223372036854775807) AS open_since
            FROM verdicts v LEFT JOIN followed f ON v.era = f.era AND v.seq = f.verdict_seq
        )
        SELECT c.call_id, c.time AS start, c.trunk::VARCHAR AS trunk, c.caller, c.callee,
            c.answered::TINYINT AS answered, c.ring_ms, c.talk_ms, c.release, c."from", c.diverter,
            list_contains(c.flags, 'anonymous')::TINYINT AS anonymous, c.roaming::VARCHAR AS roaming,
            c.answered_at, coalesce(c.ended_at, g.time) AS ended_at,
            (coalesce(c.ended_how, CASE WHEN g.seq IS NULL THEN '' ELSE 'lost' END) = 'lost')::TINYINT AS lost,
            array_to_string(list_filter(c.flags, lambda flag: flag IN ({kept})), ';') AS flags,
            {order("c.era", "c.seq")} AS seq,
            {order("c.era", "c.answered_seq")} AS answered_seq,
            {order("c.era", "coalesce(c.ended_seq, g.seq)")} AS ended_seq
        FROM calls c ASOF LEFT JOIN all_lost g ON c.era = g.era AND c.open_since <= g.seq
        ORDER BY c.era, c.seq
    """  # noqa: S608  # numbers and names of our own
