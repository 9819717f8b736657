"""The file of a backup: a tar of the members, and at its end a manifest with the SHA-256 of each.

Belongs here: writing, reading and verifying the file. What is in it, and where that comes from and goes to, does not.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import zlib
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Final

import msgspec

from hutong.kernel.errors import StateError
from hutong.kernel.json_bytes import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
ZIPPED: Final = (".tar.gz", ".tgz")
_PIECE: Final = 1 << 20
#: Bytes; enough for half a million members.
_LONGEST_MANIFEST: Final = 1 << 26
#: Journals hardly shrink further at higher levels, and each costs the time again.
_LEVEL: Final = 1
_DAMAGED = (tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError)


class Member(msgspec.Struct, frozen=True):
    """One file of the backup: its place in the data folder, its bytes, their SHA-256 in hex."""

    name: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What a backup holds.

    Attributes:
        format: of the backup. hutong: the version that made it. node: the node's name.
        made_ms: when, milliseconds since 1970 UTC.
        first_seq, seq: the first and last journal record in it.
        windows_seq: the last record whose effects are in the windows; -1 where there are none.
        windows_size: the length that the window file must be given again.
        entries: how many entries of each list store there are.
        rows: how many rows of each table of the records.
        members: every file but this one, in order.
    """

    format: int
    hutong: str
    node: str
    made_ms: int
    first_seq: int
    seq: int
    windows_seq: int
    windows_size: int
    entries: dict[str, int]
    rows: dict[str, int]
    members: tuple[Member, ...] = ()


