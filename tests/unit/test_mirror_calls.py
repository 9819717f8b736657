"""What captured messages do to calls: the field's ordinary stories, and the odd ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from engines import ABROAD, NEIGHBOUR, invite, status
from hutong.calls import board
from hutong.calls.mirror import due as mirror_due
from hutong.calls.mirror import table as mirror_calls
from hutong.calls.mirror.batch import take_packet
from hutong.kernel import windows
from mirrored import CAPACITY, WAIT_MS, Leg, Mirror, hep

if TYPE_CHECKING:
    from pathlib import Path

CALL = Leg()
#: What the proxy makes of the call towards the next hop: another branch, another sender.
ONWARD = Leg(branch="b", sender="192.0.2.10:5070")
MINUTE_MS = 60_000


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    return Mirror(tmp_path)


def phases(mirror: Mirror) -> list[str]:
    return [outcome.phase for outcome in mirror.outcomes]


def test_a_call_that_nobody_asks_about_is_judged_after_its_wait_and_followed_to_its_end(mirror: Mirror) -> None:
    mirror.see(CALL.invite())
    mirror.wait(WAIT_MS - 1)
    assert mirror.verdicts == []
    mirror.wait(1)
    (verdict,) = mirror.verdicts
    assert (verdict.action, verdict.code, verdict.trunk, verdict.source) == ("pass", 0, "neighbour", NEIGHBOUR)
    assert "mirrored" in verdict.flags
    assert (verdict.caller, verdict.callee, verdict.call_id) == ("13800138000", "13900139000", "m1@192.0.2.99")
    mirror.wait(2500)
    mirror.see(CALL.response(200))
    mirror.wait(61_250)
    mirror.see(CALL.bye())
    answered, ended = mirror.outcomes
    assert (answered.phase, answered.ring_ms, answered.answered, answered.verdict_seq) == ("answered", 3000, True, 1)
    assert (ended.phase, ended.ring_ms, ended.talk_ms, ended.release) == ("ended", 3000, 61_250, 0)
    assert (ended.call_id, ended.trunk, ended.caller_key) == ("m1@192.0.2.99", "neighbour", verdict.caller_key)
    for key in (verdict.caller_key, verdict.callee_key):
        assert mirror.feature(key, "mean_ring_10m") == 3
        assert mirror.feature(key, "mean_talk_10m") == pytest.approx(61.3, abs=1e-6)  # tenths, rounded
        assert mirror.feature(key, "answer_share_10m") == 1
        assert mirror.feature(key, "active_calls") == 0
    assert mirror.count(board.ATTEMPTS) == mirror.count(board.MIRROR_JUDGED) == 1


def test_a_call_goes_on_between_its_answer_and_its_end(mirror: Mirror) -> None:
    mirror.see(CALL.invite())
    mirror.wait(WAIT_MS)
    mirror.see(CALL.response(200))
    key = mirror.verdicts[0].caller_key
    assert mirror.feature(key, "active_calls") == 1
    mirror.see(CALL.callee_bye())
    assert mirror.feature(key, "active_calls") == 0


def test_rules_fire_on_a_mirrored_call_and_nothing_is_done(mirror: Mirror) -> None:
    mirror.see(msgspec.structs.replace(CALL, caller="4008123456").invite())
    mirror.wait(WAIT_MS)
    (verdict,) = mirror.verdicts
    assert (verdict.action, verdict.code) == ("pass", 0)
    assert verdict.rule in [rule for rule, _ in verdict.fired]
    assert mirror.count(board.BLOCKED) == 0
    assert mirror.count(board.OBSERVED) == 1


@pytest.mark.parametrize("extra", ["", "Subject: through the full codec"])
def test_a_screened_call_is_linked_and_counted_once(mirror: Mirror, extra: str) -> None:
    asked = invite(call="s1", extra=extra)
    leg = Leg(call="call-s1", caller_tag="as1")
    mirror.see(leg.invite())
    assert status(mirror(asked)) == 302
    mirror.wait(WAIT_MS)
    mirror.see(leg.response(200))
    mirror.see(leg.bye())
    assert [verdict.flags for verdict in mirror.verdicts if "mirrored" in verdict.flags] == []
    assert mirror.count(board.ATTEMPTS) == 1
    assert phases(mirror) == ["answered", "ended"]
    assert {outcome.verdict_seq for outcome in mirror.outcomes} == {1}
    assert mirror.feature(mirror.verdicts[0].caller_key, "attempts_1h") == 1


def test_a_call_may_be_screened_before_it_is_mirrored(mirror: Mirror) -> None:
    mirror(invite(call="s2"))
    leg = Leg(call="call-s2", caller_tag="as2")
    mirror.see(leg.invite())
    mirror.wait(4000)
    mirror.see(leg.response(486, extra="Reason: Q.850;cause=17"))
    (ended,) = mirror.outcomes
    assert (ended.answered, ended.ring_ms, ended.status, ended.release) == (False, 4000, 486, 17)
    assert len(mirror.verdicts) == 1


def test_what_became_of_a_call_before_it_was_screened_is_told_afterwards(mirror: Mirror) -> None:
    leg = Leg(call="call-s3", caller_tag="as3")
    mirror.see(leg.invite())
    mirror.now_ns += 100 * 10**6
    mirror.see(leg.response(200))
    mirror.now_ns += 100 * 10**6
    mirror.see(leg.bye())
    assert mirror.outcomes == []
    mirror(invite(call="s3"))
    mirror.wait(WAIT_MS)
    assert phases(mirror) == ["answered", "ended"]
    assert [outcome.ring_ms for outcome in mirror.outcomes] == [100, 100]
    assert mirror.outcomes[1].talk_ms == 100
    assert len(mirror.verdicts) == 1


def test_a_call_that_was_refused_is_told_of_by_its_verdict_alone(mirror: Mirror) -> None:
    leg = Leg(call="call-s4", caller_tag="as4", caller="4008123456")
    mirror.see(leg.invite())
    assert status(mirror(invite("4008123456", call="s4"))) == 608
    mirror.see(leg.response(608))
    mirror.wait(WAIT_MS)
    assert mirror.outcomes == []
    assert mirror.count(board.MIRROR_ORPHANS) == 0
    assert len(mirror.verdicts) == 1


def test_a_call_that_is_screened_and_not_mirrored_is_forgotten_in_silence(mirror: Mirror) -> None:
    mirror(invite(call="s5"))
    mirror.wait(6 * MINUTE_MS)
    assert mirror.outcomes == []
    assert mirror.count(board.MIRROR_UNENDED) == 0
    assert mirror_calls.free_rows(mirror.calls) == CAPACITY


def test_only_the_callers_side_counts(mirror: Mirror) -> None:
    hutong, failed = Leg(branch="h", sender=ONWARD.sender), Leg(branch="f", sender=ONWARD.sender)
    mirror.see(CALL.invite())
    for leg, code in ((hutong, 302), (failed, 503)):
        mirror.see(leg.invite(), source="192.0.2.10")
        mirror.see(leg.response(code), source="192.0.2.10")
    mirror.see(ONWARD.invite(), source="192.0.2.10")
    mirror.wait(WAIT_MS)
    mirror.see(ONWARD.response(200))
    assert mirror.outcomes == []
    mirror.wait(10)
    mirror.see(CALL.response(200))
    assert [outcome.ring_ms for outcome in mirror.outcomes] == [WAIT_MS + 10]
    mirror.see(CALL.bye())
    mirror.see(ONWARD.bye())
    assert phases(mirror) == ["answered", "ended"]
    assert len(mirror.verdicts) == 1
    assert mirror.count(board.MIRROR_ORPHANS) == 0


def test_the_callers_side_is_what_was_captured_first_whatever_came_first(mirror: Mirror) -> None:
    now = mirror.now_ns // 1000
    mirror.see(ONWARD.invite(), at_us=now + 300, source=ABROAD)
    mirror.see(CALL.invite(), at_us=now)
    mirror.wait(WAIT_MS)
    assert [verdict.trunk for verdict in mirror.verdicts] == ["neighbour"]
    mirror.see(ONWARD.response(486))
    assert mirror.outcomes == []
    mirror.see(CALL.response(486), at_us=now + 9_000_000)
    assert [outcome.ring_ms for outcome in mirror.outcomes] == [9000]


def test_a_cancelled_call_ends_unanswered(mirror: Mirror) -> None:
    mirror.see(CALL.invite())
    mirror.wait(WAIT_MS)
    mirror.see(CALL.request("CANCEL"))
    mirror.see(CALL.response(200, "CANCEL"))
    mirror.see(CALL.response(487))
    assert [(outcome.phase, outcome.answered, outcome.release) for outcome in mirror.outcomes] == [
        ("ended", False, 487)
    ]


def test_copies_count_once(mirror: Mirror) -> None:
    for message in (CALL.invite(), CALL.response(200), CALL.bye("Reason: Q.850;cause=16")):
        mirror.see(message)
        mirror.see(message)
        mirror.wait(WAIT_MS)
        mirror.see(message)
    assert phases(mirror) == ["answered", "ended"]
    assert mirror.outcomes[1].release == 16
    assert len(mirror.verdicts) == 1


def test_a_challenge_ends_no_call_and_the_next_try_is_the_same_call(mirror: Mirror) -> None:
    mirror.see(CALL.invite())
    mirror.see(CALL.response(407))
    again = msgspec.structs.replace(CALL, cseq=2, branch="c")
    mirror.now_ns += 10**9
    mirror.see(again.invite())
    mirror.wait(2000)
    mirror.see(again.response(200))
    assert [(outcome.phase, outcome.ring_ms) for outcome in mirror.outcomes] == [("answered", 2000)]
    assert len(mirror.verdicts) == 1


def test_a_challenge_that_nobody_takes_up_was_the_end(mirror: Mirror) -> None:
    mirror.see(CALL.invite())
    mirror.wait(WAIT_MS)
    mirror.see(CALL.response(401))
    mirror.wait(6 * MINUTE_MS)
    assert [(outcome.phase, outcome.release) for outcome in mirror.outcomes] == [("ended", 401)]
    assert mirror.count(board.MIRROR_UNENDED) == 0


def test_a_new_call_under_an_old_name_is_judged_and_counted_again(mirror: Mirror) -> None:
    mirror.see(CALL.invite())
    mirror.wait(WAIT_MS)
    mirror.see(CALL.response(486))
    mirror.see(msgspec.structs.replace(CALL, cseq=2, branch="c").invite())
    mirror.wait(WAIT_MS)
    assert len(mirror.verdicts) == 2
    other = msgspec.structs.replace(CALL, caller_tag="another", branch="d")
    mirror.see(other.invite())
    mirror.wait(WAIT_MS)
    assert len(mirror.verdicts) == 3


def test_a_bye_that_overtakes_the_answer_is_understood(mirror: Mirror) -> None:
    now = mirror.now_ns // 1000
    mirror.see(CALL.invite())
    mirror.wait(WAIT_MS)
    mirror.see(CALL.bye(), at_us=now + 5_000_000)
    assert mirror.outcomes == []
    mirror.see(CALL.response(200), at_us=now + 2_000_000)
    assert [(it.phase, it.ring_ms, it.talk_ms) for it in mirror.outcomes] == [
        ("answered", 2000, 0),
        ("ended", 2000, 3000),
    ]


def test_the_bye_of_another_branch_of_a_forked_call_ends_nothing(mirror: Mirror) -> None:
    mirror.see(CALL.invite())
    mirror.wait(WAIT_MS)
    mirror.see(CALL.response(200, tag="first"))
    mirror.see(CALL.response(200, tag="second"))
    mirror.see(msgspec.structs.replace(CALL, callee_tag="second").bye())
    assert phases(mirror) == ["answered"]
    mirror.see(msgspec.structs.replace(CALL, callee_tag="first").bye())
    assert phases(mirror) == ["answered", "ended"]


def test_a_re_invite_and_its_answer_change_nothing(mirror: Mirror) -> None:
    mirror.see(CALL.invite())
    mirror.wait(WAIT_MS)
    mirror.see(CALL.response(200))
    again = msgspec.structs.replace(CALL, cseq=5, branch="r")
    mirror.see(again.request("INVITE", tagged=True))
    mirror.see(again.response(488))
    mirror.see(again.response(200))
    assert phases(mirror) == ["answered"]


def test_an_answer_and_an_end_of_a_call_nobody_knows_are_orphans(mirror: Mirror) -> None:
    for message in (CALL.response(200), CALL.bye(), CALL.response(486)):
        mirror.see(message)
    mirror.see(CALL.response(180))
    mirror.see(CALL.request("ACK", tagged=True))
    assert mirror.count(board.MIRROR_ORPHANS) == 3
    assert mirror.records == []


def test_a_call_without_an_end_is_lost_and_goes_on_no_more(mirror: Mirror) -> None:
    mirror.see(CALL.invite())
    mirror.wait(WAIT_MS)
    mirror.see(CALL.response(200))
    key = mirror.verdicts[0].caller_key
    for hour in range(24):
        assert mirror.feature(key, "active_calls") == 1
        mirror.see(Leg(call=f"other{hour}", branch="o").invite())  # keeps the numbers awake
        mirror.wait(60 * MINUTE_MS)
    (lost,) = [outcome for outcome in mirror.outcomes if outcome.phase == "lost" and outcome.answered]
    assert lost.verdict_seq == 1
    assert mirror.feature(key, "active_calls") == 0
    assert mirror.feature(key, "ended_24h") == 0


def test_a_call_that_rings_for_ever_is_lost_and_counted(mirror: Mirror) -> None:
    mirror.see(CALL.invite())
    mirror.wait(WAIT_MS)
    mirror.wait(6 * MINUTE_MS)
    assert [(it.phase, it.answered, it.call_id) for it in mirror.outcomes] == [("lost", False, "")]
    assert mirror.count(board.MIRROR_UNENDED) == 1
    assert mirror_calls.free_rows(mirror.calls) == CAPACITY


def test_a_full_ring_lets_the_oldest_be_judged_at_once(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path, ring=4)
    for number in range(6):
        mirror.see(Leg(call=f"r{number}", branch=f"r{number}").invite())
    assert [verdict.call_id for verdict in mirror.verdicts] == ["r0@192.0.2.99", "r1@192.0.2.99"]
    mirror.wait(WAIT_MS)
    assert len(mirror.verdicts) == 6


def test_a_full_table_gives_up_the_oldest_call_and_goes_on(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path, wait_ms=0)
    legs = [Leg(call=f"f{number}", branch=f"f{number}") for number in range(CAPACITY + 40)]
    for leg in legs:
        mirror.see(leg.invite())
        mirror.see(leg.response(200))
        mirror.batch(lambda reader, when: mirror_due.judge_due(reader.it, when, 0))
    lost = [outcome for outcome in mirror.outcomes if outcome.phase == "lost"]
    assert len(lost) == 40
    mirror.see(legs[-1].bye())
    mirror.see(legs[0].bye())
    assert mirror.count(board.MIRROR_ORPHANS) == 1
    assert mirror.outcomes[-1].phase == "ended"
    mirror.wait(1)
    assert mirror_calls.free_rows(mirror.calls) >= CAPACITY // 16
    on = sum({"answered": 1, "ended": -1, "lost": -1}[outcome.phase] for outcome in mirror.outcomes)
    assert mirror.feature(mirror.verdicts[0].callee_key, "active_calls") == on


def test_one_call_id_under_many_tags_fills_no_chain(mirror: Mirror) -> None:
    for number in range(50):
        mirror.see(Leg(caller_tag=f"t{number}", branch=f"t{number}").invite())
    assert CAPACITY - mirror_calls.free_rows(mirror.calls) == 8
    mirror.wait(WAIT_MS)


def test_a_roaming_question_is_answered_unknown_without_asking(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path, look_up_roaming=True)
    mirror.see(Leg(caller="+8613800138000").invite(), source=ABROAD)
    mirror.wait(WAIT_MS)
    (verdict,) = mirror.verdicts
    assert verdict.trunk == "abroad"
    fired = [mirror.engine.ruleset.rules[rule].id for rule, _ in verdict.fired]
    assert "calls.domestic-caller-unverified" in fired


def test_the_source_that_a_trusted_proxy_names_counts(mirror: Mirror) -> None:
    mirror.see(CALL.invite(f"X-Hutong-Source: {ABROAD}"), source="127.0.0.1")
    other = Leg(call="m2", branch="x")
    mirror.see(other.invite(f"X-Hutong-Source: {ABROAD}"), source=NEIGHBOUR)
    mirror.wait(WAIT_MS)
    assert [verdict.trunk for verdict in mirror.verdicts] == ["abroad", "neighbour"]


def test_an_address_of_ipv6_gives_the_trunk(mirror: Mirror) -> None:
    mirror.see(CALL.invite(), source="2001:db8::5")
    mirror.wait(WAIT_MS)
    assert [(verdict.trunk, verdict.source) for verdict in mirror.verdicts] == [("company", "2001:db8::5")]


@pytest.mark.parametrize("compress", ["gzip", "zlib"])
def test_compressed_and_odd_messages_join_the_same_path(mirror: Mirror, compress: str) -> None:
    mirror.see(CALL.invite("Subject: not the lane's\nDiversion: <sip:02161230001@192.0.2.1>;reason=busy"))
    mirror.wait(WAIT_MS)
    mirror.see(CALL.response(200, extra="Subject: folded\n  line"))
    mirror.see(CALL.bye(), compress=compress)
    assert mirror.declined == 3
    assert mirror.verdicts[0].diverter == "02161230001"
    assert {"mirrored", "read-by-full-codec"} <= set(mirror.verdicts[0].flags)
    assert phases(mirror) == ["answered", "ended"]


def test_senders_without_the_key_are_not_heard(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path, key=b"secret")
    for key in (b"", b"secreT", b"secre", b"secrets"):
        mirror.see(CALL.invite(), key=key)
        mirror.see(CALL.invite(), key=key, compress="gzip")
    assert mirror.count(board.MIRROR_UNAUTHORISED) == 8
    assert mirror_calls.free_rows(mirror.calls) == CAPACITY
    mirror.see(CALL.invite(), key=b"secret")
    assert mirror_calls.free_rows(mirror.calls) == CAPACITY - 1


def test_junk_and_other_protocols_are_counted_and_passed_over(mirror: Mirror) -> None:
    now = mirror.now_ns // 1000
    for data in (b"", b"junk", b"HEP3\0\6", hep(b"no SIP at all", now), hep(CALL.invite()[:90], now)):
        mirror.packet(data)
    assert mirror.count(board.MIRROR_MALFORMED) == 5
    mirror.packet(hep(b"\x80\xc8", now, kind=5))
    mirror.packet(hep(b"\r\n\r\n", now))
    assert mirror.count(board.MIRROR_MALFORMED) == 5
    mirror.see(CALL.invite())
    mirror.wait(WAIT_MS)
    assert len(mirror.verdicts) == 1


def test_late_packets_are_counted_and_followed(mirror: Mirror) -> None:
    now = mirror.now_ns // 1000
    mirror.see(CALL.invite(), at_us=now - 3_000_000)
    mirror.see(CALL.response(180), at_us=now + 3_000_000)
    mirror.see(CALL.response(200), at_us=now - 1_000_000)
    assert mirror.count(board.MIRROR_LATE) == 2
    mirror.wait(WAIT_MS)
    assert [outcome.ring_ms for outcome in mirror.outcomes] == [2000]


def test_a_stream_is_followed_packet_by_packet(mirror: Mirror) -> None:
    now = mirror.now_ns // 1000
    packets = [hep(CALL.invite(), now), hep(CALL.response(200), now + 5), hep(CALL.bye(), now + 9, compress="gzip")]
    assert mirror.stream(*packets) == len(packets[0]) + len(packets[1])


def test_an_abandoned_batch_leaves_nothing(mirror: Mirror) -> None:
    mirror.see(CALL.invite())
    mirror.wait(WAIT_MS)
    before = mirror.calls[mirror_calls.USED :].copy()
    mirror.begin()
    mirror.reader.it.done[:] = 0, 0, mirror.seq
    for message in (CALL.response(200), Leg(call="n", branch="n").invite(), CALL.bye()):
        data = np.frombuffer(bytearray(hep(message, mirror.now_ns // 1000)), dtype=np.uint8)
        assert take_packet(mirror.reader, data, data.size, mirror.when.now_ms, mirror.when)
    windows.recover(mirror.window)
    mirror_calls.recover(mirror.calls)
    log = slice(mirror_calls._HEADER - mirror_calls.USED, mirror_calls._BUCKETS_AT - mirror_calls.USED)  # noqa: SLF001
    after = mirror.calls[mirror_calls.USED :].copy()
    before[log], after[log] = 0, 0
    assert (before == after).all()
    mirror.see(CALL.response(200))
    assert phases(mirror) == ["answered"]
