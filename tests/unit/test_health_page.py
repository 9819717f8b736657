"""The page of health: one answer, what to do about what is wrong, the figures behind it, also when parts are down."""

from __future__ import annotations

import os
import re
import threading
from html import unescape
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console_pages import NOW, ConsoleSite
from hutong.app import console as app_console
from hutong.app.backup import BackupNote
from hutong.app.console import health, machine
from hutong.app.console.health_checks import CHECKS, Check, assess, level_of, overall
from hutong.app.console.health_facts import Facts, HealthSource, ProcessFact, outlook
from hutong.app.process_states import ProcessState, read_note, start_of, write_note
from hutong.calls import board as cells
from hutong.calls.board import Board
from hutong.calls.history import History
from hutong.calls.live.view import LiveHistory
from hutong.kernel.lists.entries import Entry
from hutong.kernel.lists.store import ListStore
from hutong.kernel.numbering import key_of_digits
from hutong.kernel.replica.store import FOLDER, Replica
from hutong.kernel.web.frame import Frame
from live_samples import mirror, snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from httpx import Response

S = 1_000_000_000


def moving(**changes: object) -> LiveHistory:
    """Counters of a node that screens 100 calls a second."""
    live = LiveHistory()
    for ago in (3, 2, 1, 0):
        attempts = 1000 - 100 * ago
        more = {name: value * (3 - ago) // 3 if isinstance(value, int) else value for name, value in changes.items()}
        live.add(snapshot(0, attempts, **{"list_entries": 0, **more, "time_ns": (NOW - ago) * S}))
    return live


def facts(**changes: object) -> Facts:
    """A node that is well in every respect."""
    running = [
        ProcessFact(name, "ready", 100 + at, NOW * 1000 - 9_000_000, 9000.0, 0, 1 << 28, 0.2, 4)
        for at, name in enumerate(("up", "screen", "serve", "work"))
    ]
    well = Facts(
        now_ms=NOW * 1000,
        live=moving().view(NOW * S),
        supervised=True,
        processes=tuple(running),
        journal_seq=1000,
        counted_seq=990,
        counted_lag_s=0.1,
        unindexed=0,
        listed=12,
        lists_differ_s=0.0,
        disk=outlook(machine.Disk(1 << 40, 1 << 39), 1 << 30, 1e9, 72 * 3600),
        memory=machine.Memory(8 << 30, 4 << 30),
        timekeeping=machine.Timekeeping(synchronised=True, most_wrong_s=0.002),
        database_ms=1.0,
        database_trouble="",
        database_place="records.db",
        backup=BackupNote(NOW * 1000 - 3_600_000, 1000, 900, 1 << 30, "0" * 64, "/backup/a"),
        mirrored=True,
        watchers=2,
        ahead_s=0.0,
        demoted=0,
    )
    return msgspec.structs.replace(well, **changes)


def test_a_node_that_is_well_is_told_so() -> None:
    assert {it.level for it in assess(facts())} == {"ok"}
    assert overall(assess(facts())) == "ok"


def gone(name: str, state: str, restarts: int = 0) -> tuple[ProcessFact, ...]:
    return tuple(
        msgspec.structs.replace(it, state=state, restarts=restarts, uptime_s=5.0) if it.name == name else it
        for it in facts().processes
    )


@pytest.mark.parametrize(
    ("key", "level", "changes"),
    [
        ("screening", "bad", {"live": LiveHistory().view(NOW * S)}),
        ("screening", "bad", {"live": moving().view((NOW + 10) * S)}),
        ("screening", "warn", {"live": moving().view((NOW + 4) * S)}),
        ("fail_open", "warn", {"live": moving(fail_open=1).view(NOW * S)}),
        ("fail_open", "bad", {"live": moving(fail_open=30).view(NOW * S)}),
        ("dropped", "warn", {"live": moving(dropped=1).view(NOW * S)}),
        ("malformed", "warn", {"live": moving(malformed=90).view(NOW * S)}),
        ("windows", "warn", {"live": moving(evicted=3).view(NOW * S)}),
        ("replica", "warn", {"replica_s": 31.0}),
        ("replica", "bad", {"replica_s": float("inf")}),
        ("processes", "bad", {"processes": gone("work", "failed")}),
        ("processes", "warn", {"processes": gone("screen", "backing-off")}),
        ("processes", "unknown", {"supervised": False}),
        ("restarted", "warn", {"processes": gone("screen", "ready", 2)}),
        ("disk", "warn", {"disk": outlook(machine.Disk(100, 50), 1, 10.0, 86_400 * 99)}),
        ("disk", "bad", {"disk": outlook(machine.Disk(100, 15), 1, 10.0, 86_400 * 99)}),
        ("disk", "unknown", {"disk": None}),
        ("space", "bad", {"disk": outlook(machine.Disk(100, 2), 1, 0.0, 1)}),
        ("database", "bad", {"database_ms": None}),
        ("database", "warn", {"database_ms": 900.0}),
        ("memory", "warn", {"memory": machine.Memory(100, 9)}),
        ("history", "warn", {"counted_lag_s": 400.0}),
        ("history", "unknown", {"counted_lag_s": None}),
        ("index", "warn", {"unindexed": 3}),
        ("lists", "warn", {"lists_differ_s": 11.0}),
        ("demoted", "warn", {"demoted": 1}),
        ("clock", "warn", {"timekeeping": machine.Timekeeping(synchronised=False, most_wrong_s=16.0)}),
        ("clock", "unknown", {"timekeeping": None}),
        ("clock_back", "bad", {"ahead_s": 60.0}),
        ("backup", "warn", {"backup": None}),
    ],
)
def test_what_is_wrong_is_found(key: str, level: str, changes: dict[str, object]) -> None:
    findings = assess(facts(**changes))
    (found,) = (it for it in findings if it.check.key == key)
    assert found.level == level
    assert overall(findings) == ("bad" if "bad" in {it.level for it in findings} else "warn")
    assert findings[0].level == ("bad" if overall(findings) == "bad" else "warn" if level == "warn" else level)


def test_mirrored_packets_are_asked_about_where_they_are_listened_for() -> None:
    live = LiveHistory()
    for at in (1, 0):
        counts = mirror(packets=100 * (1 - at), lost=5 * (1 - at), unauthorised=1 - at)
        live.add(snapshot(0, 10, mirror=counts, time_ns=(NOW - at) * S))
    found = {it.check.key: it.level for it in assess(facts(live=live.view(NOW * S)))}
    assert (found["mirror_lost"], found["mirror_keys"]) == ("bad", "warn")
    assert "mirror_lost" not in {it.check.key for it in assess(facts(live=live.view(NOW * S), mirrored=False))}


def test_a_replica_is_asked_for_its_age_where_there_is_one(site: Site) -> None:
    assert site.source.facts().replica_s is None
    replica = Replica(site.data / FOLDER)
    replica.open()
    site.clock.advance(2 * S)
    assert site.source.facts().replica_s == float("inf"), "never whole"
    replica.heard(site.clock.wall() // 1_000_000)
    site.clock.advance(40 * S)
    assert site.source.facts().replica_s == 40
    replica.close()


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.sampled_from(CHECKS))
def test_more_is_never_better(one: float, other: float, check: Check) -> None:
    rank = ["ok", "warn", "bad"]
    low, high = sorted((one, other), reverse=check.low)
    assert rank.index(level_of(check, low)) <= rank.index(level_of(check, high))


@given(st.integers(1, 10**13), st.integers(0, 10**13), st.integers(0, 10**12), st.floats(0, 1e12), st.floats(1, 1e8))
def test_a_disk_lasts_for_ever_only_where_the_journal_fits(
    total: int, free: int, journal: int, per_day: float, keep_s: float
) -> None:
    found = outlook(machine.Disk(total, free), journal, per_day, keep_s)
    if found.days_left is None:
        assert found.full_grown - journal <= free
    else:
        assert found.days_left * per_day == pytest.approx(free)


def test_every_check_has_its_words() -> None:
    texts = Frame([app_console.HOME]).texts
    for check in CHECKS:
        for name in ("title", "do"):
            assert f"health_page.check.{check.key}.{name}" in texts
    assert {f"health_page.state.{state}" for state in ("waiting", "ready", "backing-off", "failed")} <= set(
        texts.keys()
    )


class Site(ConsoleSite):
    """A node with a data folder of real files."""

    def __init__(self, data: Path) -> None:
        super().__init__(data, texts=[], folders=[app_console.HOME])
        (data / "run").mkdir()
        self.live = moving(list_entries=1)
        self.demoted = 0
        self.lists = ListStore(data / "lists")
        self.lists.open()
        self.source = HealthSource(
            data,
            keep_hours=72,
            names=("screen", "serve", "work"),
            mirrored=True,
            live=lambda: self.live.view(self.clock.wall()),
            watchers=lambda: 3,
            history=History(self.database, "node1"),
            database=self.database,
            lists=self.lists,
            clock=self.clock,
            demoted=lambda: self.demoted,
        )
        self.build(health.routes(self.console, source=self.source, trail=self.trail))


@pytest.fixture
def site(data_folder: Path) -> Iterator[Site]:
    one = Site(data_folder)
    yield one
    one.lists.close()
    one.close()


def text_of(response: Response) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", response.text)))


@pytest.mark.parametrize("role", ["viewer", "analyst", "operator", "auditor", "administrator"])
def test_the_page_opens_for_everybody_and_looks_again_by_itself(site: Site, role: str) -> None:
    for lang in ("zh", "en"):
        response = site.browser(role).get("/health", lang=lang)
        assert response.status_code == 200
        assert 'hx-trigger="every 5s"' in response.text
        said = text_of(response)
        assert ("Calls a second 100" if lang == "en" else "每秒来话 100") in said
    assert "It works;" in said
    assert "Not run under hutong up" in said


def test_figures_come_from_what_the_parts_leave(site: Site) -> None:
    note = (ProcessState("serve", "ready", os.getpid(), NOW * 1000 - 5000, NOW * 1000 - 7_200_000, 1),)
    write_note(site.data / "run", os.getpid(), NOW * 1000, (*note, ProcessState("work", "failed", 0, NOW * 1000, 0, 3)))
    board = Board(site.data / "board.bin")
    board.create(NOW * S)
    board.cells[cells.JOURNAL_SEQ] = 5000
    (site.data / "journal").mkdir()
    for first in (1, 4000):
        (site.data / "journal" / f"{first:020d}.seg").write_bytes(b"x" * 425_000)
    site.lists.add(
        [Entry(list="block", kind="number", key=key_of_digits("86138"), role="any", reason="r", who="w")], NOW
    )
    counts = {(NOW // 60 - 5, "action", "pass"): [3600, 0, 0]}
    assert History(site.database, "node1")._keep(0, 4900, counts)  # noqa: SLF001  # as if they had been folded
    backup = BackupNote((NOW - 7200) * 1000, 1000, 4000, 123_456_789, "0" * 64, "-")
    (site.data / "run" / "backup.json").write_bytes(msgspec.json.encode(backup))
    said = text_of(site.browser().get("/health"))
    assert "One thing is wrong and needs you now" in said
    assert "One that" not in said
    assert "hutong config check" in said
    assert re.search(r"serve pages and API running \d+ 2 h 1 [\d.]+ [MG]iB", said)
    assert re.search(r"work scheduled jobs refused to start – – 3", said)
    assert "Newest journal record 5,000" in said
    assert "Counted into history 4,900 100 behind" in said
    assert "Segments without index 1" in said
    assert "List entries 1 1 in force" in said
    assert "118 MiB" in said
    disk = site.source.facts().disk
    assert disk is not None
    assert disk.per_day == pytest.approx(86_400 * 170, rel=0.02), "one call a second over the last hour"


def test_all_who_look_at_once_look_once(site: Site) -> None:
    looks: list[int] = []
    together = threading.Barrier(8)
    source = HealthSource(
        site.data,
        keep_hours=72,
        names=("screen", "serve", "work"),
        mirrored=False,
        live=lambda: looks.append(1) or site.live.view(site.clock.wall()),  # type: ignore[func-returns-value]
        watchers=lambda: 0,
        history=History(site.database, "node1"),
        database=site.database,
        lists=site.lists,
        clock=site.clock,
        demoted=lambda: 0,
    )

    def look() -> None:
        together.wait(20)
        source.facts()

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    once = len(looks)
    site.clock.advance(2 * S)  # type: ignore[attr-defined]  # a ManualClock
    source.facts()
    assert len(looks) == 2 * once
    assert once < 8


def test_a_supervisor_that_is_gone_does_not_count(site: Site) -> None:
    write_note(site.data / "run", os.getpid(), NOW * 1000, ())
    note = read_note(site.data / "run")
    assert note is not None
    assert note.alive
    assert not msgspec.structs.replace(note, start=note.start - 1).alive, "the number was used again"
    assert not msgspec.structs.replace(note, pid=2**22 + 1).alive
    assert start_of(os.getpid()) > 0


def test_the_page_opens_when_nothing_else_does(site: Site) -> None:
    site.live = LiveHistory()
    browser = site.browser()
    browser.get("/health")
    site.clock.advance(2 * S)  # type: ignore[attr-defined]  # a ManualClock
    with site.database.write() as connection:
        connection.exec_driver_sql("DROP TABLE calls_minutes")
    said = text_of(browser.get("/health"))
    assert "Wrong Screening writes its counters: never" in said
    assert "Not known History lags behind by: not known" in said


def test_facts_are_gathered_once_a_second(site: Site) -> None:
    first = site.source.facts()
    assert site.source.facts() is first
    site.clock.advance(S)  # type: ignore[attr-defined]  # a ManualClock
    assert site.source.facts() is not first


def test_lists_that_differ_for_long_are_told(site: Site) -> None:
    site.lists.add([Entry(list="block", kind="number", key=key_of_digits("861"), role="any", reason="r", who="w")], NOW)
    site.lists.add([Entry(list="block", kind="number", key=key_of_digits("862"), role="any", reason="r", who="w")], NOW)
    site.source.facts()
    site.clock.advance(15 * S)  # type: ignore[attr-defined]  # a ManualClock
    assert site.source.facts().lists_differ_s == 15


def test_a_rule_that_was_demoted_by_itself_is_said(site: Site) -> None:
    site.demoted = 2
    assert "Rules demoted by themselves: false positives drifted: 2" in text_of(site.browser().get("/health"))
    assert "误伤超限而自动降级的规则：2" in text_of(site.browser().get("/health", lang="zh")).replace(" ", "")


def test_processes_are_exported_on_record(site: Site) -> None:
    lines = site.browser("analyst").get("/health?format=csv").text.splitlines()
    assert lines[0].endswith("name,state,pid,uptime_s,restarts,rss,cpu,threads")
    assert len(lines) == 4
    assert [deed.target for deed in site.deeds("tables.export")] == ["processes"]
    assert site.browser("viewer").get("/health?format=csv").status_code == 403


def test_the_kernel_is_asked_rightly() -> None:
    own = machine.process_figures(os.getpid())
    assert own is not None
    assert own.rss > 1 << 20
    assert own.threads >= 1
    assert machine.process_figures(2**22 + 1) is None
    assert 0 < machine.memory().available <= machine.memory().total
    keeping = machine.timekeeping()
    assert keeping is None or keeping.most_wrong_s >= 0
    sizes = [health.in_bytes(value) for value in (None, 0, 512, 1536, 1 << 30, 1500 << 40)]
    assert [size.replace("\N{NO-BREAK SPACE}", " ") for size in sizes] == [
        "–",
        "0 B",
        "512 B",
        "1.5 KiB",
        "1 GiB",
        "1,500 TiB",
    ]
