"""One door to Numba: pure functions compiled to machine code, cached on disk.

Only pure functions over numbers and NumPy arrays belong behind this door. Numba's own cache does not notice when a
function that is called from another file changes, so the cache folder's name is a digest of the whole package.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numba

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")

_KEPT_CACHES = 3


def _cache_folder() -> Path:
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.blake2b(numba.__version__.encode(), digest_size=8)
    for source in sorted(root.rglob("*.py")):
        text = source.read_bytes()
        if b"@compiled" in text:
            digest.update(text)
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "hutong" / digest.hexdigest()


def _prepare() -> None:
    folder = _cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)
    numba.config.CACHE_DIR = str(folder)
    caches = sorted((f for f in folder.parent.iterdir() if f.is_dir()), key=lambda f: f.stat().st_mtime)
    for stale in caches[:-_KEPT_CACHES]:
        shutil.rmtree(stale, ignore_errors=True)


_prepare()


def compiled(function: F) -> F:
    """Compile on first call, keep the result on disk, release the interpreter lock while running.

    The undecorated function stays reachable as `.py_func`: tests run both.
    """
    return cast("F", numba.njit(cache=True, nogil=True)(function))
