"""Bundles and revocations in the records, on each engine: issued, found, revoked, fetched in parts, purged."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec
import pytest
import sqlalchemy as sa

from codes_samples import DAY, HOUR, ISSUER, NOW
from hutong.codes import metrics
from hutong.codes.bundles import BundleError, BundleStore
from hutong.codes.issuing import Bearer, Issue, Issuer, masked_name
from hutong.codes.key_ring import KeyRing
from hutong.codes.minting import MintError
from hutong.codes.revocation import KEPT_MS, no_revocations, read_news
from hutong.codes.verification import Trust, verify
from hutong.kernel.metrics import Metrics
from hutong.kernel.records import bundle_tables as tables

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.kernel.records import Database

ISSUE = Issue(hours=24, step_s=300, slack_s=60, paper_days=30)
GRANDMA, WANG, CHILD = (
    Bearer(person=letter * 32, who=bytes([at] * 12), kind=kind, name="王*", tail="1X", colour="green", as_of_ms=NOW)
    for at, (letter, kind) in enumerate((("a", "elder"), ("b", "own"), ("c", "child")))
)


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    made = KeyRing(tmp_path / "data", ISSUER, "EdDSA", 90 * DAY, ISSUE.longest_ms)
    made.upkeep(NOW)
    return made


def test_a_wallet_with_a_family(database: Database, ring: KeyRing) -> None:
    store, figures = BundleStore(database), Metrics()
    issuer = Issuer(ring, store, ISSUE, figures)
    wallet = issuer.wallet(WANG, [CHILD, GRANDMA], NOW + 1234)
    by = Trust([ring.key_set(NOW)])
    for made, bearer in zip((wallet.own, *wallet.family), (WANG, CHILD, GRANDMA), strict=True):
        found = verify(made.text(0), by, {}, None, NOW + 1234)
        assert found.is_valid
        assert found.claims is not None
        assert (found.claims.kind, found.claims.who) == (bearer.kind, bearer.who)
        (row,) = store.of_person(bearer.person, NOW)
        assert (row.handle, row.kind) == (made.handle.hex(), bearer.kind)
        assert row.expires_ms == made.expires_ms
        assert verify(made.text(len(made) - 1), by, {}, None, row.expires_ms - 1).is_valid
        assert store.bundle(row.handle) == row
    assert figures.value(metrics.ISSUED, kind="child") == 1
    with database.read() as connection:
        kept = str(connection.execute(sa.select(tables.code_bundles)).all())
    assert "王" not in kept, "neither codes nor what they say"
    assert wallet.own.text(0)[4:40] not in kept
    # Many at once: nothing is kept before it is asked for, and then in one transaction.
    many = [issuer.prepare(msgspec.structs.replace(WANG, person=f"{at:032x}"), [], NOW) for at in range(3)]
    assert store.of_person(f"{1:032x}", NOW) == []
    issuer.keep([row for one in many for row in one.rows])
    assert [it.handle for it in store.of_person(f"{1:032x}", NOW)] == [many[1].wallet.own.handle.hex()]
    with pytest.raises(MintError):
        issuer.wallet(WANG, [msgspec.structs.replace(CHILD, kind="own")], NOW)
    with pytest.raises(BundleError):
        store.bundle("0" * 16)
    with pytest.raises(BundleError):
        store.bundle("\0")
    assert store.of_person("\0", NOW) == []
    assert store.revoke(["\0", "x"], NOW) == 0
    assert (masked_name(" 欧阳修"), masked_name("")) == ("欧*", "*")


def test_revoked_bundles_reach_verifiers_in_parts(database: Database, ring: KeyRing) -> None:
    store = BundleStore(database)
    issuer = Issuer(ring, store, ISSUE)
    first, second = issuer.wallet(WANG, [], NOW).own, issuer.wallet(WANG, [], NOW + HOUR).own
    paper = issuer.paper(WANG, NOW)
    by = Trust([ring.key_set(NOW)])
    held = no_revocations(ISSUER).applied(read_news(issuer.news(0, NOW), by.key_sets))
    assert len(held) == 0
    assert [it.kind for it in store.of_person(WANG.person, NOW)][1:] != []
    assert store.revoke([first.handle.hex(), "f" * 16, first.handle.hex()], NOW + HOUR) == 1
    assert store.revoke([first.handle.hex()], NOW + HOUR) == 0, "once is enough"
    held = held.applied(read_news(issuer.news(held.version, NOW + HOUR), by.key_sets))
    assert (len(held), first.handle in held, second.handle in held) == (1, True, False)
    found = verify(first.text(15), by, {ISSUER: held}, None, NOW + 15 * 300_000)
    assert found.verdict == "revoked"
    version = held.version
    assert store.revoke_person(WANG.person, NOW + HOUR, paper=False) == 1
    assert paper.handle.hex() in {it.handle for it in store.of_person(WANG.person, NOW)}
    assert store.revoke_person(WANG.person, NOW + HOUR) == 1
    news = read_news(issuer.news(version, NOW + HOUR), by.key_sets)
    assert news.head.count == 2, "only what is new"
    held = held.applied(news)
    assert verify(paper.text, by, {ISSUER: held}, None, NOW + HOUR).verdict == "revoked"
    # A verifier that was ahead of records restored from a backup stays where it is.
    ahead = NOW + 9 * HOUR
    assert store.news(ahead, NOW + HOUR) == (ahead, [])


def test_what_is_over_is_purged_and_versions_rise_whoever_revokes(database: Database, ring: KeyRing) -> None:
    store = BundleStore(database)
    issuer = Issuer(ring, store, ISSUE)
    bundle, paper = issuer.wallet(WANG, [], NOW).own, issuer.paper(WANG, NOW)
    store.revoke([bundle.handle.hex(), paper.handle.hex()], NOW)
    assert store.purge(bundle.expires_ms - 1) == 0
    assert store.purge(bundle.expires_ms) == 1, "the bundle; its revocation stays for clocks that are behind"
    assert [it.kind for it in store.of_person(WANG.person, NOW)] == ["paper"]
    assert store.count_revoked() == 2
    assert store.purge(bundle.expires_ms + KEPT_MS) == 1
    assert [it.handle for it in store.news(0, bundle.expires_ms + KEPT_MS)[1]] == [paper.handle]
    assert store.purge(paper.claims.expires_ms + KEPT_MS) == 2
    assert store.count_revoked() == 0
    # Versions rise whoever revokes, under a clock that stands still: nobody passes one that is committed later.
    handles = [issuer.paper(WANG, NOW).handle.hex() for _ in range(12)]
    threads = [threading.Thread(target=store.revoke, args=(handles[at::4], NOW)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    newest, entries = store.news(0, NOW)
    assert [it.version for it in entries] == list(range(NOW + 1, NOW + 13))
    assert newest == NOW + 12
