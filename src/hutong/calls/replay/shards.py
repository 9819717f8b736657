"""A replay in shards: every number has one of K replays, which judges its calls and counts the calls to it.

A call goes to its caller's shard to be judged. Where its callee is at home in another, it goes there too, marked
CALLED: it is counted as one that the callee got, with what became of it, and not judged. So all that a number did and
got is counted where its calls are judged, and what rules read of the caller is the same for every K (`partition` says
what is not). One shard is the plain replay. Which shard a number has is a matter of the number, not of its spelling.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from hutong.calls.model import ACTION_BLOCK
from hutong.calls.replay.batch import CALLED, UNKNOWN, CallBatch, Judged, Texts, empty_texts, new_judged
from hutong.calls.replay.partition import without_windows
from hutong.calls.replay.replay import Replay
from hutong.calls.trunks import KIND_INTERNATIONAL
from hutong.kernel.compiled import compiled
from hutong.kernel.errors import StateError
from hutong.kernel.numbering import NUMBER_FIELDS, read_number
from hutong.kernel.numbering.codes import KEY

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from numpy.typing import NDArray

    from hutong.calls.replay.replay import Consulted, Terms
    from hutong.kernel.numbering import PlanArrays
    from hutong.kernel.rules.ruleset import Ruleset

#: Most shards of one replay: each has windows of its own.
MOST_SHARDS: Final = 4096
_PROTOCOL: Final = 5  # keeps which arrays are read-only, and with that the compiled code that is already there
_PATIENCE: Final = 10.0
_FEW_NUMBERS: Final = 16


class Case(NamedTuple):
    """All that a replay is made of: can be pickled, so any process can make the same one. See `Replay`."""

    ruleset: Ruleset
    consulted: Consulted
    terms: Terms

    def replay(self) -> Replay:
        """A new replay."""
        return Replay(self.ruleset, self.consulted, self.terms)

    def shard(self) -> Shard:
        """A new shard's replay."""
        return Shard(self)

    def packed(self) -> bytes:
        """For another process, which gives it to `unpacked`."""
        return pickle.dumps(self, _PROTOCOL)


def unpacked(packed: bytes) -> Case:
    """The case of `Case.packed`; only ever of one's own bytes."""
    case = pickle.loads(packed)  # noqa: S301  # made by the process that started this one
    if not isinstance(case, Case):
        raise TypeError("not a case")
    return case


def shard_of(keys: NDArray[np.int64], shards: int) -> NDArray[np.int32]:
    """The shard of each number key, 0 to shards - 1; the same on every machine and in every version.

    The key is mixed as SplitMix64 does (Steele, Lea, Flood, OOPSLA 2014) and taken modulo `shards`. Calls without a
    caller have the key 0 and go together.
    """
    mixed = keys.astype(np.uint64)
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return (mixed % np.uint64(shards)).astype(np.int32)


@compiled
def _read_keys(
    plan: PlanArrays,
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    abroad: NDArray[np.int64],
    number: NDArray[np.int64],
    keys: NDArray[np.int64],
) -> None:
    for i in range(keys.shape[0]):
        read_number(plan, data, offsets[i], offsets[i + 1], abroad[i], number)
        keys[i] = number[KEY]


class Homes(NamedTuple):
    """Where the parties of calls are at home: int32[n] of shards each."""

    caller: NDArray[np.int32]
    callee: NDArray[np.int32]


def homes_of(batch: CallBatch, consulted: Consulted, shards: int) -> Homes:
    """The shards of each call's parties, by the keys that they have on its trunk."""
    abroad = (consulted.trunks.arrays.kinds[batch.trunk] == KIND_INTERNATIONAL).astype(np.int64)
    return Homes(
        shard_of(_keys(batch.caller, consulted, abroad), shards),
        shard_of(_keys(batch.callee, consulted, np.zeros_like(abroad)), shards),
    )


def _keys(texts: Texts, consulted: Consulted, abroad: NDArray[np.int64]) -> NDArray[np.int64]:
    data = texts.data.view()
    data.flags.writeable = False
    keys, number = np.zeros(len(abroad), dtype=np.int64), np.zeros(NUMBER_FIELDS, dtype=np.int64)
    _read_keys(consulted.numbering.arrays, data, texts.offsets.astype(np.int64), abroad, number, keys)
    return keys


def picked(batch: CallBatch, places: NDArray[np.int64]) -> CallBatch:
    """Some calls of a batch, without their Call-IDs, which judging does not read."""
    columns: dict[str, Any] = {
        name: _picked_texts(column, places) if isinstance(column, Texts) else column[places]
        for name, column in batch._replace(call_id=empty_texts(batch.n))._asdict().items()
        if name != "n"
    }
    return CallBatch(n=len(places), **columns)


