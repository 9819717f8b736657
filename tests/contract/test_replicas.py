"""Change events and replicas on each engine, from the records and over HTTP."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest
import sqlalchemy as sa
from change_teller import LINES

from hutong.app.backup_records import export_records
from hutong.kernel.access.viewer import Viewer
from hutong.kernel.errors import StateError
from hutong.kernel.records import change_tables
from hutong.kernel.replica import log
from hutong.kernel.replica.follower import Follower
from hutong.kernel.replica.log import Change, Topic, tell, value_of
from hutong.kernel.replica.remote import RemoteSource, SourceError
from hutong.kernel.replica.source import RecordsSource, Table
from hutong.kernel.replica.store import Replica
from hutong.kernel.replica.wire import PERMISSION, ReplicaApp
from hutong.kernel.reporter import Reporter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.kernel.records import Connection, Database
    from hutong.kernel.replica.source import Source

NOW = 1_650_000_000_000  # 2022-04-15T05:20:00Z, in ms
HERE = Path(__file__).parent
DAY = 86_400_000
SPREAD = Topic("spread", spread=True)
#: What stands in the "records" of the topics, for tests that begin with something.
STANDING = {f"k{at:03}": at for at in range(7)}


def page(_connection: Connection, part: str, after: str, limit: int) -> tuple[list[Change], str]:
    rows = sorted(STANDING.items()) if part == "lines" else []
    found = [Change(key, value_of(value)) for key, value in rows if key > after][:limit]
    return found, found[-1].key if len(found) == limit else ""


@pytest.fixture
def records(database: Database) -> RecordsSource:
    return RecordsSource(database, (Table(LINES, page), Table(SPREAD, page)))


def viewer(token: str, _address: str) -> Viewer | None:
    allowed = {"good": frozenset({PERMISSION}), "other": frozenset({"sampling.register"})}
    found = allowed.get(token)
    return None if found is None else Viewer("edge", "edge", "operator", found, None, "token")


def remote(records: RecordsSource, threads: ThreadPoolExecutor, token: str) -> RemoteSource:
    app = ReplicaApp(records, viewer, threads, Reporter("test"))
    return RemoteSource("http://node", token, Bridge(httpx.ASGITransport(app)))  # type: ignore[arg-type]  # as a client


class Bridge:
    """A client that speaks to an ASGI application without a socket."""

    def __init__(self, transport: httpx.ASGITransport) -> None:
        self._transport = transport

    def post(self, url: str, content: bytes, headers: dict[str, str]) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport) as client:
                return await client.post(url, content=content, headers=headers)

        return asyncio.run(ask())


@pytest.fixture(params=["records", "http"])
def source(request: pytest.FixtureRequest, records: RecordsSource) -> Iterator[Source]:
    with ThreadPoolExecutor(2) as threads:
        yield records if request.param == "records" else remote(records, threads, "good")


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[Replica]:
    made = Replica(tmp_path / "replica", map_bytes=1 << 16)
    made.open()
    yield made
    made.close()


def say(database: Database, topic: Topic, *changes: Change, now_ms: int = NOW) -> None:
    with database.write() as connection:
        tell(database, connection, topic, changes, now_ms)


def put(key: str, value: Any, until_ms: int = 0) -> Change:  # noqa: ANN401  # JSON
    return Change(key, value_of(value), until_ms)


def read(replica: Replica, topic: Topic, now_ms: int = NOW) -> dict[str, Any]:
    return {key: msgspec.json.decode(value) for key, value in replica.each(topic, now_ms)}


def follow(source: Source, replica: Replica, now_ms: int = NOW, limit: int = 3) -> int:
    """Until there is no more; gives how many changes were applied."""
    follower, applied = Follower(source, replica, limit), 0
    for _ in range(50):
        done = follower.round(now_ms)
        applied += done.applied
        if not done.more:
            return applied
    raise AssertionError("It never ends.")


def test_a_replica_is_what_the_records_are_and_says_as_of_when(
    source: Source, database: Database, replica: Replica
) -> None:
    assert (replica.heard_ms(), replica.get(LINES, "k001", NOW)) == (0, None)
    follow(source, replica)
    assert read(replica, LINES) == STANDING
    assert replica.heard_ms() == NOW
    say(database, LINES, put("k001", "new"), put("more", [1]), Change("k002"), put("short", 1, NOW + 10))
    say(database, SPREAD, *(put(f"{lane:x}f", lane) for lane in range(16)))
    follow(source, replica, NOW + 5)
    # The first event of a part makes it anew, from what stands in the records now.
    say(database, LINES, put("k001", "new"), put("more", [1]), Change("k002"), put("short", 1, NOW + 10))
    say(database, SPREAD, *(put(f"{lane:x}f", lane) for lane in range(16)), Change("3f"))
    assert follow(source, replica, NOW + 6) == 4 + 17
    expected = {key: value for key, value in STANDING.items() if key != "k002"} | {"k001": "new", "more": [1]}
    assert read(replica, LINES, NOW + 9) == expected | {"short": 1}
    assert read(replica, LINES, NOW + 10) == expected
    assert replica.get(LINES, "short", NOW + 10) is None
    assert read(replica, SPREAD) == {f"{lane:x}f": lane for lane in range(16) if lane != 3}
    assert follow(source, replica, NOW + 11) == 0, "nothing is taken twice"
    assert replica.heard_ms() == NOW + 11
    assert dict(replica.each(LINES, NOW + 11, "mo")) == {"more": b"[1]"}


def test_who_is_too_far_behind_begins_anew_and_reads_the_old_meanwhile(
    source: Source, database: Database, replica: Replica
) -> None:
    say(database, LINES, put("gone", 1))
    follow(source, replica)
    say(database, LINES, put("gone", 1))
    follow(source, replica)
    assert "gone" in read(replica, LINES)
    for at in range(3):
        say(database, LINES, put("x", at), now_ms=NOW + DAY + at)
    assert log.forget(database, LINES.parts, NOW + DAY, NOW + DAY + 9) == 2
    follower = Follower(source, replica, 3)
    assert follower.round(NOW + DAY + 9).begun == 1
    assert read(replica, LINES)["gone"] == 1, "read meanwhile"
    assert replica.heard_ms() == NOW, "and not said to be fresh"
    follow(source, replica, NOW + DAY + 10)
    assert read(replica, LINES) == STANDING, "as the records have it now"
    assert replica.heard_ms() == NOW + DAY + 10
    replica.forget(NOW + DAY + 10)
    assert replica.count() == len(STANDING)
    # The last event is never forgotten: whoever has it is not behind.
    assert log.forget(database, LINES.parts, NOW + 90 * DAY, NOW + 90 * DAY) == 2
    assert follow(source, replica, NOW + 90 * DAY) == 0


def test_events_of_a_clock_that_was_ahead_are_forgotten_with_those_after_them(database: Database) -> None:
    for at_ms in (NOW + 400 * DAY, NOW, NOW + 1, NOW + DAY, NOW + DAY + 1):
        say(database, LINES, put("x", at_ms), now_ms=at_ms)
    assert log.forget(database, LINES.parts, NOW, NOW + DAY) == 0, "nothing says yet how old the first is"
    assert log.forget(database, LINES.parts, NOW + DAY, NOW + 8 * DAY) == 3
    assert log.forget(database, LINES.parts, NOW + 9 * DAY, NOW + 16 * DAY) == 1, "never the last"


class KilledError(Exception):
    """Nothing after it is done."""


class KilledWhileClearing(Replica):
    """Is killed when some of what it clears is gone."""

    def _clear(self, part: str, slot: str) -> None:
        place = f"{part}\0{slot}k000".encode()
        assert self._write(lambda txn: txn.delete(place, db=self._entries))
        raise KilledError


def test_whoever_is_killed_while_clearing_a_part_does_not_go_on_from_half_of_it(
    source: Source, replica: Replica
) -> None:
    replica.begin("lines")
    replica.take_page("lines", "", source.page("lines", "", 3))
    killed = KilledWhileClearing(replica.folder)
    killed.open()
    with pytest.raises(KilledError):
        killed.begin("lines")
    killed.close()
    follow(source, replica)
    assert read(replica, LINES) == STANDING


def test_records_from_a_backup_have_no_events_and_their_replicas_begin_anew(
    source: Source, database: Database, replica: Replica, tmp_path: Path
) -> None:
    for at in range(2):
        say(database, LINES, put("later", at))
        follow(source, replica)
    (tmp_path / "rows").mkdir()
    assert "changes" not in export_records(database, tmp_path / "rows", lambda _: None)
    with database.write() as connection:
        connection.execute(sa.delete(change_tables.changes))
    follow(source, replica, NOW + DAY)
    assert "later" not in read(replica, LINES)
    say(database, LINES, put("after", 1), now_ms=NOW + DAY)
    follow(source, replica, NOW + DAY)
    with database.read() as connection:
        assert log.newest(connection, "lines") == NOW + DAY, "no number comes again"


def test_only_a_token_that_may_follow_is_told(records: RecordsSource, replica: Replica) -> None:
    with ThreadPoolExecutor(2) as threads:
        for token, why in (("", "opens nothing"), ("other", "may not follow")):
            with pytest.raises(SourceError, match=why):
                Follower(remote(records, threads, token), replica).round(NOW)
        client = Bridge(httpx.ASGITransport(ReplicaApp(records, viewer, threads, Reporter("test"))))
        good = {"Authorization": "Bearer good"}
        for path, body, status in (
            ("news", b'{"positions": {"lines": -1}}', 400),
            ("news", b'{"positions": {"li\\u0000": 1}}', 400),
            ("page", b'{"part": "lines", "limit": 1000000}', 400),
            ("page", b"\xff", 400),
            ("nothing", b"{}", 404),
            ("page", b'{"part": "no such part"}', 200),
        ):
            assert client.post(f"http://node/v1/replica/{path}", body, good).status_code == status, path


def test_only_one_follows(replica: Replica, tmp_path: Path) -> None:
    other = Replica(tmp_path / "replica")
    other.open()
    with replica.alone(), pytest.raises(StateError, match="Another process"), other.alone():
        pass
    other.close()


def started(name: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-P", "-c", f"import sys; sys.path[:0] = [{str(HERE)!r}]; import {name}; {name}.main()"]
    return subprocess.Popen([*command, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_follower_misses_nothing_of_several_writers_and_may_be_killed_at_any_time(
    database: Database, records_url: str, replica: Replica
) -> None:
    source = RecordsSource(database, (Table(LINES, lambda *_: ([], "")),))
    say(database, LINES, put("first", 0))
    follow(source, replica)
    tellers = [started("change_teller", records_url, name, "30") for name in ("a", "b", "c")]
    for teller in tellers:
        assert teller.stdout is not None
        assert teller.stdout.readline() == "ready\n"
    for teller in tellers:
        assert teller.stdin is not None
        teller.stdin.write("go\n")
        teller.stdin.flush()
    for rounds in (1, 3):
        victim = started("replica_victim", records_url, str(replica.folder))
        assert victim.stdout is not None
        for _ in range(rounds):
            assert victim.stdout.readline() == "round\n"
        victim.kill()
        victim.communicate()
    told = {key for teller in tellers for key in teller.communicate(timeout=60)[0].split()}
    assert len(told) == 60
    begun = Follower(source, replica).round(NOW).begun
    follow(source, replica)
    assert set(read(replica, LINES)) == told
    assert begun == 0, "it went on where it was"
