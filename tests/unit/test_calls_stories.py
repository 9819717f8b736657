"""Stories: figures are the engine's own, lists and partners are there, words fit, nothing unasked is whole."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from console_pages import NOW
from engines import shipped_rules
from hutong.calls.index import Filters, VerdictIndex
from hutong.calls.record import KIND_VERDICT
from hutong.calls.stories.stories import Stories
from hutong.calls.stories.words import sentence
from hutong.calls.window_history import COLUMNS, draw_windows
from hutong.calls.windows_reader import WindowsReader
from hutong.kernel import windows
from hutong.kernel.errors import StateError
from hutong.kernel.reporter import masked
from hutong.kernel.windows import WINDOW_FEATURES, WindowFile
from story_data import BUSY, DIVERTER, QUIET, TELLING, Filled, fill, remove_listed
from verdict_records import key_of, verdict_body, write_journal

if TYPE_CHECKING:
    from pathlib import Path

HOUR_MS = 3_600_000
NOW_MS = NOW * 1000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Filled]:
    data = tmp_path_factory.mktemp("stories")
    return data, fill(data)


@pytest.fixture
def stories(folder: tuple[Path, Filled]) -> Stories:
    return Stories(folder[0], VerdictIndex(folder[0]), "ref{:x}".format, "021")


def test_windows_drawn_over_time_are_those_that_the_engine_judged_with(folder: tuple[Path, Filled]) -> None:
    data, filled = folder
    columns = VerdictIndex(data).columns_of_number(key_of(BUSY), COLUMNS)
    moments = np.array([it.time_s for it in filled.seen])
    salts = WindowsReader(data).salts()
    assert salts is not None
    drawn = draw_windows(key_of(BUSY), columns, moments, salts)
    # A call that came in within the same second is in what is drawn, and was not yet there when the engine judged.
    alone = [at for at, it in enumerate(filled.seen) if np.count_nonzero(columns["time"] // 1000 == it.time_s) == 1]
    assert len(alone) > 50
    for at in alone:
        assert dict(zip(WINDOW_FEATURES, drawn[at], strict=True)) == dict(
            zip(WINDOW_FEATURES, filled.seen[at].windows, strict=True)
        )


def test_present_windows_are_those_of_the_node(folder: tuple[Path, Filled], stories: Stories) -> None:
    data, filled = folder
    now = NOW_MS // 1000
    found = WindowsReader(data).read(key_of(BUSY), now)
    out = np.zeros(len(WINDOW_FEATURES))
    windows.read_features(filled.bench.window, windows.find(filled.bench.window, key_of(BUSY)), now, out, 0)
    assert found == dict(zip(WINDOW_FEATURES, out.tolist(), strict=True))
    story = stories.number(key_of(BUSY), NOW_MS, 24 * HOUR_MS)
    assert story.now == found
    assert {name: values[-1] for name, values in story.windows.items()} == found
    assert WindowsReader(data).read(key_of("10086"), now) is None


def test_a_folder_without_windows_says_so(tmp_path: Path) -> None:
    reader = WindowsReader(tmp_path)
    assert reader.salts() is None
    with pytest.raises(StateError, match="hutong up"):
        reader.read(1, NOW)
    (tmp_path / "windows.bin").write_bytes(b"x" * 5000)
    with pytest.raises(StateError):
        reader.read(1, NOW)


def test_a_row_is_read_whole_while_it_changes(tmp_path: Path) -> None:
    file = WindowFile(tmp_path / "windows.bin", windows.size_for(50))
    file.open()
    done, w = threading.Event(), file.arrays
    slot = windows.touch(w, 7, NOW)

    def change() -> None:
        while not done.is_set():
            windows.note_attempt(w, slot, 5, 0, NOW, 0)

    writer = threading.Thread(target=change)
    writer.start()
    reader = WindowsReader(tmp_path)
    for _ in range(300):
        found = reader.read(7, NOW)
        assert found is not None
        assert len({found[f"attempts_{span}"] for span in ("1m", "10m", "1h", "24h")}) == 1
    done.set()
    writer.join()
    file.close()


def test_a_number_has_its_totals_partners_rules_and_ends(folder: tuple[Path, Filled], stories: Stories) -> None:
    story = stories.number(key_of(BUSY), NOW_MS, HOUR_MS)
    index = VerdictIndex(folder[0])
    of_caller = Filters(number=key_of(BUSY), role="caller")
    assert story.made.calls == 120 == story.made.passed + story.made.warned + story.made.blocked
    assert story.made.blocked == index.count(msgspec.structs.replace(of_caller, action="block"))
    assert story.received.calls == 30
    assert (story.ended, story.answered, round(story.mean_talk_s)) == (60, 30, 9)
    assert (story.first_ms, story.last_ms) == (folder[1].seen[0].time_s * 1000, folder[1].seen[-1].time_s * 1000)
    assert [it.calls for it in story.called] == [3] * 10
    assert [(it.number, it.calls, it.blocked) for it in story.callers] == [("139****9999", 30, 30)]
    decided = index.groups(of_caller, "rule")
    assert {it.id: it.decided for it in story.rules if it.decided} == {rule: n for rule, n in decided.items() if rule}
    assert [it.fired for it in story.rules] == sorted((it.fired for it in story.rules), reverse=True)
    within = index.page(Filters(number=key_of(BUSY), since_ms=NOW_MS - HOUR_MS), limit=999).seqs
    assert sum(map(sum, story.calls.values())) == len(within)


def test_lists_that_cover_a_number_now_and_those_its_verdicts_name(tmp_path: Path) -> None:
    filled = fill(tmp_path, calls=12, ends=False)
    stories = Stories(tmp_path, VerdictIndex(tmp_path), str)
    (entry,) = stories.number(key_of(QUIET), NOW_MS, HOUR_MS).lists
    assert (entry.list, entry.reason) == ("block", "reported by 137****7001")
    remove_listed(filled.bench)
    story = stories.number(key_of(QUIET), NOW_MS, HOUR_MS)
    assert not story.lists
    assert [(it.id, it.removed_why) for it in story.past] == [(entry.id, "mistake")]


def test_a_call_has_its_reasons_its_end_and_other_verdicts_of_its_call_id(
    folder: tuple[Path, Filled], stories: Stories
) -> None:
    first = folder[1].seen[0].seq
    story = stories.call(first)
    assert story is not None
    assert story.verdict.action == "block"
    assert [rule.id for rule in story.rules if rule.decided] == [story.verdict.rule]
    (end,) = story.outcomes
    assert (end.phase, end.ring_ms, end.talk_ms, end.release) == ("ended", 4000, 9000, 16)
    assert stories.call(end.seq) == story
    assert stories.call_of("call-b0@192.0.2.99") == first
    assert stories.call(10**9) is None
    assert stories.call_of("no such call") is None


def test_what_a_stranger_wrote_is_masked_until_it_is_asked_for_whole(
    folder: tuple[Path, Filled], stories: Stories
) -> None:
    seq = VerdictIndex(folder[0]).by_number(key_of(QUIET), limit=1)[0]
    shown = msgspec.json.encode((stories.call(seq), stories.verdicts([seq]))).decode()
    shown += msgspec.json.encode(stories.number(key_of(QUIET), NOW_MS, HOUR_MS)).decode()
    for number in (BUSY, QUIET, TELLING, DIVERTER):
        assert number not in shown
    whole = stories.whole_call(seq)
    assert whole is not None
    assert (whole.caller, whole.callee, whole.from_, whole.diverter) == (QUIET, BUSY, TELLING, DIVERTER)
    assert stories.whole_number(key_of(QUIET)) == QUIET


@pytest.mark.parametrize(
    "text",
    ["x13800138000y", "0086-138-0013-8000", "a02162345678b", "sip:+8613800138000@h", "1234567", "99913800138000999"],
)
def test_no_text_shows_a_whole_number(text: str) -> None:
    digits = "".join(char for char in text if char.isdigit())
    shown = "".join(char for char in masked(text) if char.isdigit())
    assert len(shown) <= len(digits) - 3
    assert "*" in masked(text)


def test_a_call_id_without_numbers_stays_as_it_is() -> None:
    assert masked("a84b4c76e66710@pc33.atlanta.example.com") == "a84b4c76e66710@pc33.atlanta.example.com"


def test_a_record_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    rules = shipped_rules()
    rules.save(tmp_path / "rulesets")
    digest = int.from_bytes(bytes.fromhex(rules.digest[:16]), signed=True)
    reads = next(at for at in range(len(rules.rules)) if len(rules.features_of(at)))
    bodies = [
        verdict_body(caller=BUSY, call_id="one"),
        verdict_body(caller=BUSY, call_id="one", action="warn", rule=reads, fired=[(reads, ())], digest=digest),
        verdict_body(caller=BUSY, call_id="two"),
    ]
    write_journal(tmp_path, [[(KIND_VERDICT, body)] for body in bodies])
    index = VerdictIndex(tmp_path)
    assert [row.seq for row in index.read([1, 2, 3])] == [1, 2, 3], "the second lacks the values that its rule read"
    stories = Stories(tmp_path, index, "ref{:x}".format)
    assert [it.seq for it in stories.verdicts([3, 2, 1])] == [3, 1]
    assert stories.call(2) is None
    assert stories.number(key_of(BUSY), NOW_MS, HOUR_MS).made.calls == 3


def test_one_sentence_says_what_a_number_is_doing(stories: Stories) -> None:
    busy, quiet, nobody = (stories.number(key_of(it), NOW_MS, HOUR_MS) for it in (BUSY, QUIET, "10086"))
    titles = {rule.id: "Dials in sequence" for rule in busy.rules}
    english, chinese = sentence(busy, titles, "en"), sentence(busy, titles, "zh")
    made, callees = (round(busy.now[name]) for name in ("attempts_1h", "distinct_callees_1h"))  # type: ignore[index]
    assert english.startswith(f"In the last hour it made {made} calls to about {callees} different numbers")
    assert chinese.startswith(f"过去 1 小时呼出 {made} 次，打给约 {callees} 个不同号码")
    assert "it is dialling numbers in sequence" in english
    assert "mostly for “Dials in sequence”" in english
    assert "50% were answered and talked for 9 s on average" in english
    assert "it is on the block list now" in sentence(quiet, {}, "en")
    assert "现在在拦截名单中" in sentence(quiet, {}, "zh")
    assert sentence(nobody, {}, "en") == "There is no record of this number."
    assert sentence(nobody, {}, "zh") == "没有这个号码的记录。"
