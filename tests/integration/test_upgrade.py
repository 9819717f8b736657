"""A data folder that an older version left: today's node opens it, says the same of it, and goes on.

`tests/data` holds the folder and what that version said (`make_folder.py` there made both). The second half is the
procedure itself: the node stops and another starts on the same folder, while calls keep coming.
"""

from __future__ import annotations

import json
import random
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nodes import IPV4, ScreenNode, settings_text
from sip_clients import FORGED, UdpPeer, code_of, new_call
from test_survival import Load, assert_kept, assert_windows_equal_the_journal

from e2e.processes import hutong, running
from hutong.calls.explain import Verdicts, tell
from hutong.kernel import windows

pytestmark = pytest.mark.enable_socket

SAMPLES = Path(__file__).resolve().parents[1] / "data"
OLDER = sorted(path.name.removesuffix(".tar.xz") for path in SAMPLES.glob("data-folder-*.tar.xz"))
MEBIBYTE = 1 << 20
#: The sample grows old in the repository; nothing of it may be deleted for that.
_FOR_EVER = "[journal]\nkeep_hours = 87600\n"


class Folder:
    """A copy of an older version's data folder, with a node of today on it."""

    def __init__(self, name: str, place: Path) -> None:
        self.known: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))
        self.node = ScreenNode(place, more=_FOR_EVER)
        text = settings_text(more=_FOR_EVER).replace("memory_mb = 16", "memory_mb = 1")
        self.node.config.write_text(text, encoding="utf-8")
        with tarfile.open(SAMPLES / f"{name}.tar.xz") as packed:
            packed.extractall(self.node.data, filter="data")


@pytest.fixture(params=OLDER)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    return Folder(request.param, tmp_path)


def test_there_is_a_folder_of_an_older_version() -> None:
    assert OLDER


def test_today_s_node_opens_it_and_says_of_it_what_the_older_one_said(folder: Folder) -> None:
    node, known = folder.node, folder.known
    with running(node):
        node.start()
        assert node.terminate() == 0
    assert "Traceback" not in node.read_log()
    assert "counted again" not in node.read_log(), "the windows were taken over, not made anew"
    verdicts = Verdicts(node.data)
    stories = [verdicts.explain(verdict) for verdict in verdicts.all()]
    for lang in ("zh", "en"):
        assert ["\n".join(tell(story, lang)) for story in stories] == known["told"][lang]
    assert hutong("lists", "export", "-", "--data", str(node.data)) == known["lists"]
    assert hutong("roaming", "show", "--data", str(node.data)) == known["roaming"]
    assert_the_same_windows(node.data, known["windows"])


def assert_the_same_windows(data: Path, known: dict[str, Any]) -> None:
    file = windows.WindowFile(data / "windows.bin", MEBIBYTE)
    file.open()
    try:
        table = file.arrays
        assert windows.committed_seq(table) == known["committed"]
        assert windows.tracked(table) == known["tracked"]
        for key, expected in known["features"].items():
            out = np.zeros(len(windows.WINDOW_FEATURES))
            windows.read_features(table, windows.find(table, int(key)), known["now"], out, 0)
            named = zip(windows.WINDOW_FEATURES, out.tolist(), strict=True)
            assert {name: value for name, value in named if value} == expected
    finally:
        file.close()


def test_stages_that_were_decided_stay_decided(folder: Folder) -> None:
    data = str(folder.node.data)
    now = _stages(hutong("rules", "list", "--lang", "en", "--data", data))
    known = _stages(folder.known["rules"])
    decided = {rule: it for rule, it in known.items() if it[1].endswith("*") or rule.startswith("own.")}
    assert decided
    assert {rule: now[rule] for rule in decided} == decided


def _stages(table: str) -> dict[str, tuple[str, str]]:
    """Version and stage of each rule that `rules list` names."""
    rows = [line.split() for line in table.splitlines()[1:] if line.strip()]
    return {row[0]: (row[1], "".join(row[-2:]) if row[-1] == "*" else row[-1]) for row in rows}


def test_it_screens_on_where_the_older_one_stopped(folder: Folder) -> None:
    node, committed = folder.node, folder.known["windows"]["committed"]
    with running(node), UdpPeer((IPV4, node.port)) as peer:
        node.start()
        listed = peer.ask(peer.invite("13700001111", call=new_call()))
        forged = peer.ask(peer.invite(FORGED, call=new_call()))
        assert (code_of(listed), code_of(forged)) == (608, 608)
        assert node.terminate() == 0
    found = node.verdicts()
    assert [verdict.seq for verdict in found] == list(range(1, committed + 3))
    story = Verdicts(node.data).explain(found[-2])
    assert [hit.reason for hit in story.lists] == ["reported twice"]


def test_stopping_the_old_and_starting_the_new_loses_no_verdict_that_was_given(tmp_path: Path) -> None:
    node = ScreenNode(tmp_path)
    with running(node), UdpPeer((IPV4, node.port)) as peer:
        load = Load(peer, random.Random(7))
        for _ in range(3):
            node.start()
            load.until_answered(400)
            assert node.terminate() == 0
            load.drain()
            assert_kept(load.answered, node.verdicts())
        node.start()
        load.until_answered(50)
        load.drain()
        assert node.terminate() == 0
    assert_kept(load.answered, node.verdicts())
    assert_windows_equal_the_journal(node.data)
