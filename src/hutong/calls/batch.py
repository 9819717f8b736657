"""A batch of datagrams through the fast lane: read, recognise, judge, answer, all in one compiled call.

Pure: datagrams and `now` in; responses, records and counts out. Sockets and the journal are the server's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hutong.calls import answers, attempt, board, screening, transactions
from hutong.calls import record as rec
from hutong.calls.alerts import marks as alert_marks
from hutong.calls.lane import requests as lane
from hutong.calls.lane.grammar import EQ
from hutong.calls.mirror import screened as mirror_screened
from hutong.calls.mirror import table as mirror_calls
from hutong.calls.model import (
    ACTION_BLOCK,
    ACTION_OBSERVE,
    ACTION_PASS,
    ACTION_WARN,
    FLAG_ALLOWED,
    FLAG_EMERGENCY,
    FLAG_FAIL_OPEN,
    FLAG_MIRRORED,
)
from hutong.calls.trunks import find_trunk, is_proxy
from hutong.kernel.compiled import compiled, signed
from hutong.kernel.numbering.codes import KEY
from hutong.kernel.windows import table_at, undo_room

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Datagrams read at once.
BATCH = 128
#: Longest datagram (RFC 3261 §18.1.1), and the row it is read into, chosen not to alias in the cache.
MAX_DATAGRAM = 65535
_ROW = MAX_DATAGRAM + 1 + 256
#: Longer requests go to the full codec, so that a response always fits its row.
MAX_LANE = 2800
_OUT_ROW = 4096 + 64
#: Bytes of a socket address row: sockaddr_in6 (28), then the index of the socket it came in on.
ADDRESS = 32
SOCKET_AT = 28
_AF_INET = 2
#: Rows that one call may touch in the windows: caller, callee, trunk.
_TOUCHES = 3


class Inbox(NamedTuple):
    """Datagrams as they came: data uint8[n, row], words (same memory) int64, lengths, addresses uint8[n, 32].

    control: int64[n, 8] ancillary data with the kernel's receive time (SO_TIMESTAMPNS).
    """

    data: NDArray[np.uint8]
    words: NDArray[np.int64]
    lengths: NDArray[np.int64]
    addresses: NDArray[np.uint8]
    control: NDArray[np.int64]


class Outbox(NamedTuple):
    """Responses: data uint8[n, row], lengths int64[n] (0 = none), declined int64[n] indices for the full codec."""

    data: NDArray[np.uint8]
    lengths: NDArray[np.int64]
    declined: NDArray[np.int64]


class Moment(NamedTuple):
    """When a batch is judged: ms since 1970 UTC, local hour, 1 at night, a verdict's budget in ms, salt of hashes."""

    now_ms: int
    hour: int
    night: int
    budget_ms: int
    salt: int


class Done(NamedTuple):
    """What a call of `screen_batch` did: next datagram, bytes of records, records, declined datagrams."""

    next: int
    end: int
    records: int
    declined: int


