"""An engine in memory for tests of the judgement: shipped rules, a trunk of each kind, empty lists unless given."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from hutong.calls import batch, board
from hutong.calls.engine import Engine, Policy, Tables
from hutong.calls.features import SHIPPED_RULES, VOCABULARY
from hutong.calls.mirror import table as mirror_calls
from hutong.calls.node import NodeSettings
from hutong.calls.reference import Reference, Source
from hutong.calls.trunks import Trunk, TrunkTable
from hutong.kernel import windows
from hutong.kernel.lists.index import ListIndex
from hutong.kernel.lists.store import ListStore
from hutong.kernel.lists.targets import draft
from hutong.kernel.numbering import Numbering
from hutong.kernel.rules.loader import load_ruleset

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from hutong.kernel.rules.ruleset import Ruleset

TRUNKS = (
    Trunk("abroad", "international", ("192.0.2.0/26",)),
    Trunk("neighbour", "inter-network", ("192.0.2.64/26",)),
    Trunk("home", "local", ("192.0.2.128/26",)),
    Trunk(
        "company", "enterprise", ("192.0.2.192/26", "2001:db8::/32"), ("02161230000-02161239999",), "192.0.2.250:5062"
    ),
)
ABROAD, NEIGHBOUR, HOME, COMPANY = "192.0.2.1", "192.0.2.65", "192.0.2.129", "192.0.2.193"
#: 2026-03-02 10:00:00 in Shanghai.
NOON_NS = 1_772_416_800 * 1_000_000_000
PROXY = "127.0.0.1"

POLICY = Policy(
    next_hop="192.0.2.249:5080",
    redress_url="http://127.0.0.1:8080/redress",
    budget_ms=50,
    time_zone="Asia/Shanghai",
    night_from=22,
    night_to=8,
    use_roaming_table=True,
    look_up_roaming=False,
)

_ruleset: list[Ruleset] = []


def shipped_rules() -> Ruleset:
    """The shipped rules, read once."""
    if not _ruleset:
        _ruleset.append(load_ruleset([SHIPPED_RULES], VOCABULARY))
    return _ruleset[0]


def node_settings(data: Path, **other: Any) -> NodeSettings:  # noqa: ANN401  # any setting
    """Of a small node on this data folder."""
    settings = NodeSettings(
        data=data,
        policy=POLICY,
        trunks=TRUNKS,
        proxies=(f"{PROXY}/32",),
        home_area="",
        rule_folders=(),
        window_bytes=8 << 20,
        segment_bytes=1 << 20,
        sync_ms=1000,
        keep_ns=3600 * 10**9,
    )
    return msgspec.structs.replace(settings, **other)


class Bench:
    """One engine with both ways in."""

    def __init__(
        self,
        folder: Path,
        *,
        ruleset: Ruleset | None = None,
        look_up_roaming: bool = False,
        capacity: int = 20_000,
        budget_ms: int = 50,
        followed: int = 0,
    ) -> None:
        numbering = Numbering("021")
        self.window = windows.format_buffer(bytearray(windows.size_for(capacity)), capacity, (12345, 67890))
        self.lists = ListStore(folder / "lists")
        self.lists.open()
        self.index = ListIndex(self.lists)
        self.index.load()
        roaming = ListStore(folder / "roaming")
        roaming.open()
        roaming_index = ListIndex(roaming)
        # Hypothesis makes hundreds of benches: each lets go of its files when nobody holds it any more.
        for store in (self.lists, roaming):
            weakref.finalize(self, store.close)
        roaming_index.load()
        policy = msgspec.structs.replace(POLICY, budget_ms=budget_ms, look_up_roaming=look_up_roaming)
        tables = Tables(
            numbering,
            TrunkTable(TRUNKS, [f"{PROXY}/32"], numbering),
            self.window,
            self.index.arrays,
            roaming_index.arrays,
            call_table(followed) if followed else mirror_calls.no_table(),
        )
        self.calls = tables.calls
        self.engine = Engine(policy, tables, ruleset or shipped_rules(), np.zeros(board.CELLS, np.int64), 7)
        self.reference = Reference(self.engine)
        self.records: list[bytes] = []
        self.seq = 1
        self.now_ns = NOON_NS

    def list(self, target: str, kind: str = "block", **fields: object) -> None:
        """Add a list entry and take it up."""
        entry = draft(list=kind, target=target, reason="test", who="tester", **fields)
        self.lists.add([entry], self.now_ns // 10**9)
        self.index.refresh()
        self.engine.use_lists(self.index.arrays, self.engine.tables.roaming)

    def lane(self, data: bytes, source: str = PROXY, port: int = 5070, received_ns: int = 0) -> bytes | None:
        """What the fast lane answers; None when it declines, b"" when there is nothing to answer."""
        inbox, outbox = self.engine.inbox, self.engine.outbox
        if len(data) > batch.MAX_DATAGRAM:
            return None
        inbox.data[0, : len(data)] = np.frombuffer(data, dtype=np.uint8)
        inbox.lengths[0] = len(data)
        octets = [int(part) for part in source.split(".")]
        inbox.addresses[0, :8] = [2, 0, port >> 8, port & 255, *octets]
        inbox.control[0, :4] = (32, 0, received_ns // 10**9, received_ns % 10**9) if received_ns else (0, 0, 0, 0)
        self.begin()
        done = self.engine.screen_batch(self.when, 0, 1, self.seq)
        self.commit(done.end, done.records)
        if done.declined:
            return None
        return outbox.data[0, : outbox.lengths[0]].tobytes()

    def full(self, data: bytes, source: str = PROXY, port: int = 5070, received_ns: int = 0) -> list[bytes]:
        """What the reference path answers."""
        self.begin()
        when = self.when
        reply = self.reference.answer_datagram(
            data, Source(source, port, received_ns // 10**6 or when.now_ms), when, 0, self.seq
        )
        self.commit(reply.end, reply.records)
        self.asked = (reply.ticket, reply.ask)
        return reply.responses

    def resume(self, ticket: int, roaming: int) -> list[bytes]:
        """What a parked call is answered after its look-up."""
        self.begin()
        resumed = self.reference.resume(ticket, roaming, self.when, 0, self.seq)
        if resumed is None:
            self.commit(0, 0)
            return []
        self.commit(resumed[0].end, resumed[0].records)
        return resumed[0].responses

    def __call__(self, data: bytes, **where: object) -> bytes:
        """The one answer, whichever way is in charge."""
        answer = self.lane(data, **where)  # type: ignore[arg-type]
        if answer is not None:
            return answer
        responses = self.full(data, **where)  # type: ignore[arg-type]
        return responses[-1] if responses else b""

    @property
    def when(self) -> batch.Moment:
        """Now."""
        return self.engine.moment(self.now_ns)

    def begin(self) -> None:
        """Open a batch."""
        windows.begin(self.window, self.seq)
        if mirror_calls.in_use(self.calls):
            mirror_calls.begin(self.calls, self.seq)

    def commit(self, end: int, records: int) -> None:
        """Keep the batch's records and close it."""
        if records:
            self.records.append(self.engine.records.bytes_[:end].tobytes())
        self.seq += records
        windows.commit(self.window, self.seq - 1)
        if mirror_calls.in_use(self.calls):
            mirror_calls.commit(self.calls)


