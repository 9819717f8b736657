"""Secrets of a data folder: made at the first use, whole and once, for their owner alone."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def kept_secret(file: Path, fresh: Callable[[], bytes]) -> bytes:
    """The content of a file; what `fresh` gives, with mode 0600, if several processes find it missing at the same time.

    Raises:
        OSError: it cannot be made or read.
    """
    if not file.exists():
        make_folder(file.parent, 0o700)
        draft = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            give_to_owner(out.fileno(), file.parent)
            out.write(fresh())
            out.flush()
            os.fsync(out.fileno())
        try:
            os.link(draft, file)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        # Whoever has it writes rows that need it: its name must be on disk before they are.
        sync_folder(file.parent)
    return file.read_bytes()


def make_folder(folder: Path, mode: int) -> None:
    """Make a folder where there is none. Raises OSError."""
    if not folder.is_dir():
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            give_to_owner(descriptor, folder.parent)
        finally:
            os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Let the names in a folder be on disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def give_to_owner(descriptor: int, folder: Path) -> None:
    """Let what root made belong to the folder's owner: a command of root's must not keep the node out."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