def _picked_texts(column: Texts, places: NDArray[np.int64]) -> Texts:
    offsets = np.ascontiguousarray(column.offsets.astype(np.int64))
    if offsets[0] == offsets[-1]:
        return empty_texts(len(places))
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(column.data))]
    some = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(offsets) - 1, buffers).take(pa.array(places))
    _, ends, data = some.buffers()
    return Texts(
        np.frombuffer(data or b"", dtype=np.uint8),
        np.frombuffer(ends, dtype=np.int64)[some.offset : some.offset + len(some) + 1],
    )


def for_shard(batch: CallBatch, homes: Homes, shard: int) -> tuple[CallBatch, NDArray[np.int64]]:
    """What one shard gets of a batch, and which calls those are that it judges."""
    places = np.flatnonzero((homes.caller == shard) | (homes.callee == shard))
    mine = homes.caller[places] == shard
    some = picked(batch, places)
    return some._replace(flags=np.where(mine, some.flags, some.flags | np.uint16(CALLED))), places[mine]


class Shard:
    """The replay of one shard; one thread uses it.

    Of a call that is refused there is no outcome to count. Whether one marked CALLED was refused is found out here, as
    far as it takes no windows: lists, and rules that read none.
    """

    def __init__(self, case: Case) -> None:
        self._replay = case.replay()
        terms = msgspec.structs.replace(case.terms, capacity=_FEW_NUMBERS, most_under_way=1)
        self._aside = Replay(without_windows(case.ruleset), case.consulted, terms)

    def feed(self, batch: CallBatch) -> Judged:
        """Judge the calls of a batch that follows the one before; those marked CALLED are left out of what is given."""
        called = (batch.flags & np.uint16(CALLED)) != 0
        if not called.any():
            return self._replay.feed(batch)
        there = np.flatnonzero(called)
        some = picked(batch, there)
        unknown = np.full(some.n, UNKNOWN, dtype=np.int8)
        aside = self._aside.feed(some._replace(flags=some.flags & np.uint16(CALLED - 1), answered=unknown))
        answered = batch.answered.copy()
        answered[there[aside.action == ACTION_BLOCK]] = UNKNOWN
        out = self._replay.feed(batch._replace(answered=answered))
        return Judged(*(column[~called] for column in out))

    def finish(self) -> None:
        """Let go of all memory."""
        self._replay.finish()
        self._aside.finish()


class Shards:
    """K replays in as many processes as there are cores, or K if that is less; a judge as `records.run` wants it.

    A batch is judged by all of them at once, so memory is theirs and one batch's. Close it in the end.

    Args:
        case: what each shard's replay is made of.
        shards: K, 1 to MOST_SHARDS.
        processes: how many; by default one for each core that this process may use.
    """

    def __init__(self, case: Case, shards: int, processes: int | None = None) -> None:
        self._case, self._shards = case, shards
        self._count = min(shards, processes or len(os.sched_getaffinity(0)))
        self._workers: list[tuple[multiprocessing.process.BaseProcess, Connection]] = []

    def feed(self, batch: CallBatch) -> Judged:
        """Judge a batch that follows the one before.

        Raises:
            StateError: a process of it has ended.
        """
        if not self._workers:
            self._start()
        out = new_judged(batch.n, len(self._case.ruleset.rules))
        homes = homes_of(batch, self._case.consulted, self._shards)
        parts = [for_shard(batch, homes, one) for one in range(self._shards)]
        there = [one for one in range(self._shards) if parts[one][0].n]
        try:
            for worker, (_, connection) in enumerate(self._workers):
                mine = [one for one in there if one % self._count == worker]
                connection.send([(one, parts[one][0]) for one in mine])
            for _, connection in self._workers:
                for one, judged in connection.recv():
                    _put(out, parts[one][1], judged)
        except (EOFError, OSError) as error:
            raise StateError(
                "A process that judged a shard has ended.", fix="Memory? Each shard has windows of windows.memory_mb."
            ) from error
        return out

    def close(self) -> None:
        """End all processes."""
        for _, connection in self._workers:
            connection.close()
        for process, _ in self._workers:
            process.join(_PATIENCE)
            if process.is_alive():
                process.terminate()
                process.join()
        self._workers = []

    def _start(self) -> None:
        # Forking would copy the threads' locks of Arrow and of whoever draws progress, without the threads.
        context = multiprocessing.get_context("spawn")
        packed = self._case.packed()
        for _ in range(self._count):
            mine, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, packed), daemon=True)
            process.start()
            theirs.close()
            self._workers.append((process, mine))


def _put(out: Judged, places: NDArray[np.int64], part: Judged) -> None:
    out.action[places], out.decided[places] = part.action, part.decided
    out.fired[places], out.score[places] = part.fired, part.score


def _serve(connection: Connection, packed: bytes) -> None:
    """A process of some shards: judges what comes until nothing comes any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    case, replays = unpacked(packed), dict[int, Shard]()
    with suppress(EOFError, OSError):
        while True:
            parts: list[tuple[int, CallBatch]] = connection.recv()
            told = []
            for shard, batch in parts:
                if shard not in replays:
                    replays[shard] = case.shard()
                told.append((shard, replays[shard].feed(batch)))
            connection.send(told)
