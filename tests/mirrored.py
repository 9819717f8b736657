"""Captured calls for tests: what each leg's messages look like, and an engine in memory that follows them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from engines import NEIGHBOUR, NOON_NS, Bench
from hutong.calls import record as rec
from hutong.calls.mirror import due as mirror_due
from hutong.calls.mirror import settle as mirror_settle
from hutong.calls.mirror.batch import new_reader, take_packet, take_stream, up_to_date
from hutong.calls.mirror.reference import MirrorReference
from hutong.calls.mirror.waiting import is_full
from hutong.calls.outcomes import Outcome, decode_outcome
from hutong.calls.record import decode
from hutong.kernel import windows
from hutong.protocols.hep import KIND_SIP, Packet, build_packet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hutong.calls.batch import Moment
    from hutong.calls.mirror.batch import Reader
    from hutong.calls.model import Verdict

NOON_US = NOON_NS // 1000
CAPACITY = 1024
WAIT_MS = 500


class Leg(msgspec.Struct, frozen=True):
    """One leg of a call: every message of it, as its two ends exchange them. Tags as a proxy leaves them: alike."""

    call: str = "m1"
    caller: str = "13800138000"
    callee: str = "13900139000"
    branch: str = "a"
    cseq: int = 1
    caller_tag: str = "from"
    callee_tag: str = "to"
    sender: str = "192.0.2.99:5060"

    def request(self, method: str, *, extra: str = "", tagged: bool = False, cseq: int = 0, branch: str = "") -> bytes:
        """A request of the caller."""
        to = f";tag={self.callee_tag}" if tagged else ""
        return self._message(
            f"{method} sip:{self.callee}@192.0.2.10 SIP/2.0",
            f"{cseq or self.cseq} {method}",
            (f"<sip:{self.caller}@192.0.2.99>;tag={self.caller_tag}", f"<sip:{self.callee}@192.0.2.10>{to}"),
            extra,
            branch or self.branch,
        )

    def invite(self, extra: str = "") -> bytes:
        return self.request("INVITE", extra=extra)

    def bye(self, extra: str = "") -> bytes:
        return self.request("BYE", extra=extra, tagged=True, cseq=self.cseq + 1, branch=f"{self.branch}bye")

    def callee_bye(self, extra: str = "") -> bytes:
        """A BYE of the callee, whose From is the caller's To."""
        ends = (
            f"<sip:{self.callee}@192.0.2.10>;tag={self.callee_tag}",
            f"<sip:{self.caller}@192.0.2.99>;tag={self.caller_tag}",
        )
        return self._message(f"BYE sip:{self.caller}@192.0.2.99 SIP/2.0", "7 BYE", ends, extra, "callee")

    def response(self, status: int, method: str = "INVITE", *, extra: str = "", tag: str = "") -> bytes:
        ends = (
            f"<sip:{self.caller}@192.0.2.99>;tag={self.caller_tag}",
            f"<sip:{self.callee}@192.0.2.10>;tag={tag or self.callee_tag}",
        )
        return self._message(f"SIP/2.0 {status} Whatever", f"{self.cseq} {method}", ends, extra, self.branch)

    def _message(self, line: str, cseq: str, ends: tuple[str, str], extra: str, branch: str) -> bytes:
        lines = [
            line,
            f"Via: SIP/2.0/UDP {self.sender};branch=z9hG4bK{branch}",
            *(["Max-Forwards: 70"] if not line.startswith("SIP") else []),
            f"From: {ends[0]}",
            f"To: {ends[1]}",
            f"Call-ID: {self.call}@192.0.2.99",
            f"CSeq: {cseq}",
            *(extra.split("\n") if extra else []),
            "Content-Length: 0",
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Mirror(Bench):
    """An engine that follows captured calls; `now_ns` is its clock, and messages are captured when they arrive."""

    def __init__(
        self, folder: Path, *, key: bytes = b"", wait_ms: int = WAIT_MS, ring: int = 64, **more: object
    ) -> None:
        super().__init__(folder, **{"followed": CAPACITY, **more})  # type: ignore[arg-type]
        self.reader = new_reader(self.engine, key, wait_ms, ring)
        self.slow = MirrorReference(self.engine, key)
        self.declined = 0

    def batch(self, work: Callable[[Reader, Moment], object]) -> object:
        """Do something as one batch."""
        self.reader = up_to_date(self.reader, self.engine)
        done = self.reader.it.done
        done[:] = 0, 0, self.seq
        self.begin()
        given = work(self.reader, self.when)
        self.commit(int(done[mirror_settle.END]), int(done[mirror_settle.RECORDS]))
        return given

    def packet(self, data: bytes, arrived: int = 0) -> None:
        """Follow one HEP packet, whichever path takes it."""

        def work(reader: Reader, when: Moment) -> None:
            array = np.frombuffer(bytearray(data or b"\0"), dtype=np.uint8)
            if not take_packet(reader, array, len(data), arrived or when.now_ms, when):
                self.declined += 1
                self.slow.take(data, arrived or when.now_ms, when, reader)

        if is_full(self.reader.it.waiting):
            self.batch(lambda reader, when: mirror_due.judge_due(reader.it, when, 1))
        self.batch(work)

    def see(self, message: bytes, *, at_us: int | None = None, source: str = NEIGHBOUR, **more: object) -> None:
        """Follow one captured message; `at_us`: when it was captured."""
        captured = self.now_ns // 1000 if at_us is None else at_us
        self.packet(hep(message, captured, source=source, **more))

    def stream(self, *packets: bytes) -> int:
        """Follow packets of a stream; gives how many bytes the lane took."""
        data = np.frombuffer(bytearray(b"".join(packets)), dtype=np.uint8)
        return int(self.batch(lambda reader, when: take_stream(reader, data, 0, when)).next)  # type: ignore[attr-defined]

    def wait(self, ms: int = 0) -> None:
        """Let time pass, and do what is due then."""
        self.now_ns += ms * 1_000_000

        def work(reader: Reader, when: Moment) -> None:
            mirror_due.judge_due(reader.it, when, 0)
            mirror_settle.expire(reader.it, when.now_ms, 256)

        self.batch(work)

    def _kept(self, kind: int) -> list[tuple[int, bytes]]:
        found, seq = [], 1
        for data in self.records:
            at = 0
            while at < len(data):
                length, what = struct.unpack_from("<IH", data, at)
                if what == kind:
                    found.append((seq, data[at + 8 : at + length]))
                at += length
                seq += 1
        return found

    @property
    def outcomes(self) -> list[Outcome]:
        """Every outcome recorded so far."""
        return [decode_outcome(seq, body) for seq, body in self._kept(rec.KIND_OUTCOME)]

    @property
    def verdicts(self) -> list[Verdict]:
        """Every verdict recorded so far."""
        found = self._kept(rec.KIND_VERDICT)
        return [decode(seq, memoryview(body), self._reads) for seq, body in found]

    def _reads(self, _digest: str, rule: int) -> int:
        return len(self.engine.ruleset.features_of(rule))

    def count(self, cell: int) -> int:
        """A cell of the board."""
        return int(self.engine.cells[cell])

    def feature(self, key: int, name: str) -> float:
        """What the windows say of a number now."""
        values = np.zeros(len(windows.WINDOW_FEATURES))
        windows.read_features(self.window, windows.find(self.window, key), self.now_ns // 10**9, values, 0)
        return float(values[windows.WINDOW_FEATURES.index(name)])


def hep(message: bytes, captured_us: int, *, source: str = NEIGHBOUR, kind: int = KIND_SIP, **more: object) -> bytes:
    """A HEP packet that holds a message."""
    packet = Packet(
        source=source,
        destination="2001:db8::9" if ":" in source else "192.0.2.10",
        source_port=5060,
        destination_port=5060,
        protocol=17,
        seconds=captured_us // 1_000_000,
        microseconds=captured_us % 1_000_000,
        kind=kind,
        payload=message,
        key=more.pop("key", b""),  # type: ignore[arg-type]
    )
    return build_packet(packet, **more)  # type: ignore[arg-type]
