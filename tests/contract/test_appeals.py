"""Appeals in the records, on each engine: codes, one appeal for one number, decisions and what they do to lists."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import sqlalchemy as sa

from appeal_samples import LI, NUMBER, RULE, ZHAO, AppealDesk
from case_samples import DAY, HOUR, MONDAY
from hutong.appeals.effect import Lifting
from hutong.appeals.figures import figures
from hutong.appeals.model import AppealRefused
from hutong.appeals.store import AppealQuery, wrongly_blocked
from hutong.kernel.access.trail import Trail, TrailQuery
from hutong.kernel.errors import StateError
from hutong.kernel.lists.store import ListStore
from hutong.kernel.one_time import CODE_MS, KEPT_MS, PROOF_MS, TRIES, TooManyCodes
from hutong.kernel.records import tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hutong.appeals.model import Appeal
    from hutong.kernel.lists.entries import Entry
    from hutong.kernel.records import Database


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Iterator[AppealDesk]:
    made = AppealDesk(database, tmp_path / "data")
    yield made
    made.lists.close()


def refused(work: Any) -> str:  # noqa: ANN401
    with pytest.raises(AppealRefused) as error:
        work()
    return error.value.reason


def ticket_of(desk: AppealDesk, number: str = NUMBER, now_ms: int = MONDAY) -> str:
    read = desk.numbering.read(number)
    return desk.codes.issue(read.key, f"+{read.digits}", lambda code, _: code, "zh", now_ms)


def test_a_code_is_good_once_for_five_minutes_and_five_tries(desk: AppealDesk, database: Database) -> None:
    ticket = ticket_of(desk)
    code = desk.sent.letters[-1].code
    assert len(code) == 6
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    with database.read() as connection:
        kept = str(connection.execute(sa.select(tables.appeal_codes)).all())
    assert code not in kept
    assert NUMBER not in kept
    assert ticket not in kept
    for _ in range(TRIES):
        assert desk.codes.prove(ticket, wrong, MONDAY) is None
    assert desk.codes.prove(ticket, code, MONDAY) is None, "the sixth try is none, be it right"
    ticket = ticket_of(desk)
    code = desk.sent.letters[-1].code
    assert desk.codes.prove(ticket, code, MONDAY + CODE_MS) is None
    for odd in ("", "abcdef", "١٢٣٤٥٦", code[:5], "9" * 300):
        assert desk.codes.prove(ticket, odd, MONDAY) is None
    proof = desk.codes.prove(ticket, f" {code[:3]} {code[3:]} ", MONDAY + CODE_MS - 1)
    assert proof
    assert desk.codes.prove(ticket, code, MONDAY) is None
    assert desk.codes.proven(proof, MONDAY + PROOF_MS).key == desk.key()
    assert refused(lambda: desk.codes.proven(proof, MONDAY + CODE_MS + PROOF_MS)) == "not-proven"
    assert refused(lambda: desk.codes.proven(ticket, MONDAY)) == "not-proven"


def test_a_number_gets_so_many_codes_and_they_are_forgotten(desk: AppealDesk) -> None:
    for _ in range(3):
        ticket_of(desk)
    with pytest.raises(TooManyCodes) as error:
        ticket_of(desk, now_ms=MONDAY + 60_000)
    assert error.value.wait_s == 14 * 60
    ticket_of(desk, "13900139000")
    for hour in range(1, 6):
        ticket_of(desk, now_ms=MONDAY + hour * HOUR)
    with pytest.raises(TooManyCodes):
        ticket_of(desk, now_ms=MONDAY + 7 * HOUR)
    assert desk.codes.forget(MONDAY + KEPT_MS) == 0
    assert desk.codes.forget(MONDAY + KEPT_MS + 1) == 4


def test_one_number_has_one_appeal_at_a_time_and_its_case_has_the_same_id(desk: AppealDesk, database: Database) -> None:
    assert refused(desk.appeal) == "not-blocked"
    proof = desk.proof()
    first = desk.store.take(desk.codes, proof, [RULE], " 我是诊所\r\n请解除 ", "", MONDAY)
    assert desk.store.take(desk.codes, proof, [RULE], "again", "", MONDAY) == first
    assert desk.store.take(desk.codes, proof, [], "again", "", MONDAY) == first
    later = MONDAY + HOUR
    assert desk.store.take(desk.codes, desk.proof(now_ms=later), [RULE], "again", "", later) == first
    assert desk.store.count() == 1
    case = desk.cases.case(first.id)
    assert (case.type, case.state, case.fields["number"]) == ("wrong-block", "found", NUMBER)
    assert case.fields["receipt"] == first.receipt
    assert first.due_ms == case.due_ms
    assert first.words == "我是诊所\n请解除"
    assert (first.operator, desk.store.of_receipt(first.receipt)) == ("mobile", first)
    with database.read() as connection:
        assert NUMBER not in str(connection.execute(sa.select(tables.appeals)).all())
    fresh = desk.proof("13900139000", later)
    for words, contact, why in (
        ("", "", "words"),
        ("x" * 2001, "", "words"),
        ("a\0", "", "words"),
        ("a", "c" * 201, "contact"),
    ):
        with pytest.raises(AppealRefused) as said:
            desk.store.take(desk.codes, fresh, [RULE], words, contact, later)
        assert said.value.reason == why


def test_a_person_decides_who_did_not_make_the_block(desk: AppealDesk, database: Database) -> None:
    appeal = desk.appeal(RULE)
    assert refused(lambda: desk.store.decide(appeal.id, "upheld", "x", [], ZHAO, MONDAY)) == "own-block"
    assert refused(lambda: desk.store.decide(appeal.id, "upheld", " ", [], LI, MONDAY)) == "reasons"
    newer = msgspec.structs.replace(RULE, name="entry:9", kind="list", makers=("li",))
    assert refused(lambda: desk.store.decide(appeal.id, "lifted", "x", [newer], LI, MONDAY)) == "own-block"
    assert desk.cases.case(appeal.id).state == "found", "what is refused changes nothing"
    decided = desk.store.decide(appeal.id, "upheld", "规则命中属实", [], LI, MONDAY + HOUR)
    assert desk.store.decide(appeal.id, "upheld", "规则命中属实", [], LI, MONDAY + 2 * HOUR) == decided
    assert refused(lambda: desk.store.decide(appeal.id, "lifted", "x", [], LI, MONDAY)) == "decided"
    case = desk.cases.case(appeal.id)
    assert (case.state, case.acted_by, case.fields["outcome"]) == ("acted", "li", "upheld")
    assert desk.lifting.run(MONDAY + HOUR) == 0
    deeds = [it.deed for it in Trail(database).page(TrailQuery(deed="appeals"))]
    assert deeds == ["appeals.uphold"]
    assert desk.cases.recount() == []


class Killed(BaseException):
    """What a kill looks like from within: nothing after it is run."""


class DyingLists(ListStore):
    """Lists of a process that is killed after so many changes."""

    left = 1 << 30

    def add(self, entries: Any, now: int) -> list[Entry]:  # noqa: ANN401
        done = super().add(entries, now)
        self._count()
        return done

    def exchange(self, old: Entry, new: Entry | None, now: int, *, who: str, why: str) -> bool:
        done = super().exchange(old, new, now, who=who, why=why)
        self._count()
        return done

    def _count(self) -> None:
        self.left -= 1
        if not self.left:
            raise Killed


class DyingMarks:
    """Marks of a process that is killed within the last transaction, or after it."""

    def __init__(self, marks: Any, *, within: bool) -> None:  # noqa: ANN401
        self._marks, self._within = marks, within

    def add(self, connection: Any, mark: Any) -> int:  # noqa: ANN401
        change = int(self._marks.add(connection, mark))
        if self._within:
            raise Killed
        return change

    def publish(self, _now_ms: int) -> int:
        raise Killed


KILLED_AT = ("decided", "removed", "allowed", "marked", "published", "never")


def test_lifting_is_done_once_wherever_it_is_killed(desk: AppealDesk, database: Database, tmp_path: Path) -> None:
    for n, at in enumerate(KILLED_AT):
        number = f"1380013800{n}"
        appeal = desk.appeal(desk.block(number), RULE, number=number)
        desk.store.decide(appeal.id, "lifted", "诊所,已核实", [], LI, MONDAY + HOUR)
        dying = DyingLists(tmp_path / "data" / "lists")
        dying.open()
        dying.left = {"removed": 1, "allowed": 2}.get(at, 1 << 30)
        marks: Any = DyingMarks(desk.marks, within=at == "marked") if at in {"marked", "published"} else desk.marks
        if at not in {"decided", "never"}:
            with pytest.raises(Killed):
                Lifting(database, desk.store, dying, marks).run(MONDAY + HOUR)
        dying.close()
        desk.lifting.run(MONDAY + HOUR + 1000)
        assert desk.lifting.run(MONDAY + HOUR + 2000) == 0
        check_lifted(desk, database, appeal, desk.key(number))
    wrong = {key for key, _ in wrongly_blocked(database, desk.refs)}
    assert wrong == {desk.key(f"1380013800{n}") for n in range(len(KILLED_AT))}


def test_one_lifting_that_fails_keeps_no_other_number_blocked(desk: AppealDesk) -> None:
    ids = []
    for n in range(2):
        appeal = desk.appeal(desk.block(f"1380013800{n}"), number=f"1380013800{n}")
        ids.append(desk.store.decide(appeal.id, "lifted", "已核实", [], LI, MONDAY + n).id)

    class Failing:
        """Marks that cannot be written for the first number."""

        def add(self, connection: Any, mark: Any) -> int:  # noqa: ANN401
            if mark.ref == ids[0]:
                raise StateError("no")
            return int(desk.marks.add(connection, mark))

        def publish(self, now_ms: int) -> None:
            desk.marks.publish(now_ms)

    failing: Any = Failing()
    with pytest.raises(StateError):
        Lifting(desk.database, desk.store, desk.lists, failing).run(MONDAY + HOUR)
    assert [desk.store.appeal(it).effect_ms for it in ids] == [None, MONDAY + HOUR]
    assert desk.lifting.run(MONDAY + 2 * HOUR) == 1


def test_an_entry_that_took_the_place_of_the_one_appealed_against_stays(desk: AppealDesk) -> None:
    appeal = desk.appeal(desk.block())
    desk.store.decide(appeal.id, "lifted", "已核实", [], LI, MONDAY)
    newer = desk.block(who="zhang")
    assert desk.lifting.run(MONDAY) == 1
    assert [it.id for it in desk.lists.matching(desk.key())] == [newer.entry]


def test_pages_go_on_from_open_appeals_to_decided_ones(desk: AppealDesk) -> None:
    ids = [desk.appeal(RULE, number=f"1380013800{n}", now_ms=MONDAY + n).id for n in range(5)]
    for of in (ids[0], ids[3]):
        desk.store.decide(of, "upheld", "属实", [], LI, MONDAY + HOUR)
    order = [ids[1], ids[2], ids[4], ids[3], ids[0]]
    for size in (1, 2, 3, 5):
        pages = [it.id for at in range(0, 6, size) for it in desk.store.page(AppealQuery(), size, at)]
        assert pages == order, size
    assert [it.id for it in desk.store.page(AppealQuery("upheld"))] == order[3:]


def check_lifted(desk: AppealDesk, database: Database, appeal: Appeal, key: int) -> None:
    (allowed,) = desk.lists.matching(key)
    assert (allowed.list, allowed.role, allowed.who, allowed.source) == ("allow", "caller", "li", f"appeal:{appeal.id}")
    assert allowed.expires == (MONDAY + HOUR) // 1000 + 180 * 86_400
    gone = desk.lists.entry(appeal.blocks[0].entry)
    assert gone is not None
    assert (gone.removed_by, appeal.id in gone.removed_why) == ("li", True)
    deeds = Trail(database).page(TrailQuery(deed="appeals", target=appeal.id))
    assert [it.deed for it in deeds] == ["appeals.effect", "appeals.lift"]
    assert sum(it.action == "comment" for it in desk.cases.events(appeal.id)) == 1
    with database.read() as connection:
        assert desk.marks.known(connection, key, MONDAY + HOUR + 2000).wrong == 1


def test_figures_and_forgetting(desk: AppealDesk, database: Database) -> None:
    one = desk.appeal(desk.block())
    two = desk.appeal(RULE, number="02161230000")
    desk.appeal(RULE, number="13900139000")
    desk.store.decide(one.id, "lifted", "误拦", [], LI, MONDAY + HOUR)
    desk.store.decide(two.id, "upheld", "属实", [], LI, MONDAY + HOUR)
    assert desk.lists.matching(desk.key()) != [], "decided, and yet to take effect"
    desk.lifting.run(MONDAY + HOUR)
    assert desk.lists.matching(desk.key()) == [], "an entry of its own goes, and nothing more is needed"
    with database.read() as connection:
        found = {(it.name, it.city, it.operator): it.value for it in figures(connection, MONDAY, MONDAY + 30 * DAY)}
    counted: Counter[str] = Counter()
    for (name, _, _), value in found.items():
        counted[name] += value
    assert counted == {"appeals.received": 3, "appeals.upheld": 1, "appeals.lifted": 1, "appeals.overdue": 1}
    assert {city for name, city, _ in found if name == "appeals.upheld"} == {"021"}
    late = desk.store.page(AppealQuery(late_ms=MONDAY + 30 * DAY))
    assert [it.state for it in late] == ["open"]
    assert desk.store.page(AppealQuery())[0].state == "open"
    assert desk.store.forget(MONDAY + HOUR + 365 * DAY, 365) == 0
    assert desk.store.forget(MONDAY + HOUR + 366 * DAY, 365) == 2
    with database.read() as connection:
        kept = connection.execute(sa.select(tables.appeals).where(tables.appeals.c.decided_ms.is_not(None))).all()
    assert all((it.number, it.words, it.contact, it.reasons, it.blocks) == ("", "", "", "", "[]") for it in kept)
    assert wrongly_blocked(database, desk.refs) == []
