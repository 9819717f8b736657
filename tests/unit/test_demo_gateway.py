"""The sample gateway against a small redirect server on loopback."""

from __future__ import annotations

import asyncio
import io

import pytest
from rich.console import Console

from hutong.app.demo import messages
from hutong.app.demo.gateway import Address, Gateway, Route
from hutong.app.demo.ledger import Ledger
from hutong.app.demo.people import Attempt
from hutong.app.demo.report import Report, terminal_language

pytestmark = pytest.mark.enable_socket


def attempt(caller: str, **changes: object) -> Attempt:
    values: dict[str, object] = {
        "source": "household", "trunk": "local", "caller": caller, "callee": "13800138000", "fraud": False,
        "certain": False, "ring_s": 0.01, "talk_s": 0.01, **changes,
    }  # fmt: skip
    return Attempt(**values)  # type: ignore[arg-type]


class Redirector(asyncio.DatagramProtocol):
    """Stands for Hutong: refuses callers that begin with +, warns of those that begin with 95, loses a first packet."""

    def __init__(self, next_hop: str) -> None:
        self._next_hop = next_hop
        self.invites = 0
        self.acknowledged = 0
        self.lose = 0

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Address) -> None:
        request = messages.read(data)
        if request.method == "ACK":
            self.acknowledged += 1
            return
        self.invites += 1
        if self.lose:
            self.lose -= 1
            return
        caller = request.first("from").partition("sip:")[2].partition("@")[0]
        self._transport.sendto(self._answer(request, caller), addr)

    def _answer(self, request: messages.Message, caller: str) -> bytes:
        if caller.startswith("+"):
            answer = messages.answer(request, "608 Rejected", "h")
            reason = b'Reason: SIP;cause=608;text="blocked by calls.some-rule@1"\r\nContent-Length'
            return answer.replace(b"Content-Length", reason)
        answer = messages.answer(request, "302 Moved Temporarily", "h", f"13800138000@{self._next_hop}")
        if caller.startswith("95"):
            return answer.replace(b"Content-Length", b"Hutong-Warning: rule=calls.x\r\nContent-Length")
        return answer


def play(attempts: list[Attempt], *, lose: int = 0, callees: str = "127.0.0.1") -> tuple[Ledger, Redirector]:
    async def run() -> tuple[Ledger, Redirector]:
        loop = asyncio.get_running_loop()
        probe, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=(callees, 0))
        place = probe.get_extra_info("sockname")
        probe.close()
        await asyncio.sleep(0)
        transport, redirector = await loop.create_datagram_endpoint(
            lambda: Redirector(f"{place[0]}:{place[1]}"), local_addr=("127.0.0.1", 0)
        )
        redirector.lose = lose
        ledger = Ledger()
        route = Route(first_hop=transport.get_extra_info("sockname"), through_proxy=False, callees=place)
        gateway = Gateway(route, {"local": "127.0.0.1"}, ledger)
        await gateway.start()
        for one in attempts:
            gateway.place(one)
        await gateway.drain(10)
        gateway.stop()
        transport.close()
        return ledger, redirector

    return asyncio.run(run())


def test_passed_calls_are_answered_and_ended() -> None:
    ledger, redirector = play([attempt("13900000001"), attempt("13900000002")])
    assert (ledger.attempts, ledger.passed, ledger.blocked, ledger.failed) == (2, 2, 0, 0)
    assert redirector.acknowledged == 2


def test_a_warning_reaches_the_callee() -> None:
    ledger, _ = play([attempt("95588")])
    assert (ledger.passed, ledger.warned) == (1, 1)


def test_refusals_are_counted_by_rule_and_against_what_the_gateway_knows() -> None:
    ledger, _ = play([attempt("+1", fraud=True, certain=True, source="malformed"), attempt("+2")])
    assert ledger.by_rule == {"calls.some-rule": 2}
    assert (ledger.fraud_blocked, ledger.wrong_blocks) == (1, 1)
    assert not ledger.good
    assert [mishap.why for mishap in ledger.mishaps] == ["blocked by calls.some-rule"]


def test_certain_fraud_that_passes_is_missed() -> None:
    ledger, _ = play([attempt("400", fraud=True, certain=True)])
    assert ledger.missed == 1


def test_a_caller_who_hangs_up_while_it_rings_has_passed() -> None:
    ledger, _ = play([attempt("13900000001", hang_up=True, fraud=True)])
    assert (ledger.passed, ledger.failed) == (1, 0)


def test_a_lost_packet_is_sent_again() -> None:
    ledger, redirector = play([attempt("13900000001")], lose=1)
    assert ledger.passed == 1
    assert redirector.invites == 2


def test_good_means_fraud_blocked_and_nobody_honest_harmed() -> None:
    ledger = Ledger()
    assert not ledger.good
    ledger.refused(attempt("+1", fraud=True), "a", 608, "r")
    assert ledger.good
    ledger.came_to_nothing(attempt("1", fraud=True), "b", "no answer")
    assert ledger.good
    ledger.refused(attempt("1"), "c", 500, "?")
    assert not ledger.good
    assert ledger.failures == 1


@pytest.mark.parametrize(("language", "words"), [("zh", "误拦"), ("en", "Wrong blocks")])
def test_the_summary_is_told_in_both_languages(language: str, words: str) -> None:
    ledger, _ = play([attempt("+1", fraud=True), attempt("+2"), attempt("1")])
    console = Console(record=True, width=120, file=io.StringIO())
    report = Report(console, language, ledger)
    report.begin()
    report.second(5.0)
    report.end()
    report.summary()
    text = console.export_text()
    assert words in text
    assert "calls.some-rule" in text


def test_the_terminals_language() -> None:
    assert terminal_language({"LANG": "zh_CN.UTF-8"}) == "zh"
    assert terminal_language({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}) == "en"
    assert terminal_language({}) == "en"
