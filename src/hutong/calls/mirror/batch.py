"""Mirrored signalling by the batch: HEP packets through the fast lanes to the calls they are about. Compiled, pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hutong.calls import batch, board
from hutong.calls.attempt import CALL_SLOTS
from hutong.calls.lane import hep as lane_hep
from hutong.calls.lane import messages as lane_messages
from hutong.calls.lane import requests as lane
from hutong.calls.lane.messages import METHOD_INVITE
from hutong.calls.mirror import table as mirror_calls
from hutong.calls.mirror.follow import (
    F_CALL,
    F_CAPTURED,
    F_CAUSE,
    F_CSEQ,
    F_FROM,
    F_LEG,
    F_METHOD,
    F_STATUS,
    F_TO,
    FACTS,
    follow,
    follow_new,
    is_new_call,
)
from hutong.calls.mirror.settle import Follower, takes_more
from hutong.calls.mirror.waiting import new_waiting
from hutong.calls.outcomes import OUTCOME_SLOTS
from hutong.calls.transactions import hash_branch
from hutong.kernel.compiled import compiled
from hutong.protocols.hep import KIND_SIP

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hutong.calls.batch import Moment
    from hutong.calls.engine import Engine

#: A message captured this much before or after it arrives is late (or its sender's clock is wrong); ms.
LATE_MS = 2000


class Reader(NamedTuple):
    """A follower, and what the lanes read into: each an int64 array of as many slots as its lane says.

    key: uint8, the key that senders must give; empty = none.
    """

    it: Follower
    call: NDArray[np.int64]
    packet: NDArray[np.int64]
    message: NDArray[np.int64]
    spans: NDArray[np.int64]
    key: NDArray[np.uint8]


class Taken(NamedTuple):
    """How far a batch went: the first packet not taken, and whether the codecs must look at it.

    One that is not taken and not declined found no room (`takes_more`): commit, make room, then go on with it.
    """

    next: int
    declined: bool


def new_reader(engine: Engine, key: bytes, wait_ms: int, ring: int) -> Reader:
    """A reader for an engine with a call table; `ring` INVITEs may wait at once, each `wait_ms`."""
    follower = Follower(
        judge=engine.judge,
        waiting=new_waiting(ring),
        scratch=engine.scratch,
        buffer=engine.records,
        cells=engine.cells,
        watch=engine.watch,
        outcome=np.zeros(OUTCOME_SLOTS, dtype=np.int64),
        facts=np.zeros(FACTS, dtype=np.int64),
        done=np.zeros(3, dtype=np.int64),
        wait_ms=wait_ms,
    )
    return Reader(
        it=follower,
        call=np.zeros(CALL_SLOTS, dtype=np.int64),
        packet=np.zeros(lane_hep.PACKET_SLOTS, dtype=np.int64),
        message=np.zeros(lane_messages.MESSAGE_SLOTS, dtype=np.int64),
        spans=np.zeros(lane.SPANS, dtype=np.int64),
        key=np.frombuffer(bytearray(key), dtype=np.uint8),
    )


def up_to_date(reader: Reader, engine: Engine) -> Reader:
    """The reader with the rules, lists and alert conditions that the engine has now."""
    if reader.it.judge is engine.judge and reader.it.watch is engine.watch:
        return reader
    return reader._replace(it=reader.it._replace(judge=engine.judge, scratch=engine.scratch, watch=engine.watch))


@compiled
def _state_facts(r: Reader, data: NDArray[np.uint8]) -> None:
    """What `r.message` read, as hashes and numbers."""
    t, f, m = r.it.judge.calls, r.it.facts, r.message
    f[F_CALL] = mirror_calls.text_hash(t, data, m[lane_messages.CALL_ID], m[lane_messages.CALL_ID + 1])
    f[F_FROM] = mirror_calls.text_hash(t, data, m[lane_messages.FROM_TAG], m[lane_messages.FROM_TAG + 1])
    f[F_TO] = mirror_calls.text_hash(t, data, m[lane_messages.TO_TAG], m[lane_messages.TO_TAG + 1])
    f[F_LEG] = leg_hash(t, data, m[lane_messages.BRANCH : lane_messages.SENT_BY + 2])
    f[F_METHOD] = m[lane_messages.METHOD]
    f[F_STATUS] = m[lane_messages.STATUS]
    f[F_CSEQ] = m[lane_messages.CSEQ]
    f[F_CAUSE] = m[lane_messages.CAUSE]


@compiled
def leg_hash(t: NDArray[np.int64], data: NDArray[np.uint8], spans: NDArray[np.int64]) -> int:
    """The hash of a topmost Via's branch and sent-by, by their two spans."""
    salt = t[mirror_calls.SALT]
    return int(hash_branch(data, spans[2], spans[3], hash_branch(data, spans[0], spans[1], salt, salt), salt))


