"""A call asked about over HTTP is judged as the same call that came as SIP: verdict, record, windows, counters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engines import ABROAD, COMPANY, HOME, NEIGHBOUR, Bench, invite, shipped_rules
from hutong.calls import board
from hutong.calls.asking import batch as ask_batch
from hutong.calls.asking import wire as asking
from hutong.calls.asking.batch import AskBatch
from hutong.calls.attempt import ROAMING_ASK, ROAMING_CONFIRMED, ROAMING_UNCONFIRMED
from hutong.calls.mirror import table as mirror_calls
from hutong.calls.record import decode
from hutong.calls.trunks import address_halves
from hutong.kernel import windows

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.calls.model import Verdict

_RELAXED = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
_HEADER = 8


def read(record: bytes) -> Verdict:
    """A record with the values that its rules read."""
    ruleset = shipped_rules()
    return decode(0, memoryview(record)[_HEADER:], lambda _digest, rule: len(ruleset.features_of(rule)))


def _without(verdict: Verdict) -> tuple[str, ...]:
    """The flags but for the one that says who read the signalling."""
    return tuple(flag for flag in verdict.flags if flag != "read-by-full-codec")


class Asked:
    """An engine that is asked through `judge_many`."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.batch = AskBatch(bench.engine, seen=1 << 12)
        self.rows = self.batch.answers

    def __call__(
        self, *calls: asking.Attempt, roaming: int = ROAMING_ASK, room: int = 4096
    ) -> list[tuple[int, int, bytes]]:
        """(status, sequence number, record) of each call."""
        body = asking.encode_request(1, calls)[asking.HEADER.size :]
        assert self.batch.load(body, len(calls))
        bench, start, found = self.bench, 0, []
        while start < len(calls):
            bench.begin()
            done = self.batch.judge(bench.when, start, len(calls), bench.seq, roaming=roaming, room=room)
            data = bench.engine.records.bytes_[: done.end].tobytes()
            for row in self.rows[start : done.next]:
                _, status, seq, at, length = (int(value) for value in row[: ask_batch.SENT])
                found.append((status, seq, data[at : at + length]))
            bench.commit(done.end, done.records)
            start = done.next
        return found


def attempt(
    caller: str = "13800138000",
    callee: str = "13900139000",
    *,
    source: str = NEIGHBOUR,
    call: str = "1",
    received_ms: int = 0,
    **more: bytes | bool,
) -> asking.Attempt:
    """The call of `engines.invite`, as somebody says it over HTTP."""
    return asking.Attempt(
        f"call-{call}@192.0.2.99".encode(),
        caller.encode(),
        callee.encode(),
        received_ms or 1 << 60,
        source=address_halves(source),
        **more,  # type: ignore[arg-type]
    )


def _prepared(folder: Path, **more: bool) -> Bench:
    bench = Bench(folder, **more)  # type: ignore[arg-type]
    bench.list("13700001111", respond=603)
    bench.list("13700002222", respond=607)
    bench.list("139*", "allow")
    return bench


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bench, Asked]:
    """Two engines with the same state: one hears SIP, the other is asked."""
    return _prepared(tmp_path_factory.mktemp("sip")), Asked(_prepared(tmp_path_factory.mktemp("asked")))


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    return Asked(_prepared(tmp_path))


numbers = st.one_of(
    st.sampled_from(["13800138000", "13700001111", "13700002222", "+8613800138000", "008613800138000", "110", "12345"]),
    st.sampled_from(["4008123456", "95588", "+14155550100", "02161230001", "62345678", "alice", "anonymous"]),
    st.from_regex(r"\A1[3-9][0-9]{9}\Z"),
    st.from_regex(r"\A\+?[0-9]{1,18}\Z"),
)
calls = st.fixed_dictionaries(
    {
        "caller": numbers,
        "callee": numbers,
        "source": st.sampled_from([ABROAD, NEIGHBOUR, HOME, COMPANY, "203.0.113.9", "2001:db8::7"]),
        "from_": st.none() | numbers,
        "diverter": st.none() | st.sampled_from(["02161230001", "13800138000"]),
        "private": st.booleans(),
        "late": st.booleans(),
    }
)
_serial = iter(range(1, 1 << 40))


