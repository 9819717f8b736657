"""The page of load and its API: what boards and edges say, added up, told in words, remembered for an hour."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec
import pytest

from console_pages import NOW, ConsoleSite
from hutong.app import console as app_console
from hutong.app.codes_config import CodesConfig
from hutong.app.config import Config, NodeConfig
from hutong.app.console import load
from hutong.app.console.load_api import told
from hutong.app.console.load_facts import EVERY_S, LoadSource, level_of
from hutong.app.edge.writing import board_file, edge_file
from hutong.app.sampling_config import SamplingConfig
from hutong.kernel.overload.board import FRESH_MS, Board, write_board
from hutong.kernel.overload.classes import CLASSES, Kind, Level

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW_MS = NOW * 1000


class Loaded:
    """A site with the page of load; boards and edges are written by hand."""

    def __init__(self, data: Path) -> None:
        self.site = ConsoleSite(data, texts=[], folders=[app_console.HOME])
        (data / "run").mkdir()
        (data / "edge" / "run").mkdir(parents=True)
        self.config = Config(
            node=NodeConfig(data=str(data)),
            codes=CodesConfig(listen="127.0.0.1:8085", processes=3),
            sampling=SamplingConfig(listen="127.0.0.1:8083"),
        )
        self.ms = NOW_MS
        self.source = LoadSource(self.config, lambda: self.ms * 1_000_000)
        self.site.build(load.routes(self.site.console, source=self.source))

    def say(
        self,
        process: int,
        level: Level,
        refused: int = 0,
        made_ms: int = NOW_MS,
        told: int = 0,
        edge_refused: int = 0,
    ) -> None:
        counts, by_edge = [0, refused, 0, 0], [0, edge_refused, 0, 0]
        board = Board(
            made_ms, level, 8, 3, [8, 7, 7, 4], [64, 32, 16, 8], [0, 5.0, 0, 0], [0, 2, 0, 0], counts, by_edge,
            [0, told, 0, 0],
        )  # fmt: skip
        write_board(board_file(self.config.data, "public", process), board)

    def edge(self, refused: int, made_ms: int) -> None:
        file = edge_file(self.config.data / "edge", "public")
        file.write_text(f"1 {made_ms} 12 0 4 0 0 0 {refused} 0 0\n")


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[Loaded]:
    it = Loaded(tmp_path)
    try:
        yield it
    finally:
        it.site.close()


def test_levels_go_by_what_half_of_the_processes_call_for(loaded: Loaded) -> None:
    def of(*levels: int) -> Level | None:
        for number, level in enumerate(levels, 1):
            loaded.say(number, Level(level), made_ms=loaded.ms)
        found = level_of(loaded.source.now().parts[0].boards[: len(levels)])
        loaded.ms += 1000 * EVERY_S
        return found

    assert [of(2), of(0, 3), of(0, 0, 3), of(0, 1, 2), of(1, 1, 3)] == [2, 3, 0, 1, 1]
    assert level_of([]) is None


def test_what_is_fresh_is_added_up_and_the_rest_counts_for_nothing(loaded: Loaded) -> None:
    loaded.say(1, Level.CROWDED, refused=100, told=6)
    loaded.say(2, Level.CROWDED, refused=40)
    loaded.say(3, Level.CRITICAL_ONLY, refused=900, made_ms=NOW_MS - FRESH_MS - 1)
    loaded.edge(refused=1000, made_ms=NOW_MS)
    loaded.source.now()
    loaded.ms += 5
    loaded.source.now()  # somebody asks between: rates are of the whole time
    loaded.ms += 1000 * EVERY_S - 5
    loaded.say(1, Level.CROWDED, refused=130, told=6)
    loaded.say(2, Level.CROWDED, refused=10)  # it was started anew
    loaded.edge(refused=1400, made_ms=NOW_MS)
    public, stations = loaded.source.now().parts
    assert (public.level, public.sum("at_work"), public.sum("limit")) == (Level.CROWDED, 6, 16)
    assert public.refused_s[Kind.SCAN] == pytest.approx((30 + 10 + 400) / EVERY_S)
    assert (public.told[Kind.SCAN], public.edge_alive, public.paces()[Kind.SCAN]) == (10, True, 10.0)
    assert [it.fresh for it in public.processes] == [True, True, False]
    assert (stations.level, stations.boards, stations.edge_alive) == (None, [], False)
    assert loaded.source.now() is loaded.source.now(), "who asks at the same time shares a look"

    page = loaded.site.browser("viewer").get("/load", lang="zh").text
    for said in ("拥挤", "没有消息", "正在转办 12", "220.0", "没有一个进程报告近况"):
        assert said in page
    one = told(loaded.source.now()).parts[0]
    assert (one.level, one.refused[Kind.SCAN].refused_a_second, one.edge.under_way) == ("crowded", 220.0, 12)
    assert (one.processes[0].classes[Kind.SCAN].waiting, one.processes[2].fresh) == (2, False)
    assert msgspec.json.encode(told(loaded.source.now()))


def test_an_hour_is_remembered_and_drawn_by_half_minutes(loaded: Loaded) -> None:
    for at in range(3 * 3600 // EVERY_S // 60):
        loaded.ms = NOW_MS + at * 60_000
        loaded.say(1, Level.CROWDED if at == 80 else Level.NORMAL, made_ms=loaded.ms)
        loaded.source.now()
    hour = loaded.source.hour("public")
    assert hour[-1].at_ms - hour[0].at_ms == 59 * 60_000
    charts = load.load_charts(hour, ZoneInfo("UTC"), str)
    levels = charts["level"].series[0].values
    assert (len(levels), max(it for it in levels if it is not None)) == (119, Level.CROWDED)
    assert None in levels, "where nothing was sampled the line has a gap"
    assert [it.name for it in charts["refused"].series] == [f"load_page.class.{one.name}" for one in CLASSES]


def test_after_a_clock_was_ahead_the_hour_ends_now(loaded: Loaded) -> None:
    for at_ms in (NOW_MS, NOW_MS + 365 * 86_400_000, NOW_MS + 1000 * EVERY_S):
        loaded.ms = at_ms
        loaded.source.now()
    assert [it.at_ms for it in loaded.source.hour("public")] == [NOW_MS, NOW_MS + 1000 * EVERY_S]


def test_an_edge_that_is_gone_counts_for_nothing_and_the_processes_speak_for_the_one_elsewhere(loaded: Loaded) -> None:
    def refused(by_edge: int) -> float:
        loaded.say(1, Level.NORMAL, made_ms=loaded.ms, edge_refused=by_edge)
        part = loaded.source.now().parts[0]
        assert part.told[Kind.SCAN] == (4 if part.edge_alive else 0)
        loaded.ms += 1000 * EVERY_S
        return part.refused_s[Kind.SCAN] * EVERY_S

    loaded.edge(refused=1000, made_ms=NOW_MS)
    assert [refused(0), refused(50)] == [0, 0], "the edge here speaks for itself"
    # It is gone; another one, elsewhere, has counted for long.
    assert [refused(60), refused(75), refused(75)] == [0, 15, 0]
    loaded.edge(refused=1500, made_ms=loaded.ms)
    assert refused(90) == 0, "what it counted unheard was not refused just now"


def test_a_node_without_public_services_says_so(tmp_path: Path) -> None:
    assert LoadSource(Config(node=NodeConfig(data=str(tmp_path))), lambda: NOW_MS * 10**6).now().parts == ()