def call_table(capacity: int) -> NDArray[np.int64]:
    """A call table in memory."""
    return mirror_calls.format_table(np.zeros(mirror_calls.words_for(capacity), dtype=np.int64), capacity, 4711)


def invite(
    caller: str = "13800138000",
    callee: str = "13900139000",
    *,
    source: str = NEIGHBOUR,
    call: str = "1",
    extra: str = "",
    uri: str = "",
    via: str = "",
    from_: str = "",
    drop: tuple[str, ...] = (),
    body: str = "v=0\r\n",
) -> bytes:
    """An ordinary INVITE as it comes from a proxy; `source` goes into X-Hutong-Source."""
    lines = [
        f"INVITE {uri or f'sip:{callee}@127.0.0.1'} SIP/2.0",
        via or f"Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-{call}",
        "Via: SIP/2.0/UDP 192.0.2.99:5060;branch=z9hG4bKup;received=192.0.2.98",
        "Record-Route: <sip:127.0.0.1:5070;lr>",
        "Max-Forwards: 69",
        from_ or f"From: <sip:{caller}@192.0.2.99>;tag=a{call}",
        f"To: <sip:{callee}@127.0.0.1>",
        f"Call-ID: call-{call}@192.0.2.99",
        "CSeq: 1 INVITE",
        "Contact: <sip:gateway@192.0.2.99:5060>",
        *([f"X-Hutong-Source: {source}"] if source else []),
        *(extra.split("\n") if extra else []),
        *(["Content-Type: application/sdp"] if body else []),
        f"Content-Length: {len(body)}",
    ]
    kept = [line for line in lines if line.partition(":")[0] not in drop]
    return ("\r\n".join(kept) + "\r\n\r\n" + body).encode()


def status(response: bytes) -> int:
    """The status code of a response, 0 when there is none."""
    return int(response[8:11]) if response else 0