def _both(pair: tuple[Bench, Asked], it: dict[str, object], call: str) -> tuple[bytes, asking.Attempt]:
    """The call as SIP and as a question."""
    said: dict[str, bytes | bool] = {"anonymous": bool(it["private"])}
    extra = []
    shown = it["caller"]
    if it["from_"] is not None:
        extra.append(f"P-Asserted-Identity: <sip:{it['caller']}@192.0.2.99>")
        said["from_"], shown = str(it["from_"]).encode(), it["from_"]
    if it["diverter"] is not None:
        extra.append(f"Diversion: <sip:{it['diverter']}@192.0.2.99>;reason=unconditional")
        said["diverter"] = str(it["diverter"]).encode()
    if it["private"]:
        extra.append("Privacy: id")
    data = invite(str(shown), str(it["callee"]), call=call, source=str(it["source"]), extra="\n".join(extra))
    received = pair[0].when.now_ms - 60_000 if it["late"] else 0
    asked = attempt(
        str(it["caller"]), str(it["callee"]), source=str(it["source"]), call=call, received_ms=received, **said
    )
    return data, asked


def _judged_alike(pair: tuple[Bench, Asked], batch: list[dict[str, object]]) -> None:
    sip, asked = pair
    names = [f"j{next(_serial)}" for _ in batch]
    both = [_both(pair, it, name) for it, name in zip(batch, names, strict=True)]
    before = len(sip.records)
    for (data, _), it in zip(both, batch, strict=True):
        late = (sip.when.now_ms - 60_000) * 10**6 if it["late"] else 0
        if sip.lane(data, received_ns=late) is None:
            sip.full(data, received_ns=late)
    answers = asked(*(question for _, question in both))
    assert [status for status, _, _ in answers] == [asking.JUDGED] * len(batch)
    for (_, _, mine), theirs in zip(answers, sip.records[before:], strict=True):
        assert read(mine) == msgspec.structs.replace(read(theirs), flags=_without(read(theirs)))
        assert len(mine) == len(theirs)
    assert [seq for _, seq, _ in answers] == list(range(asked.bench.seq - len(batch), asked.bench.seq))


@_RELAXED
@given(st.lists(calls, min_size=1, max_size=12))
def test_both_ways_in_give_the_same_verdicts_and_records(
    pair: tuple[Bench, Asked], batch: list[dict[str, object]]
) -> None:
    _judged_alike(pair, batch)
    sip, asked = pair
    sip.now_ns += 700_000_000
    asked.bench.now_ns = sip.now_ns


def test_both_ways_in_leave_the_same_windows_and_counters(pair: tuple[Bench, Asked]) -> None:
    plain = {"from_": None, "diverter": None, "private": False, "late": False}
    caller = "13612340000"
    _judged_alike(
        pair, [{"caller": caller, "callee": f"1390013{n:04d}", "source": NEIGHBOUR, **plain} for n in range(120)]
    )
    sip, asked = pair
    keys = [sip.engine.tables.numbering.read(text).key for text in (caller, "13900130003")]
    keys.append(int(sip.engine.tables.trunks.arrays.keys[2]))
    now = sip.now_ns // 10**9
    for key in keys:
        found = []
        for table in (sip.window, asked.bench.window):
            out = np.zeros(len(windows.WINDOW_FEATURES))
            windows.read_features(table, windows.find(table, key), now, out, 0)
            found.append(out.tolist())
        assert found[0] == found[1]
        assert found[0][windows.WINDOW_FEATURES.index("attempts_10m")] > 0 or key == keys[1]
    cells = slice(board.ATTEMPTS, board.ALLOWED + 1)
    assert sip.engine.cells[cells].tolist() == asked.bench.engine.cells[cells].tolist()
    assert np.array_equal(sip.engine.cells[board.RULES_FROM :], asked.bench.engine.cells[board.RULES_FROM :])


def test_a_batch_of_the_most_calls_is_one_compiled_call(asked: Asked) -> None:
    before = asked.bench.seq
    answers = asked(*(attempt(f"136{n:08d}", f"137{n:08d}", call=f"m{n}") for n in range(asking.MAX_CALLS)))
    assert [seq for _, seq, _ in answers] == list(range(before, before + asking.MAX_CALLS))


def test_the_same_attempt_again_gets_the_same_verdict_and_counts_once(asked: Asked) -> None:
    (first,) = asked(attempt("4008123456"))
    again = attempt("4008123456", received_ms=asked.bench.when.now_ms)
    assert asked(again, again) == [(asking.REPEATED, first[1], b"")] * 2
    assert asked.bench.engine.cells[board.ATTEMPTS] == 1
    asked.bench.now_ns += (ask_batch.KEPT_MS + 1) * 10**6
    (later,) = asked(attempt("4008123456"))
    assert later[0] == asking.JUDGED
    assert later[1] != first[1]


@pytest.mark.parametrize(
    "other",
    [
        attempt("4008123457"),
        attempt("4008123456", "13900139001"),
        attempt("4008123456", call="2"),
        attempt("4008123456", source=HOME),
        attempt("4008123456", anonymous=True),
        attempt("4008123456", diverter=b"13800138000"),
        attempt("4008123456", trunk=b"home"),
    ],
)
def test_what_differs_in_anything_is_another_call(asked: Asked, other: asking.Attempt) -> None:
    asked(attempt("4008123456"))
    assert asked(other)[0][0] == asking.JUDGED


