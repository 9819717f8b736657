"""One door to Numba: pure functions compiled to machine code, cached on disk.

Only pure functions over numbers and NumPy arrays belong behind this door. Numba's own cache does not notice when a
constant or a function of another file changes, so the cache folder's name is a digest of all of them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numba
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

F = TypeVar("F", bound="Callable[..., Any]")

_KEPT_CACHES = 3


def _sources() -> Iterator[Path]:
    """Everything whose change may change compiled code: constants and tables are compiled in."""
    root = Path(__file__).resolve().parents[1]
    for folder in ("kernel", "calls"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in {".py", ".csv"} or (path.suffix == ".toml" and path.parent.name == "data"):
                yield path


def _cache_folder() -> Path:
    digest = hashlib.blake2b(numba.__version__.encode(), digest_size=8)
    for source in _sources():
        digest.update(source.read_bytes())
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "hutong" / digest.hexdigest()


def _prepare() -> None:
    folder = _cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
    except OSError:
        # No home to write to: compiled anew by each start, in a folder of its own.
        folder = Path(tempfile.mkdtemp(prefix="hutong-compiled-"))
    config: Any = numba.config
    config.CACHE_DIR = str(folder)
    caches = sorted((f for f in folder.parent.iterdir() if f.is_dir()), key=lambda f: f.stat().st_mtime)
    for stale in caches[:-_KEPT_CACHES]:
        shutil.rmtree(stale, ignore_errors=True)


_prepare()


def compiled(function: F) -> F:
    """Compile on first call, keep the result on disk, release the interpreter lock while running.

    Without Numba's reference counts: they cost a third of a verdict, and functions that own no memory need none. So a
    compiled function works in arrays that it is given and makes none. Division by zero gives infinity, as in NumPy.
    The undecorated function stays reachable as `.py_func`: tests run both.
    """
    # `_nrt` is what Numba calls its reference counts; its type stubs do not know the option.
    njit: Any = numba.njit
    return cast("F", njit(cache=True, nogil=True, _nrt=False, error_model="numpy")(function))


#: An element of an unsigned array as a signed 64-bit integer. Numba turns a mixture of both into a float, Python's own
#: `int` keeps the sign as it was, so compiled code widens elements with this before it computes with them.
signed = cast("Callable[[Any], int]", np.int64)


@compiled
def copy_bytes(out: NDArray[np.uint8], at: int, data: NDArray[np.uint8], start: int, end: int) -> int:
    """Copy data[start:end] to out[at:]; gives one past the last byte written. The caller has made sure of the room."""
    # Unsigned places spare each element the test for a negative index, so that whole vectors are copied at once.
    into, source = np.uint64(at), np.uint64(start)
    for i in range(np.uint64(max(end - start, 0))):
        out[into + i] = data[source + i]
    return at + max(end - start, 0)
