"""What each request is answered, and that a call attempt counts once (RFC 3261 §8.2, §8.3, §17.2; RFC 8688)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest

from engines import ABROAD, COMPANY, HOME, NEIGHBOUR, NOON_NS, Bench, invite, status
from hutong.calls import board, transactions
from hutong.calls.record import decode
from hutong.protocols.sip import Response, parse_datagram
from sip_vectors import fill, needs_protos, needs_torture, protos_cases, torture_messages

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.calls.model import Verdict


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def verdicts(bench: Bench) -> list[Verdict]:
    rules = bench.engine.ruleset
    return [decode(0, memoryview(one)[8:], lambda _digest, rule: len(rules.features_of(rule))) for one in bench.records]


def header(response: bytes, name: str) -> str:
    found = re.search(rf"^{name}: (.*)\r$", response.decode(), re.MULTILINE)
    return found[1] if found else ""


def other(method: str, call: str = "1", *, to_tag: str = "", extra: str = "") -> bytes:
    data = invite(call=call, extra=extra).decode().replace("INVITE", method)
    return re.sub(r"^(To: .*)\r$", rf"\1{to_tag}\r", data, flags=re.MULTILINE).encode()


# Verdicts on the wire


def test_a_passed_call_is_redirected_to_the_next_hop_with_the_same_user(bench: Bench) -> None:
    response = bench(invite(callee="+8613900139000"))
    assert status(response) == 302
    assert header(response, "Contact") == "<sip:+8613900139000@192.0.2.249:5080>"
    assert isinstance(parse_datagram(response), Response)


def test_a_trunk_may_have_its_own_next_hop(bench: Bench) -> None:
    response = bench(invite("02161230001", source=COMPANY))
    assert header(response, "Contact") == "<sip:13900139000@192.0.2.250:5062>"


def test_a_forged_caller_is_rejected_with_reason_and_a_way_to_object(bench: Bench) -> None:
    response = bench(invite("4008123456"))
    assert status(response) == 608
    assert header(response, "Reason").startswith('SIP;cause=608;text="blocked by calls.shared-cost-as-caller@')
    assert "Q.850;cause=21" in header(response, "Reason")
    assert header(response, "Call-Info") == "<http://127.0.0.1:8080/redress>;purpose=jwscard"
    assert header(response, "Contact") == ""
    parsed = parse_datagram(response)
    assert isinstance(parsed, Response)
    assert [reason.cause for reason in parsed.reason] == [608, 21]


@pytest.mark.parametrize("code", [603, 607, 608])
def test_a_list_entry_chooses_the_code(bench: Bench, code: int) -> None:
    bench.list("13700001111", respond=code)
    response = bench(invite("13700001111"))
    assert status(response) == code
    assert (header(response, "Call-Info") != "") == (code == 608)


def test_a_warning_travels_in_a_header(bench: Bench) -> None:
    response = bench(invite("110", source=NEIGHBOUR))
    assert status(response) == 302
    assert header(response, "Hutong-Warning").startswith("rule=calls.")
    assert 'zh="' in header(response, "Hutong-Warning")


@pytest.mark.parametrize("callee", ["110", "119", "120", "122", "12110", "96110", "12345", "021110", "+86110"])
@pytest.mark.parametrize("caller", ["4008123456", "13700001111", "abc"])
def test_emergency_and_public_lines_are_always_reached(bench: Bench, caller: str, callee: str) -> None:
    bench.list("13700001111")
    for source in (ABROAD, NEIGHBOUR, HOME, COMPANY):
        assert status(bench(invite(caller, callee, source=source, call=source))) == 302


def test_an_allow_entry_wins_over_rules_and_the_record_says_so(bench: Bench) -> None:
    bench.list("4008123456", "allow")
    assert status(bench(invite("4008123456"))) == 302
    verdict = verdicts(bench)[0]
    assert "allowed-by-list" in verdict.flags
    assert verdict.fired


# Who calls


def test_the_asserted_identity_counts_and_a_disagreement_is_kept(bench: Bench) -> None:
    bench(invite("13800138000", extra="P-Asserted-Identity: <sip:4008123456@192.0.2.99>"))
    verdict = verdicts(bench)[0]
    assert (verdict.caller, verdict.from_, verdict.code) == ("4008123456", "13800138000", 608)
    assert "identity-conflict" in verdict.flags


def test_two_forms_of_one_number_are_no_disagreement(bench: Bench) -> None:
    bench(invite("13800138000", extra="P-Asserted-Identity: <tel:+8613800138000>"))
    assert "identity-conflict" not in verdicts(bench)[0].flags


def test_an_enterprise_may_show_its_own_numbers_only(bench: Bench) -> None:
    assert status(bench(invite("02161230001", source=COMPANY, call="own"))) == 302
    assert status(bench(invite("13800138000", source=COMPANY, call="other"))) == 608


@pytest.mark.parametrize(
    "diverted",
    [
        "Diversion: <sip:02161230001@192.0.2.99>;reason=unconditional",
        "History-Info: <sip:02161230001@192.0.2.99>;index=1,<sip:13900139000@192.0.2.9;cause=302>;index=1.1",
    ],
)
def test_a_call_that_the_enterprise_diverted_keeps_its_caller(bench: Bench, diverted: str) -> None:
    assert status(bench(invite("13800138000", source=COMPANY, extra=diverted))) == 302
    verdict = verdicts(bench)[0]
    assert (verdict.caller, verdict.diverter) == ("13800138000", "02161230001")
    assert "diverted" in verdict.flags


def test_the_source_is_what_a_trusted_proxy_says_and_nobody_else(bench: Bench) -> None:
    bench(invite(source=ABROAD, call="a"))
    bench(invite(source=ABROAD, call="b"), source="192.0.2.65")
    assert [verdict.trunk for verdict in verdicts(bench)] == ["abroad", "neighbour"]
    assert bench.engine.cells[board.UNTRUSTED_SOURCE] == 1


@pytest.mark.parametrize(("caller", "code"), [("+8613800138000", 608), ("13800138000", 608), ("+14155550100", 302)])
def test_chinese_callers_from_abroad_must_be_roaming(bench: Bench, caller: str, code: int) -> None:
    assert status(bench(invite(caller, source=ABROAD))) == code


# Counting once


def test_a_retransmission_gets_the_same_answer_and_counts_once(bench: Bench) -> None:
    first, second = bench(invite("4008123456")), bench(invite("4008123456"))
    assert first == second
    assert len(bench.records) == 1
    assert bench.engine.cells[board.ATTEMPTS] == 1
    assert bench.engine.cells[board.RETRANSMITS] == 1


def test_a_retransmission_through_the_full_codec_counts_once(bench: Bench) -> None:
    data = invite("4008123456", extra="Subject: hello")
    assert bench.lane(data) is None
    assert bench.full(data) == bench.full(data)
    assert len(bench.records) == 1


def test_another_call_under_the_same_branch_is_judged_for_itself(bench: Bench) -> None:
    assert status(bench(invite("13800138000"))) == 302
    assert status(bench(invite("4008123456"))) == 608
    assert len(bench.records) == 2


def test_a_retransmission_after_a_reload_still_gets_the_same_bytes(bench: Bench) -> None:
    first = bench(invite("4008123456"))
    rules = bench.engine.ruleset
    bench.engine.use_ruleset(rules.with_stages({(rule.id, rule.version): "observe" for rule in rules.rules}))
    assert bench(invite("4008123456")) == first
    assert status(bench(invite("4008123456", call="new"))) == 302


def _repeats(bench: Bench, until_ms: int) -> list[int]:
    """When an unacknowledged answer is sent again, ms after the request."""
    out = np.zeros(16, dtype=np.int64)
    start = NOON_NS // 10**6
    return [at for at in range(0, until_ms, 50) if transactions.due(bench.engine.transactions, start + at, out)]


def test_an_answer_is_repeated_until_it_is_acknowledged(bench: Bench) -> None:
    bench(invite())
    times = _repeats(bench, 40_000)
    # Timer G doubles from T1 to T2, Timer H ends it at 64 T1 (RFC 3261 §17.2.1); a tick is 50 ms.
    expected = [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]
    assert [0 <= actual - at <= 100 for actual, at in zip(times, expected, strict=True)] == [True] * len(expected)


def test_an_acknowledged_answer_is_not_repeated(bench: Bench) -> None:
    bench(invite())
    bench(other("ACK", to_tag=";tag=ours"))
    assert _repeats(bench, 40_000) == []
    assert bench.engine.cells[board.ACKS] == 1


def test_a_flood_of_unacknowledged_calls_stays_within_its_room(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    state = bench.engine.transactions = transactions.new_transactions(table=64, pool=8)
    for call in range(200):
        assert status(bench(invite(call=str(call)))) == 302
    assert state.header[transactions.UNREPEATED] > 0
    assert state.header[transactions.FORGOTTEN] > 0
    out = np.zeros(64, dtype=np.int64)
    assert transactions.due(state, NOON_NS // 10**6 + 1000, out) <= 8


# Other methods


def test_options_says_what_is_served(bench: Bench) -> None:
    response = bench(other("OPTIONS"))
    assert status(response) == 200
    assert header(response, "Allow") == "INVITE, ACK, CANCEL, OPTIONS"


def test_cancel_finds_its_invite_or_nothing(bench: Bench) -> None:
    assert status(bench(other("CANCEL"))) == 481
    bench(invite())
    assert status(bench(other("CANCEL"))) == 200


@pytest.mark.parametrize(
    ("method", "tag", "expected"),
    [
        ("REGISTER", "", 405),
        ("MESSAGE", "", 405),
        ("BYE", ";tag=x", 481),
        ("INFO", ";tag=x", 481),
        ("NEWMETHOD", "", 501),
    ],
)
def test_any_other_method_gets_its_proper_answer(bench: Bench, method: str, tag: str, expected: int) -> None:
    assert status(bench(other(method, to_tag=tag))) == expected


def test_an_invite_within_a_dialog_is_not_ours(bench: Bench) -> None:
    assert status(bench(other("INVITE", to_tag=";tag=x"))) == 481
    assert not bench.records


def test_an_unknown_requirement_is_named(bench: Bench) -> None:
    response = bench(invite(extra="Require: teleport, 100rel"))
    assert (status(response), header(response, "Unsupported")) == (420, "teleport, 100rel")


def test_an_unknown_scheme_is_refused(bench: Bench) -> None:
    assert status(bench(invite(uri="mailto:a@example.net"))) == 416


def test_a_tel_uri_is_redirected_as_its_number(bench: Bench) -> None:
    response = bench(invite(uri="tel:+8613900139000"))
    assert header(response, "Contact") == "<sip:+8613900139000@192.0.2.249:5080>"


def test_a_malformed_request_is_told_what_is_wrong(bench: Bench) -> None:
    response = bench(invite(drop=("Call-ID",)))
    assert status(response) == 400
    assert header(response, "Warning").startswith("399 hutong")
    assert bench.engine.cells[board.MALFORMED] == 1
    assert not bench.records


def test_junk_is_counted_and_not_answered(bench: Bench) -> None:
    assert bench(b"\x00\xff junk") == b""
    assert bench.engine.cells[board.MALFORMED] == 1


# The verdict's time


def test_a_verdict_that_would_be_late_fails_open_and_is_counted(bench: Bench) -> None:
    late = NOON_NS - 60_000_000
    assert status(bench(invite("4008123456"), received_ns=late)) == 302
    assert status(bench(invite("4008123456", call="2", extra="Subject: x"), received_ns=late)) == 302
    assert bench.engine.cells[board.FAIL_OPEN] == 2
    assert ["fail-open" in verdict.flags for verdict in verdicts(bench)] == [True, True]


def test_a_roaming_look_up_parks_the_call_and_its_answer_decides(tmp_path: Path) -> None:
    bench = Bench(tmp_path, look_up_roaming=True)
    for call, roaming, code in (("1", 1, 302), ("2", 2, 608), ("3", 3, 302)):
        data = invite("+8613800138000", source=ABROAD, call=call)
        assert bench.lane(data) is None
        assert status(bench.full(data)[0]) == 100
        ticket, number = bench.asked
        assert number == "8613800138000"
        assert status(bench.full(data)[0]) == 100  # a retransmission waits as well
        assert status(bench.resume(ticket, roaming)[0]) == code
        assert status(bench(data)) == code
    assert len(bench.records) == 3


def test_a_parked_call_can_be_cancelled(tmp_path: Path) -> None:
    bench = Bench(tmp_path, look_up_roaming=True)
    data = invite("+8613800138000", source=ABROAD)
    bench.full(data)
    ticket, _ = bench.asked
    assert [status(one) for one in bench.full(data.replace(b"INVITE", b"CANCEL"))] == [200, 487]
    assert bench.resume(ticket, 1) == []


# Published vectors


@needs_torture
def test_the_torture_messages_leave_the_engine_working(bench: Bench) -> None:
    for at, data in enumerate(torture_messages().values()):
        bench(data)
        assert status(bench(invite(call=f"after-{at}"))) == 302


@needs_protos
def test_no_failing_protos_case_is_ever_redirected(bench: Bench) -> None:
    redirected = {"pass": 0, "fail": 0, "either": 0}
    for case in protos_cases():
        redirected[case.verdict] += status(bench(fill(case.invite, case.case))) == 302
    assert redirected["fail"] == 0
    assert redirected["pass"] > 1_500
