"""The demo as a new user runs it: fraud is blocked, nobody honest is, and nothing stays behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.enable_socket

_COMMAND = (sys.executable, "-P", "-m", "hutong", "demo")


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a short name: Kamailio's control socket lies below it, and such a path may have 104 bytes."""
    return tmp_path_factory.mktemp("d")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            (*_COMMAND, "--port", "0", *arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "TMPDIR": str(tmp_path), "LC_ALL": "C.UTF-8", **environment},
        )
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def _left_behind(folder: Path) -> list[str]:
    """Processes that still have something of the demo's folder in their command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in words:
            found.append(words)
    return found


@pytest.mark.timeout(400)
def test_a_short_demo_blocks_fraud_and_nobody_else(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    demo = start("--seconds", "6", "--rate", "100")
    said, _ = demo.communicate(timeout=380)
    assert demo.returncode == 0, said
    assert re.search(r"Console: http://127\.0\.0\.1:\d+/", said)
    assert re.search(r"Sign in as operator, .* with the password demo-\S+", said)
    assert re.search(r"Personal codes: http://127\.0\.0\.1:\d+/codes/", said)
    assert re.search(r"appeal at http://127\.0\.0\.1:\d+/appeal; .* written to \S+/codes\.jsonl", said)
    assert "Good: fraud was blocked" in said
    assert re.search(r"Wrong blocks[^\n]*\s0\s", said)
    assert "calls." in said
    assert list(tmp_path.glob("hutong-demo-*")) == []
    assert _left_behind(tmp_path) == []


@pytest.mark.timeout(400)
def test_ctrl_c_ends_it_cleanly_and_in_chinese(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    demo = start("--rate", "100", LC_ALL="zh_CN.UTF-8")
    for line in demo.stdout or ():
        if "第一个诈骗电话" in line:
            break
    demo.send_signal(signal.SIGINT)
    said, _ = demo.communicate(timeout=60)
    assert demo.returncode == 0, said
    assert "合格" in said
    assert list(tmp_path.glob("hutong-demo-*")) == []
    assert _left_behind(tmp_path) == []


@pytest.mark.timeout(400)
def test_without_kamailio_the_gateway_follows_redirects_itself(start: Callable[..., subprocess.Popen[str]]) -> None:
    demo = start("--seconds", "4", "--rate", "100", "--direct")
    said, _ = demo.communicate(timeout=380)
    assert demo.returncode == 0, said
    assert "follows the 302 itself" in said