@compiled
def take_message(r: Reader, data: NDArray[np.uint8], end: int, when: Moment) -> bool:
    """Follow one captured message.

    Args:
        r: the reader; of `r.packet`, the source and the time count.
        data: uint8, the message.
        end: its length.
        when: now.

    Returns:
        False when the codec must look at it; then nothing was changed.
    """
    if not lane_messages.read_message(data, end, r.message):
        return False
    f = r.it.facts
    _state_facts(r, data)
    f[F_CAPTURED] = r.packet[lane_hep.CAPTURED_US]
    if f[F_METHOD] == METHOD_INVITE and f[F_STATUS] == 0 and f[F_TO] == 0 and is_new_call(r.it):
        if end > batch.MAX_LANE or lane.read_request(data, end, r.spans) != lane.INVITE:
            return False
        batch.set_call(r.call, r.spans, data, when, when.now_ms)
        high, low = r.packet[lane_hep.SOURCE_HIGH], r.packet[lane_hep.SOURCE_LOW]
        batch.set_source(r.it.judge, r.call, r.spans, high, low, r.it.cells)
        follow_new(r.it, r.call, data, when)
        return True
    follow(r.it, data[r.message[lane_messages.CALL_ID] : r.message[lane_messages.CALL_ID + 1]], when.now_ms)
    return True


@compiled
def count_late(r: Reader, arrived: int) -> None:
    """Count a message that was captured long before it arrived (ms), or after."""
    apart = arrived - r.packet[lane_hep.CAPTURED_US] // 1000
    if apart > LATE_MS or apart < -LATE_MS:
        r.it.cells[board.MIRROR_LATE] += 1


@compiled
def take_packet(
    r: Reader,
    data: NDArray[np.uint8],
    end: int,
    arrived: int,
    when: Moment,
) -> bool:
    """Follow what one HEP packet holds.

    Args:
        r: the reader.
        data: uint8, the packet. end: its length.
        arrived: when it came, ms since 1970 UTC.
        when: now.

    Returns:
        False when the codecs must look at it; then nothing was changed.
    """
    packet, key = r.packet, r.key
    if not lane_hep.read_packet(data, end, packet):
        return False
    if key.size > 0 and not lane_hep.same_key(data, packet[lane_hep.KEY], packet[lane_hep.KEY + 1], key):
        r.it.cells[board.MIRROR_UNAUTHORISED] += 1
        return True
    if packet[lane_hep.KIND] == KIND_SIP:
        start, stop = packet[lane_hep.PAYLOAD], packet[lane_hep.PAYLOAD + 1]
        if not take_message(r, data[start:stop], stop - start, when):
            return False
    count_late(r, arrived)
    return True


@compiled
def take_datagrams(r: Reader, inbox: batch.Inbox, first: int, count: int, when: Moment) -> Taken:
    """Follow the datagrams first … count-1 of the inbox."""
    index = first
    while index < count and takes_more(r.it):
        arrived = batch.received_ms(inbox.control[index], when.now_ms)
        if not take_packet(r, inbox.data[index], inbox.lengths[index], arrived, when):
            return Taken(index, True)  # noqa: FBT003  # compiled code takes no keyword arguments
        index += 1
    return Taken(index, False)  # noqa: FBT003  # as above


@compiled
def take_stream(r: Reader, data: NDArray[np.uint8], first: int, when: Moment) -> Taken:
    """Follow whole packets back to back, from byte `first` on; `Taken.next` is a byte."""
    at = first
    while at < data.size and takes_more(r.it):
        length = lane_hep.packet_length(data, at, data.size)
        if not take_packet(r, data[at : at + length], length, when.now_ms, when):
            return Taken(at, True)  # noqa: FBT003  # as above
        at += length
    return Taken(at, False)  # noqa: FBT003  # as above
