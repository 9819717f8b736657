"""The callees' side of the sample gateway: phones that ring, are answered and are hung up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hutong.app.demo import messages
from hutong.app.demo.timers import Timers

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from hutong.app.demo.messages import Message
    from hutong.app.demo.people import Attempt

Address = tuple[str, int]

_FORGET_AFTER_S = 20.0  # no retransmission comes later (RFC 3261 §17.1.1.2: 64 × T1 is 32 s; ours stops at 16 s)


class _Phone:
    def __init__(self, invite: Message, peer: Address, tag: str, timers: Timers) -> None:
        self.invite, self.peer, self.tag, self.timers = invite, peer, tag, timers
        self.last = b""
        self.acknowledged = False


class Callees:
    """Everybody who can be called.

    Args:
        loop: for timers.
        send: to an address, from where callees are.
        contact: host:port of that place.
        attempt_of: the attempt behind a Call-ID, None if it is not ours.
        reached: told once for each call that arrives: its Call-ID, and the INVITE.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        send: Callable[[bytes, Address], None],
        contact: str,
        attempt_of: Callable[[str], Attempt | None],
        reached: Callable[[str, Message], None],
    ) -> None:
        self._loop, self._send, self._contact = loop, send, contact
        self._attempt_of, self._reached = attempt_of, reached
        self._phones: dict[str, _Phone] = {}

    def received(self, message: Message, peer: Address) -> None:
        """A request from whoever hands calls on."""
        call_id = message.first("call-id")
        phone = self._phones.get(call_id)
        if message.method == "INVITE":
            self._invited(call_id, message, peer)
        elif phone is None:
            if message.method != "ACK":
                self._send(messages.answer(message, "481 Call/Transaction Does Not Exist", "none"), peer)
        elif message.method == "ACK":
            phone.acknowledged = True
        elif message.method in ("BYE", "CANCEL"):
            phone.acknowledged = True
            self._send(messages.answer(message, "200 OK", phone.tag), peer)
            if message.method == "CANCEL":
                self._say(phone, "487 Request Terminated")

    def _invited(self, call_id: str, message: Message, peer: Address) -> None:
        known = self._phones.get(call_id)
        if known is not None:
            self._send(known.last, known.peer)
            return
        attempt = self._attempt_of(call_id)
        if attempt is None:
            self._send(messages.answer(message, "404 Not Found", "none"), peer)
            return
        phone = _Phone(message, peer, f"c{call_id.partition('-')[0]}", Timers(self._loop))
        self._phones[call_id] = phone
        self._reached(call_id, message)
        self._say(phone, "180 Ringing")
        if not attempt.hang_up:
            phone.timers.after(attempt.ring_s, lambda: self._answer(phone))
        phone.timers.after(_FORGET_AFTER_S, lambda: self._forget(call_id))

    def _answer(self, phone: _Phone) -> None:
        phone.timers.repeat(lambda: self._say(phone, "200 OK"), lambda: phone.acknowledged)

    def _say(self, phone: _Phone, status: str) -> None:
        phone.last = messages.answer(phone.invite, status, phone.tag, self._contact)
        self._send(phone.last, phone.peer)

    def _forget(self, call_id: str) -> None:
        phone = self._phones.pop(call_id, None)
        if phone is not None:
            phone.timers.end()

    def stop(self) -> None:
        """Forget every call."""
        for call_id in list(self._phones):
            self._forget(call_id)
