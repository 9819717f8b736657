"""The reference path for mirrored signalling: what the fast lanes decline, read by the full codecs.

Compressed payloads and packets of an odd make come here; what they hold goes the lanes' way where it can, and through
the SIP codec where it cannot. Pure but for the engine's state.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

import numpy as np

from hutong.calls import attempt, board
from hutong.calls.identity import read_parties
from hutong.calls.lane import hep as lane_hep
from hutong.calls.lane.messages import METHOD_BYE, METHOD_INVITE, METHOD_OTHER
from hutong.calls.mirror import follow as mirror_follow
from hutong.calls.mirror.batch import count_late, leg_hash, take_message
from hutong.calls.reference import source_of
from hutong.calls.trunks import address_halves
from hutong.protocols.hep import KIND_SIP, HepError, parse_packet
from hutong.protocols.sip import Request, SipError, parse_datagram

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hutong.calls.batch import Moment
    from hutong.calls.engine import Engine
    from hutong.calls.mirror.batch import Reader
    from hutong.protocols.hep import Packet
    from hutong.protocols.sip import Message

_Q850, _MAX_CAUSE = "Q.850", 127
_METHODS = {"INVITE": METHOD_INVITE, "BYE": METHOD_BYE}
_SIGN = 1 << 63


def cause_of(message: Message) -> int:
    """The first Q.850 cause that a message's Reason names (RFC 3326, RFC 6432); 0 = none."""
    causes = (reason.cause for reason in message.reason if reason.protocol == _Q850)
    return next((cause for cause in causes if cause and cause <= _MAX_CAUSE), 0)


class MirrorReference:
    """Follows what the lanes decline.

    Args:
        engine: judges.
        key: what senders must give; empty = nothing.
    """

    def __init__(self, engine: Engine, key: bytes) -> None:
        self._engine, self._key = engine, key

    def take(self, data: bytes, arrived: int, when: Moment, reader: Reader) -> None:
        """Follow what one packet holds; counts it where it holds nothing that can be read.

        Args:
            data: the packet.
            arrived: when it came, ms since 1970 UTC.
            when: now.
            reader: where calls are followed; its batch has room.
        """
        cells = self._engine.cells
        try:
            packet = parse_packet(data)
        except HepError:
            cells[board.MIRROR_MALFORMED] += 1
            return
        if self._key and not hmac.compare_digest(packet.key, self._key):
            cells[board.MIRROR_UNAUTHORISED] += 1
            return
        # A keep-alive of the captured connection (RFC 5626) says nothing.
        if packet.kind != KIND_SIP or not packet.payload.strip(b"\r\n"):
            return
        _state_packet(packet, reader.packet)
        text = _array(packet.payload)
        if not take_message(reader, text, text.size, when):
            try:
                message = parse_datagram(packet.payload)
            except SipError:
                cells[board.MIRROR_MALFORMED] += 1
                return
            self._follow(message, packet.source, when, reader)
        count_late(reader, arrived)

    def _follow(self, message: Message, source: str, when: Moment, reader: Reader) -> None:
        it, engine = reader.it, self._engine
        self._state_facts(message, it.facts)
        it.facts[mirror_follow.F_CAPTURED] = reader.packet[lane_hep.CAPTURED_US]
        first = isinstance(message, Request) and message.method == "INVITE" and not message.to.tag
        if first and mirror_follow.is_new_call(it):
            assert isinstance(message, Request)  # noqa: S101  # the line above says so, but not to the type checker
            halves = source_of(engine, message, source)
            parties = read_parties(message)
            text = engine.set_parties(parties, message.call_id, halves, when, attempt.ROAMING_ASK)
            mirror_follow.follow_new(it, engine.call, text, when)
        else:
            mirror_follow.follow(it, _array(message.call_id), when.now_ms)

    def _state_facts(self, message: Message, facts: NDArray[np.int64]) -> None:
        hashed, via = self._engine.call_hash, message.vias[0]
        request = isinstance(message, Request)
        method = message.method if isinstance(message, Request) else message.cseq.method
        leg = via.branch.encode() + via.sent_by
        spans = np.array([0, len(via.branch), len(via.branch), len(leg)], dtype=np.int64)
        facts[mirror_follow.F_CALL] = hashed(message.call_id)
        facts[mirror_follow.F_FROM] = hashed(message.from_.tag.encode())
        facts[mirror_follow.F_TO] = hashed(message.to.tag.encode())
        facts[mirror_follow.F_LEG] = leg_hash(self._engine.tables.calls, _array(leg), spans)
        facts[mirror_follow.F_METHOD] = _METHODS.get(method, METHOD_OTHER)
        facts[mirror_follow.F_STATUS] = 0 if request else message.status  # type: ignore[union-attr]
        facts[mirror_follow.F_CSEQ] = message.cseq.number
        facts[mirror_follow.F_CAUSE] = cause_of(message)


def _state_packet(packet: Packet, slots: NDArray[np.int64]) -> None:
    """What the lane would have read of a packet that counts now: its source and its time."""
    high, low = ((half ^ _SIGN) - _SIGN for half in address_halves(packet.source))
    slots[lane_hep.SOURCE_HIGH], slots[lane_hep.SOURCE_LOW] = high, low
    slots[lane_hep.CAPTURED_US] = packet.seconds * 1_000_000 + packet.microseconds


def _array(data: bytes) -> NDArray[np.uint8]:
    """Bytes as compiled code takes them: writable, like an inbox, so that there is one version of it."""
    return np.frombuffer(bytearray(data), dtype=np.uint8)
