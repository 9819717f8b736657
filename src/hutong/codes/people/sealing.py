"""Sealing: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) with random nonces, bound to what and whose it is.

Nonces of 24 bytes are drawn for every seal: no counter must be kept, nor can a restored backup repeat one.
"""

from __future__ import annotations

import secrets
from typing import Final

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 24
_VERSION: Final = b"\x01"


def new_key() -> bytes:
    """32 bytes that nobody can predict."""
    return secrets.token_bytes(KEY_BYTES)


def seal(key: bytes, plain: bytes, about: str) -> bytes:
    """Seal bytes: version, nonce, ciphertext with its tag; 41 bytes longer than `plain`.

    Args:
        key: 32 bytes. about: what the bytes are and whose; opening them as anything else fails.
    """
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return _VERSION + nonce + crypto_aead_xchacha20poly1305_ietf_encrypt(plain, about.encode(), nonce, key)


def unseal(key: bytes, sealed: bytes, about: str) -> bytes | None:
    """What was sealed with this key about this; None where it was not, or was changed."""
    if not sealed.startswith(_VERSION):
        return None
    nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    try:
        return crypto_aead_xchacha20poly1305_ietf_decrypt(body, about.encode(), nonce, key)
    except (CryptoError, ValueError, TypeError):
        return None