def new_inbox(rows: int = BATCH) -> Inbox:
    """Room for `rows` datagrams."""
    words = np.zeros((rows, _ROW // 8), dtype=np.int64)
    return Inbox(
        data=words.view(np.uint8),
        words=words,
        lengths=np.zeros(rows, dtype=np.int64),
        addresses=np.zeros((rows, ADDRESS), dtype=np.uint8),
        control=np.zeros((rows, 8), dtype=np.int64),
    )


def new_outbox(rows: int = BATCH) -> Outbox:
    """Room for `rows` responses."""
    return Outbox(
        data=np.zeros((rows, _OUT_ROW), dtype=np.uint8),
        lengths=np.zeros(rows, dtype=np.int64),
        declined=np.zeros(rows, dtype=np.int64),
    )


@compiled
def received_ms(control: NDArray[np.int64], now_ms: int) -> int:
    """When the kernel received the datagram; `now_ms` where it did not say."""
    return control[2] * 1000 + control[3] // 1_000_000 if control[0] > 0 else now_ms


@compiled
def count_verdict(
    cells: NDArray[np.int64], verdict: NDArray[np.int64], scratch: attempt.Scratch, trunk: int, seq: int
) -> None:
    """Count one verdict on the board."""
    action, flags = verdict[attempt.V_ACTION], verdict[attempt.V_FLAGS]
    cells[board.ATTEMPTS] += 1
    if action == ACTION_PASS:
        cells[board.PASSED] += 1
    elif action == ACTION_WARN:
        cells[board.WARNED] += 1
    else:
        cells[board.BLOCKED] += 1
    cells[board.OBSERVED] += verdict[attempt.V_STAGED] == ACTION_OBSERVE
    cells[board.FAIL_OPEN] += (flags & FLAG_FAIL_OPEN) != 0
    cells[board.EMERGENCY] += (flags & FLAG_EMERGENCY) != 0
    cells[board.ALLOWED] += (flags & FLAG_ALLOWED) != 0
    cells[board.MIRROR_JUDGED] += (flags & FLAG_MIRRORED) != 0
    if verdict[attempt.V_FIRED]:
        for rule in range(min(scratch.fired.size, board.MAX_RULES)):
            cells[board.RULES_FROM + rule] += scratch.fired[rule]
    row = board.TRUNKS_FROM + 2 * min(trunk, board.MAX_TRUNKS - 1)
    cells[row] += 1
    area = board.AREAS_FROM + 2 * min(verdict[attempt.V_AREA], board.MAX_AREAS - 1)
    cells[area] += 1
    if action == ACTION_BLOCK:
        cells[row + 1] += 1
        cells[area + 1] += 1
    if action >= ACTION_WARN:
        at = cells[board.LATEST_AT]
        cells[board.LATEST_FROM + at % board.LATEST] = seq
        cells[board.LATEST_AT] = at + 1


@compiled
def set_call(
    call: NDArray[np.int64], spans: NDArray[np.int64], text: NDArray[np.uint8], when: Moment, received: int
) -> None:
    """What the lane read of an INVITE as a call attempt, but for its source."""
    call[:] = 0
    pai = spans[lane.PAI_USER + 1] > spans[lane.PAI_USER]
    caller = lane.PAI_USER if pai else lane.FROM_USER
    call[attempt.CALLER], call[attempt.CALLER + 1] = spans[caller], spans[caller + 1]
    if pai:
        call[attempt.FROM], call[attempt.FROM + 1] = spans[lane.FROM_USER], spans[lane.FROM_USER + 1]
    call[attempt.CALLEE], call[attempt.CALLEE + 1] = spans[lane.CALLEE], spans[lane.CALLEE + 1]
    call[attempt.CALL_ID], call[attempt.CALL_ID + 1] = spans[lane.CALL_ID], spans[lane.CALL_ID + 1]
    call[attempt.TIME_MS] = when.now_ms
    call[attempt.HOUR] = when.hour
    call[attempt.NIGHT] = when.night
    call[attempt.ROAMING] = attempt.ROAMING_ASK
    call[attempt.ANONYMOUS] = lane.is_anonymous(text, spans[caller], spans[caller + 1])
    call[attempt.FAIL_OPEN] = when.now_ms - received > when.budget_ms


@compiled
def set_source(  # what says where a call came from
    it: attempt.Judge,
    call: NDArray[np.int64],
    spans: NDArray[np.int64],
    high: int,
    low: int,
    cells: NDArray[np.int64],
) -> None:
    """The call's true source: the sender (halves of its address), or what a trusted proxy says in X-Hutong-Source."""
    if spans[lane.SOURCE_SET]:
        if is_proxy(it.trunks, np.uint64(high), np.uint64(low)):
            high, low = 0, spans[lane.SOURCE_LOW]
        else:
            cells[board.UNTRUSTED_SOURCE] += 1
    call[attempt.SOURCE_HIGH], call[attempt.SOURCE_LOW] = high, low
    call[attempt.TRUNK] = find_trunk(it.trunks, np.uint64(high), np.uint64(low))


@compiled
def from_tag(t: NDArray[np.int64], data: NDArray[np.uint8], spans: NDArray[np.int64]) -> int:
    """The hash of From's tag, the last thing in a From that the lane reads."""
    at = spans[lane.FROM + 1]
    while data[at - 1] != EQ:
        at -= 1
    return mirror_calls.text_hash(t, data, at, spans[lane.FROM + 1])


@compiled
def note_screened(
    it: attempt.Judge, call: NDArray[np.int64], scratch: attempt.Scratch, hashes: tuple[int, int], seq: int
) -> None:
    """Tell the call table, where there is one, that this call was asked about; see `mirror.screened`."""
    facts = alert_marks.facts_of(it.rules, scratch.verdict, scratch.fired)
    caller, callee, now = scratch.caller[KEY], scratch.callee[KEY], call[attempt.TIME_MS]
    blocked = scratch.verdict[attempt.V_ACTION] == ACTION_BLOCK
    keys = (caller, callee, it.trunks.keys[call[attempt.TRUNK]])
    stands = mirror_screened.note_screened(it.calls, hashes, keys, seq, facts, blocked, now)
    if stands and alert_marks.is_flagged(facts):
        alert_marks.note_flagged(it.calls, caller, callee, 1 if blocked else 0, now)


@compiled
def transaction_hash(data: NDArray[np.uint8], spans: NDArray[np.int64], salt: int) -> int:
    """Which transaction a request belongs to: branch and sent-by of its topmost Via (RFC 3261 §17.2.3)."""
    value = transactions.hash_branch(data, spans[lane.BRANCH], spans[lane.BRANCH + 1], salt, salt)
    return transactions.hash_branch(data, spans[lane.SENT_BY], spans[lane.SENT_BY + 1], value, salt)


@compiled
def screen_batch(
    it: attempt.Judge,
    parts: answers.AnswerArrays,
    state: transactions.TransactionArrays,
    inbox: Inbox,
    outbox: Outbox,
    buffer: rec.RecordBuffer,
    scratch: attempt.Scratch,
    cells: NDArray[np.int64],
    spans: NDArray[np.int64],
    call: NDArray[np.int64],
    when: Moment,
    start: int,
    count: int,
    seq: int,
) -> Done:
    """Screen the datagrams start … count-1.

    Args:
        it, parts, state: what is consulted and changed.
        inbox, outbox: datagrams and responses; outbox.lengths of each datagram is written.
        buffer: where records go, from byte 0.
        scratch, spans, call: working memory.
        cells: the counter board.
        when: the moment of judgement.
        start, count: which datagrams.
        seq: the journal's next sequence number.

    Returns:
        Done. It stops early when the records or the windows' undo area are full; commit, then call again.
    """
    end, records, declined = 0, 0, 0
    index = start
    table = table_at(it.windows)
    while index < count:
        if end + rec.MAX_RECORD > buffer.bytes_.size or undo_room(table) < _TOUCHES or not mirror_calls.room(it.calls):
            break
        outbox.lengths[index] = 0
        data, address, length = inbox.data[index], inbox.addresses[index], inbox.lengths[index]
        kind = lane.DECLINED
        if length <= MAX_LANE and address[0] == _AF_INET:
            kind = lane.read_request(data, length, spans)
        if kind == lane.DECLINED:
            outbox.declined[declined] = index
            declined += 1
            index += 1
            continue
        branch = transaction_hash(data, spans, when.salt)
        if kind == lane.ACK:
            cells[board.ACKS] += 1
            entry = transactions.find_branch(state, branch, when.now_ms)
            if entry >= 0:
                transactions.confirm(state, entry, when.now_ms)
            index += 1
            continue
        # Where the response goes (RFC 3261 §18.2.2, RFC 3581 §4): the sender's address, the port that its Via names.
        source = (
            (signed(address[4]) << 24) | (signed(address[5]) << 16) | (signed(address[6]) << 8) | signed(address[7])
        )
        port = (signed(address[2]) << 8) | signed(address[3])
        reply_port = lane.reply_port(data, spans, port)
        address[2], address[3] = reply_port >> 8, reply_port & 255
        message = transactions.hash_message(inbox.words[index], data, length, when.salt)
        entry = transactions.find(state, branch, message, when.now_ms)
        if entry >= 0:
            cells[board.RETRANSMITS] += 1
            outbox.lengths[index] = answers.write_response(
                parts, state.answers[entry], message, data, spans, source, port, outbox.data[index]
            )
            index += 1
            continue
        set_call(call, spans, data, when, received_ms(inbox.control[index], when.now_ms))
        set_source(it, call, spans, 0, (0xFFFF << 32) | source, cells)
        after = screening.judge(it, call, data, scratch, buffer, end)
        if scratch.verdict[attempt.V_PENDING]:
            outbox.declined[declined] = index
            declined += 1
            index += 1
            continue
        count_verdict(cells, scratch.verdict, scratch, call[attempt.TRUNK], seq + records)
        if mirror_calls.in_use(it.calls):
            hashes = (
                mirror_calls.text_hash(it.calls, data, spans[lane.CALL_ID], spans[lane.CALL_ID + 1]),
                from_tag(it.calls, data, spans),
            )
            note_screened(it, call, scratch, hashes, seq + records)
        answer = answers.pack(
            scratch.verdict[attempt.V_ACTION],
            scratch.verdict[attempt.V_CODE],
            answers.row_of(parts, scratch.verdict[attempt.V_RULE]),
            call[attempt.TRUNK],
        )
        size = answers.write_response(parts, answer, message, data, spans, source, port, outbox.data[index])
        outbox.lengths[index] = size
        entry = transactions.open_transaction(state, branch, message, answer, seq + records, when.now_ms)
        transactions.repeat_until_acknowledged(state, entry, outbox.data[index], size, address, when.now_ms)
        end = after
        records += 1
        index += 1
    return Done(index, end, records, declined)
