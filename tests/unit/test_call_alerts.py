"""Alerts on calls under way: when they are raised, once each, and how they end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from engines import invite
from hutong.calls.alerts import marks as alert_marks
from hutong.calls.alerts.conditions import (
    NO_CONDITIONS,
    SHIPPED_ALERTS,
    TARIFF_FILE,
    Conditions,
    ConditionWatcher,
    ages_of,
    check_conditions,
    read_tariffs,
)
from hutong.calls.alerts.features import ALERT_VOCABULARY
from hutong.calls.alerts.record import KIND_ALERT, decode_alert, find_alerts
from hutong.calls.mirror import due as mirror_due
from hutong.calls.mirror import settle as mirror_settle
from hutong.calls.mirror import table as mirror_calls
from hutong.calls.outcomes import all_lost
from hutong.kernel import windows
from hutong.kernel.declared.findings import RulesetError
from hutong.kernel.errors import JournalError, RuleError
from hutong.kernel.rules.loader import load_ruleset
from mirrored import WAIT_MS, Leg, Mirror

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.calls.alerts.record import Alert

CALL = Leg()
#: A caller on whom a shipped rule that may block fires: 400 numbers only receive calls.
FORGED = "4008123456"
TICK_MS = 25
MINUTE_MS = 60_000

ANSWERED = ("long.answered", "call.answered", "{call: {answered: true}}")
TEN = ("long.ten", "call.talk_s >= 10", "{call: {talk_s: 10}}")
TWENTY = ("long.twenty", "call.talk_s > 20", "{call: {talk_s: 21}}")


def rule(name: str, when: str, given: str, *, stage: str = "alert", fires_without: str = "{}") -> str:
    return (
        f"- id: {name}\n  version: 1\n  title: {{zh: 一, en: one}}\n  when: {when}\n  action: alert\n  stage: {stage}\n"
        f"  basis: law\n  runbook: https://example.org/x\n"
        f"  samples: [{{given: {given}, fires: true}}, {{given: {fires_without}, fires: false}}]\n"
    )


def conditions(folder: Path, *rules: str) -> Conditions:
    folder.mkdir(exist_ok=True)
    (folder / "own.yaml").write_text("".join(rules), encoding="utf-8")
    ruleset = load_ruleset([folder / "own.yaml"], ALERT_VOCABULARY)
    check_conditions(ruleset)
    return Conditions(ruleset, read_tariffs([SHIPPED_ALERTS / TARIFF_FILE]))


def shipped() -> Conditions:
    return Conditions(load_ruleset([SHIPPED_ALERTS], ALERT_VOCABULARY), read_tariffs([SHIPPED_ALERTS / TARIFF_FILE]))


class Watched(Mirror):
    """A mirror whose calls are watched."""

    def __init__(self, folder: Path, watched: Conditions) -> None:
        super().__init__(folder)
        self.engine.use_alerts(watched)

    def tick(self, ms: int = TICK_MS) -> None:
        """Let time pass, then do what one tick does."""
        self.wait(ms)
        self.batch(lambda reader, when: mirror_due.watch_calls(reader.it, when.now_ms))

    @property
    def alerts(self) -> list[Alert]:
        """Every alert recorded so far."""
        return [decode_alert(seq, body) for seq, body in self._kept(KIND_ALERT)]

    @property
    def told(self) -> list[tuple[str, str]]:
        """Phase and condition of each."""
        return [(alert.phase, alert.rule) for alert in self.alerts]

    def ring(self, leg: Leg) -> None:
        """A call that is seen and judged."""
        self.see(leg.invite())
        self.tick(WAIT_MS)

    def talk(self, leg: Leg) -> None:
        """A call that is answered."""
        self.ring(leg)
        self.see(leg.response(200))
        self.tick()


def another(call: str, caller: str = CALL.caller, callee: str = CALL.callee) -> Leg:
    return msgspec.structs.replace(CALL, call=call, caller=caller, callee=callee, branch=call)


def test_a_long_call_is_told_when_it_reaches_each_age_and_once(tmp_path: Path) -> None:
    mirror = Watched(tmp_path, conditions(tmp_path / "c", rule(*TEN), rule(*TWENTY)))
    mirror.talk(CALL)
    mirror.tick(9900)
    assert mirror.alerts == []
    mirror.tick(100)
    (alert,) = mirror.alerts
    assert (alert.phase, alert.kind, alert.rule, alert.version, alert.stage) == (
        "raised",
        "long",
        "long.ten",
        1,
        "alert",
    )
    assert (alert.verdict_seq, alert.answered, alert.trunk) == (mirror.verdicts[0].seq, True, "neighbour")
    assert (alert.caller_key, alert.callee_key) == (mirror.verdicts[0].caller_key, mirror.verdicts[0].callee_key)
    assert alert.talk_ms >= 10_000
    assert alert.values == pytest.approx((alert.talk_ms / 1000,), abs=0.001)
    assert alert.conditions == f"{mirror.engine.watch.digest % 2**64:016x}"
    for _ in range(5):
        mirror.tick(5000)
    assert mirror.told == [("raised", "long.ten"), ("raised", "long.twenty")]


def test_when_the_call_ends_so_do_its_alerts(tmp_path: Path) -> None:
    mirror = Watched(tmp_path, conditions(tmp_path / "c", rule(*TEN), rule(*TWENTY)))
    mirror.talk(CALL)
    mirror.tick(30_000)
    mirror.see(CALL.bye("Reason: Q.850;cause=16"))
    ended = mirror.alerts[-1]
    assert [phase for phase, _ in mirror.told] == ["raised", "raised", "ended"]
    assert (ended.rule, ended.kind, ended.verdict_seq) == ("", "", mirror.alerts[0].verdict_seq)
    assert (ended.talk_ms, ended.release, ended.answered) == (mirror.outcomes[-1].talk_ms, 16, True)
    mirror.tick(30_000)
    assert len(mirror.alerts) == 3


def test_a_call_that_was_never_under_alert_ends_without_a_word(tmp_path: Path) -> None:
    mirror = Watched(tmp_path, conditions(tmp_path / "c", rule(*TEN)))
    mirror.talk(CALL)
    mirror.see(CALL.bye())
    mirror.tick(60_000)
    assert mirror.alerts == []


def test_a_call_that_is_given_up_ends_its_alerts_as_lost(tmp_path: Path) -> None:
    mirror = Watched(tmp_path, conditions(tmp_path / "c", rule(*TEN)))
    mirror.talk(CALL)
    mirror.tick(11_000)
    mirror.tick(mirror_settle.TALK_MS)
    assert [phase for phase, _ in mirror.told] == ["raised", "lost"]


def test_a_call_asked_about_over_sip_is_watched_like_one_that_is_only_mirrored(tmp_path: Path) -> None:
    mirror = Watched(tmp_path, conditions(tmp_path / "c", rule(*ANSWERED)))
    leg = msgspec.structs.replace(CALL, call="call-s", caller_tag="as")
    mirror.see(leg.invite())
    mirror.tick()
    mirror(invite(leg.caller, call="s"))
    mirror.tick()
    assert mirror.alerts == []
    mirror.see(leg.response(200))
    mirror.tick()
    assert mirror.told == [("raised", "long.answered")]
    assert mirror.alerts[0].verdict_seq == 1


def test_ringing_has_ages_too(tmp_path: Path) -> None:
    ringing = rule("long.ringing", "call.ring_s >= 5 and not call.answered", "{call: {ring_s: 5}}")
    mirror = Watched(tmp_path, conditions(tmp_path / "c", ringing))
    mirror.ring(CALL)
    mirror.tick(4900)
    assert mirror.alerts == []
    mirror.tick(200)
    assert mirror.told == [("raised", "long.ringing")]


def test_new_conditions_reach_calls_under_way_and_old_ones_are_not_told_again(tmp_path: Path) -> None:
    mirror = Watched(tmp_path, conditions(tmp_path / "c", rule(*TEN)))
    mirror.talk(CALL)
    mirror.tick(30_000)
    mirror.engine.use_alerts(conditions(tmp_path / "c", rule(*TWENTY), rule(*TEN)))
    mirror.tick()
    assert mirror.told == [("raised", "long.ten"), ("raised", "long.twenty")]
    mirror.engine.use_alerts(NO_CONDITIONS)
    mirror.tick()
    mirror.engine.use_alerts(conditions(tmp_path / "c", rule(*TEN)))
    mirror.tick()
    assert len(mirror.alerts) == 2


def test_a_condition_in_observe_is_recorded_as_such(tmp_path: Path) -> None:
    mirror = Watched(tmp_path, conditions(tmp_path / "c", rule(*ANSWERED, stage="observe")))
    mirror.talk(CALL)
    assert [alert.stage for alert in mirror.alerts] == ["observe"]


def test_a_batch_that_is_not_kept_raises_nothing_and_the_next_one_does(tmp_path: Path) -> None:
    mirror = Watched(tmp_path, conditions(tmp_path / "c", rule(*TEN)))
    mirror.talk(CALL)
    mirror.now_ns += 10_000 * 1_000_000
    before = mirror.calls.copy()
    mirror.begin()
    it = mirror.reader.it
    it.done[:] = 0, 0, mirror.seq
    mirror_due.watch_calls(it, mirror.when.now_ms)
    assert it.done[mirror_settle.RECORDS] == 1
    mirror_calls.recover(mirror.calls)
    windows.recover(mirror.window)
    row = mirror_calls.at_row(mirror.calls, 0)
    assert (before[row : row + mirror_calls.ROW] == mirror.calls[row : row + mirror_calls.ROW]).all()
    mirror.tick()
    assert mirror.told == [("raised", "long.ten")]


def test_a_caller_who_is_listed_while_the_call_goes_on_raises_an_alert_within_a_second(tmp_path: Path) -> None:
    mirror = Watched(tmp_path, shipped())
    mirror.talk(CALL)
    assert mirror.alerts == []
    mirror.list(CALL.caller)
    mirror.tick()
    assert ("raised", "suspicious.listed-during-call") in mirror.told


def test_a_caller_who_was_listed_before_the_call_was_not_listed_during_it(tmp_path: Path) -> None:
    mirror = Watched(tmp_path, shipped())
    mirror.list(CALL.caller)
    mirror.talk(CALL)
    mirror.tick(2000)
    assert "suspicious.listed-during-call" not in [rule for _, rule in mirror.told]


def test_a_caller_whose_other_call_is_blocked_raises_an_alert_on_the_one_that_goes_on(tmp_path: Path) -> None:
    only = rule(
        "suspicious.own",
        "call.answered and caller.blocked_since",
        "{call: {answered: true}, caller: {blocked_since: true}}",
    )
    mirror = Watched(tmp_path, conditions(tmp_path / "c", only))
    mirror.talk(CALL)
    mirror.list(CALL.caller)
    mirror.now_ns += 1_000_000_000
    mirror(invite(CALL.caller, "13700137000", call="other"))
    mirror.tick()
    assert mirror.told == [("raised", "suspicious.own")]


def test_a_flagged_caller_who_talks_long_endangers_the_callee(tmp_path: Path) -> None:
    mirror = Watched(tmp_path, shipped())
    mirror.talk(another("m1", FORGED))
    mirror.tick(180_100)
    assert ("raised", "victim.long-talk") in mirror.told
    honest = Watched(tmp_path / "honest", shipped())
    honest.talk(CALL)
    honest.tick(180_100)
    assert honest.alerts == []


def test_a_flagged_caller_who_is_answered_after_another_attempt_endangers_the_callee(tmp_path: Path) -> None:
    mirror = Watched(tmp_path, shipped())
    mirror.ring(another("m1", FORGED))
    mirror.see(another("m1", FORGED).response(486))
    mirror.tick()
    assert "victim.answered-after-attempts" not in [rule for _, rule in mirror.told]
    mirror.talk(another("m2", "4008999999"))
    assert ("raised", "victim.answered-after-attempts") in mirror.told


def test_several_flagged_callers_endanger_the_callee_while_it_still_rings(tmp_path: Path) -> None:
    mirror = Watched(tmp_path, shipped())
    for number in range(3):
        mirror.ring(another(f"m{number}", f"400812340{number}"))
        mirror.tick()
    assert mirror.told == [("raised", "victim.many-flagged-callers")]
    assert mirror.alerts[0].verdict_seq == mirror.verdicts[2].seq


def test_flagged_attempts_are_forgotten_after_their_window(tmp_path: Path) -> None:
    mirror = Watched(tmp_path, shipped())
    for number in range(3):
        mirror.ring(another(f"m{number}", f"400812340{number}"))
        mirror.tick(31 * MINUTE_MS)
    assert "victim.many-flagged-callers" not in [rule for _, rule in mirror.told]


@pytest.mark.parametrize(
    ("callee", "told"),
    [("0097912345678", "costly.premium"), ("00881612345678", "costly.premium"), ("13700137000", "")],
)
def test_what_a_call_costs_is_its_longest_prefix(tmp_path: Path, callee: str, told: str) -> None:
    mirror = Watched(tmp_path, shipped())
    mirror.talk(another("m1", callee=callee))
    mirror.tick(61_000)
    assert [rule for _, rule in mirror.told if rule.startswith("costly")] == ([told] if told else [])


def test_marks_keep_the_last_eight_attempts_and_every_caller_among_them() -> None:
    t = mirror_calls.format_table(np.zeros(mirror_calls.words_for(64), np.int64), 64, 99)
    for number in range(7):
        alert_marks.note_flagged(t, 100 + number, 5, 0, 1000 + number)
    for at in range(20):
        alert_marks.note_flagged(t, 106, 5, 0, 2000 + at)
    mark = alert_marks.find(t, 5)
    assert alert_marks.contacts_since(t, mark, 0) == (8, 7)
    assert alert_marks.contacts_since(t, mark, 1999) == (2, 1)
    assert alert_marks.contacts_since(t, alert_marks.find(t, 6), 0) == (0, 0)


def test_marks_forget_the_number_that_was_marked_least_recently() -> None:
    t = mirror_calls.format_table(np.zeros(mirror_calls.words_for(64), np.int64), 64, 99)
    marks = int(t[mirror_calls.MARKS])
    for number in range(1, marks + 1):
        alert_marks.note_flagged(t, number, 0, 1, number)
    alert_marks.note_flagged(t, 1, 0, 0, 9999)
    alert_marks.note_flagged(t, marks + 1, 0, 0, 9999)
    assert alert_marks.find(t, 2) == mirror_calls.NONE
    kept = [number for number in range(1, marks + 2) if alert_marks.find(t, number) != mirror_calls.NONE]
    assert kept == [1, *range(3, marks + 2)]
    assert alert_marks.last_of(t, alert_marks.find(t, 1), alert_marks.BLOCKED_AT) == 1


def test_ages_must_be_plain_numbers_and_few(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="plain number"):
        conditions(tmp_path / "a", rule("long.odd", "call.talk_s >= call.ring_s + 5", "{call: {talk_s: 9}}"))
    many = [rule(f"long.n{age}", f"call.talk_s >= {age}", f"{{call: {{talk_s: {age}}}}}") for age in range(1, 20)]
    with pytest.raises(RuleError, match="19 different"):
        conditions(tmp_path / "b", *many)


def test_an_id_says_what_kind_of_alert_it_is(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="what kind"):
        conditions(tmp_path / "a", rule("own.busy", TEN[1], TEN[2]))


def test_conditions_know_the_stages_observe_and_alert_only(tmp_path: Path) -> None:
    with pytest.raises(RulesetError, match="observe, alert"):
        conditions(tmp_path / "a", rule(*TEN, stage="block"))


def test_ages_are_those_that_conditions_name() -> None:
    ringing, talking = ages_of(shipped().ruleset)
    assert ringing == [0, 120_001]
    assert talking == [0, 60_001, 180_001, 600_001, 3_600_001, 14_400_001]


def test_own_conditions_and_tariffs_are_taken_up_when_their_files_change(tmp_path: Path) -> None:
    watcher = ConditionWatcher(tmp_path)
    first = watcher.poll(0)
    assert first is not None
    assert "979" in first.tariffs
    second = 10**9
    assert watcher.poll(second) is None
    (tmp_path / "alerts").mkdir()
    (tmp_path / "alerts" / "own.yaml").write_text(rule(*TEN), encoding="utf-8")
    again = watcher.poll(2 * second)
    assert again is not None
    assert again.ruleset.index("long.ten") is not None
    (tmp_path / "alerts" / "tariffs.csv").write_text("prefix,tariff,what\n8612590,premium,own\n\n979,ordinary,no\n")
    third = watcher.poll(3 * second)
    assert third is not None
    assert (third.tariffs["8612590"], third.tariffs["979"]) == ("premium", "ordinary")
    (tmp_path / "alerts" / "tariffs.csv").write_text("prefix,tariff,what\n12x,premium,own\n")
    with pytest.raises(RuleError, match="12x"):
        watcher.poll(4 * second)
    assert watcher.poll(5 * second) is None


def test_conditions_that_changed_with_refused_tariffs_are_taken_up_once_these_are_mended(tmp_path: Path) -> None:
    (tmp_path / "alerts").mkdir()
    (tmp_path / "alerts" / "own.yaml").write_text(rule(*TEN), encoding="utf-8")
    (tmp_path / "alerts" / "tariffs.csv").write_text("prefix,tariff,what\n12x,premium,own\n")
    watcher = ConditionWatcher(tmp_path)
    with pytest.raises(RuleError, match="12x"):
        watcher.poll(0)
    (tmp_path / "alerts" / "tariffs.csv").write_text("prefix,tariff,what\n8612590,premium,own\n")
    mended = watcher.poll(10**9)
    assert mended is not None
    assert mended.ruleset.index("long.ten") is not None


@pytest.mark.parametrize("body", [b"", b"x" * 40, b"\xff" * 120])
def test_other_bytes_are_no_alert(body: bytes) -> None:
    with pytest.raises(JournalError):
        decode_alert(1, body)


def test_alerts_are_found_among_other_records_and_so_is_the_loss_of_all_calls(tmp_path: Path) -> None:
    mirror = Watched(tmp_path, conditions(tmp_path / "c", rule(*ANSWERED)))
    mirror.talk(CALL)
    mirror.see(CALL.bye())
    data = np.frombuffer(b"".join(mirror.records) + all_lost(1), dtype=np.int64)
    found = np.zeros((16, 2), dtype=np.int64)
    count = find_alerts(data, data.view(np.uint16), 0, found)
    numbers = found[:count, 1].tolist()
    assert numbers == [alert.seq - 1 for alert in mirror.alerts] + [mirror.seq - 1]
    assert find_alerts(data, data.view(np.uint16), numbers[0] + 1, found) == count - 1
