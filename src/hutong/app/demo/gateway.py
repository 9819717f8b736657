"""The sample gateway: real sockets on loopback, one for each trunk, and one where passed calls arrive."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from hutong.app.demo import messages
from hutong.app.demo.callees import Callees
from hutong.app.demo.callers import Call
from hutong.app.demo.messages import Leg, Message
from hutong.app.demo.timers import Timers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hutong.app.demo.people import Attempt

Address = tuple[str, int]

_PACE_S = 0.01
_MOST_AT_ONCE = 25  # after a hiccup the gateway catches up gently: a real trunk does not burst
_REDIRECT = 302
_RECEIVE_BUFFER = 4 * 1024 * 1024


class Route(Struct, frozen=True):
    """Where calls go: to a proxy that follows redirects itself, or straight to Hutong."""

    first_hop: Address
    through_proxy: bool
    callees: Address
    """Where passed calls arrive."""


class Outcomes(Protocol):
    """Is told what becomes of each call."""

    def placed(self) -> None:
        """A call was begun."""

    def passed_on(self, attempt: Attempt, call_id: str, *, warned: bool, unscreened: bool) -> None:
        """The call reached its callee; unscreened if the proxy had no verdict in time."""

    def refused(self, attempt: Attempt, call_id: str, code: int, rule: str) -> None:
        """The call ended with a final answer that is no success."""

    def came_to_nothing(self, attempt: Attempt, call_id: str, why: str) -> None:
        """Nobody answered, or the answer was an error."""


class _Sip(asyncio.DatagramProtocol):
    def __init__(self, take: Callable[[Message, Address], None]) -> None:
        self._take = take

    def datagram_received(self, data: bytes, addr: Address) -> None:
        try:
            message = messages.read(data)
        except ValueError:  # not from a peer of ours: the sockets are open to the whole machine
            return
        self._take(message, addr)

    def error_received(self, exc: Exception) -> None:
        """A peer that is being restarted refuses packets for a moment; what is lost is sent again."""


class Gateway:
    """Makes calls and receives the ones that pass. Use it within one event loop.

    Args:
        route: where calls go.
        addresses: loopback address of each trunk.
        ledger: told of every outcome.
    """

    def __init__(self, route: Route, addresses: dict[str, str], ledger: Outcomes) -> None:
        self._route, self._addresses, self._ledger = route, addresses, ledger
        self._sockets: dict[str, asyncio.DatagramTransport] = {}
        self._calls: dict[str, Call] = {}
        self._warned: set[str] = set()
        self._unscreened: set[str] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._serial = 0
        self._callees: Callees | None = None

    async def start(self) -> None:
        """Open the sockets.

        Raises:
            OSError: an address cannot be had.
        """
        loop = asyncio.get_running_loop()
        for trunk, host in self._addresses.items():
            self._sockets[trunk] = await _open((host, 0), self._caller_side)
        arrivals = await _open(self._route.callees, self._callee_side)
        self._sockets[""] = arrivals
        self._callees = Callees(loop, arrivals.sendto, _name(arrivals), self._attempt_of, self._reached)

    def stop(self) -> None:
        """Close the sockets; calls under way are forgotten."""
        for call in self._calls.values():
            call.timers.end()
        self._calls.clear()
        if self._callees is not None:
            self._callees.stop()
        for transport in self._sockets.values():
            transport.close()

    async def run(self, attempts: Iterator[Attempt], per_second: float, stop: asyncio.Event) -> None:
        """Make calls at an even pace until `stop` is set."""
        loop = asyncio.get_running_loop()
        due, last = 0.0, loop.time()
        while not stop.is_set():
            now = loop.time()
            due = min(due + (now - last) * per_second, _MOST_AT_ONCE)
            last = now
            while due >= 1:
                self.place(next(attempts))
                due -= 1
            await asyncio.sleep(_PACE_S)

    async def drain(self, seconds: float) -> None:
        """Let the calls under way come to their end, for so long at most; the rest have failed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        for call in list(self._calls.values()):
            call.abandon()

    def place(self, attempt: Attempt) -> None:
        """Begin a call."""
        self._serial += 1
        trunk = self._sockets[attempt.trunk]
        host, port = self._route.first_hop
        leg = Leg(
            call_id=f"{self._serial:08x}-{attempt.trunk}@demo.invalid",
            local=_name(trunk),
            caller=attempt.caller,
            from_tag=f"t{self._serial:x}",
            uri=f"sip:{attempt.callee}@{host}:{port}",
        )
        call = Call(
            attempt,
            leg,
            self._route.first_hop,
            follow=not self._route.through_proxy,
            send=trunk.sendto,
            over=self._over,
            timers=Timers(asyncio.get_running_loop()),
        )
        self._calls[leg.call_id] = call
        self._idle.clear()
        self._ledger.placed()
        call.begin()

    def _caller_side(self, message: Message, _peer: Address) -> None:
        call = self._calls.get(message.first("call-id"))
        if call is not None and message.status:
            call.received(message)

    def _callee_side(self, message: Message, peer: Address) -> None:
        if self._callees is not None and message.method:
            self._callees.received(message, peer)

    def _attempt_of(self, call_id: str) -> Attempt | None:
        call = self._calls.get(call_id)
        return call.attempt if call is not None else None

    def _reached(self, call_id: str, invite: Message) -> None:
        if invite.first("hutong-warning"):
            self._warned.add(call_id)
        if invite.first("hutong-unscreened"):
            self._unscreened.add(call_id)

    def _over(self, call: Call, last: Message | None) -> None:
        call_id = call.leg.call_id
        del self._calls[call_id]
        if not self._calls:
            self._idle.set()
        warned, unscreened = call_id in self._warned, call_id in self._unscreened
        self._warned.discard(call_id)
        self._unscreened.discard(call_id)
        if call.answered or (call.gave_up and last is not None):
            self._ledger.passed_on(call.attempt, call_id, warned=warned, unscreened=unscreened)
        elif last is None:
            self._ledger.came_to_nothing(call.attempt, call_id, "no answer")
        elif last.status == _REDIRECT:  # nobody on the way follows it: whoever did would connect the call
            warned = bool(last.first("hutong-warning"))
            self._ledger.passed_on(call.attempt, call_id, warned=warned, unscreened=False)
        else:
            self._ledger.refused(call.attempt, call_id, last.status, messages.rule_of(last))


def _name(transport: asyncio.DatagramTransport) -> str:
    host, port = transport.get_extra_info("sockname")[:2]
    return f"{host}:{port}"


async def _open(address: Address, take: Callable[[Message, Address], None]) -> asyncio.DatagramTransport:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Sip(take), local_addr=address)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    return transport
