"""Trunks: which network a call came in from, and what that network may show as caller.

Pure tables and compiled look-ups. Where the settings come from is the app's business.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from hutong.kernel.compiled import compiled, signed
from hutong.kernel.errors import ConfigError
from hutong.kernel.numbering import Numbering, trunk_key
from hutong.kernel.rules.vocabulary import open_code

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Kinds of trunk; a kind's position is its code. "unknown" is what a source outside every configured network gets.
TRUNK_KINDS = ("unknown", "international", "inter-network", "local", "enterprise")
KIND_INTERNATIONAL = TRUNK_KINDS.index("international")
KIND_ENTERPRISE = TRUNK_KINDS.index("enterprise")

#: Trunk 0 stands for every source that no trunk claims.
UNLISTED = "unlisted"

#: The high half of an IPv4 address written as IPv4-mapped IPv6 (RFC 4291 §2.5.5.2) is zero.
_MAPPED_PREFIX = 0xFFFF << 32
_ADDRESS_BITS = 128
_IPV4_SHIFT = 96


class Trunk(msgspec.Struct, frozen=True):
    """One trunk: its name, kind, source networks, own number ranges (enterprise) and next hop (host:port)."""

    name: str
    kind: str
    networks: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()
    next_hop: str = ""


class TrunkArrays(NamedTuple):
    """Trunks as arrays for the compiled look-ups.

    networks: uint64[n, 5] rows of (address high, address low, mask high, mask low, trunk), longest prefix first.
    ranges: int64[m, 3] rows of (trunk, first key, last key).
    kinds: int64[t] kind codes; keys: int64[t] number keys under which a trunk's windows are kept.
    codes: float64[t] what rules see as trunk.name; names: uint8 text of all names, name_spans: int64[t, 2] spans in it.
    proxies: uint64[p, 4] networks whose X-Hutong-Source header is believed.
    """

    networks: NDArray[np.uint64]
    ranges: NDArray[np.int64]
    kinds: NDArray[np.int64]
    keys: NDArray[np.int64]
    codes: NDArray[np.float64]
    names: NDArray[np.uint8]
    name_spans: NDArray[np.int64]
    proxies: NDArray[np.uint64]


def address_halves(text: str) -> tuple[int, int]:
    """An address as two 64-bit halves of its 128-bit form; IPv4 is mapped (RFC 4291 §2.5.5.2).

    Raises:
        ValueError: the text is no IP address.
    """
    address = ipaddress.ip_address(text)
    if address.version == 4:  # noqa: PLR2004  # the protocol's name, not a magic number
        return 0, _MAPPED_PREFIX | int(address)
    value = int(address)
    return value >> 64, value & 0xFFFF_FFFF_FFFF_FFFF


def _network_row(text: str) -> tuple[int, int, int, int]:
    network = ipaddress.ip_network(text, strict=False)
    prefix = network.prefixlen + (_IPV4_SHIFT if network.version == 4 else 0)  # noqa: PLR2004
    mask = ((1 << prefix) - 1) << (_ADDRESS_BITS - prefix) if prefix else 0
    high, low = address_halves(str(network.network_address))
    mask_high, mask_low = mask >> 64, mask & 0xFFFF_FFFF_FFFF_FFFF
    return high & mask_high, low & mask_low, mask_high, mask_low


def _range_keys(text: str, trunk: str, numbering: Numbering) -> tuple[int, int]:
    first_text, _, last_text = text.partition("-")
    first, last = numbering.read(first_text), numbering.read(last_text or first_text)
    if first.fault != "none" or last.fault != "none" or len(first.digits) != len(last.digits) or first.key > last.key:
        raise ConfigError(
            f"number range {text!r} cannot be read",
            where=f"trunk {trunk!r}",
            fix="Write FIRST-LAST as two whole numbers of equal length, for example 02161230000-02161239999.",
        )
    return first.key, last.key


def _spans(lengths: Sequence[int]) -> NDArray[np.int64]:
    ends = np.cumsum(lengths)
    return np.stack([ends - np.array(lengths), ends], axis=1).astype(np.int64)


class TrunkTable:
    """All trunks of this node, in order; position is the trunk's code (0 = unlisted)."""

    def __init__(self, trunks: Sequence[Trunk], proxies: Sequence[str], numbering: Numbering) -> None:
        self.trunks: tuple[Trunk, ...] = (Trunk(name=UNLISTED, kind=TRUNK_KINDS[0]), *trunks)
        networks = [
            (*_network_row(network), code) for code, trunk in enumerate(self.trunks) for network in trunk.networks
        ]
        networks.sort(key=lambda row: (row[2], row[3]), reverse=True)
        ranges = [
            (code, *_range_keys(text, trunk.name, numbering))
            for code, trunk in enumerate(self.trunks)
            for text in trunk.ranges
        ]
        self.arrays = TrunkArrays(
            networks=np.array(networks, dtype=np.uint64).reshape(-1, 5),
            ranges=np.array(ranges, dtype=np.int64).reshape(-1, 3),
            kinds=np.array([TRUNK_KINDS.index(trunk.kind) for trunk in self.trunks], dtype=np.int64),
            keys=np.array([trunk_key(trunk.name) for trunk in self.trunks], dtype=np.int64),
            codes=np.array([open_code(trunk.name) for trunk in self.trunks], dtype=np.float64),
            names=np.frombuffer(bytearray("".join(self.names).encode()), dtype=np.uint8),
            name_spans=_spans([len(name.encode()) for name in self.names]),
            proxies=np.array([_network_row(proxy) for proxy in proxies], dtype=np.uint64).reshape(-1, 4),
        )

    def find(self, high: int, low: int) -> int:
        """The trunk of an address given as two unsigned halves."""
        return int(find_trunk(self.arrays, np.uint64(high), np.uint64(low)))

    def believes(self, high: int, low: int) -> bool:
        """Whether this address is a proxy that may name another source."""
        return bool(is_proxy(self.arrays, np.uint64(high), np.uint64(low)))

    @property
    def names(self) -> tuple[str, ...]:
        """Names by code, as the rules' vocabulary wants them."""
        return tuple(trunk.name for trunk in self.trunks)


@compiled
def find_trunk(trunks: TrunkArrays, high: np.uint64, low: np.uint64) -> int:
    """The code of the trunk whose longest network holds the address; 0 when none does."""
    networks = trunks.networks
    for row in range(networks.shape[0]):
        if (high & networks[row, 2]) == networks[row, 0] and (low & networks[row, 3]) == networks[row, 1]:
            return signed(networks[row, 4])
    return 0


@compiled
def is_proxy(trunks: TrunkArrays, high: np.uint64, low: np.uint64) -> bool:
    """Whether the address may name another source for its calls."""
    proxies = trunks.proxies
    for row in range(proxies.shape[0]):
        if (high & proxies[row, 2]) == proxies[row, 0] and (low & proxies[row, 3]) == proxies[row, 1]:
            return True
    return False


@compiled
def in_own_ranges(trunks: TrunkArrays, trunk: int, key: int) -> bool:
    """Whether a number key lies in one of the trunk's own ranges (False for a trunk without ranges)."""
    ranges = trunks.ranges
    for row in range(ranges.shape[0]):  # noqa: SIM110  # Numba compiles no generators
        if ranges[row, 0] == trunk and ranges[row, 1] <= key <= ranges[row, 2]:
            return True
    return False
