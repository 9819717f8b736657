"""One LMDB environment for each folder and process, however many stores are opened on it.

LMDB allows a process to open an environment only once, and its map must not move under a transaction of another thread.
So whoever opens the same lists in one process shares the environment, and with it the lock around transactions.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, TypeVar

import lmdb

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Transaction = lmdb.Transaction[bytes]

Result = TypeVar("Result")
_MAX_READERS = 512


class Environment:
    """An open environment: `lmdb`, the `lock` that every transaction holds, and how many stores use it."""

    def __init__(self, handle: lmdb.Environment) -> None:
        self.lmdb = handle
        self.lock = threading.RLock()
        self.users = 0


_open: Final[dict[Path, Environment]] = {}
_opening = threading.Lock()


def take(folder: Path, *, map_bytes: int, databases: int) -> Environment:
    """The environment in `folder`, which is made where it is missing; to be given back with `give_back`.

    Args:
        folder: its folder.
        map_bytes: the address space to begin with, where it is not open yet.
        databases: how many named databases it holds.

    Raises:
        OSError, lmdb.Error: the folder cannot be used.
    """
    with _opening:
        folder.mkdir(parents=True, exist_ok=True)
        place = folder.resolve()
        if place not in _open:
            handle = lmdb.open(str(folder), map_size=map_bytes, max_dbs=databases, max_readers=_MAX_READERS)
            handle.reader_check()
            _open[place] = Environment(handle)
        _open[place].users += 1
        return _open[place]


def give_back(environment: Environment) -> None:
    """Close the environment when the last store lets go of it."""
    with _opening:
        environment.users -= 1
        if not environment.users:
            for place, known in list(_open.items()):
                if known is environment:
                    del _open[place]
            environment.lmdb.close()


def read(env: lmdb.Environment, lock: threading.RLock, work: Callable[[Transaction], Result]) -> Result:
    """What `work` finds in one view."""
    with lock:
        try:
            with env.begin() as txn:
                return work(txn)
        except lmdb.MapResizedError:
            env.set_mapsize(0)  # another process made the map larger: take its size
            with env.begin() as txn:
                return work(txn)


def write(env: lmdb.Environment, lock: threading.RLock, work: Callable[[Transaction], Result]) -> Result:
    """What `work` gives, once its changes are on disk; it is done again with a larger map when the map was full.

    Raises:
        lmdb.DiskError: nothing was kept.
    """
    with lock:
        while True:
            try:
                with env.begin(write=True) as txn:
                    return work(txn)
            except lmdb.MapResizedError:
                env.set_mapsize(0)
            except lmdb.MapFullError:
                env.set_mapsize(2 * int(env.info()["map_size"]))
