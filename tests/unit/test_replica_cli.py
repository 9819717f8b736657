"""`hutong replica`: made anew, looked at, followed until told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

from fresh_records import lay_out
from hutong.app.cli import run
from hutong.app.codes_config import CodesConfig
from hutong.app.config import Config
from hutong.app.replica_cli import ReplicaStatus
from hutong.app.replica_config import ReplicaConfig
from hutong.app.replica_work import ReplicaWork, open_source
from hutong.app.up import processes_of
from hutong.codes.bundles import BundleRow, BundleStore
from hutong.codes.replicas.reading import CodesReplica
from hutong.kernel.clock import SystemClock
from hutong.kernel.errors import ConfigError
from hutong.kernel.records import Database, database_url
from hutong.kernel.replica.store import FOLDER, Replica

if TYPE_CHECKING:
    from pathlib import Path

HOUR = 3_600_000
FAR = 4_000_000_000_000  # the commands have a clock of their own
HANDLE, PERSON = "ab" * 8, "0" * 32


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    lay_out(folder / "records.db")
    database = Database(database_url("", folder))
    database.open()
    BundleStore(database).add([BundleRow(HANDLE, PERSON, "own", 0, FAR)])
    database.close()
    return folder


def looked(data: Path) -> str | None:
    replica = Replica(data / FOLDER)
    replica.open()
    try:
        return CodesReplica(replica).bundle_person(HANDLE, 0)
    finally:
        replica.close()


def test_a_replica_is_made_and_says_how_it_stands(data: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(["replica", "status", "--data", str(data)]) == 1, "never whole"
    assert not (data / FOLDER).exists(), "who looks makes none"
    assert run(["replica", "rebuild", "--data", str(data)]) == 0
    capfdbinary.readouterr()
    assert run(["replica", "status", "--json", "--data", str(data)]) == 0
    told = msgspec.json.decode(capfdbinary.readouterr().out, type=ReplicaStatus)
    assert (told.entries, len(told.parts)) == (1, 16 + 16 + 5)
    assert all(it.ready and not it.making for it in told.parts)
    assert told.age_ms < HOUR
    assert looked(data) == PERSON
    assert run(["replica", "status", "--data", str(data)]) == 0
    assert b"bundles/a\t" in capfdbinary.readouterr().out


def test_it_is_followed_until_told_to_stop(data: Path) -> None:
    ready, said = os.pipe()
    command = [sys.executable, "-P", "-m", "hutong", "replica", "follow", "--data", str(data)]
    child = subprocess.Popen(command, pass_fds=(said,), env={**os.environ, "HUTONG_READY_FD": str(said)})
    os.close(said)
    with os.fdopen(ready, "rb") as pipe:
        assert pipe.readline() == b"READY\n"
    child.send_signal(signal.SIGTERM)
    assert child.wait(30) == 0


def test_work_tells_of_keys_once_and_forgets_what_is_old(data: Path) -> None:
    config = Config(node=msgspec.structs.replace(Config().node, data=str(data)))
    work = ReplicaWork(config)
    assert work.tell_keys(0) == 0, "there are none"
    assert run(["codes", "keys", "make", "--data", str(data)]) == 0
    here_ms = SystemClock().wall() // 1_000_000_000 * 1000  # key sets are signed in whole seconds
    assert [work.tell_keys(here_ms + at) for at in (0, HOUR - 1, HOUR)] == [1, 0, 1], "anew before it looks old"
    now_ms = FAR // 2
    database = Database(database_url("", data))
    database.open()
    BundleStore(database).add([BundleRow("ac" * 8, PERSON, "own", now_ms, FAR)])
    assert work.forget(now_ms) == 2, "the first bundle and the first keys were told long ago"
    assert work.forget(now_ms) == 0
    database.close()


def test_a_node_that_serves_the_public_follows_and_an_edge_needs_its_token(tmp_path: Path) -> None:
    assert "replica" not in processes_of(Config())
    assert processes_of(Config(codes=CodesConfig(listen="127.0.0.1:1")))["replica"] == ("replica", "follow")
    edge = ReplicaConfig(url="https://stations.example")
    assert "replica" in processes_of(Config(replica=edge))
    with pytest.raises(ConfigError, match="without a token"), open_source(Config(replica=edge)):
        pass
    token = tmp_path / "token"
    token.write_text("hut_x\n")
    with open_source(Config(replica=msgspec.structs.replace(edge, token_file=str(token)))) as source:
        assert type(source).__name__ == "RemoteSource"
