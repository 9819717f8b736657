"""Codes verified from the records and from a replica: the same answers, and answers when the records are gone."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest

import codes_samples as codes
from case_samples import DAY, HOUR, MONDAY
from hutong.codes.bundles import BundleRow, BundleStore
from hutong.codes.devices import Devices
from hutong.codes.people.day_keys import day_of, end_of
from hutong.codes.people.errors import PersonRefused
from hutong.codes.replicas.away import AwayDesk
from hutong.codes.replicas.reading import CodesReplica
from hutong.codes.replicas.topics import COLOURS, tables, tell_keys
from hutong.codes.stations.desk import AWAY_MS, FRESH_MS, VerifyDesk
from hutong.codes.stations.knowledge import Known, RecordsKnowledge, ReplicaKnowledge
from hutong.codes.stations.wire import VERIFY, VerifyApp
from hutong.kernel.access.remembered import AWAY_MS as VIEWERS_AWAY_MS
from hutong.kernel.access.remembered import KEPT_MS, RememberedViewers
from hutong.kernel.access.viewer import Viewer
from hutong.kernel.clock import ManualClock
from hutong.kernel.errors import StateError
from hutong.kernel.records import RecordsError
from hutong.kernel.replica.follower import Follower
from hutong.kernel.replica.source import RecordsSource
from hutong.kernel.replica.store import Replica
from hutong.kernel.reporter import Reporter
from status_samples import EVIDENCE_DAYS, OTHER, PERSON_DAYS, RULES, Desk, positive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hutong.codes.keys import KeySet
    from hutong.codes.stations.knowledge import Knowledge
    from hutong.kernel.records import Database
    from postgres import Postgres

NOW = MONDAY
WANG, LI, GONE, STRANGE = b"\x11" * 8, b"\x22" * 8, b"\x33" * 8, b"\x44" * 8


class World:
    """A node: Wang is red, Li green; each has a bundle, and Li another one that is revoked."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database, self.node = database, Desk(database, folder / "keys")
        self.bundles, self.devices = BundleStore(database), Devices(database, PERSON_DAYS)
        self.wang, self.li = self.node.person(now_ms=NOW), self.node.person(OTHER, "李四", NOW)
        rows = ((WANG, self.wang), (LI, self.li), (GONE, self.li))
        self.bundles.add([BundleRow(it.hex(), who, "own", NOW, NOW + HOUR) for it, who in rows])
        self.bundles.revoke([GONE.hex()], NOW)
        self.node.statuses.take(self.wang, [positive(NOW - HOUR)], NOW)
        self.phone = self.devices.add(self.wang, NOW)
        self.keys = codes.key_set(NOW)
        tell_keys(database, self.keys, NOW, HOUR)
        self.replica = Replica(folder / "replica")
        self.replica.open()
        self.copy = CodesReplica(self.replica)
        self.records = RecordsKnowledge(self.bundles, self.node.statuses.standing, lambda _now: self.keys)
        self.stored = ReplicaKnowledge(self.copy, codes.ISSUER, RULES.otherwise.colour)
        self.follow(NOW)

    def follow(self, now_ms: int) -> None:
        follower = Follower(RecordsSource(self.database, tables(PERSON_DAYS)), self.replica)
        while follower.round(now_ms).more:
            pass

    def code(self, handle: bytes, **changes: Any) -> str:  # noqa: ANN401  # claims
        times = {"issued_ms": NOW, "not_before_ms": NOW, "expires_ms": NOW + HOUR, "as_of_ms": NOW - HOUR}
        return codes.bundle(handle=handle, **(times | changes)).text(0)


@pytest.fixture
def world(database: Database, tmp_path: Path) -> Iterator[World]:
    made = World(database, tmp_path)
    yield made
    made.replica.close()


@pytest.fixture(params=["records", "replica"])
def knowledge(request: pytest.FixtureRequest, world: World) -> Knowledge:
    found: Knowledge = world.records if request.param == "records" else world.stored
    return found


def test_both_know_the_same(knowledge: Knowledge, world: World) -> None:
    assert knowledge.bundle(GONE.hex(), NOW) == Known(is_revoked=True)
    assert knowledge.bundle(STRANGE.hex(), NOW) == knowledge.bundle("no handle", NOW) == Known()
    red, green = (knowledge.bundle(it.hex(), NOW) for it in (WANG, LI))
    assert (red.colour, red.as_of_ms, red.is_revoked, red.is_over) == ("red", NOW, False, False)
    assert (green.colour, green.is_over) == ("green", False)
    assert [it.issuer for it in knowledge.key_sets(NOW)] == [codes.ISSUER]
    assert {key.kid for key in knowledge.key_sets(NOW)[0].keys} == {key.kid for key in world.keys.keys}
    assert knowledge.read_ms(NOW) == NOW


