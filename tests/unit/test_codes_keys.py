"""Keys in their files, questions by their indexes: what no engine but SQLite is needed for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from codes_samples import DAY, HOUR, ISSUER, NOW
from fresh_records import lay_out
from hutong.codes.bundles import BundleStore
from hutong.codes.issuing import Bearer, Issue, Issuer
from hutong.codes.key_ring import KeyRing
from hutong.codes.minting import MintError
from hutong.kernel.errors import StateError
from hutong.kernel.records import Database, database_url

if TYPE_CHECKING:
    from collections.abc import Iterator

ISSUE = Issue(hours=24, step_s=300, slack_s=60, paper_days=30)
WANG = Bearer(person="b" * 32, who=bytes(12), kind="own", name="王*", tail="1X", colour="green", as_of_ms=NOW)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(database_url("", tmp_path))
    lay_out(Path(made.place))
    made.open()
    yield made
    made.close()


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    made = KeyRing(tmp_path / "data", ISSUER, "EdDSA", 90 * DAY, ISSUE.longest_ms)
    made.upkeep(NOW)
    return made


def test_questions_go_by_an_index(database: Database) -> None:
    asked = (
        "SELECT * FROM code_bundles WHERE person = 'a' AND expires_ms > 1",
        "SELECT * FROM code_bundles WHERE handle = 'a'",
        "SELECT * FROM code_revocations WHERE version > 1 ORDER BY version",
        "SELECT max(version) FROM code_revocations",
        "DELETE FROM code_bundles WHERE handle IN (SELECT handle FROM code_bundles WHERE expires_ms <= 1)",
    )
    with database.read() as connection:
        for question in asked:
            plan = str(connection.execute(sa.text(f"EXPLAIN QUERY PLAN {question}")).all())
            assert "SEARCH" in plan
            assert "SCAN" not in plan.replace("SCAN code_revocations USING COVERING", "")


def test_keys_are_for_their_owner_alone_and_survive(tmp_path: Path, ring: KeyRing) -> None:
    folder = tmp_path / "data" / "keys"
    ring.key_set(NOW)
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        "codes.keys": 0o600,
        "codes-root.key": 0o600,
    }
    signs = ring.signing_key(NOW).kid
    following = ring.rotate(NOW)
    assert (following.state, ring.signing_key(NOW).kid) == ("next", signs)
    assert ring.rotate(NOW + HOUR) == following, "the next one is there already"
    at = following.record.begins_ms
    assert ring.signing_key(at - 1).kid == signs
    assert ring.signing_key(at).kid == following.public().kid
    assert {it.kid for it in ring.key_set(at).keys} == {signs, following.public().kid}
    over = at + ISSUE.longest_ms
    assert ring.upkeep(over) == 1
    assert [it.kid for it in ring.key_set(over).keys] == [following.public().kid]
    ring.withdraw(following.public().kid, over)
    fresh = ring.signing_key(over).kid
    assert [it.kid for it in ring.key_set(over).keys] == [fresh]
    assert fresh not in {signs, following.public().kid}
    with pytest.raises(StateError, match="no key"):
        ring.withdraw(signs, over)
    # Whatever happens to the file, no message quotes it.
    secret = (folder / "codes.keys").read_text()
    (folder / "codes.keys").write_text(secret[:-9])
    with pytest.raises(StateError) as error:
        ring.signing_key(NOW)
    assert secret[20:40] not in str(error.value)
    with pytest.raises(StateError, match="No key"):
        KeyRing(tmp_path / "none", ISSUER, "ES256", DAY, DAY).signing_key(NOW)


def test_a_key_signs_nothing_that_lasts_longer_than_it_is_kept(database: Database, tmp_path: Path) -> None:
    """Settings that were changed since the key was made do not outlive it."""
    ring = KeyRing(tmp_path, ISSUER, "ES256", 90 * DAY, DAY)
    ring.upkeep(NOW)
    with pytest.raises(MintError, match="may not last so long"):
        Issuer(ring, BundleStore(database), ISSUE).paper(WANG, NOW)
    assert BundleStore(database).of_person(WANG.person, NOW) == []
