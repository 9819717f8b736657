"""The reference path: any SIP message, read by the full codec, answered as a redirect server must.

It answers everything the fast lane declines and everything that comes over a stream (RFC 3261 §8.2, §8.3). Pure but
for the engine's state: bytes and `when` in, responses and records out. Sockets are the server's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from hutong.calls import answers, attempt, board, transactions
from hutong.calls.identity import read_parties
from hutong.calls.lane.requests import DEFAULT_PORT
from hutong.calls.model import PHRASES as VERDICT_PHRASES
from hutong.calls.trunks import address_halves
from hutong.kernel.numbering import digits_of
from hutong.protocols.sip import Request, Response, SipError, build_response, parse_datagram, transaction_key
from hutong.protocols.sip.keys import is_cookie_branch
from hutong.protocols.sip.message import KNOWN_METHODS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hutong.calls.batch import Moment
    from hutong.calls.engine import Engine
    from hutong.calls.identity import Parties

_LAST_PORT = 65535
ALLOW = "INVITE, ACK, CANCEL, OPTIONS"
_SOURCE_HEADER = "x-hutong-source"

_PHRASES = {
    100: "Trying",
    200: "OK",
    405: "Method Not Allowed",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    481: "Call/Transaction Does Not Exist",
    487: "Request Terminated",
    500: "Server Internal Error",
    501: "Not Implemented",
    **VERDICT_PHRASES,
}

#: Longest answer that a slow look-up may hold back; more calls than this wait at once → fail open.
MAX_PARKED = 4096


class Source(msgspec.Struct, frozen=True):
    """Where a message came from. reliable: over a stream, so that nothing need be repeated (RFC 3261 §17.2.1)."""

    address: str
    port: int
    received_ms: int
    reliable: bool = False


class Reply(msgspec.Struct):
    """What came of a message.

    Attributes:
        responses: to send back to the source, in order.
        end: first free byte of the records buffer afterwards.
        port: where the responses go, of the source's ports.
        records: records written (0 or 1).
        entry: transaction whose last response must be repeated until acknowledged, or -1.
        ask: number to look up (roaming) before the verdict, with the ticket it waits under; empty = none.
        ticket: see `ask`.
    """

    responses: list[bytes]
    end: int
    port: int = 0
    records: int = 0
    entry: int = -1
    ask: str = ""
    ticket: int = 0


class Parked(msgspec.Struct, frozen=True):
    """An INVITE that waits for a roaming look-up."""

    request: Request
    parties: Parties
    source: Source
    branch: int
    message: int
    halves: tuple[int, int]


class Reference:
    """Answers messages that the full codec reads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._parked: dict[int, Parked] = {}
        self._tickets: dict[tuple[int, int], int] = {}
        self._next_ticket = 1

    def answer_datagram(self, data: bytes, source: Source, when: Moment, at: int, seq: int) -> Reply:
        """Answer one datagram; `at` and `seq` as in `Engine.judge_parties`."""
        try:
            message = parse_datagram(data)
        except SipError as error:
            return self.answer_error(error, source, at)
        return self.answer(message, data, source, when, at, seq)

    def answer_error(self, error: SipError, source: Source, at: int) -> Reply:
        """Answer what could not be read, where that is possible and proper; count it always."""
        self._engine.cells[board.MALFORMED] += 1
        if error.heads is None:
            return Reply([], at)
        tag = _tag(self._hash(b" ".join((error.heads.call_id, error.heads.cseq, *error.heads.vias))))
        reason = error.what.replace('"', "'").replace("\r", " ").replace("\n", " ")
        warning = [("Warning", f'399 hutong "{reason[:200]}"')]
        response = build_response(
            error.heads,
            error.status,
            error.phrase,
            to_tag=tag,
            extra_headers=warning,
            via_received=(source.address, source.port),
        )
        return Reply([response], at, _reply_port(error.heads.vias[0], source.port))

    def answer(
        self, message: Request | Response, data: bytes, source: Source, when: Moment, at: int, seq: int
    ) -> Reply:
        """Answer one message; `data` is its bytes, which tell a retransmission from another request."""
        reply = self._answer(message, data, source, when, at, seq)
        reply.port = _reply_port(message.vias[0].raw, source.port)
        return reply

    def _answer(
        self, message: Request | Response, data: bytes, source: Source, when: Moment, at: int, seq: int
    ) -> Reply:
        self._engine.cells[board.REFERENCE_READ] += 1
        if isinstance(message, Response):
            # A redirect server sends no requests, so no response is for it.
            self._engine.cells[board.OTHER_REQUESTS] += 1
            return Reply([], at)
        if message.method == "INVITE":
            return self._invite(message, data, source, when, at, seq)
        self._engine.cells[board.OTHER_REQUESTS] += 1
        if message.method == "ACK":
            self._acknowledge(message, when)
            return Reply([], at)
        status, extra = self._other(message, when)
        responses = [self._response(message, status, data, source, extra)]
        if message.method == "CANCEL":
            responses += self._cancel_parked(message)
        return Reply(responses, at)

    def _other(self, request: Request, when: Moment) -> tuple[int, list[tuple[str, str]]]:
        """Status and headers for a request that is neither INVITE nor ACK."""
        if request.method == "CANCEL":
            return (200 if self._live(request, when) else 481), []
        if request.method not in KNOWN_METHODS:
            return 501, [("Allow", ALLOW)]
        if request.method == "OPTIONS":
            return self._refused(request) or (200, [("Allow", ALLOW), ("Accept", "application/sdp")])
        if request.to.tag:
            return 481, []
        return 405, [("Allow", ALLOW)]

    def _refused(self, request: Request) -> tuple[int, list[tuple[str, str]]] | None:
        """RFC 3261 §8.2.2: a URI scheme or an extension that this server does not know."""
        if not request.uri.known:
            return 416, []
        if request.require:
            return 420, [("Unsupported", ", ".join(request.require))]
        return None

    def _invite(self, request: Request, data: bytes, source: Source, when: Moment, at: int, seq: int) -> Reply:
        if request.to.tag:
            # Within a dialog, and this server has none (RFC 3261 §12.2.2).
            return Reply([self._response(request, 481, data, source, [])], at)
        refused = self._refused(request)
        if refused is not None:
            return Reply([self._response(request, *refused[:1], data, source, refused[1])], at)
        state, cells = self._engine.transactions, self._engine.cells
        branch, message = self._branch(request), self._hash(data)
        entry = transactions.find(state, branch, message, when.now_ms)
        if entry >= 0:
            cells[board.RETRANSMITS] += 1
            return Reply([self._verdict(request, int(state.answers[entry]), message, source)], at)
        if (branch, message) in self._tickets:
            cells[board.RETRANSMITS] += 1
            return Reply([self._trying(request, source)], at)
        late = when.now_ms - source.received_ms > when.budget_ms
        halves = source_of(self._engine, request, source.address)
        waiting = Parked(request, read_parties(request), source, branch, message, halves)
        roaming = attempt.ROAMING_ASK if len(self._parked) < MAX_PARKED else attempt.ROAMING_UNKNOWN
        return self._judge(waiting, when, at, seq, late=late, roaming=roaming)

    def _judge(self, it: Parked, when: Moment, at: int, seq: int, *, late: bool, roaming: int) -> Reply:
        engine = self._engine
        outcome, after = engine.judge_parties(
            it.parties, it.request.call_id, it.halves, when, late=late, roaming=roaming, at=at, seq=seq
        )
        if outcome.pending:
            return self._park(it, at)
        response = self._verdict(it.request, outcome.answer, it.message, it.source)
        entry = transactions.open_transaction(
            engine.transactions, it.branch, it.message, outcome.answer, seq, when.now_ms
        )
        return Reply([response], after, records=1, entry=-1 if it.source.reliable else int(entry))

    def _park(self, it: Parked, at: int) -> Reply:
        ticket = self._next_ticket
        self._next_ticket += 1
        self._parked[ticket] = it
        self._tickets[it.branch, it.message] = ticket
        self._engine.cells[board.ROAMING_ASKED] += 1
        number = digits_of(self._engine.caller_key)
        return Reply([self._trying(it.request, it.source)], at, ask=number, ticket=ticket)

    def forget(self, ticket: int) -> None:
        """Drop a parked call whose batch was not kept: its retransmission is a call of its own."""
        it = self._parked.pop(ticket, None)
        if it is not None:
            del self._tickets[it.branch, it.message]

    def resume(self, ticket: int, roaming: int, when: Moment, at: int, seq: int) -> tuple[Reply, Source] | None:
        """Judge a parked call with what the look-up said; None when it was cancelled meanwhile."""
        it = self._parked.pop(ticket, None)
        if it is None:
            return None
        del self._tickets[it.branch, it.message]
        reply = self._judge(it, when, at, seq, late=False, roaming=roaming)
        reply.port = _reply_port(it.request.vias[0].raw, it.source.port)
        return reply, it.source

    def _cancel_parked(self, request: Request) -> list[bytes]:
        branch = self._branch(request)
        for ticket, it in self._parked.items():
            if it.branch == branch:
                del self._parked[ticket]
                del self._tickets[it.branch, it.message]
                return [self._built(it.request, 487, it.message, it.source, [])]
        return []

    def _live(self, request: Request, when: Moment) -> bool:
        branch = self._branch(request)
        if any(it.branch == branch for it in self._parked.values()):
            return True
        return bool(transactions.find_branch(self._engine.transactions, branch, when.now_ms) >= 0)

    def _acknowledge(self, request: Request, when: Moment) -> None:
        state = self._engine.transactions
        self._engine.cells[board.ACKS] += 1
        entry = transactions.find_branch(state, self._branch(request), when.now_ms)
        if entry >= 0:
            transactions.confirm(state, entry, when.now_ms)

    def _verdict(self, request: Request, answer: int, message: int, source: Source) -> bytes:
        assert self._engine.parts is not None  # noqa: S101  # set by the engine's constructor
        code, lines = answers.lines_of(self._engine.parts, answer, _user_part(request))
        return self._built(request, code, message, source, lines)

    def _response(
        self, request: Request, status: int, data: bytes, source: Source, extra: list[tuple[str, str]]
    ) -> bytes:
        return self._built(request, status, self._hash(data), source, extra)

    def _built(
        self, request: Request, status: int, message: int, source: Source, extra: list[tuple[str, str]]
    ) -> bytes:
        return build_response(
            request,
            status,
            _PHRASES[status],
            to_tag=_tag(message),
            extra_headers=extra,
            via_received=(source.address, source.port),
        )

    def _trying(self, request: Request, source: Source) -> bytes:
        return build_response(request, 100, _PHRASES[100], via_received=(source.address, source.port))

    def _branch(self, request: Request) -> int:
        """The same number that `batch.transaction_hash` gives."""
        salt, top = self._engine.salt, request.vias[0]
        if not is_cookie_branch(top.branch):
            return self._folded(transaction_key(request, method="INVITE"), salt)
        return self._folded(top.sent_by, self._folded(top.branch.encode(), salt))

    def _folded(self, data: bytes, value: int) -> int:
        array = np.frombuffer(bytearray(data or b"\0"), dtype=np.uint8)
        return int(transactions.hash_branch(array, 0, len(data), value, self._engine.salt))

    def _hash(self, data: bytes) -> int:
        words = _words(data)
        return int(transactions.hash_message(words, words.view(np.uint8), len(data), self._engine.salt))


