"""References: how a URL names a telephone number without carrying it.

A reference is the number key encrypted with this node's own key: the same number has the same reference (pages can be
kept as bookmarks), and whoever reads logs, histories or referrers learns nothing. One AES block holds the key and eight
zero bytes, so a made-up reference is refused.
"""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from hutong.kernel.errors import StateError
from hutong.kernel.key_files import kept_secret

if TYPE_CHECKING:
    from pathlib import Path

_SECRET_BYTES = 32
_KEY_BYTES, _ZEROS = 8, bytes(8)
_LENGTH = 26  # characters of base32 for 16 bytes


class Refs:
    """References made with the key in `key_file`, which the first use makes where it is missing (mode 0600)."""

    def __init__(self, key_file: Path) -> None:
        self._key_file = key_file
        self._cipher: Cipher[modes.ECB] | None = None

    def ref(self, number_key: int) -> str:
        """The reference of a number key: 26 characters of a-z and 2-7.

        Raises:
            StateError: the key file cannot be made or read.
        """
        encryptor = self._ready().encryptor()
        block = encryptor.update(number_key.to_bytes(_KEY_BYTES, "big") + _ZEROS) + encryptor.finalize()
        return base64.b32encode(block).decode().rstrip("=").lower()

    def key(self, ref: str) -> int | None:
        """The number key that a reference stands for; None where it is not one of ours.

        Raises:
            StateError: the key file cannot be made or read.
        """
        if len(ref) != _LENGTH or not ref.isascii():
            return None
        try:
            block = base64.b32decode(ref.upper() + "======")
        except ValueError:
            return None
        decryptor = self._ready().decryptor()
        plain = decryptor.update(block) + decryptor.finalize()
        if plain[_KEY_BYTES:] != _ZEROS:
            return None
        number_key = int.from_bytes(plain[:_KEY_BYTES], "big")
        return number_key if self.ref(number_key) == ref else None  # one spelling for each

    def _ready(self) -> Cipher[modes.ECB]:
        if self._cipher is None:
            # ECB of one block is the block cipher itself: nothing follows that could repeat.
            self._cipher = Cipher(algorithms.AES(_secret(self._key_file)), modes.ECB())  # noqa: S305
        return self._cipher


def _secret(file: Path) -> bytes:
    """The secret in a file; made there, whole and once, if several processes find it missing at the same time."""
    try:
        secret = kept_secret(file, lambda: secrets.token_bytes(_SECRET_BYTES))
    except OSError as error:
        raise StateError(
            f"The key of references cannot be used: {error.strerror}.",
            where=str(file),
            fix="Check that this user may read and write there.",
        ) from error
    if len(secret) != _SECRET_BYTES:
        raise StateError(
            f"The key of references has {len(secret)} bytes, not {_SECRET_BYTES}.",
            where=str(file),
            fix="Restore it from a backup; or remove it, and references kept so far stand for nothing.",
        )
    return secret
