"""The callers' side of the sample gateway: one call from its INVITE to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hutong.app.demo import messages

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.app.demo.messages import Leg, Message
    from hutong.app.demo.people import Attempt
    from hutong.app.demo.timers import Timers

Address = tuple[str, int]

_PATIENCE_S = 12.0
_OK, _REDIRECT = 200, 302


class Call:
    """One call as its caller's gateway sees it.

    Args:
        attempt: who calls whom.
        leg: writes its requests.
        target: where the INVITE goes first.
        follow: whether a redirect is followed here (nobody on the way does).
        send: to an address, from the call's trunk.
        over: told once, when the call has ended: with the last answer, or with None when there was none.
        timers: the call's own.
    """

    def __init__(
        self,
        attempt: Attempt,
        leg: Leg,
        target: Address,
        *,
        follow: bool,
        send: Callable[[bytes, Address], None],
        over: Callable[[Call, Message | None], None],
        timers: Timers,
    ) -> None:
        self.attempt, self.leg = attempt, leg
        self._target, self._may_follow = target, follow
        self._send_to, self._over, self.timers = send, over, timers
        self._heard_of: set[tuple[str, int]] = set()  # (method, branch) that have an answer
        self._over_told = False
        self._followed = self._giving_up = self.answered = self.gave_up = False
        self._acknowledge = b""

    def begin(self) -> None:
        """Send the INVITE."""
        self.timers.after(_PATIENCE_S, self.abandon)
        self._insist("INVITE", self.leg.request("INVITE", fresh_branch=True))

    def abandon(self) -> None:
        """Nobody answers any more."""
        self._end(None)

    def _insist(self, method: str, packet: bytes) -> None:
        key = (method, self.leg.branch)
        self.timers.repeat(lambda: self._send(packet), lambda: key in self._heard_of)

    def _send(self, packet: bytes) -> None:
        self._send_to(packet, self._target)

    def received(self, message: Message) -> None:
        """An answer to one of the call's requests."""
        method = message.first("cseq").rpartition(" ")[2]
        self._heard_of.add((method, self.leg.branch))
        if method == "BYE":
            self._end(message)
        elif method == "INVITE":
            self._invite_answered(message)

    def _invite_answered(self, message: Message) -> None:
        if message.status < _OK:
            if message.status > 100 and self.attempt.hang_up and not self._giving_up:  # noqa: PLR2004  # it rings
                self._giving_up = True
                self.timers.after(self.attempt.ring_s, self._give_up)
        elif message.status == _OK:
            self._connected(message)
        else:
            self._turned_away(message)

    def _give_up(self) -> None:
        self.gave_up = True
        self._insist("CANCEL", self.leg.request("CANCEL"))

    def _connected(self, message: Message) -> None:
        if self.answered:  # the 200 came again: so must the ACK
            self._send(self._acknowledge)
            return
        self.answered = True
        self.leg.take_answer(message)
        self._acknowledge = self.leg.request("ACK", self.leg.remote, fresh_branch=True)
        self._send(self._acknowledge)
        self.timers.after(self.attempt.talk_s, self.hang_up)

    def hang_up(self) -> None:
        """End the conversation."""
        self._insist("BYE", self.leg.request("BYE", self.leg.remote, fresh_branch=True))

    def _turned_away(self, message: Message) -> None:
        self.leg.to = message.first("to")
        self._send(self.leg.request("ACK"))
        if message.status == _REDIRECT and self._may_follow and not self._followed:
            self._follow(message)
        else:
            self._end(message)

    def _follow(self, message: Message) -> None:
        """To the Contact of a 302 (RFC 3261 §8.1.3.4), with the warning that came along, as a proxy would."""
        uri = messages.contact_of(message)
        host, _, port = uri.rpartition("@")[2].partition(":")
        if not port.isdigit():
            self._end(message)
            return
        self._followed = True
        self._target = (host, int(port))
        self.leg.to, self.leg.uri = "", uri
        self.leg.cseq += 1
        self.leg.extra = [("Hutong-Warning", text) for text in message.headers.get("hutong-warning", [])]
        self._insist("INVITE", self.leg.request("INVITE", fresh_branch=True))

    def _end(self, last: Message | None) -> None:
        if self._over_told:
            return
        self._over_told = True
        self.timers.end()
        self._over(self, last)