def source_of(engine: Engine, request: Request, address: str) -> tuple[int, int]:
    """The call's true source: the sender, or what a trusted proxy says in X-Hutong-Source."""
    halves = address_halves(address)
    named = request.values(_SOURCE_HEADER)
    if not named:
        return halves
    if engine.tables.trunks.believes(*halves):
        try:
            return address_halves(named[-1].decode("ascii", "replace"))
        except ValueError:
            pass
    engine.cells[board.UNTRUSTED_SOURCE] += 1
    return halves


def _words(data: bytes) -> NDArray[np.int64]:
    words = np.zeros(len(data) // 8 + 1, dtype=np.int64)
    words.view(np.uint8)[: len(data)] = np.frombuffer(data, dtype=np.uint8)
    return words


def _tag(message: int) -> str:
    return f"{message & 0xFFFF_FFFF_FFFF_FFFF:016x}"


_SENT_BY_PORT = re.compile(
    rb"[^ \t]+[ \t]+(?:\[[^\]]*\]|[A-Za-z0-9.\-_]+)(?:[ \t]*:[ \t]*([0-9]{1,5}))?[ \t]*(?:[;,]|$)"
)
_RPORT = re.compile(rb";[ \t]*rport[ \t]*(?:[;,=]|$)", re.IGNORECASE)


def _reply_port(via: bytes, source_port: int) -> int:
    """Where a response goes (RFC 3261 §18.2.2, RFC 3581 §4); the sender's port where the Via names none that exists."""
    found = _SENT_BY_PORT.match(via)
    if found is None or _RPORT.search(via):
        return source_port
    port = int(found[1] or DEFAULT_PORT)
    return port if 0 < port <= _LAST_PORT else source_port


def _user_part(request: Request) -> str:
    """The called user exactly as the Request-URI has it; a tel URI's number becomes one."""
    uri = request.uri
    return (uri.user if uri.scheme == "tel" else uri.raw_user).decode("utf-8", "replace")


def stream_bytes(message: Request | Response) -> bytes:
    """What stands for a message's bytes where a stream did not keep them: all that tells two requests apart."""
    start = message.uri.raw if isinstance(message, Request) else b""
    return b"\n".join((start, *(header.value for header in message.headers), message.body))
