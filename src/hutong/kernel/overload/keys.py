"""The file of the keys that sign waiting tickets: made at the first use, rotated, read again when it changes.

A line a key, `NAME FROM_MS SECRET`: 8 hex digits, ms since 1970 UTC from when it signs, 32 bytes in hex. The edge reads
the same file. A new key is known for `LEAD_MS` before it signs, so that whoever reads the file a little later still
knows every ticket; the key before the last one is forgotten.
"""

from __future__ import annotations

import os
import re
import secrets
from typing import TYPE_CHECKING, Final

from hutong.kernel.errors import StateError
from hutong.kernel.key_files import give_to_owner, kept_secret
from hutong.kernel.overload.tickets import Key, Keys

if TYPE_CHECKING:
    from pathlib import Path

SECRET_BYTES: Final = 32
#: From when a new key is in the file until it signs; the edge must have been reloaded by then.
LEAD_MS: Final = 10 * 60 * 1000
_LINE: Final = re.compile(rf"([0-9a-f]{{8}}) ([0-9]{{1,15}}) ([0-9a-f]{{{2 * SECRET_BYTES}}})", re.ASCII)
_MOST: Final = 2


def read_keys(text: str, where: str) -> Keys:
    """The keys of a file.

    Raises:
        StateError: it is not such a file.
    """
    lines = text.splitlines()
    found = [match for match in map(_LINE.fullmatch, lines) if match is not None]
    if not found or len(found) != len(lines) or len(found) > _MOST:
        fix = "Remove the file: a new one is made, and tickets that people hold are worth nothing any more."
        raise StateError("This is not a file of one or two ticket keys.", where=where, fix=fix)
    return Keys(
        *(Key(name, int(from_ms), bytes.fromhex(secret)) for name, from_ms, secret in (it.groups() for it in found))
    )


def fresh_key(from_ms: int) -> Key:
    """A new key that signs from then on."""
    return Key(secrets.token_hex(4), from_ms, secrets.token_bytes(SECRET_BYTES))


def rotated(keys: Keys, now_ms: int, key: Key) -> Keys:
    """The key that signs now, and a new one."""
    return Keys(keys.signing(now_ms), key)


class KeyFile:
    """The keys as they stand in the file.

    Args:
        file: where they are kept, mode 0600.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._stamp: tuple[int, int] | None = None
        self._keys: Keys | None = None

    def keys(self) -> Keys:
        """The keys; read again if the file has changed, made if there is none.

        Raises:
            OSError: the file cannot be read or made.
            StateError: it is not such a file.
        """
        try:
            found = self._file.stat()
        except FileNotFoundError:
            kept_secret(self._file, lambda: _text(Keys(fresh_key(0))))
            found = self._file.stat()
        stamp = (found.st_mtime_ns, found.st_ino)
        if self._keys is None or stamp != self._stamp:
            self._keys = read_keys(self._file.read_text(encoding="ascii", errors="replace"), str(self._file))
            self._stamp = stamp
        return self._keys

    def rotate(self, now_ms: int) -> Keys:
        """Put a new key beside the one that signs now; it takes over after `LEAD_MS`.

        Raises:
            OSError: the file cannot be read or written.
            StateError: it is not such a file, or the last new key does not sign yet.
        """
        keys = self.keys()
        if any(key is not None and key.from_ms > now_ms for key in keys):
            raise StateError(
                "The last new key does not sign yet: another one would make its tickets worthless.",
                where=str(self._file),
                fix=f"Wait {LEAD_MS // 60_000} minutes after a rotation.",
            )
        fresh = rotated(keys, now_ms, fresh_key(now_ms + LEAD_MS))
        draft = self._file.with_name(f"{self._file.name}.{secrets.token_hex(8)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            give_to_owner(out.fileno(), self._file.parent)
            out.write(_text(fresh))
            out.flush()
            os.fsync(out.fileno())
        draft.replace(self._file)
        return self.keys()


def _text(keys: Keys) -> bytes:
    return "".join(f"{it.name} {it.from_ms} {it.secret.hex()}\n" for it in keys if it is not None).encode()