def test_a_station_is_told_the_verdict_and_the_colour_that_stands_now(knowledge: Knowledge, world: World) -> None:
    desk = VerifyDesk(knowledge, None)

    def verdict(text: str, now_ms: int = NOW) -> tuple[str, str]:
        told = desk.verify(text, "en", now_ms)
        assert told.reasons
        assert told.age_ms == now_ms - knowledge.read_ms(now_ms)
        return told.verdict, told.colour

    assert verdict(world.code(WANG, colour="green")) == ("valid", "red"), "not what the code says"
    assert verdict(world.code(LI)) == ("valid", "green")
    assert verdict(world.code(GONE)) == ("revoked", "")
    assert verdict(world.code(STRANGE, colour="yellow")) == ("valid", "yellow"), "newer than what is known here"
    assert "the one in the code" in desk.verify(world.code(STRANGE), "en", NOW).reasons[1]
    assert verdict(world.code(LI), NOW + DAY) == ("expired", "")
    text = world.code(LI)
    assert verdict(text[:-4] + ("AAAA" if text[-4:] != "AAAA" else "BBBB"))[0] in {"forged", "malformed"}
    assert verdict("HT1:") == ("malformed", "")
    assert verdict(codes.bundle(codes.OTHER_KEY, handle=LI).text(0)) == ("unknown-key", "")


def ask(app: VerifyApp, body: bytes, token: str = "station") -> httpx.Response:  # noqa: S107  # none
    async def asked() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://node") as client:
            return await client.post(VERIFY, content=body, headers={"Authorization": f"Bearer {token}"})

    return asyncio.run(asked())


@pytest.fixture
def take_away(request: pytest.FixtureRequest, database: Database) -> Iterator[Callable[[], None]]:
    """Takes the records away: the server is killed, or the file cannot be opened any more."""
    if database.is_sqlite:
        yield database.close
        return
    server: Postgres = request.getfixturevalue("postgres")
    yield server.kill
    server.start()


