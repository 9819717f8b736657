"""One door to Numba: pure functions compiled to machine code, cached on disk.

Only pure functions over numbers and NumPy arrays belong behind this door. Numba's own cache does not notice when a
constant or a function of another file changes, so each module has a cache folder named by a digest of all that it uses.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from functools import cache, update_wrapper
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

F = TypeVar("F", bound="Callable[..., Any]")

_IMPORT = re.compile(r"^from (hutong[\w.]*) import (\([^)]*\)|.*)$", re.MULTILINE)

_KEPT_STATES = 3
_ROOT = Path(__file__).resolve().parents[1]


@cache
def _imports(path: Path) -> frozenset[Path]:
    """Files of Hutong that a module imports when it is loaded; what only type checkers import is indented."""
    found: set[Path] = set()
    for module, names in _IMPORT.findall(path.read_text(encoding="utf-8")):
        named = _ROOT.joinpath(*module.split(".")[1:])
        found.add(named.with_suffix(".py") if named.with_suffix(".py").exists() else named / "__init__.py")
        found.update(named / f"{name}.py" for name in re.findall(r"\w+", names) if (named / f"{name}.py").exists())
    return frozenset(found)


def _sources(module: Path) -> list[Path]:
    """Everything whose change may change a module's compiled code: itself, what it imports, tables they compile in."""
    found, fresh = {module}, {module}
    while fresh:
        fresh = {path for known in fresh for path in _imports(known)} - found
        found |= fresh
    tables = {path for folder in {path.parent for path in found} for path in folder.glob("data/*")}
    return sorted(found | {path for path in tables if path.suffix in {".csv", ".toml"}})


@cache
def _content(path: Path) -> bytes:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).digest()


@cache
def _cache_folder(module: Path) -> Path:
    """Where the code of a module is kept: a folder for each state of its sources, the last few of them."""
    digest = hashlib.blake2b(version("numba").encode(), digest_size=8)
    for source in _sources(module):
        digest.update(_content(source))
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hutong"
    known = module.relative_to(_ROOT) if _ROOT in module.parents else Path(module.name)
    folder = base / ".".join(known.with_suffix("").parts) / digest.hexdigest()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        states = sorted(folder.parent.iterdir(), key=lambda state: state.stat().st_mtime)
    except OSError:
        # No home to write to: compiled anew by each start, in a folder of its own.
        return Path(tempfile.mkdtemp(prefix="hutong-compiled-"))
    for stale in states[:-_KEPT_STATES]:
        shutil.rmtree(stale, ignore_errors=True)
    return folder


class _Compiled:
    """A function that is compiled when it is first called, by Python or by the code of another.

    Loading Numba takes half a second, and most commands name compiled functions without calling one.
    """

    def __init__(self, function: Callable[..., Any], options: dict[str, bool]) -> None:
        self.py_func, self._options = function, options
        self._dispatcher: Any = None
        update_wrapper(self, function)

    def __call__(self, *arguments: Any) -> Any:  # noqa: ANN401  # the function's own
        """Call the machine code."""
        return (self._dispatcher or self._made())(*arguments)

    @property
    def _numba_type_(self) -> Any:  # noqa: ANN401  # where Numba asks of what type something is that a function names
        return self._made()._numba_type_

    def _made(self) -> Any:  # noqa: ANN401  # Numba's dispatcher
        import numba  # noqa: PLC0415  # see above
        from numba.core.compiler_lock import global_compiler_lock  # noqa: PLC0415

        with global_compiler_lock:  # the folder is a setting of the whole process
            if self._dispatcher is None:
                # `_nrt` is what Numba calls its reference counts; its type stubs do not know the option.
                njit: Any = numba.njit
                config: Any = numba.config
                config.CACHE_DIR = str(_cache_folder(Path(self.py_func.__code__.co_filename)))
                made = njit(cache=True, nogil=True, _nrt=False, error_model="numpy", **self._options)
                self._dispatcher = made(self.py_func)
        return self._dispatcher


def compiled(function: F) -> F:
    """Compile on first call, keep the result on disk, release the interpreter lock while running.

    Without Numba's reference counts: they cost a third of a verdict, and functions that own no memory need none. So a
    compiled function works in arrays that it is given and makes none. Division by zero gives infinity, as in NumPy.
    The undecorated function stays reachable as `.py_func`: tests run both.
    """
    return cast("F", _Compiled(function, {}))


def inlined(function: F) -> F:
    """As `compiled`, and made part of every function that calls it.

    For what takes tuples of many arrays: each array is handed over as seven values, and a hundred arrays cost half a
    microsecond. Such a function is best called from one place.
    """
    return cast("F", _Compiled(function, {"forceinline": True}))


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
