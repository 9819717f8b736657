"""A screening node's data folder, opened: journal, windows, lists, rules, counters; and the loop's `Keeper`.

Recovery lives here. The journal is the truth: the windows are rolled back to their last whole batch, and what the
journal holds beyond it is counted again. Changes of rules and lists are noticed here, between batches.
"""

from __future__ import annotations

import secrets
import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from hutong.calls import board as cells_of
from hutong.calls.alerts.conditions import NO_CONDITIONS, OWN_ALERTS, SETS, Conditions, ConditionWatcher
from hutong.calls.alerts.features import ALERT_VOCABULARY
from hutong.calls.board import Board
from hutong.calls.engine import Engine, Policy, Tables
from hutong.calls.features import SHIPPED_RULES, VOCABULARY
from hutong.calls.live.figures import write_legend
from hutong.calls.mirror import table as mirror_calls
from hutong.calls.mirror.file import CallFile
from hutong.calls.outcomes import all_lost
from hutong.calls.roaming import RoamingTable
from hutong.calls.rule_book import RULESETS, STAGES_FILE, newest_set, rule_paths
from hutong.calls.screening import replay_records
from hutong.calls.trunks import Trunk, TrunkTable
from hutong.kernel import windows
from hutong.kernel.errors import JournalError, RuleError, StateError
from hutong.kernel.journal import FileJournal
from hutong.kernel.lists.index import ListIndex
from hutong.kernel.lists.store import ListStore
from hutong.kernel.marks import MARKS, MarkFile
from hutong.kernel.numbering import Numbering
from hutong.kernel.rules.ruleset import load_saved
from hutong.kernel.rules.watcher import RuleWatcher
from hutong.kernel.scores import ScoreFile
from hutong.kernel.windows.snapshot import SnapshotKeeper

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from hutong.kernel.clock import Clock
    from hutong.kernel.journal import Frame
    from hutong.kernel.rules.ruleset import Ruleset

_MS = 1_000_000
_LISTS_EVERY = 100 * _MS
_BOARD_EVERY = 250 * _MS
_RETENTION_EVERY = 600_000 * _MS
_RULES_EVERY_S = 0.25
#: The call table's file.
_CALLS = "mirror.bin"
#: What windows look back on; a rebuild reads no older records.
_WINDOW_NS = 24 * 3600 * 1_000_000_000


class NodeSettings(msgspec.Struct, frozen=True):
    """What a node needs to know; names and units as in the settings file.

    Attributes:
        data: the data folder.
        policy: what judgement depends on.
        trunks: trunks in order. proxies: networks whose X-Hutong-Source is believed.
        home_area: completes local numbers.
        rule_folders: further folders of rule files.
        window_bytes: memory of the windows. segment_bytes: size of a journal segment.
        sync_ms: how often the journal goes to disk. keep_ns: how long records are kept.
        followed_calls: calls that mirrored signalling follows at once; 0 = none is mirrored.
    """

    data: Path
    policy: Policy
    trunks: tuple[Trunk, ...]
    proxies: tuple[str, ...]
    home_area: str
    rule_folders: tuple[Path, ...]
    window_bytes: int
    segment_bytes: int
    sync_ms: int
    keep_ns: int
    followed_calls: int = 0


