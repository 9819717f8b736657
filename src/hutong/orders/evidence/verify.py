"""Whether a pack is what was signed: offline, with nothing but the file and a public key. Names the first bad file."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from typing import TYPE_CHECKING, Final

import msgspec

from hutong.kernel.audit.notes import NoteError, open_note, read_checkpoint
from hutong.kernel.audit.proofs import verify_proof
from hutong.orders.errors import OrderError
from hutong.orders.evidence.pack import CHECKPOINT, FORMAT, MANIFEST, PROOFS, SIGNATURE, Manifest, signed_text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import BinaryIO

    from hutong.kernel.audit.notes import PublicKey

_LONGEST: Final = 64 * 1024 * 1024
_PIECE: Final = 1024 * 1024
#: What reading a member of a damaged or hostile ZIP file may raise.
_DAMAGED: Final = (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, RuntimeError, ValueError, zlib.error)


class PackError(OrderError):
    """A pack is not what was signed; `where` is the first bad file."""


def verify_pack(file: BinaryIO, keys: Iterable[PublicKey]) -> Manifest:
    """What a pack says of itself, once signature, files and proofs are found right.

    Args:
        keys: any of which may have signed it.

    Raises:
        PackError: says which file is wrong, and how.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            return _verified(archive, list(keys))
    except _DAMAGED as error:
        raise PackError(f"This is no whole ZIP file: {error}.") from error


def _each_once(names: list[str]) -> set[str]:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise PackError("It is in the pack twice.", where=name)
        seen.add(name)
    return seen


def _verified(archive: zipfile.ZipFile, keys: list[PublicKey]) -> Manifest:
    names = archive.namelist()
    seen = _each_once(names)
    manifest = _signed(archive, names, keys)
    listed = {it.name for it in manifest.files}
    for it in manifest.files:
        if it.name not in seen:
            raise PackError("It is missing.", where=it.name)
        if _hashed(archive, it.name, it.size) != it.sha256:
            raise PackError("It is not what was signed: changed after the pack was made.", where=it.name)
    for name in names:
        if name not in listed and name not in {MANIFEST, SIGNATURE}:
            raise PackError("It was added: the manifest does not name it.", where=name)
    for name in sorted(listed):
        if name.startswith(PROOFS) and name.endswith(".tlog-proof"):
            _prove(archive, name, keys)
    if CHECKPOINT in listed:
        _prove(archive, CHECKPOINT, keys)
    return manifest


def _signed(archive: zipfile.ZipFile, names: list[str], keys: list[PublicKey]) -> Manifest:
    for name in (MANIFEST, SIGNATURE):
        if name not in names:
            raise PackError("It is missing: this is no evidence pack.", where=name)
    manifest = _bytes(archive, MANIFEST)
    try:
        text = open_note(_text(archive, SIGNATURE), keys)
    except NoteError as error:
        raise PackError(error.what, where=SIGNATURE, fix="Give the key that `hutong audit key` says.") from error
    if text != signed_text(manifest):
        raise PackError("It is not what was signed.", where=MANIFEST)
    try:
        found = msgspec.json.decode(manifest, type=Manifest)
    except msgspec.DecodeError as error:
        raise PackError(f"It cannot be read: {error}.", where=MANIFEST) from error
    if found.format != FORMAT:
        raise PackError(f"It has the form {found.format!r}, this version reads {FORMAT}.", where=MANIFEST)
    return found


def _prove(archive: zipfile.ZipFile, name: str, keys: list[PublicKey]) -> None:
    text = _text(archive, name)
    try:
        if name == CHECKPOINT:
            read_checkpoint(open_note(text, keys))
        else:
            verify_proof(text, keys)
    except NoteError as error:
        raise PackError(error.what, where=name) from error


def _hashed(archive: zipfile.ZipFile, name: str, size: int) -> str:
    """The hash of a file that has this size; empty where it is longer."""
    digest, left = hashlib.sha256(), size
    try:
        with archive.open(name) as source:
            while piece := source.read(_PIECE):
                left -= len(piece)
                if left < 0:
                    return ""
                digest.update(piece)
    except _DAMAGED:
        return ""
    return digest.hexdigest()


def _bytes(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        with archive.open(name) as source:
            content = source.read(_LONGEST + 1)
    except _DAMAGED as error:
        raise PackError("It cannot be unpacked: changed after the pack was made.", where=name) from error
    if len(content) > _LONGEST:
        raise PackError("It is too long.", where=name)
    return content


def _text(archive: zipfile.ZipFile, name: str) -> str:
    return _bytes(archive, name).decode("utf-8", "replace")
