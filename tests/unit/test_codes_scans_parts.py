"""The pure parts of scanning: venue codes, times, distances, retention, orders of look-up, files, a device's store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from codes_samples import ES_KEY, KEY, OTHER_KEY, bundle, claims, revoked, trust
from codes_samples import NOW as SIGNED
from hutong.codes.minting import mint_one
from hutong.codes.people.day_keys import day_of
from hutong.codes.scans import lookup_machine
from hutong.codes.scans.checking_in import at_door, at_station
from hutong.codes.scans.device import Device
from hutong.codes.scans.errors import ScanRefused
from hutong.codes.scans.files import read_batches, write_batch
from hutong.codes.scans.lookup_machine import Bounds
from hutong.codes.scans.lookup_model import MOVES, STATES, Scope, Seeker, bases
from hutong.codes.scans.model import Answer, Refusal, Scan
from hutong.codes.scans.retention import rule_at, shipped
from hutong.codes.scans.times import timed
from hutong.codes.signed import write_signed
from hutong.codes.venues import PREFIX, Venue, VenueCodeError, read_poster, write_poster
from hutong.codes.verification import verify
from hutong.kernel.districts import load_districts
from hutong.kernel.errors import ConfigError, StateError
from hutong.protocols import base45
from scan_worlds import ASKING, DAY, HOUR, LI, MINUTE, NOW, WANG, ZHAO, wish

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.codes.keys import SigningKey

VENUE = Venue(
    id="xa-market",
    title="西仓市场",
    kind="market",
    district="610104",
    capacity=300,
    unit="市场办",
    serial=3,
    made_ms=SIGNED,
    code_ms=SIGNED,
    changed_ms=SIGNED,
)
SCOPE = Scope(kind="venue", about="xa-market", since_ms=NOW - DAY, until_ms=NOW)


@pytest.mark.parametrize("key", [KEY, ES_KEY])
def test_a_venues_code_verifies_offline_and_says_what_is_on_the_sign(key: SigningKey) -> None:
    text = write_poster(VENUE, "xian", key)
    poster = read_poster(f" {text}\n", [OTHER_KEY.public, key.public], SIGNED)
    assert (poster.iss, poster.id, poster.serial, poster.kind, poster.district, poster.title) == (
        "xian",
        "xa-market",
        3,
        "market",
        "610104",
        "西仓市场",
    )
    assert len(text) < 400  # fits a QR code that is read from two metres


def reason_of(text: str, key: SigningKey = KEY, now_ms: int = SIGNED) -> str:
    with pytest.raises(VenueCodeError) as refused:
        read_poster(text, [key.public], now_ms)
    return refused.value.reason


def test_what_is_no_venues_code_is_refused_for_its_own_reason() -> None:
    good = write_poster(VENUE, "xian", KEY)
    message = bytearray(base45.decode(good[len(PREFIX) :]))
    message[message.index(b"610104")] ^= 1
    assert reason_of(PREFIX + base45.encode(bytes(message))) == "forged"
    assert reason_of(good, OTHER_KEY) == "unknown-key"
    early = msgspec.structs.replace(VENUE, code_ms=SIGNED - 2 * DAY)
    assert reason_of(write_poster(early, "xian", KEY)) == "unknown-key"  # signed before the key began
    assert reason_of(good, now_ms=SIGNED - HOUR) == "clock-wrong"
    other = write_signed("application/other+cbor", VENUE, KEY)
    for text in ("", "HV1:", "HV1:%", good[:-3], bundle().text(0), PREFIX + bundle().text(0)[4:], good + "0" * 2000):
        assert reason_of(text) == "malformed"
    assert reason_of(PREFIX + base45.encode(other)) == "malformed"
    personal = verify(good.replace("HV1:", "HT1:"), trust(), {}, None, SIGNED)
    assert personal.verdict != "valid"


def test_a_scan_holds_the_pseudonym_and_the_outcome_and_no_name() -> None:
    outcome = verify(bundle().text(0), trust(), revoked(), None, SIGNED)
    scan = at_station(outcome, "xa-market", 1, SIGNED)
    assert (scan.who, scan.verdict, scan.mode) == ("02" * 12, "valid", "station")
    assert len(scan.code) == 16
    body = msgspec.json.encode(scan).decode()
    assert "王" not in body
    assert "1X" not in body
    poster = read_poster(write_poster(VENUE, "xian", KEY), [KEY.public], SIGNED)
    door = at_door(poster, outcome, 2, SIGNED)
    assert (door.who, door.venue, door.serial, door.mode, door.code) == ("02" * 12, "xa-market", 3, "person", "")
    paper = claims(kind="paper", colour=None, as_of_ms=None)
    shown = verify(mint_one(paper, KEY), trust(), revoked(), None, SIGNED)
    assert (shown.verdict, at_station(shown, "xa-market", 3, SIGNED).code) == ("valid", "")
    forged = verify(bundle(OTHER_KEY).text(0), trust(), {}, None, SIGNED)
    assert (at_station(forged, "xa-market", 4, SIGNED).who, forged.verdict) == ("", "unknown-key")


def test_times_and_ways_have_their_limits() -> None:
    since = NOW - 7 * DAY
    assert timed(NOW, 0, NOW, since) == (NOW, "right", False)
    assert timed(NOW + MINUTE, 0, NOW, since).at_ms == NOW
    assert timed(NOW + 5 * MINUTE, 0, NOW, since) == (NOW, "wrong", False)
    assert timed(NOW + 5 * MINUTE, 6 * MINUTE, NOW, since) == (NOW - MINUTE, "corrected", False)
    assert timed(since - 1, 0, NOW, since).over
    assert timed(since, 0, NOW, since).over is False
    districts = load_districts()
    far = districts.way_ms("610104", "610115")
    assert 8 * MINUTE < far < 20 * MINUTE  # some 28 km
    assert districts.way_ms("610115", "610104") == far
    assert districts.way_ms("610104", "610104") == districts.way_ms("610104", "440103") == 0
    assert districts.way_ms("610104", "610103") == 0  # neighbours


def test_scans_are_kept_fourteen_days_and_then_seven_by_rule() -> None:
    before, after = shipped()
    assert (before.days, after.days) == (14, 7)
    begins = 1_657_209_600_000  # 2022-07-08T00:00+08:00
    assert rule_at(begins - 1) == before
    assert rule_at(begins) == after
    assert rule_at(0) == before
    assert rule_at(begins).since_day(begins) == day_of(begins) - 7
    assert day_of(after.since_ms(NOW)) == after.since_day(NOW) == day_of(after.since_ms(NOW) - 1) + 1
    assert all(it.basis and it.zh and it.en for it in shipped())


def test_districts_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    file = tmp_path / "d.toml"
    two = "slack_km = 1\nfastest_km_h = 9\n[district]\n" + "\n".join(
        f'{code} = {{ zh = "x", en = "x", at = [1, 1], tile = [1, 1] }}' for code in (610102, 610103)
    )
    for text in ("", "slack_km = 1\nfastest_km_h = 0\n[district]", "[", two):
        file.write_text(text)
        with pytest.raises(ConfigError, match=r"d\.toml"):
            load_districts(file)


def refusal(call: object, *args: object) -> str:
    with pytest.raises(ScanRefused) as refused:
        call(*args)  # type: ignore[operator]
    return refused.value.reason


def test_orders_go_through_the_table_by_two_persons_of_the_right_agency() -> None:
    order = lookup_machine.request(wish(SCOPE), "xa-1", LI, NOW, Bounds())
    decide = lookup_machine.decide
    for action, move in MOVES.items():
        for state in STATES:
            held = msgspec.structs.replace(order, state=state)
            who = LI if move.own else Seeker("boss", ASKING)
            now = NOW if move.who else order.ends_ms
            if state in move.sources:
                assert decide(held, action, "因为", who, now).state == move.to
            else:
                assert refusal(decide, held, action, "因为", who, now) == "not-from-here"
    assert refusal(decide, order, "approve", "", LI, NOW) == "same-person"
    assert refusal(decide, order, "withdraw", "x", ZHAO, NOW) == "not-yours"
    assert refusal(decide, order, "decline", " ", ZHAO, NOW) == "no-reason"
    assert refusal(decide, order, "approve", "", Seeker("a", ASKING, "police", "police"), NOW) == "agency"
    assert refusal(decide, order, "approve", "", Seeker("a", ASKING, "cdc", None), NOW) == "agency"  # disabled
    assert refusal(decide, order, "approve", "", Seeker("a", frozenset()), NOW) == "not-allowed"
    assert refusal(decide, order, "approve", "", ZHAO, order.ends_ms) == "over"
    approved = decide(order, "approve", "", ZHAO, NOW + 5)
    assert (approved.ends_ms, approved.decided_by, approved.version) == (NOW + 5 + 86_400_000, "zhao", 2)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"document": " "}, "field"),
        ({"reason": "x" * 1001}, "field"),
        ({"basis": ()}, "basis"),
        ({"basis": ("epidemic", "epidemic")}, "basis"),
        ({"basis": ("criminal",)}, "basis"),  # no basis of disease control
        ({"basis_text": ""}, "basis"),
        ({"term_s": 59}, "term"),
        ({"term_s": 8 * 86_400}, "term"),
        ({"quiet_s": 86_400, "quiet_why": "侦查"}, "quiet"),  # its basis does not allow it
        ({"quiet_s": 91 * 86_400}, "quiet"),
        ({"scope": Scope(kind="venue", about="v", since_ms=NOW, until_ms=NOW)}, "scope"),
        ({"scope": Scope(kind="venue", about="v", since_ms=NOW - 15 * DAY, until_ms=NOW)}, "scope"),
        ({"scope": Scope(kind="person", about="王小明", since_ms=NOW - DAY, until_ms=NOW)}, "scope"),
        ({"scope": Scope(kind="person", about=WANG, since_ms=NOW, until_ms=NOW + 10 * DAY)}, "scope"),
    ],
)
def test_an_order_that_will_not_do_is_refused(changes: dict[str, object], reason: str) -> None:
    asked = msgspec.structs.replace(wish(SCOPE), **changes)
    assert refusal(lookup_machine.request, asked, "xa-1", LI, NOW, Bounds()) == reason


def test_only_agencies_ask_and_bases_name_theirs() -> None:
    assert refusal(lookup_machine.request, wish(SCOPE), "xa-1", Seeker("a", ASKING), NOW, Bounds()) == "no-agency"
    nobody = Seeker("a", frozenset(), "cdc", "other")
    assert refusal(lookup_machine.request, wish(SCOPE), "xa-1", nobody, NOW, Bounds()) == "not-allowed"
    assert all(it.zh and it.en and it.agencies for it in bases().values())


def test_a_device_keeps_until_the_centre_has_it_and_a_file_loses_only_the_line_where_it_was_cut(
    tmp_path: Path,
) -> None:
    device = Device(tmp_path / "gate")
    device.make("gate-1", b"\0" * 8)
    with pytest.raises(StateError, match="already"):
        Device(tmp_path / "gate").make("gate-1", b"\1" * 8)

    def made(sequence: int) -> Scan:
        return Scan(sequence=sequence, at_ms=NOW, venue="xa-market", verdict="valid")

    assert [it.sequence for it in device.keep([made] * 5)] == [1, 2, 3, 4, 5]
    device.close()
    device.open()
    lines = "".join(write_batch(device.batch(NOW)))
    ((whole, bad),) = read_batches(lines.splitlines(keepends=True), 100)
    assert (whole.scans, whole.live, bad) == (device.batch(NOW).scans, False, ())
    ((cut, bad),) = read_batches(lines[:-9].splitlines(keepends=True), 100)
    assert [it.sequence for it in cut.scans] == [1, 2, 3, 4]
    assert [(it.place, it.reason) for it in bad] == [(6, "scan")]
    assert [len(it.scans) for it, _ in read_batches((lines + lines).splitlines(), 3)] == [3, 2, 3, 2]
    assert refusal(lambda: list(read_batches(['{"sequence":1}'], 9))) == "device"
    source = device.source()
    device.answered(Answer(source, (1, 3), refused=(Refusal(2, "no-venue", "x"),)))
    assert [it.sequence for it in device.batch(NOW).scans] == [4, 5]
    assert device.standing().refused == ((2, "no-venue: x"),)
    assert device.again() == 1
    assert [it.sequence for it in device.batch(NOW, 2).scans] == [2, 4]
    device.answered(Answer(source, (2, 4, 5)))
    assert [it.sequence for it in device.keep([made])] == [6]  # numbers are never used again
    device.close()
    (tmp_path / "other").mkdir()
    with pytest.raises(StateError, match="no store"):
        Device(tmp_path / "other").open()