class Node:
    """The state that outlives a process, and the loop's keeper.

    Args:
        settings: see `NodeSettings`.
        clock: the time.
        log: for things worth telling.
    """

    def __init__(self, settings: NodeSettings, clock: Clock, log: FilteringBoundLogger) -> None:
        self._settings, self._clock, self._log = settings, clock, log
        data = settings.data
        self.journal = FileJournal(data / "journal", segment_bytes=settings.segment_bytes, writable=True)
        self._windows = windows.WindowFile(data / "windows.bin", settings.window_bytes, boot_id=_boot_id())
        self._snapshots = SnapshotKeeper(data / "run" / "snapshot")
        self._calls = CallFile(data / _CALLS, settings.followed_calls, _boot_id()) if settings.followed_calls else None
        self._list_store = ListStore(data / "lists")
        self._lists = ListIndex(self._list_store)
        self._roaming = RoamingTable(data / "roaming")
        self._board = Board(data / "board.bin")
        self._rules = RuleWatcher(VOCABULARY, rule_paths(data, settings.rule_folders), data / STAGES_FILE)
        self._scores = ScoreFile(data / "scores")
        self._marks = MarkFile(data / MARKS)
        self._conditions = ConditionWatcher(data)
        self._fresh_rules: deque[Ruleset] = deque()
        self._fresh_conditions: deque[Conditions] = deque()
        self._unkept: Ruleset | None = None
        self._next_lists = self._next_board = 0
        self._threads: list[threading.Thread] = []
        self._closing = threading.Event()

    def open(self) -> Engine:
        """Open everything, recover, and give the engine.

        Raises:
            HutongError: something cannot be opened, or the rules are refused at the first start.
        """
        try:
            return self._open()
        except OSError as error:
            raise StateError(
                f"the data folder cannot be used: {error.strerror}.",
                where=str(error.filename or self._settings.data),
                fix="Free space, give this user the right to write there, or choose another with --data.",
            ) from error

    def _open(self) -> Engine:
        settings = self._settings
        settings.data.mkdir(parents=True, exist_ok=True, mode=0o750)
        self.journal.open()
        self._windows.open()
        self._gate = windows.BatchGate(self._windows.arrays)
        self._recover()
        self._open_calls()
        self._snapshots.open(self._windows.arrays)
        self._list_store.open()
        self._lists.load()
        self._roaming.open()
        self._board.create(self._clock.wall())
        self._read_scores()
        self._read_marks()
        numbering = Numbering(settings.home_area)
        ruleset = self._first_ruleset()
        tables = Tables(
            numbering=numbering,
            trunks=TrunkTable(settings.trunks, settings.proxies, numbering),
            windows=self._windows.arrays,
            lists=self._lists.arrays,
            roaming=self._roaming.arrays,
            calls=mirror_calls.no_table() if self._calls is None else self._calls.words,
            scores=self._scores.rows,
            marks=self._marks.rows,
        )
        self.engine = Engine(settings.policy, tables, ruleset, self._board.cells, secrets.randbits(62))
        self._keep_ruleset(ruleset)
        self._publish_ruleset(ruleset)
        self.engine.use_alerts(self._first_conditions())
        for name, work in (("journal-keeper", self._keep_journal), ("rules-watcher", self._watch_rules)):
            self._threads.append(threading.Thread(target=work, name=name, daemon=True))
            self._threads[-1].start()
        return self.engine

    def _first_ruleset(self) -> Ruleset:
        """The rules to start with: a refused file must not keep calls unscreened, so the set used last stands in.

        Raises:
            RuleError: the files are refused, and no earlier set of this version was kept.
        """
        try:
            ruleset = self._rules.poll(self._clock.monotonic())
        except RuleError as error:
            kept = newest_set(self._settings.data / RULESETS)
            last = load_saved(kept.parent, kept.stem) if kept is not None else None
            if last is None or last.vocabulary.signature() != VOCABULARY.signature():
                raise
            self._log.error("rules refused, the set used last stays", errors=str(error), digest=last.digest)
            return last
        if ruleset is None:
            raise RuleError("no rules were found.", where=str(SHIPPED_RULES), fix="Install Hutong again.")
        return ruleset

    def _first_conditions(self) -> Conditions:
        """The alert conditions to start with; where the files are refused, those used last, else none."""
        folder = self._settings.data / OWN_ALERTS / SETS
        try:
            found = self._conditions.poll(self._clock.monotonic())
            if found is not None:
                found.ruleset.save(folder).touch()
                return found
        except (RuleError, OSError) as error:
            self._log.error("alert conditions refused, the set used last stays", errors=str(error))
            kept = newest_set(folder)
            last = load_saved(folder, kept.stem) if kept is not None else None
            if last is not None and last.vocabulary.signature() == ALERT_VOCABULARY.signature():
                return Conditions(last, {})
        return NO_CONDITIONS

    def close(self) -> None:
        """Bring everything to disk and let go of it."""
        self._closing.set()
        for thread in self._threads:
            thread.join()
        self.journal.close()
        self._snapshots.close()
        self._windows.close()
        if self._calls is not None:
            self._calls.close()
        self._lists.close()
        self._list_store.close()
        self._roaming.close()
        self._board.close()

    # The loop's keeper

    def begin(self) -> int:
        """Open a batch; gives the sequence number of its first record."""
        first = self.journal.last_seq + 1
        if self._snapshots.active:
            self._snapshots.put_by()
        self._gate.begin(first)
        if self._calls is not None:
            mirror_calls.begin(self._calls.words, first)
        return first

    def commit(self, end: int, records: int, now_ns: int) -> None:
        """Journal the batch, then let its effect on the windows stand."""
        if records:
            self.journal.append_records(self.engine.records.bytes_[:end].data, records, now_ns)
        self._gate.commit(self.journal.last_seq)
        if self._calls is not None:
            mirror_calls.commit(self._calls.words)

    def abandon(self) -> None:
        """Undo the open batch."""
        windows.recover(self._windows.arrays)
        if self._calls is not None:
            mirror_calls.recover(self._calls.words)

    def tick(self, now_ns: int) -> None:
        """Notice changes, publish figures; cheap when nothing is due."""
        if now_ns >= self._next_lists or now_ns < self._next_lists - _LISTS_EVERY:
            self._next_lists = now_ns + _LISTS_EVERY
            self._refresh()
        if now_ns >= self._next_board or now_ns < self._next_board - _BOARD_EVERY:
            self._next_board = now_ns + _BOARD_EVERY
            self._publish(now_ns)
        self._snapshots.tick()

    def _refresh(self) -> None:
        changed = self._lists.refresh()
        if changed:
            # There may be more: the next turn of the loop asks again.
            self._next_lists = 0
        if self._roaming.refresh() or changed:
            self.engine.use_lists(self._lists.arrays, self._roaming.arrays)
        self._tell_lists()
        if self._read_scores():
            self.engine.use_scores(self._scores.rows)
        if self._read_marks():
            self.engine.use_marks(self._marks.rows)
        self._take_conditions()
        while self._fresh_rules:
            ruleset = self._fresh_rules[0]
            try:
                self._publish_ruleset(ruleset)
            except OSError as error:
                self._tell_unkept(ruleset, error)
                return
            self._fresh_rules.popleft()
            self.engine.use_ruleset(ruleset)
            self._log.info("rules in force", digest=ruleset.digest[:16], rules=len(ruleset.rules))

    def _tell_lists(self) -> None:
        """Say up to which change of the lists calls are judged by now: who ordered one waits for that."""
        cells = self._board.cells
        if cells[cells_of.LISTS] != self._lists.change:
            cells[cells_of.LISTS_NS] = self._clock.wall()
            cells[cells_of.LISTS] = self._lists.change

    def _read_scores(self) -> bool:
        """Take up newly published scores; a file that is none leaves those before in use."""
        try:
            return self._scores.refresh()
        except StateError as error:
            self._log.error("scores refused, those before stay", errors=str(error))
            return False

    def _read_marks(self) -> bool:
        """Take up a table of marks that is new or has grown; a file that is none leaves the one before in use."""
        try:
            return self._marks.refresh()
        except StateError as error:
            self._log.error("marks refused, those before stay", errors=str(error))
            return False

    def _take_conditions(self) -> None:
        while self._fresh_conditions:
            conditions = self._fresh_conditions.popleft()
            self.engine.use_alerts(conditions)
            ruleset = conditions.ruleset
            self._log.info("alert conditions in force", digest=ruleset.digest[:16], conditions=len(ruleset))

    def _watch_conditions(self) -> None:
        """Take up changed alert conditions and tariffs, once the set is kept for explanations."""
        try:
            found = self._conditions.poll(self._clock.monotonic())
            if found is not None:
                found.ruleset.save(self._settings.data / OWN_ALERTS / SETS).touch()
                self._fresh_conditions.append(found)
        except (RuleError, OSError) as error:
            self._log.error("alert conditions refused, the old set stays", errors=str(error))

    def _tell_unkept(self, ruleset: Ruleset, error: OSError) -> None:
        """Say once for each set that it must wait: no verdict is given that could not be explained later."""
        if ruleset is not self._unkept:
            self._unkept = ruleset
            self._log.error("rules cannot be kept, the old set stays", errors=str(error))

    def _watch_rules(self) -> None:
        """Compile changed rules in a thread of its own: no call waits for that, nor for the disk that keeps the set."""
        unkept: Ruleset | None = None
        while not self._closing.wait(_RULES_EVERY_S):
            self._watch_conditions()
            fresh = None
            try:
                fresh = self._rules.poll(self._clock.monotonic())
            except RuleError as error:
                self._log.error("rules refused, the old set stays", errors=str(error))
            ruleset = unkept if fresh is None else fresh
            if ruleset is None:
                continue
            try:
                self._keep_ruleset(ruleset)
            except OSError as error:
                self._tell_unkept(ruleset, error)
                unkept = ruleset
            else:
                self._fresh_rules.append(ruleset)
                unkept = None

    def _keep_ruleset(self, ruleset: Ruleset) -> None:
        """Keep the set for explanations of its verdicts. Raises OSError."""
        folder = self._settings.data / RULESETS
        folder.mkdir(exist_ok=True)
        ruleset.save(folder).touch()

    def _publish_ruleset(self, ruleset: Ruleset) -> None:
        """Say on the board which rule each counter is for."""
        cells = self._board.cells
        write_legend(self._settings.data, ruleset, self.engine.tables.trunks, int(cells[cells_of.GENERATION]) + 1)
        cells[cells_of.RULES_FROM : cells_of.RULES_FROM + cells_of.MAX_RULES] = 0
        cells[cells_of.GENERATION] += 1

    def _publish(self, now_ns: int) -> None:
        cells, table = self._board.cells, self._windows.arrays
        cells[cells_of.TRACKED] = windows.tracked(table)
        cells[cells_of.CAPACITY] = windows.capacity_of(table)
        cells[cells_of.EVICTED] = windows.evicted(table)
        cells[cells_of.LIST_ENTRIES] = self._lists.entries
        cells[cells_of.JOURNAL_SEQ] = self.journal.last_seq
        cells[cells_of.MARKS] = self._marks.version
        cells[cells_of.BEAT_NS] = now_ns

    def _keep_journal(self) -> None:
        """Bring the journal to disk and delete what is too old, in a thread of its own: both take time."""
        told, next_retention = "", 0
        while not self._closing.wait(self._settings.sync_ms / 1000):
            trouble, now = "", self._clock.wall()
            try:
                self.journal.sync()
                if now >= next_retention:
                    # `work` does this as well; only the writer can close a segment that nobody writes to any more.
                    next_retention = now + _RETENTION_EVERY
                    self.journal.retain(self._settings.keep_ns, now)
            except (JournalError, OSError) as error:
                trouble = str(error)
            if trouble and trouble != told:
                self._log.error("journal not on disk", errors=trouble)
            told = trouble

    def _recover(self) -> None:
        """Count again what the journal holds beyond the windows' last whole batch."""
        table = self._windows.arrays
        committed = windows.committed_seq(table)
        if self._windows.rolled_back:
            self._log.info("an interrupted batch was rolled back", rows=self._windows.rolled_back)
        if committed >= self.journal.last_seq and not self._windows.lost:
            return
        oldest = self._clock.wall() - _WINDOW_NS if self._windows.lost else 0
        records = 0
        for frame in self.journal.read_frames(committed + 1, skip_corrupt=True):
            # Frame by frame within a batch: whoever kills a recovery finds it resumable.
            self._gate.begin(frame.first_seq)
            if frame.wall_ns >= oldest:
                records += self._recount(frame, committed)
            self._gate.commit(frame.next_seq - 1)
        self._log.info("windows counted again from the journal", records=records)

    def _open_calls(self) -> None:
        """Take up the calls under way; where nobody knows them any more, say so, lest they go on for ever."""
        stale = self._settings.data / _CALLS
        if self._calls is not None:
            self._calls.open(self.journal.last_seq)
            if not self._calls.fresh:
                return
        elif not stale.exists():
            return
        if windows.tracked(self._windows.arrays):
            now = self._clock.wall()
            self._gate.begin(self.journal.last_seq + 1)
            windows.forget_active(self._windows.arrays)
            self.journal.append_records(all_lost(now // _MS), 1, now)
            self._gate.commit(self.journal.last_seq)
        if self._calls is None:
            stale.unlink()

    def _recount(self, frame: Frame, committed: int) -> int:
        words = np.frombuffer(frame.payload, dtype=np.int64)
        skip = max(committed + 1 - frame.first_seq, 0)
        return int(replay_records(self._windows.arrays, words, words.view(np.uint16), skip))


def _boot_id() -> bytes:
    """Which run of the machine this is: pages written before another one may be missing."""
    text = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return bytes.fromhex(text.replace("-", ""))
