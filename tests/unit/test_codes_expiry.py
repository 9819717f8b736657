"""What is over is over in backups too: a backup is made and restored by the product's own commands."""

from __future__ import annotations

import shutil
import tarfile
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from case_samples import DAY, HOUR, MONDAY
from fresh_records import lay_out
from hutong.app.backup_parts import is_known
from hutong.app.cli import run
from hutong.app.persons_work import KEYS
from hutong.codes.people.day_keys import NODE_KEY, DayKeys, day_of, day_text, end_of
from hutong.codes.people.errors import KeyGoneError, PersonRefused
from hutong.codes.people.sealing import new_key, seal, unseal
from hutong.kernel.errors import StateError
from hutong.kernel.journal import FileJournal
from hutong.kernel.persons import KEY_FILE
from hutong.kernel.records import Database, code_tables, database_url
from status_samples import EVIDENCE_DAYS, OTHER, PERSON_DAYS, Desk, isolation, positive

if TYPE_CHECKING:
    from pathlib import Path


def opened(data: Path) -> Desk:
    database = Database(database_url("", data))
    database.open()
    return Desk(database, data / KEYS)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder as a node has it."""
    folder = tmp_path / "data"
    folder.mkdir()
    FileJournal(folder / "journal").close()
    (folder / "journal").mkdir(exist_ok=True)
    (folder / "run").mkdir()
    lay_out(folder / "records.db")
    return folder


def test_a_backup_forgets_what_expired_after_it_was_made(data: Path, tmp_path: Path) -> None:
    node = opened(data)
    person, other = node.person(), node.person(OTHER, "李四", MONDAY - 20 * DAY)
    node.statuses.take(person, [positive(), isolation(MONDAY, MONDAY + 20 * DAY)], MONDAY)
    file = tmp_path / "tonight.tar"
    assert run(["backup", str(file), "--data", str(data)]) == 0
    with tarfile.open(file) as packed:
        names = packed.getnames()
        rows = b"".join(
            member.read() for name in names if name.startswith("records/") and (member := packed.extractfile(name))
        )
    assert not [name for name in names if KEYS in name or name.endswith(".key")], "a backup holds none of the keys"
    assert person.encode() in rows
    later = MONDAY + (EVIDENCE_DAYS + 1) * DAY
    node.statuses.expire(later)
    node.database.close()

    new = tmp_path / "restored"
    assert run(["restore", str(file), "--data", str(new)]) == 0
    shutil.copytree(data / KEYS, new / KEYS)  # what the mirror of the folder of keys holds by then
    back = opened(new)
    with back.database.read() as connection:
        count = sa.select(sa.func.count()).select_from(code_tables.code_evidence)
        assert connection.execute(count).scalar_one() == 2, "the rows are there"
    # What has not expired can be read …
    assert [it.id for it, _ in back.statuses.evidence(person, later)] == ["order-1"]
    assert back.people.profile(person, later).name == "王小明"
    assert back.statuses.standing(person, later).colour == "red"
    # … and what has cannot, even by whoever turns the clock back and asks for every row.
    with pytest.raises(KeyGoneError):
        back.statuses.evidence(person, MONDAY)
    with pytest.raises(StateError):
        back.people.profile(other, MONDAY - 20 * DAY)
    with pytest.raises(PersonRefused):
        back.people.profile(other, later)
    for day in (day_of(MONDAY) + EVIDENCE_DAYS, day_of(MONDAY - 20 * DAY) + PERSON_DAYS):
        with pytest.raises(KeyGoneError):
            back.days.key(day, MONDAY)
    assert back.statuses.expire(later) == 2, "and the job removes what nobody can read"
    with back.database.read() as connection:
        assert {it.person for it in connection.execute(sa.select(code_tables.code_people))} == {person}
    back.database.close()


def test_a_backup_alone_is_rows_of_nobody(data: Path, tmp_path: Path) -> None:
    node = opened(data)
    person = node.person()
    node.database.close()
    file = tmp_path / "tonight.tar"
    assert run(["backup", str(file), "--data", str(data)]) == 0
    assert run(["restore", str(file), "--data", str(tmp_path / "new")]) == 0
    stolen = opened(tmp_path / "new")
    with pytest.raises(KeyGoneError, match="is not here") as error:
        stolen.people.profile(person, MONDAY)
    assert not error.value.destroyed, "it is said that keys are missing, not that nobody is there"
    # Nor does anything go on under new keys, as if nobody had been there.
    with pytest.raises(StateError, match="not here"):
        stolen.person()
    with pytest.raises(StateError, match="not here"):
        stolen.days.make(day_of(MONDAY), MONDAY)
    with pytest.raises(StateError, match="not here"):
        stolen.people.check_keys()
    assert not (tmp_path / "new" / KEYS).exists(), "no key was made"
    foreign = tmp_path / "new" / KEYS / KEY_FILE
    foreign.parent.mkdir()
    foreign.write_bytes(b"\1" * 32)
    with pytest.raises(StateError, match="another"):
        stolen.person()
    foreign.unlink()
    # Whoever has lost the keys for good says so, and people register anew.
    assert run(["codes", "people-key", "--anew", "--reason", "密钥丢失", "--data", str(tmp_path / "new")]) == 0
    assert stolen.person() != person, "without the key of pseudonyms a document leads to no row"
    assert people_in(stolen.database) == 1, "and what nobody can read is gone"
    stolen.database.close()


@pytest.mark.parametrize("another", [b"", b"\1" * 32])
def test_where_the_key_of_the_node_is_lost_all_begins_anew(data: Path, another: bytes) -> None:
    node, keys = opened(data), data / KEYS
    person = node.person()
    scans = DayKeys(keys / "scans", keys / NODE_KEY)
    scans.make(day_of(MONDAY), MONDAY)
    (keys / NODE_KEY).unlink()
    if another:
        (keys / NODE_KEY).write_bytes(another)
    node.database.close()
    assert run(["codes", "people-key", "--data", str(data)]) != 0
    assert run(["codes", "people-key", "--anew", "--reason", "密钥丢失", "--data", str(data)]) == 0
    back = opened(data)
    assert (people_in(back.database), back.days.days(), scans.days()) == (0, [], [])
    assert back.person() == person, "the key of pseudonyms is here"
    assert back.people.profile(person, MONDAY).name == "王小明"
    back.database.close()
    assert run(["codes", "people-key", "--data", str(data)]) == 0


def people_in(database: Database) -> int:
    with database.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(code_tables.code_people)).scalar_one()


def test_the_folder_of_keys_is_known_to_backups_and_for_its_owner_alone(data: Path) -> None:
    node = opened(data)
    node.person()
    node.database.close()
    assert is_known(KEYS)
    assert is_known("colours")
    for path in (data / KEYS).rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_key_of_a_day_ends_with_its_day(tmp_path: Path) -> None:
    days = DayKeys(tmp_path)
    today = day_of(MONDAY)
    assert day_text(today) == "2026-03-02"
    assert (day_of(end_of(today) - 1), day_of(end_of(today))) == (today, today + 1)
    keys = {day: days.make(day, MONDAY) for day in (today, today + 1, today + 5)}
    assert len(set(keys.values())) == 3
    other = DayKeys(tmp_path)
    assert {day: other.key(day, MONDAY) for day in keys} == keys, "what another process made"
    midnight = end_of(today)
    with pytest.raises(KeyGoneError) as error:
        days.key(today, midnight)
    assert error.value.destroyed, "over, though nothing has destroyed it and this process knew it"
    file = tmp_path / "days" / "2026-03-02.key"
    kept = file.read_bytes()
    with file.open("rb") as held:
        assert other.destroy(midnight) == 1
        assert held.read() != kept, "overwritten before it was removed"
    assert days.days() == [today + 1, today + 5]
    with pytest.raises(KeyGoneError):
        days.make(today, midnight)
    with pytest.raises(KeyGoneError) as error:
        days.key(today + 2, midnight)
    assert not error.value.destroyed


def test_wrong_keys_are_told_and_never_made_anew_over_old_ones(tmp_path: Path) -> None:
    days = DayKeys(tmp_path)
    today = day_of(MONDAY)
    days.make(today, MONDAY)
    (tmp_path / "node.key").rename(tmp_path / "lost.key")
    with pytest.raises(StateError, match="node's key is not here"):
        DayKeys(tmp_path).key(today, MONDAY)
    with pytest.raises(StateError, match="node's key is not here"):
        DayKeys(tmp_path).make(today + 1, MONDAY)
    (tmp_path / "node.key").write_bytes(new_key())
    with pytest.raises(StateError, match="not wrapped by this node's key"):
        DayKeys(tmp_path).key(today, MONDAY)
    found = DayKeys(tmp_path, tmp_path / "lost.key").key(today, MONDAY + HOUR)
    assert found == days.key(today, MONDAY), "the key of the node may lie elsewhere"


def test_what_is_sealed_opens_as_what_it_is_and_as_nothing_else() -> None:
    key = new_key()
    sealed = seal(key, b"plain", "profile:a:1")
    assert unseal(key, sealed, "profile:a:1") == b"plain"
    assert unseal(key, sealed, "profile:b:1") is None
    assert unseal(new_key(), sealed, "profile:a:1") is None
    for broken in (b"", sealed[:10], sealed[:-1], b"\x02" + sealed[1:], sealed[:-1] + bytes([sealed[-1] ^ 1])):
        assert unseal(key, broken, "profile:a:1") is None
