from __future__ import annotations

import csv
import subprocess
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from nodes import ScreenNode

from e2e.processes import HUTONG, free_port, hutong
from hutong.simulation.records import write_node_files
from provinces import small

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.simulation.province import Province

pytestmark = pytest.mark.enable_socket

CALLS, SEED = 2_000, 5
DAY_S = 12


def _node(folder: Path, province: Province) -> ScreenNode:
    """A node that knows the province's trunks and who roams."""
    node = ScreenNode(folder)
    write_node_files(folder, province)  # in place of the settings that a node of tests has
    text = node.config.read_text(encoding="utf-8").replace("[calls]\n", "[calls]\nbudget_ms = 5000\n")
    node.config.write_text(f"[windows]\nmemory_mb = 16\n\n{text}", encoding="utf-8")
    hutong("roaming", "import", str(folder / "roaming.csv"), "--who", "test", "--data", str(node.data))
    return node


def test_a_node_judges_a_day_of_the_province_over_sip(tmp_path: Path) -> None:
    province = small(SEED, calls=CALLS)
    node = _node(tmp_path, province)
    node.start()
    try:
        done = subprocess.run(
            [*HUTONG, "simulate", "province", "--live", f"udp:{node.address}", "--arrivals", f"127.0.0.1:{free_port()}",
             "--calls", str(CALLS), "--days", "1", "--seed", str(SEED), "--speed", str(86_400 / DAY_S),
             "--out", str(tmp_path / "live")],
            capture_output=True, text=True, timeout=200, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        verdicts = node.figures
    finally:
        node.stop()
    with (tmp_path / "live" / "truth.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    fates = Counter((row["caller_class"], row["fate"]) for row in rows)
    assert len(rows) == pytest.approx(CALLS, rel=0.1)
    assert verdicts.attempts == len(rows)
    assert fates["forged-service", "refused"] > 0
    assert fates["spoofed-police", "refused"] > 0
    assert not [row for row in rows if row["fraud"] == "0" and row["fate"] != "passed" and row["fate"] != "warned"]
    assert {row["campaign"] for row in rows if row["fate"] == "refused"} <= {"forged-service-1", "spoofed-police-1"}
