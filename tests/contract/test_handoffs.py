"""Hand-offs in the records, on each engine: each person once, brought until the desk has them, answered and counted."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from case_samples import CALENDAR, MONDAY, TYPES
from hutong.handoff.figures import figures
from hutong.handoff.model import HandoffRefused, Outcome, Told, Victim
from hutong.handoff.ports import DeskError, DeskRefusedError, FileDesk, MemoryDesk
from hutong.handoff.store import GIVEN_UP_MS, Handoffs
from hutong.kernel.access.permissions import permissions_of
from hutong.kernel.access.refs import Refs
from hutong.kernel.access.trail import Trail, TrailQuery
from hutong.kernel.cases.model import Actor
from hutong.kernel.cases.purview import WHOLE
from hutong.kernel.cases.store import Cases
from hutong.kernel.numbering import Numbering
from hutong.kernel.records import tables

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.kernel.records import Database

NUMBERING = Numbering("021")
CALLEE, OTHER, CALLER = "13800138000", "02161230000", "17012345678"
SECOND, MINUTE, DAY = 1000, 60_000, 86_400_000
DESK = Actor("desk", permissions_of("analyst"))


def victim(seq: int, callee: str = CALLEE) -> Victim:
    title = {"zh": "与可疑主叫通话超过三分钟", "en": "Talks to a flagged caller"}
    key, caller = NUMBERING.read(callee).key, NUMBERING.read(CALLER).key
    return Victim(f"node1-{seq}", seq, MONDAY, key, caller, "victim.long-talk", title, answered=True, talk_s=181.5)


@pytest.fixture
def handoffs(database: Database, tmp_path: Path) -> Handoffs:
    cases = Cases(database, TYPES, CALENDAR, "node1", WHOLE)
    return Handoffs(database, lambda: cases, Refs(tmp_path / "refs.key"), NUMBERING, "node1", 60 * MINUTE)


def nothing(*_said: str) -> None:
    """Nobody listens."""


def test_each_person_is_handed_over_once_whatever_is_read_again(handoffs: Handoffs, database: Database) -> None:
    assert handoffs.place() == 0
    assert handoffs.take([victim(7), victim(8), victim(9, OTHER)], 10, MONDAY) == 2
    assert handoffs.take([victim(7), victim(8), victim(9, OTHER)], 10, MONDAY) == 0, "killed before it knew"
    assert handoffs.take([victim(9, OTHER), victim(11)], 12, MONDAY + MINUTE) == 0
    assert handoffs.place() == 12
    assert handoffs.take([victim(13)], 13, MONDAY + 61 * MINUTE) == 1, "later it is another time"
    found = {it.id: it for it in handoffs.page()}
    assert {of: it.alerts for of, it in found.items()} == {"node1-7": 3, "node1-9": 1, "node1-13": 1}
    with database.read() as connection:
        kept = str(connection.execute(sa.select(tables.handoffs)).all())
    assert not any(number in kept for number in (CALLEE, OTHER, CALLER, str(victim(7).callee), str(victim(7).caller)))
    case = handoffs.cases.case(found["node1-7"].case)
    assert (case.type, case.state, case.unit, case.due_ms) == ("dissuasion", "assigned", "96110", MONDAY + 30 * MINUTE)
    assert CALLEE not in case.title


def test_it_is_brought_with_one_id_until_the_desk_has_it(handoffs: Handoffs, tmp_path: Path) -> None:
    handoffs.take([victim(7)], 7, MONDAY)
    said: list[tuple[str, str]] = []
    desk = MemoryDesk(DeskError("away"), DeskError("away"))

    def note(result: str, why: str) -> None:
        said.append((result, why))

    moments = (0, 100, 499, 500, 1499, 1500, 1600)
    done = [handoffs.deliver([desk], MONDAY + at, note) for at in moments]
    assert done == [0, 0, 0, 0, 0, 1, 0]
    assert [result for result, _ in said] == ["failed", "failed", "delivered"]
    (told,) = desk.got
    assert (told.id, told.number, told.caller, told.talk_s) == ("node1-7", f"+86{CALLEE}", f"+86{CALLER}", 181.5)
    assert (told.operator, told.answer_to) == ("mobile", "/v1/handoffs/node1-7/outcome")
    assert (handoffs.handoff("node1-7").state, handoffs.handoff("node1-7").tries) == ("delivered", 3)
    handoffs.take([victim(9, OTHER)], 9, MONDAY)
    handoffs.deliver([MemoryDesk(DeskRefusedError("no"))], MONDAY, note)
    assert handoffs.handoff("node1-9").state == "refused"
    handoffs.take([victim(20, "13900139000")], 20, MONDAY)
    file = tmp_path / "desk.jsonl"
    file.write_text('{"torn')
    # The first port has it, the second does not: both get it again, with its id.
    handoffs.deliver([FileDesk(file), MemoryDesk(DeskError("x"))], MONDAY, note)
    handoffs.deliver([FileDesk(file)], MONDAY + 500, note)
    lines = file.read_text().splitlines()
    assert [line.count('"id":"node1-20"') for line in lines] == [0, 1, 1]
    handoffs.take([victim(30, "13900139001")], 30, MONDAY)
    handoffs.deliver([MemoryDesk(DeskError("x"))], MONDAY + GIVEN_UP_MS + 1, note)
    assert said[-1][0] == "given-up"
    assert handoffs.handoff("node1-30").next_ms is None


def test_nodes_that_share_records_bring_their_own_and_an_answer_ends_the_bringing(
    handoffs: Handoffs, database: Database, tmp_path: Path
) -> None:
    def of_node(name: str) -> Handoffs:
        return Handoffs(database, lambda: handoffs.cases, Refs(tmp_path / name), NUMBERING, name, 60 * MINUTE)

    handoffs.take([victim(7)], 7, MONDAY)
    desk = MemoryDesk()
    assert [of_node(name).deliver([desk], MONDAY, nothing) for name in ("node2", "node", "node1-7")] == [0, 0, 0]

    class Hasty:
        """A desk that answers before it has said that it took it, and then cannot be reached."""

        name = "hasty"

        def deliver(self, told: Told) -> None:
            handoffs.answer(told.id, Outcome("reached"), DESK, MONDAY)
            raise DeskError("cut off")

    assert handoffs.deliver([Hasty()], MONDAY, nothing) == 0
    assert handoffs.handoff("node1-7").next_ms is None
    assert handoffs.deliver([desk], MONDAY + MINUTE, nothing) == 0


def test_the_outcome_is_counted_once_and_ends_the_case(handoffs: Handoffs, database: Database) -> None:
    handoffs.take([victim(7), victim(9, OTHER)], 9, MONDAY)
    later = MONDAY + 5 * MINUTE
    handoffs.answer("node1-7", Outcome("accepted"), DESK, MONDAY + MINUTE)
    of = handoffs.handoff("node1-7").case
    assert (handoffs.cases.case(of).state, handoffs.cases.case(of).owner) == ("accepted", "desk")
    outcome = Outcome("reached", saved=50_000, lost=1_000, note="已挂断\r\n本人　确认")
    first = handoffs.answer("node1-7", outcome, DESK, later)
    assert handoffs.answer("node1-7", outcome, DESK, later + MINUTE) == first
    case = handoffs.cases.case(of)
    assert (case.state, case.fields["outcome"], case.fields["saved"]) == ("closed", "reached", 50_000)
    refused: Any
    for wrong in (
        lambda: handoffs.answer("node1-7", Outcome("accepted"), DESK, later),
        lambda: handoffs.answer("node1-8", outcome, DESK, later),
        lambda: handoffs.answer("node1-7", Outcome("reached", note="a\0"), DESK, later),
    ):
        with pytest.raises(HandoffRefused) as refused:
            wrong()
    assert refused.value.reason == "note"
    handoffs.answer("node1-9", Outcome("not-reached"), DESK, later)
    assert handoffs.cases.case(handoffs.handoff("node1-9").case).state == "acted", "a person looks at it again"
    handoffs.answer("node1-9", Outcome("reached", saved=7), DESK, later + MINUTE)
    assert handoffs.totals() == {"": 0, "accepted": 0, "reached": 2, "not-reached": 0, "saved": 50_007, "lost": 1_000}
    assert handoffs.deliver([MemoryDesk()], later, nothing) == 0, "who answered has it"
    counted: Counter[str] = Counter()
    with database.read() as connection:
        for it in figures(connection, MONDAY, MONDAY + DAY):
            counted[it.name] += it.value
    assert counted == {"handoff.made": 2, "handoff.reached": 2, "handoff.saved": 50_007, "handoff.lost": 1_000}
    assert Trail(database).count(TrailQuery(deed="handoffs.answer")) == 4
    assert handoffs.cases.recount() == []
    assert (handoffs.forget(MONDAY + 90 * DAY, 90), handoffs.forget(MONDAY + 90 * DAY + 1, 90)) == (0, 2)
    assert handoffs.key_of(handoffs.handoff("node1-7")) is None
