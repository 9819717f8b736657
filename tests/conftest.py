"""What tests share: waiting for processes, loopback ports, data folders, peers from Debian's packages."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest
import pytest_socket

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOOPBACK = ["127.0.0.1", "::1"]
# Debian keeps servers where an ordinary user's PATH does not look.
PROGRAM_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])

# Who runs the tests in the background has them ignore Ctrl-C; what they start would inherit that and heed it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("peer"):
        for program in marker.args:
            if shutil.which(program, path=PROGRAM_PATH) is None:
                pytest.skip(f"{program} is not installed (Debian package; see `make debian`)")


@pytest.fixture(autouse=True)
def _loopback_only(request: pytest.FixtureRequest) -> None:
    """A test with sockets reaches this machine and nothing else."""
    if request.node.get_closest_marker("enable_socket"):
        pytest_socket.socket_allow_hosts(LOOPBACK, allow_unix_socket=True)


@pytest.fixture
def wait_until() -> Callable[..., object]:
    """`wait_until(predicate, seconds=10, what="…")`: the first true value; fails when there is none in time.

    For real processes only, which cannot be told to hurry; pure code is given its time as a value.
    """

    def wait(predicate: Callable[[], object], seconds: float = 10, what: str = "") -> object:
        pause = threading.Event()
        deadline = time.monotonic() + seconds
        while not (found := predicate()):
            if time.monotonic() > deadline:
                pytest.fail(f"not within {seconds} s: {what or predicate}")
            pause.wait(0.01)
        return found

    return wait


@pytest.fixture
def free_port() -> Callable[..., int]:
    """`free_port(kind=socket.SOCK_STREAM, host="127.0.0.1")`: a port that nobody holds at this moment."""

    def find(kind: int = socket.SOCK_STREAM, host: str = "127.0.0.1") -> int:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, kind) as probe:
            probe.bind((host, 0))
            return int(probe.getsockname()[1])

    return find


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    """An empty data folder."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder
