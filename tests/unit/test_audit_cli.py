"""`hutong audit` as auditors use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest
import sqlalchemy as sa

from audit_logs import add_entries, tampering
from hutong.app.audit_cli import say_fault
from hutong.app.cli import run
from hutong.kernel.audit.verify import Fault, Kind
from hutong.kernel.records import Database, database_url
from hutong.kernel.records.tables import audit_checkpoints, trail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Asked = Callable[..., tuple[int, str, str]]


@pytest.fixture
def audit(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Asked:
    def call(*arguments: str, data: Path | None = None) -> tuple[int, str, str]:
        status = run(["audit", *arguments, "--data", str(data or tmp_path)])
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(database_url("", tmp_path))
    made.open()
    yield made
    made.close()


def test_a_trail_that_nobody_touched_holds(audit: Asked, database: Database, tmp_path: Path) -> None:
    add_entries(database, 5)
    status, said, _ = audit("verify")
    assert status == 0
    assert "全部 5 条操作记录与其哈希一致" in said
    assert "All 5 entries of the trail agree with their hashes; there is no checkpoint" in said
    assert not (tmp_path / "keys").exists(), "looking makes no key"
    (tmp_path / "kept").write_text(audit("checkpoint")[1])
    add_entries(database, 3)
    status, said, _ = audit("verify", "--since", str(tmp_path / "kept"))
    assert status == 0
    assert "checkpoints that they agree with: 1, the last of them up to entry 5" in said
    assert f"those of the file {tmp_path / 'kept'}" in said
    assert "Entries 6 to 8 have no checkpoint yet" in said


def test_a_wrong_entry_is_named_and_the_status_says_so(audit: Asked, database: Database) -> None:
    add_entries(database, 5)
    with tampering(database) as connection:
        connection.execute(sa.update(trail).where(trail.c.target == "no 2").values(who="li"))
    status, said, _ = audit("verify")
    assert status == 1
    assert "第 3 条被改动" in said
    assert "Entry 3 was changed." in said
    assert "whose id is 3" in said


def test_a_checkpoint_kept_elsewhere_outlives_what_is_here(audit: Asked, database: Database, tmp_path: Path) -> None:
    add_entries(database, 5)
    (tmp_path / "kept").write_text(audit("checkpoint")[1])
    with tampering(database) as connection:
        connection.execute(sa.delete(audit_checkpoints))
        connection.execute(sa.text("DELETE FROM audit_leaves WHERE number > 2"))
        connection.execute(sa.text("DELETE FROM trail WHERE id > 2"))
    (tmp_path / "audit" / "checkpoints").unlink()
    assert audit("verify")[0] == 0
    status, said, _ = audit("verify", "--since", str(tmp_path / "kept"))
    assert status == 1
    assert "只剩 2 条，而曾为 5 条签过检查点" in said


def test_a_file_without_a_checkpoint_of_this_log_proves_nothing(
    audit: Asked, database: Database, tmp_path: Path
) -> None:
    add_entries(database, 2)
    note = audit("checkpoint")[1]
    kept = tmp_path / "kept"
    for content in ("", "something else\n", note.replace("node1/trail ", "node2/trail ")):
        kept.write_text(content)
        status, _, wrong = audit("verify", "--since", str(kept))
        assert (status, "no checkpoint in it that a known key signed" in wrong) == (1, True)
    kept.write_text(note.replace("\n2\n", "\n1\n"))
    status, _, wrong = audit("verify", "--since", str(kept))
    assert (status, "does not fit the note" in wrong) == (1, True)
    assert audit("verify", "--since", str(tmp_path / "none"))[0] == 1


def test_anothers_checkpoints_count_once_their_key_is_named(audit: Asked, database: Database, tmp_path: Path) -> None:
    add_entries(database, 2)
    key = audit("key")[1].strip()
    audit("checkpoint")
    (tmp_path / "keys" / "trail.key").unlink()
    status, said, _ = audit("verify")
    assert status == 0
    assert "Checkpoints signed with keys that are unknown here do not count: 1" in said
    assert audit("key")[1].strip() != key
    status, said, _ = audit("verify", "--key", key)
    assert "unknown" not in said
    assert "the last of them up to entry 2" in said
    assert audit("verify", "--key", "nonsense")[0] == 1
    assert audit("checkpoint")[0] == 0, "a new key goes on with the same log"


def test_a_proof_is_checked_without_the_node(audit: Asked, database: Database, tmp_path: Path) -> None:
    add_entries(database, 4)
    key = audit("key")[1].strip()
    proof, elsewhere = tmp_path / "p.tlog-proof", tmp_path / "elsewhere"
    proof.write_text(audit("prove", "3")[1])
    status, said, _ = audit("check", str(proof), "--key", key, data=elsewhere)
    assert status == 0
    assert "The proof holds: this is entry 3 of node1/trail, which had 4 entries then." in said
    assert "wang lists.add no 2" in said
    assert not elsewhere.exists()
    assert audit("check", str(proof))[0] == 0, "this node knows its own key"
    assert audit("check", str(proof), data=elsewhere)[0] == 1
    proof.write_text(proof.read_text().replace("index 2", "index 1"))
    status, _, wrong = audit("check", str(proof), "--key", key)
    assert (status, "The proof does not hold" in wrong) == (1, True)
    status, _, wrong = audit("prove", "9")
    assert (status, "numbered from 1 to 4" in wrong) == (1, True)


def test_a_folder_without_records_is_named(audit: Asked, tmp_path: Path) -> None:
    for arguments in (["verify"], ["checkpoint"], ["prove", "1"]):
        status, _, wrong = audit(*arguments)
        assert (status, "There is no trail yet" in wrong) == (1, True)
    assert not (tmp_path / "records.db").exists()


def test_an_empty_trail_has_no_checkpoint(audit: Asked, database: Database) -> None:
    assert database.is_sqlite
    status, _, wrong = audit("checkpoint")
    assert (status, "no entry yet" in wrong) == (1, True)
    assert audit("verify")[0] == 0


def test_every_kind_of_fault_has_its_words(capsys: pytest.CaptureFixture[str]) -> None:
    for kind in get_args(Kind):
        spans = {"index": [(1, 256)], "cut": [(5, 5), (4, 5)], "rewritten": [(2, 2), (2, 9)]}.get(kind, [(3, 3)])
        for first, last in spans:
            say_fault(Fault(kind, first, last, 1, 4))
            chinese, english, *_ = capsys.readouterr().out.split(" / ")
            assert str(last) in chinese
            assert str(last) in english
