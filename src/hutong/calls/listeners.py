"""The sockets that an edge of the screening loop listens on, opened together and told apart by their descriptors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hutong.calls.datagrams import DatagramSocket
from hutong.calls.streams import StreamListener
from hutong.kernel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hutong.kernel.addresses import Listener


class Listeners:
    """Datagram sockets and stream listeners of one edge. Inert until opened.

    Args:
        listeners: where to listen.
        setting: where people wrote them, for errors.
    """

    def __init__(self, listeners: Sequence[Listener], setting: str) -> None:
        self.datagrams = [
            DatagramSocket(it.address.host, it.address.port, at)
            for at, it in enumerate(one for one in listeners if one.transport == "udp")
        ]
        streams = [StreamListener(it.address.host, it.address.port) for it in listeners if it.transport == "tcp"]
        self._setting = setting
        self._sockets: tuple[DatagramSocket | StreamListener, ...] = (*self.datagrams, *streams)
        self._by_descriptor: dict[int, DatagramSocket | StreamListener] = {}
        self._dropped_before: dict[int, int] = {}

    def open(self, watch: Callable[[int], None]) -> None:
        """Bind every socket; `watch` is told of each descriptor.

        Raises:
            ConfigError: one of them cannot be bound.
        """
        for it in self._sockets:
            try:
                it.open()
            except OSError as error:
                raise ConfigError(
                    f"cannot listen on {it.host} port {it.asked_port}: {error.strerror}.",
                    where=self._setting,
                    fix="Stop what holds the port, or choose another.",
                ) from error
            watch(it.socket.fileno())
        self._by_descriptor = {it.socket.fileno(): it for it in self._sockets}

    def close(self) -> bool:
        """Close every socket; gives whether all had been opened."""
        were_open = bool(self._by_descriptor)
        self._by_descriptor = {}
        for it in self._sockets:
            it.close()
        return were_open

    @property
    def ports(self) -> list[int]:
        """Bound ports, datagram sockets first."""
        return [it.port for it in self._sockets]

    def at(self, descriptor: int) -> DatagramSocket | StreamListener | None:
        """The socket of a descriptor; None where it is a connection's."""
        return self._by_descriptor.get(descriptor)

    def dropped(self) -> int:
        """Datagrams that the system dropped since this was asked last."""
        now = {it.index: it.dropped() for it in self.datagrams}
        lost = sum(count - self._dropped_before.get(index, 0) for index, count in now.items())
        self._dropped_before = now
        return lost
