"""How settings write places on a network and ranges of numbers, read into values.

Every reader raises `ConfigError` without a place: whoever knows the file and line adds it.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Literal, cast
from urllib.parse import urlsplit

import msgspec

from hutong.kernel.errors import ConfigError

_HOST_PORT = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")
_RANGE = re.compile(r"\+?(?P<low>[0-9]{3,15})(?:-\+?(?P<high>[0-9]{3,15}))?")
HIGHEST_PORT = 65535

Transport = Literal["udp", "tcp"]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class HostPort(msgspec.Struct, frozen=True):
    """A host (IPv4, IPv6 without brackets, or name) and a port, 0 to 65535."""

    host: str
    port: int

    @property
    def is_ipv6(self) -> bool:
        """Whether the host is an IPv6 address."""
        return ":" in self.host

    def collides_with(self, other: HostPort) -> bool:
        """Whether sockets cannot be bound to both: the same port, and the same address or all of its family."""
        if self.port != other.port or not self.port or self.is_ipv6 != other.is_ipv6:
            return False
        hosts = {self._plain(), other._plain()}
        return len(hosts) == 1 or bool(hosts & {"0.0.0.0", "::"})  # noqa: S104  # compared, not bound

    def _plain(self) -> str:
        """The one way of writing an address that has several; a name in small letters."""
        try:
            return str(ipaddress.ip_address(self.host))
        except ValueError:
            return self.host.lower()

    def __str__(self) -> str:
        """As settings write it, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if self.is_ipv6 else f"{self.host}:{self.port}"


class Listener(msgspec.Struct, frozen=True):
    """A transport and the address to listen on; port 0 lets the system choose."""

    transport: Transport
    address: HostPort

    def collides_with(self, other: Listener) -> bool:
        """Whether only one of the two can listen."""
        return self.transport == other.transport and self.address.collides_with(other.address)

    def __str__(self) -> str:
        """As settings write it."""
        return f"{self.transport}:{self.address}"


class NumberRange(msgspec.Struct, frozen=True):
    """Telephone numbers from `low` to `high`, both included, of the same count of digits."""

    low: str
    high: str


def parse_host_port(text: str) -> HostPort:
    """Read `host:port` or `[IPv6]:port`.

    Raises:
        ConfigError: the text has another form, or the port is above 65535.
    """
    match = _HOST_PORT.fullmatch(text)
    if match is None:
        raise ConfigError(f"{text!r} is not host:port.", fix="Write it like 127.0.0.1:5060 or [::1]:5060.")
    port = int(match["port"])
    if port > HIGHEST_PORT:
        raise ConfigError(f"port {port} in {text!r} does not exist.", fix=f"Use 1 to {HIGHEST_PORT}.")
    host = match["v6"] or match["host"]
    looks_numeric = match["v6"] is not None or re.fullmatch(r"[0-9.]+", host) is not None
    if looks_numeric:
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise ConfigError(f"{host!r} in {text!r} is not an IP address.", fix="Correct the address.") from None
    return HostPort(host=host, port=port)


def parse_listener(text: str) -> Listener:
    """Read `udp:host:port` or `tcp:host:port`.

    Raises:
        ConfigError: another transport, or the address is wrong.
    """
    transport, _, address = text.partition(":")
    if transport not in ("udp", "tcp"):
        raise ConfigError(
            f"{text!r} does not start with udp: or tcp:.",
            fix="Write it like udp:127.0.0.1:5060 or tcp:[::1]:5060.",
        )
    return Listener(transport=cast("Transport", transport), address=parse_host_port(address))


def parse_network(text: str) -> Network:
    """Read an IPv4 or IPv6 network; a bare address is the network of itself alone.

    Raises:
        ConfigError: no network, or bits are set to the right of the mask.
    """
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        pass
    try:
        meant = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ConfigError(f"{text!r} is not a network.", fix="Write it like 10.0.0.0/8 or 2001:db8::/32.") from None
    raise ConfigError(f"{text!r} has address bits to the right of its mask.", fix=f"Write {meant}.")


def parse_range(text: str) -> NumberRange:
    """Read `LOW-HIGH` (both included) or one number.

    Raises:
        ConfigError: not digits, ends of different length, or the low end above the high end.
    """
    match = _RANGE.fullmatch(text)
    if match is None:
        raise ConfigError(f"{text!r} is not a number range.", fix="Write it like 02161230000-02161239999.")
    low, high = match["low"], match["high"] or match["low"]
    if len(low) != len(high):
        raise ConfigError(
            f"the ends of {text!r} have {len(low)} and {len(high)} digits.", fix="Give both the same count."
        )
    if low > high:
        raise ConfigError(f"{text!r} runs backwards.", fix=f"Write {high}-{low}.")
    return NumberRange(low=low, high=high)


def parse_http_url(text: str) -> str:
    """Return an http or https URL with a host, unchanged.

    Raises:
        ConfigError: another scheme, or no host.
    """
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigError(f"{text!r} is not an http or https address.", fix="Write it like http://127.0.0.1:8080/path.")
    return text
