"""The container file: what it copies is there, what it runs is there, and its health check says what is so."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hutong.app.cli import COMMANDS
from hutong.app.config import load_config

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "container"
#: Lines that end in a backslash go on.
STEPS = [
    (found[1], found[2].strip())
    for line in (FOLDER / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    if (found := re.match(r"([A-Z]+) (.*)", line))
]


def values(word: str) -> list[str]:
    return [rest for step, rest in STEPS if step == word]


def test_everything_that_it_copies_from_here_exists() -> None:
    copied = [rest.split()[:-1] for rest in values("COPY") if not rest.startswith("--from=")]
    assert copied
    for path in (path for paths in copied for path in paths):
        assert (ROOT / path).exists(), path


def test_what_it_copies_between_stages_was_made_in_the_first() -> None:
    first = " ".join(rest for step, rest in STEPS[: STEPS.index(("FROM", "${BASE}"))] if step == "RUN")
    staged = [rest.split()[1] for rest in values("COPY") if rest.startswith("--from=")]
    assert staged
    assert all(path in first for path in staged), staged


def test_it_runs_commands_that_there_are() -> None:
    (entry,), (command,) = values("ENTRYPOINT"), values("CMD")
    assert json.loads(entry) == ["/opt/hutong/.venv/bin/hutong"]
    assert json.loads(command)[0] in {name for name, _, _ in COMMANDS}
    check = json.loads(values("HEALTHCHECK")[0].partition("CMD ")[2])
    assert check[0] == "/opt/hutong/.venv/bin/python"
    installed = [rest.split()[-1] for rest in values("COPY")]
    assert set(check[2:]) <= set(installed)
    assert json.loads(command)[2] in installed


def test_it_installs_by_hash_and_takes_nothing_else_from_outside() -> None:
    pips = [part for rest in values("RUN") for part in rest.split("&&") if re.search(r"/pip .*(wheel|install)", part)]
    assert len(pips) == 3
    assert all("--require-hashes" in part or "--no-index" in part for part in pips)


def test_it_is_nobody_and_keeps_what_it_writes_in_volumes() -> None:
    (user,), (volumes,), (environment,) = values("USER"), values("VOLUME"), values("ENV")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    assert f"--uid {user.split(':')[0]}" in " ".join(values("RUN"))
    named = json.loads(volumes)
    assert json.loads(values("CMD")[0])[-1] in named
    cache = re.search(r"XDG_CACHE_HOME=(\S+)", environment)
    assert cache is not None
    assert f"{cache[1]}/hutong" in named
    assert [rest for step, rest in STEPS if step == "USER"][-1] == user
    last = [step for step, _ in STEPS]
    assert "RUN" not in last[last.index("USER") :]


def test_its_base_is_one_that_every_stage_shares_and_that_can_be_changed() -> None:
    assert values("ARG") == ["BASE=debian:12-slim"]
    assert [rest.split()[0] for rest in values("FROM")] == ["${BASE}", "${BASE}"]


def test_its_settings_are_settings() -> None:
    config = load_config(FOLDER / "hutong.toml", environ={})
    assert config.serve.listen == "0.0.0.0:8080"
    ports = {port.split("/")[0] for port in values("EXPOSE")[0].split()}
    used = {text.rpartition(":")[2] for text in (*config.sip.listen, config.serve.listen, config.serve.public_listen)}
    assert ports == used


# The health check


class Console:
    """Answers /readyz as the console does."""

    def __init__(self) -> None:
        self.status, self.screening = 200, "screening"
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(outer.status)
                self.end_headers()
                self.wfile.write(json.dumps({"serve": "ready", "screening": outer.screening}).encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]


@pytest.fixture
def console() -> Iterator[Console]:
    it = Console()
    thread = threading.Thread(target=it.server.serve_forever)
    thread.start()
    yield it
    it.server.shutdown()
    thread.join()
    it.server.server_close()


def checked(tmp_path: Path, port: int, host: str = "0.0.0.0") -> int:
    file = tmp_path / "hutong.toml"
    file.write_text(f'[serve]\nlisten = "{host}:{port}"\n', encoding="utf-8")
    command = [sys.executable, str(FOLDER / "healthcheck.py"), str(file)]
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode


@pytest.mark.enable_socket
@pytest.mark.parametrize(
    ("screening", "expected"), [("screening", 0), ("idle", 0), ("failing_open", 0), ("stale", 1), ("absent", 1)]
)
def test_a_node_whose_screening_lives_is_well(tmp_path: Path, console: Console, screening: str, expected: int) -> None:
    console.screening = screening
    assert checked(tmp_path, console.port) == expected


@pytest.mark.enable_socket
def test_a_console_that_errs_or_is_not_there_is_not_well(tmp_path: Path, console: Console) -> None:
    console.status = 503
    assert checked(tmp_path, console.port, "127.0.0.1") == 1
    assert checked(tmp_path, 1, "127.0.0.1") == 1