def test_verification_and_why_go_on_when_the_records_are_gone_and_say_how_old_they_are(
    world: World, take_away: Callable[[], None]
) -> None:
    clock, looked_up = ManualClock(NOW * 1_000_000), [0]

    def viewer(token: str, _address: str) -> Viewer | None:
        looked_up[0] += 1
        with world.database.read():
            scopes = {"station": frozenset({"sampling.register"}), "other": frozenset({"codes.read"})}.get(token)
        return None if scopes is None else Viewer(token, token, "operator", scopes, None, "token")

    remembered = RememberedViewers(viewer, lambda: clock.wall() // 1_000_000)
    away = AwayDesk(world.copy, RULES)
    body = msgspec.json.encode({"code": world.code(WANG, colour="green")})
    with ThreadPoolExecutor(2) as threads:
        app = VerifyApp(VerifyDesk(world.records, world.stored), remembered, clock, threads, Reporter("test"))
        assert ask(app, body).json()["colour"] == "red"
        assert [ask(app, body, it).status_code for it in ("", "other")] == [401, 403]
        assert [ask(app, it).status_code for it in (b"{}", b"x", b'{"code": 1}', b" " * 9000)] == [400, 400, 400, 413]
        take_away()
        clock.advance(20_000 * 1_000_000)
        now_ms = clock.wall() // 1_000_000
        assert now_ms > NOW + FRESH_MS
        told = ask(app, body)
        assert told.status_code == 200
        assert {it: told.json()[it] for it in ("verdict", "colour", "as_of_ms", "age_ms")} == {
            "verdict": "valid",
            "colour": "red",
            "as_of_ms": NOW,
            "age_ms": 20_000,
        }
        before = looked_up[0]
        assert ask(app, body, "never seen").status_code == 503
        assert ask(app, body).status_code == 200
        assert looked_up[0] == before, "nobody waits for the records again within some seconds"
        clock.advance(VIEWERS_AWAY_MS * 1_000_000)
        assert [ask(app, body).status_code for _ in range(3)] == [200] * 3
        assert looked_up[0] == before + 1, "one asks whether they are back"
        why = away.why(world.phone, "en", now_ms)
        assert why.colour == "Red"
        assert "This is how it stood at" in why.lines[-1]
        with pytest.raises(PersonRefused):
            away.why("no phone", "zh", now_ms)
        newest, entries = world.copy.news(0, now_ms)
        assert [it.handle for it in entries] == [GONE]
        assert newest == entries[0].version
        clock.advance(KEPT_MS * 1_000_000)
        assert ask(app, body).status_code == 503, "a token is not good for ever"
    with pytest.raises(RecordsError):
        VerifyDesk(world.records, None).verify(world.code(WANG), "en", NOW)


class AwayKnowledge:
    """Records that are away, until they are back; counts who asked."""

    def __init__(self, records: RecordsKnowledge) -> None:
        self.back, self.asked = False, 0
        self.others: Callable[[], object] | None = None
        self._records = records

    def read_ms(self, now_ms: int) -> int:
        return self._records.read_ms(now_ms)

    def bundle(self, handle: str, now_ms: int) -> Known:
        self.asked += 1
        if self.others is not None:
            others, self.others = self.others, None
            others()
        if not self.back:
            raise RecordsError("away")
        return self._records.bundle(handle, now_ms)

    def key_sets(self, now_ms: int) -> tuple[KeySet, ...]:
        return self._records.key_sets(now_ms)


def test_records_that_are_away_are_asked_after_a_pause_by_one_and_a_clock_set_back_makes_no_replica_fresh(
    world: World,
) -> None:
    away, text = AwayKnowledge(world.records), world.code(WANG)
    desk = VerifyDesk(away, world.stored)

    def age_ms(now_ms: int) -> int:
        return desk.verify(text, "en", now_ms).age_ms

    assert (age_ms(NOW + FRESH_MS - 1), away.asked) == (FRESH_MS - 1, 0)
    late = NOW + FRESH_MS
    assert [age_ms(late + it) for it in (0, FRESH_MS, AWAY_MS - 1)] == [FRESH_MS, 2 * FRESH_MS, FRESH_MS + AWAY_MS - 1]
    assert away.asked == 1, "whoever comes after the first waits for nothing"
    late += AWAY_MS
    assert desk.verify("HT1:", "en", late).verdict == "malformed"  # does not show whether they are back
    away.others = lambda: age_ms(late)
    assert (age_ms(late), away.asked) == (late - NOW, 2), "those who come while one asks go on without"
    away.back = True
    late += AWAY_MS
    assert [age_ms(late), age_ms(late + 1), away.asked] == [0, 0, 4]
    world.follow(NOW + HOUR)
    assert (age_ms(NOW + 60_000), away.asked) == (0, 5), "the replica is from a time to come: the records are asked"


def test_a_replica_forgets_when_the_keys_of_days_are_destroyed_even_when_nobody_reaches_it(
    world: World, tmp_path: Path
) -> None:
    def stands(now_ms: int, replica: Replica = world.replica) -> bool:
        return replica.get(COLOURS, world.wang, now_ms) is not None

    last = end_of(day_of(NOW) + PERSON_DAYS)
    assert PERSON_DAYS > EVIDENCE_DAYS
    # Nobody reaches it: what is over is given to nobody, and removed, without a source.
    assert (stands(last - 1), stands(last)) == (True, False)
    raw = world.replica.count()
    assert world.replica.forget(last) >= 1
    assert world.replica.count() < raw
    # Who goes on using a code is kept for longer, here too.
    other = Replica(tmp_path / "other")
    other.open()
    later = NOW + 10 * DAY
    world.node.people.renew(world.wang, 0, later)
    source = RecordsSource(world.database, tables(PERSON_DAYS))
    while Follower(source, other).round(later).more:
        pass
    assert stands(last, other)
    # And is gone with the keys, or when they ask for it.
    world.node.statuses.forget(world.wang, later)
    while Follower(source, other).round(later).more:
        pass
    assert not stands(later, other)
    world.node.statuses.expire(last)
    assert other.get(COLOURS, world.li, last) is None
    other.close()


def test_the_phones_of_whoever_is_forgotten_go_with_them_and_replicas_are_told(world: World) -> None:
    node, devices = world.node, Devices(world.database, 2 * PERSON_DAYS)  # phones that would outlast their people
    phones = {who: [devices.add(who, NOW), devices.add(who, NOW)] for who in (world.wang, world.li)}

    def here(token: str, now_ms: int) -> str | None:
        phone = devices.find(token, now_ms)
        return None if phone is None else phone.person

    def known(now_ms: int) -> list[set[str | None]]:
        """What each person's phones are taken for, here and on the replica."""
        follower = Follower(RecordsSource(world.database, tables(2 * PERSON_DAYS)), world.replica)
        while follower.round(now_ms).more:
            pass
        asked = (here, world.copy.phone_person)
        return [{ask(it, now_ms) for it in phones[who]} for who in (world.wang, world.li) for ask in asked]

    def undone() -> None:
        with world.database.write():
            node.statuses.forget(world.wang, NOW + 1)
            raise RuntimeError("undone")

    assert known(NOW) == [{world.wang}] * 2 + [{world.li}] * 2
    with pytest.raises(RuntimeError, match="undone"):
        undone()
    assert known(NOW + 1) == [{world.wang}] * 2 + [{world.li}] * 2, "phones go when their person does"
    node.statuses.forget(world.wang, NOW + 2)
    assert known(NOW + 2) == [{None}] * 2 + [{world.li}] * 2
    node.statuses.take(world.li, [positive(NOW - HOUR)], NOW + 2)
    node.statuses.expire(NOW + (EVIDENCE_DAYS + 2) * DAY)
    assert known(NOW + (EVIDENCE_DAYS + 2) * DAY)[2:] == [{world.li}] * 2, "evidence is over, the person is kept"
    end = NOW + (PERSON_DAYS + 1) * DAY
    node.statuses.expire(end)
    assert known(end) == [{None}] * 4


def test_a_replica_that_was_never_whole_says_so(tmp_path: Path) -> None:
    replica = Replica(tmp_path / "replica")
    replica.open()
    with pytest.raises(StateError, match="not whole"):
        CodesReplica(replica).heard_ms()
    replica.close()