class _Counted(io.RawIOBase):
    """Hashes and counts what goes through to a file."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self.digest = hashlib.sha256()
        self.written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:  # noqa: ANN401  # whatever has bytes
        size = memoryview(data).nbytes
        self._out.write(data)
        self.digest.update(data)
        self.written += size
        return size


class ArchiveWriter:
    """Writes a backup to anything that takes bytes; it is never read back, so a pipe will do.

    Args:
        out: where to. zipped: whether to compress.
        now_s: the members' time, seconds since 1970.
        progress: told of every so many bytes.
    """

    def __init__(self, out: BinaryIO, *, zipped: bool, now_s: int, progress: Callable[[int], None]) -> None:
        self._whole = _Counted(out)
        self._zip = gzip.GzipFile("", "wb", _LEVEL, self._whole, mtime=now_s) if zipped else None
        self._tar = tarfile.open(fileobj=self._zip or self._whole, mode="w|", bufsize=_PIECE)  # noqa: SIM115  # see `close`
        self._now_s = now_s
        self._progress = progress
        self._members: list[Member] = []

    @property
    def written(self) -> int:
        """Bytes written so far."""
        return self._whole.written

    @property
    def sha256(self) -> str:
        """SHA-256 of everything written so far, in hex."""
        return self._whole.digest.hexdigest()

    def add(self, name: str, source: BinaryIO, size: int, *, mode: int = 0o640) -> None:
        """Add the next `size` bytes of `source`.

        Raises:
            StateError: there are fewer.
            OSError: they cannot be read or written.
        """
        reader = _Reader(source, size, self._progress)
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = size, mode & 0o777, self._now_s
        try:
            self._tar.addfile(info, reader)  # type: ignore[arg-type]  # it only reads
        except OSError as error:
            if reader.left and not error.errno:
                raise StateError(f"{name} became shorter while it was read.", fix="Try again.") from error
            raise
        self._members.append(Member(name, size, reader.digest.hexdigest()))

    def add_bytes(self, name: str, content: bytes, *, mode: int = 0o640) -> None:
        """Add a small file."""
        self.add(name, io.BytesIO(content), len(content), mode=mode)

    def close(self, manifest: Manifest) -> Manifest:
        """Add the manifest, completed with the members, and end the file."""
        whole = msgspec.structs.replace(manifest, members=tuple(self._members))
        self.add_bytes(MANIFEST, msgspec.json.encode(whole))
        self._tar.close()
        if self._zip is not None:
            self._zip.close()
        return whole


class _Reader:
    """The bytes of one member, hashed as they pass."""

    def __init__(self, source: BinaryIO, size: int, progress: Callable[[int], None]) -> None:
        self._source, self.left, self._progress = source, size, progress
        self.digest = hashlib.sha256()

    def read(self, size: int) -> bytes:
        data = self._source.read(min(size, self.left, _PIECE) if size > _PIECE else min(size, self.left))
        self.left -= len(data)
        self.digest.update(data)
        self._progress(len(data))
        return data


def unpack(file: Path, folder: Path, wanted: Callable[[str], bool], progress: Callable[[int], None]) -> Manifest:
    """Unpack a backup into an empty folder and verify every byte of it.

    Args:
        file: the backup. folder: an existing folder; what is in it counts only when this returns.
        wanted: whether a member of this name belongs into a backup.
        progress: told of every so many bytes.

    Raises:
        StateError: no backup, cut short, changed, or of a later format; says which.
        OSError: the folder cannot be written.
    """
    found: dict[str, Member] = {}
    manifest = b""
    try:
        with tarfile.open(file, "r:*") as tar:
            for info in tar:
                known = info.name == MANIFEST or (wanted(info.name) and info.name not in found)
                if not known or not info.isreg() or info.sparse is not None:
                    raise _refused(file, f"it holds {info.name!r}, which no backup does")
                source = tar.extractfile(info)
                assert source is not None  # noqa: S101  # a regular file has content
                if info.name == MANIFEST:
                    if info.size > _LONGEST_MANIFEST:
                        raise _refused(file, "its manifest is too long")
                    manifest = source.read()
                else:
                    found[info.name] = _unpack_one(source, info, folder, progress)
    except FileNotFoundError as error:
        if error.filename != str(file):
            raise
        raise StateError("there is no such file.", where=str(file)) from error
    except _DAMAGED as error:
        raise _refused(file, f"it cannot be read to its end ({str(error).partition(':')[0]})") from error
    return _verified(file, manifest, found)


def _unpack_one(source: IO[bytes], info: tarfile.TarInfo, folder: Path, progress: Callable[[int], None]) -> Member:
    path = folder / info.name
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    digest = hashlib.sha256()
    size = 0
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, info.mode & 0o777), "wb") as out:
        for data in _pieces(source):
            out.write(data)
            digest.update(data)
            size += len(data)
            progress(len(data))
        out.flush()
        os.fsync(out.fileno())
    return Member(info.name, size, digest.hexdigest())


def _pieces(source: IO[bytes]) -> Iterator[bytes]:
    while data := source.read(_PIECE):
        yield data


def _verified(file: Path, content: bytes, found: dict[str, Member]) -> Manifest:
    if not content:
        raise _refused(file, "its manifest is missing: it is no backup, or it was cut short")
    try:
        version = msgspec.json.decode(content, type=_Version)
        if version.format > FORMAT:
            raise StateError(
                f"This backup was made by version {version.hutong}, which is newer.",
                where=str(file),
                fix="Restore it with that version.",
            )
        manifest = msgspec.json.decode(content, type=Manifest)
    except UNREADABLE as error:
        raise _refused(file, f"its manifest cannot be read ({error})") from error
    for name in _differing(manifest.members, found):
        raise _refused(file, f"{name} is missing or not as it was backed up")
    return manifest


class _Version(msgspec.Struct):
    format: int
    hutong: str


def _differing(members: Iterable[Member], found: dict[str, Member]) -> Iterator[str]:
    expected = {member.name: member for member in members}
    yield from (name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))


def _refused(file: Path, why: str) -> StateError:
    return StateError(
        f"This backup cannot be trusted: {why}.", where=str(file), fix="Nothing was restored. Use another copy."
    )
