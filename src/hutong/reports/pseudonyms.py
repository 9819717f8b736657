"""Who reports, without saying who: a keyed pseudonym of the number, or of the network that a report came from.

HMAC-SHA-256 with a key of the data folder: the same number has the same pseudonym on this node, and without the key
nobody finds a number from it, though there are few enough to try them all.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from typing import TYPE_CHECKING, Final

from hutong.kernel.errors import StateError
from hutong.kernel.key_files import kept_secret

if TYPE_CHECKING:
    from pathlib import Path

KEY_FILE: Final = "reporters.key"
_BYTES: Final = 32
_LENGTH: Final = 16
_IPV6_PREFIX: Final = 64


class Pseudonyms:
    """Pseudonyms made with the key in `folder`, which the first use makes where it is missing (mode 0600).

    Args:
        folder: of the node's keys.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / KEY_FILE
        self._key = b""

    def of_number(self, digits: str) -> str:
        """Of canonical digits.

        Raises:
            StateError: the key cannot be made or read.
        """
        return self._of(b"number:" + digits.encode())

    def of_place(self, address: str) -> str:
        """Of an IP address, an IPv6 one's /64; "" for what is none. Raises StateError as above."""
        network = network_of(address)
        return self._of(b"place:" + network.encode()) if network else ""

    def of_taker(self, account: str) -> str:
        """Of an account that takes reports in without saying whose they are. Raises StateError as above."""
        return self._of(b"taker:" + account.encode())

    def of_request(self, said: bytes) -> str:
        """Of all that a request says: a plain hash would tell the reporter's number to whoever tries them all."""
        return self._of(b"request:" + said)

    def _of(self, text: bytes) -> str:
        if not self._key:
            try:
                self._key = kept_secret(self._file, lambda: secrets.token_bytes(_BYTES))
            except OSError as error:
                raise StateError(
                    f"The key of reporters cannot be used: {error.strerror}.",
                    where=str(self._file),
                    fix="Check that this user may read and write there.",
                ) from error
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()[: 2 * _LENGTH]


def network_of(address: str) -> str:
    """Whose an address counts as: itself, of IPv6 its /64; "" for what is no address."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, _IPV6_PREFIX), strict=False).network_address)
    return str(found)
