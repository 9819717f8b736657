"""The trail in `work`: signed as it grows, verified step by step, and what was found is left for the page to show."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from access_site import AccessSite, sign_in
from audit_logs import add_entries, tampering
from hutong.app.audit_work import AuditWork
from hutong.app.config import load_config
from hutong.kernel.audit.log import AuditError
from hutong.kernel.audit.standing import STANDING_FILE, Standing, read_standing
from hutong.kernel.audit.verify import Fault
from hutong.kernel.metrics import TRAIL_BROKEN, TRAIL_SIGNED
from hutong.kernel.records import Database, database_url
from hutong.kernel.records.tables import trail
from hutong.kernel.reporter import Reporter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = 1_650_000_000_000
REST = 600_000


class Node:
    def __init__(self, data: Path) -> None:
        (data / "run").mkdir()
        self.data, self.log = data, io.StringIO()
        self.reporter = Reporter("work", stream=self.log)
        self.database = Database(database_url("", data))
        self.database.open()
        self.work = self.started()

    def started(self) -> AuditWork:
        return AuditWork(load_config(None, data=self.data, environ={}), self.reporter)

    @property
    def standing(self) -> Standing:
        return read_standing(self.data)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path)
    yield made
    made.database.close()


def test_new_entries_are_signed_and_old_ones_not_again(node: Node) -> None:
    assert [node.work.sign(NOW), node.standing] == [0, Standing()]
    add_entries(node.database, 4)
    assert node.work.sign(NOW) == 4
    assert (node.standing.signed, node.standing.signed_ms) == (4, NOW)
    assert node.work.sign(NOW + 60_000) == 0
    assert node.standing.signed_ms == NOW
    add_entries(node.database, 1)
    assert node.started().sign(NOW + 90_000) == 1, "a process that starts anew knows how far it was"
    assert node.reporter.metrics.value(TRAIL_SIGNED) == 5


def test_the_whole_trail_is_verified_by_steps_with_rests_between(node: Node) -> None:
    add_entries(node.database, 5_003)
    node.work.sign(NOW)
    assert [node.work.verify(NOW), node.standing.verified] == [5_000, 0]
    assert node.work.verify(NOW + 10_000) == 3
    assert (node.standing.verified, node.standing.verified_ms, node.standing.compared) == (5_003, NOW + 10_000, 1)
    add_entries(node.database, 1)
    assert node.work.verify(NOW + 20_000) == 0
    assert node.work.verify(NOW + 10_000 + REST) == 5_000
    assert node.reporter.metrics.value(TRAIL_BROKEN) == 0


def test_what_is_wrong_is_told_once_counted_and_left_for_the_page(node: Node) -> None:
    add_entries(node.database, 5)
    node.work.sign(NOW)
    with tampering(node.database) as connection:
        connection.execute(sa.update(trail).where(trail.c.target == "no 3").values(who="li"))
    for at in range(3):
        node.work.verify(NOW + at * REST)
    assert node.standing.fault == Fault("changed", 4, 4, 4)
    assert node.log.getvalue().count("the trail does not hold") == 1
    assert node.reporter.metrics.value(TRAIL_BROKEN) == 1
    with node.database.write() as connection:
        connection.execute(sa.update(trail).where(trail.c.target == "no 3").values(who="wang"))
    node.work.verify(NOW + 3 * REST)
    assert (node.standing.fault, node.standing.verified) == (None, 5)
    assert node.reporter.metrics.value(TRAIL_BROKEN) == 0


def test_nothing_is_signed_over_a_wrong_entry(node: Node) -> None:
    add_entries(node.database, 5)
    with tampering(node.database) as connection:
        connection.execute(sa.delete(trail).where(trail.c.target == "no 1"))
    with pytest.raises(AuditError, match="entry 2 is not what was recorded"):
        node.work.sign(NOW)
    assert node.standing == Standing()


def test_a_note_that_cannot_be_read_says_nothing(node: Node) -> None:
    for content in (b"", b"{", b'{"signed": "x"}'):
        (node.data / STANDING_FILE).write_bytes(content)
        assert read_standing(node.data) == Standing()


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        (Standing(), ["No checkpoint yet."]),
        (Standing(1_234, NOW), ["the first 1,234 entries"]),
        (Standing(1_234, NOW, 1_233, NOW, 7), ["the first 1,234 entries", "1,233 entries verified against 7"]),
        (Standing(9, NOW, 3, NOW, 0, Fault("changed", 4, 4, 4)), ["tampered with", "Entry 4 was changed."]),
        (Standing(9, NOW, 3, NOW, 0, Fault("rewritten", 4, 9)), ["Among entries 4 to 9"]),
        (Standing(9, NOW, 3, NOW, 0, Fault("cut", 4, 9, left=5)), ["Only 5 entries are left", "a checkpoint of 9"]),
    ],
)
def test_the_page_of_the_trail_says_how_it_stands(tmp_path: Path, standing: Standing, words: list[str]) -> None:
    site = AccessSite(tmp_path, standing=lambda: standing)
    site.person("ann", "auditor")
    page = sign_in(site, "ann").get("/trail").text
    for word in words:
        assert word in page
    assert ("tampered with" in page) == (standing.fault is not None)
    assert site.errors == []
    assert '<span class="quiet small">#1</span>' in page
    site.database.close()
