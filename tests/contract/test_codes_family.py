"""Who may show whose code, on each engine."""

from __future__ import annotations

import os
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from case_samples import DAY, HOUR, MONDAY
from fresh_records import lay_out
from hutong.codes.people.errors import PersonRefused
from hutong.codes.people.family import MOST_GUARDIANS, MOST_WARDS, Family, Wish
from hutong.kernel.access.trail import Trail, TrailQuery
from hutong.kernel.records import Database, database_url

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.codes.people.family import Link

MOTHER, CHILD, GRANDFATHER = (letter * 32 for letter in "abc")


@pytest.fixture
def family(database: Database) -> Family:
    return Family(database, "node1", os.urandom)


def link(family: Family, now_ms: int = MONDAY, **given: Any) -> Link:  # noqa: ANN401
    said = {"guardian": MOTHER, "ward": CHILD, "kind": "child", "consent_of": MOTHER, "proof": "paper"}
    return family.link(Wish(**(said | {"born": date(2015, 6, 1), "days": 30} | given)), "zhao", "local", now_ms)


def refused(work: Any) -> str:  # noqa: ANN401
    with pytest.raises(PersonRefused) as error:
        work()
    return str(error.value.reason)


def test_a_link_holds_for_its_term_and_either_side_ends_it(family: Family, database: Database) -> None:
    child = link(family)
    elder = link(family, ward=GRANDFATHER, kind="elder", consent_of=GRANDFATHER, born=None)
    assert family.may_show(MOTHER, CHILD, MONDAY) == child
    assert family.may_show(CHILD, MOTHER, MONDAY) is None, "it goes one way"
    assert family.may_show(MOTHER, CHILD, MONDAY + 30 * DAY) is None, "over by itself"
    assert {it.ward for it in family.wards(MOTHER, MONDAY)} == {CHILD, GRANDFATHER}
    longer = link(family, MONDAY + DAY, days=60)
    assert family.wards(MOTHER, MONDAY + DAY) == sorted([elder, longer], key=lambda it: it.id)
    assert family.may_show(MOTHER, CHILD, MONDAY + 40 * DAY) == longer
    assert refused(lambda: family.unlink(child.id, MOTHER, "zhao", "local", MONDAY + DAY)) == "no-link"
    assert refused(lambda: family.unlink(elder.id, CHILD, "zhao", "local", MONDAY + DAY)) == "no-link"
    family.unlink(elder.id, GRANDFATHER, "zhao", "local", MONDAY + DAY)
    assert family.guardians(GRANDFATHER, MONDAY + DAY) == []
    assert refused(lambda: family.unlink(elder.id, MOTHER, "zhao", "local", MONDAY + DAY + HOUR)) == "no-link"
    deeds = Trail(database).page(TrailQuery(deed="codes"), descending=False)
    assert [it.deed for it in deeds] == ["codes.link", "codes.link", "codes.link", "codes.unlink"]
    assert not [it for it in deeds if MOTHER in str(it) or GRANDFATHER in str(it)], "pseudonyms stay off the trail"
    assert family.forget(MONDAY + 90 * DAY) == 3
    assert family.wards(MOTHER, MONDAY + DAY) == []


def test_nobody_collects_people(tmp_path: Path) -> None:
    lay_out(tmp_path / "records.db")
    database = Database(database_url("", tmp_path))
    database.open()
    family = Family(database, "node1", os.urandom)
    for n in range(MOST_WARDS):
        link(family, ward=f"{n:032x}")
    assert refused(lambda: link(family)) == "too-many"
    assert link(family, ward=f"{0:032x}", days=90).ends_ms == MONDAY + 90 * DAY, "one that is there is made longer"
    assert link(family, MONDAY + 31 * DAY).holds(MONDAY + 31 * DAY), "those that are over do not count"
    for n in range(MOST_GUARDIANS):
        other = f"{n + 100:032x}"
        link(family, guardian=other, consent_of=other, ward=GRANDFATHER)
    assert refused(lambda: link(family, MONDAY, guardian=CHILD, consent_of=CHILD, ward=GRANDFATHER)) == "too-many"
    database.close()