def test_a_call_that_was_not_kept_is_judged_anew(asked: Asked) -> None:
    asked(attempt())
    asked.batch.forget(int(asked.rows[0, ask_batch.HASH]))
    assert asked(attempt())[0][0] == asking.JUDGED


def test_a_trunk_can_be_named(asked: Asked) -> None:
    by_name = asking.Attempt(b"n", b"13800138000", b"13900139000", 1 << 60, trunk=b"company")
    unknown = asking.Attempt(b"u", b"13800138000", b"13900139000", 1 << 60, trunk=b"compan")
    nobody = asking.Attempt(b"x", b"13800138000", b"13900139000", 1 << 60)
    (status, _, record), (refused, *rest), (unlisted, _, other) = asked(by_name, unknown, nobody)
    assert (status, refused, rest, unlisted) == (asking.JUDGED, asking.NO_TRUNK, [0, b""], asking.JUDGED)
    assert b"company" in record
    assert b"unlisted" in other


def test_a_call_that_was_asked_about_is_known_when_it_is_mirrored(tmp_path: Path) -> None:
    asked = Asked(Bench(tmp_path, followed=1024))
    (first,) = asked(attempt())
    table = asked.bench.calls
    call_id = np.frombuffer(b"call-1@192.0.2.99", dtype=np.uint8)
    row = mirror_calls.find(table, mirror_calls.text_hash(table, call_id, 0, len(call_id)), 1234, 0)
    assert row != mirror_calls.NONE
    assert table[mirror_calls.at_row(table, row) + mirror_calls.VERDICT] == first[1]


def test_a_call_that_was_mirrored_first_is_judged_once(tmp_path: Path) -> None:
    asked = Asked(Bench(tmp_path, followed=1024))
    table, call_id = asked.bench.calls, np.frombuffer(b"call-1@192.0.2.99", dtype=np.uint8)
    key = mirror_calls.text_hash(table, call_id, 0, len(call_id))
    waiting = mirror_calls.insert(table, key, 1234, mirror_calls.WAITING, asked.bench.when.now_ms)
    asked(attempt())
    assert mirror_calls.state_of(table, waiting) != mirror_calls.WAITING


def test_the_memory_of_repetitions_is_bounded(asked: Asked) -> None:
    for start in range(0, 5000, asking.MAX_CALLS):
        asked(*(attempt(call=f"b{n}") for n in range(start, start + asking.MAX_CALLS)))
    assert asked(attempt(call="b5119"))[0][0] == asking.REPEATED


class TestRoaming:
    """A call that must wait for an outside look-up."""

    @pytest.fixture
    def abroad(self, tmp_path: Path) -> Asked:
        return Asked(_prepared(tmp_path, look_up_roaming=True))

    def test_it_waits_while_others_are_judged(self, abroad: Asked) -> None:
        waits, other = attempt("+8613612340000", source=ABROAD, call="w"), attempt(call="o")
        (held, _, _), (status, seq, _) = abroad(waits, other)
        assert (held, status, seq) == (asking.WAITING, asking.JUDGED, 1)
        assert abroad.bench.engine.cells[board.ATTEMPTS] == 1
        assert abroad(waits)[0][0] == asking.WAITING, "its repetition waits for the same look-up"

    @pytest.mark.parametrize("roaming", [ROAMING_CONFIRMED, ROAMING_UNCONFIRMED])
    def test_it_is_judged_with_the_answer_as_sip_is(self, abroad: Asked, tmp_path: Path, roaming: int) -> None:
        sip = _prepared(tmp_path / "sip", look_up_roaming=True)
        data = invite("+8613612340000", source=ABROAD, call="w")
        assert sip.lane(data) is None
        sip.full(data)
        sip.resume(sip.asked[0], roaming)
        waits = attempt("+8613612340000", source=ABROAD, call="w")
        abroad(waits)
        (single,) = abroad(waits, roaming=roaming)
        expected = read(sip.records[-1])
        assert single[0] == asking.JUDGED
        assert read(single[2]) == msgspec.structs.replace(expected, flags=_without(expected))
        assert abroad(waits) == [(asking.REPEATED, single[1], b"")]

    def test_beyond_the_room_nobody_is_asked(self, abroad: Asked) -> None:
        both = [attempt(f"+861361234000{n}", source=ABROAD, call=f"r{n}") for n in range(2)]
        assert [status for status, _, _ in abroad(*both, room=1)] == [asking.WAITING, asking.JUDGED]
