"""HTTP/1.1 with patience that ends: uvicorn's protocol with bounds on a request's head and on how long it may take.

Without them a connection that sends its request letter by letter stays for ever, and a head without end fills memory.
Nor may one address have all connections. Not here: limits of bodies (Litestar's) and of all connections (uvicorn's
`limit_concurrency`).
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hutong.kernel.access.throttle import place_of
from hutong.kernel.addresses import parse_network
from hutong.kernel.metrics import CONNECTIONS_REFUSED

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from hutong.kernel.metrics import Metrics

#: Bytes of request line and headers.
MAX_HEAD = 32 * 1024
#: Seconds for a head to come whole, from the connection's or the head's first moment; and for the rest of a request.
HEAD_S = 10.0
BODY_S = 30.0
#: Connections of one address (IPv6: one /64): a quarter of the process's 512. A browser has six, a program's pool a few
#: dozen; people behind one address translation share it.
MOST_OF_ONE = 128

_REFUSED = b"HTTP/1.1 %s\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
_TOO_LONG = b'{"type":"about:blank","title":"Request Header Fields Too Large","status":431}'
_TOO_SLOW = b'{"type":"about:blank","title":"Request Timeout","status":408}'
_TOO_MANY = b'{"type":"/problems/too-many-connections","title":"Too many connections from this address","status":429}'


class Connections:
    """How many connections each address has.

    Args:
        proxies: networks of the reverse proxies, which carry everybody's requests and have no limit of their own.
        metrics: where refused connections are counted.
        most: connections of one address.
    """

    def __init__(self, proxies: Sequence[str], metrics: Metrics, most: int = MOST_OF_ONE) -> None:
        self._proxies = [parse_network(it) for it in proxies]
        self._metrics = metrics
        self._most = most
        self._open: Counter[str] = Counter()

    def enter(self, address: str) -> str | None:
        """What to `leave` when the connection ends; None where the address has its share already."""
        place = "" if self._is_proxy(address) else place_of(address)
        if place and self._open[place] >= self._most:
            self._metrics.add(CONNECTIONS_REFUSED)
            return None
        self._open[place] += 1
        return place

    def leave(self, place: str) -> None:
        """A connection of this place has ended."""
        self._open[place] -= 1
        if not self._open[place]:
            del self._open[place]

    def _is_proxy(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self._proxies)


class BoundedHttp(HttpToolsProtocol):
    """For `uvicorn.Config(http=partial(BoundedHttp, connections=…))`.

    Args:
        connections: shared by all connections of the process.
    """

    def __init__(self, *args: Any, connections: Connections, **options: Any) -> None:  # noqa: ANN401  # as uvicorn's
        super().__init__(*args, **options)
        self._places = connections
        self._place: str | None = None
        self._in_head = True
        self._head = self._messages = 0
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Wait for the first head, if this address may have one more connection."""
        super().connection_made(transport)
        self._place = self._places.enter(self.client[0] if self.client else "")
        if self._place is None:
            self._refuse(b"429 Too Many Requests", _TOO_MANY)
        else:
            self._wait(HEAD_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is awaited any more."""
        self._wait(0)
        if self._place is not None:
            self._places.leave(self._place)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, as far as the head is not too long."""
        if self.transport.is_closing():
            return
        if self._in_head and self._patience is None:
            self._wait(HEAD_S)
        messages = self._messages
        super().data_received(data)
        if self._in_head and messages == self._messages:
            self._head += len(data)
            if self._head > MAX_HEAD:
                self._refuse(b"431 Request Header Fields Too Large", _TOO_LONG)

    def on_headers_complete(self) -> None:
        """The head is whole; so must the body be, before long."""
        if sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD or len(self.url) > MAX_HEAD:
            self._refuse(b"431 Request Header Fields Too Large", _TOO_LONG)
            return
        self._in_head, self._head = False, 0
        self._wait(BODY_S)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """More of the body; of a request that was refused there is nothing to keep."""
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self.transport.is_closing():
            return
        self._in_head = True
        self._messages += 1
        self._wait(0)
        super().on_message_complete()

    def _wait(self, seconds: float) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self._patience = self.loop.call_later(seconds, self._give_up) if seconds else None

    def _give_up(self) -> None:
        self._patience = None
        if self._in_head:
            self._refuse(b"408 Request Timeout", _TOO_SLOW)
        else:
            # Its handler may have begun to answer: nothing can be said in between.
            self.transport.close()

    def _refuse(self, status: bytes, body: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(_REFUSED % (status, len(body), body))
            self.transport.close()
