"""Colour rules and their judgement, documents, family links, the machine of changes: what needs no records."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from case_samples import DAY, HOUR, MONDAY
from hutong.codes.people.documents import read_document
from hutong.codes.people.errors import PersonRefused
from hutong.codes.people.family import Wish as LinkWish
from hutong.codes.people.family import end_of_link
from hutong.codes.people.pseudonyms import Pseudonyms, is_pseudonym
from hutong.codes.status import changes
from hutong.codes.status.bases import bases_table
from hutong.codes.status.changes import reason_key
from hutong.codes.status.colour_rules import COLOURS, GRAVITY, check_rules
from hutong.codes.status.errors import StatusRefused
from hutong.codes.status.evidence import (
    AHEAD_MS,
    Declaration,
    Evidence,
    Opening,
    Order,
    Result,
    Visit,
    commitment,
    item_digest,
    read_evidence,
)
from hutong.codes.status.features import features_table
from hutong.codes.status.judging import judge
from hutong.codes.status.loading import SHIPPED, rules_of
from hutong.kernel.access.permissions import PERMISSIONS
from hutong.kernel.declared.source import Source
from status_samples import NUMBER, RULES, negative, positive, stay

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "status.md").read_text(encoding="utf-8")
VECTOR = "e98b4b298fd673f2198af8dd84dc02ff37b39d866e80e0265dc73889b9bd784d"
TEXT = (SHIPPED / "10-colours.yaml").read_text(encoding="utf-8")


def findings(text: str) -> list[str]:
    rules, found = check_rules([Source("colours.yaml", text)])
    assert (rules is None) == any(it.severity == "error" for it in found)
    return [it.what for it in found]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("visit.high_hours < 168", "visit.higth_hours < 168", "unknown name visit.higth_hours."),
        ("visit.high_hours < 168", "visit.high_hours < 0", "this rule can never fire."),
        ("visit.high_hours < 168", "visit.high_hours > 200", "its term is over before its condition holds"),
        ("visit.high_hours < 168", "visit.high_hours * 2 < 168", "a colour rule calculates"),
        ("visit.medium_hours < 168 and", "visit.medium_hours < 168 and visit.high_hours < 100 and", "never decides"),
        ("since: visit.high\n", "since: visit.hihg\n", "since must name what the term counts from."),
        ("  term: 21d", "  term: 21w", "every colour has a term."),
        ("  term: 21d", "  term: 91d", "every colour has a term."),
        ("colour: red", "colour: rot", "the colour is missing or unknown."),
        ("otherwise: true", "otherwise: false", "one rule must have otherwise: true."),
        ("otherwise: true", "otherwise: true\n  when: order.isolation", "has no condition and no anchor"),
        ("  basis: 传染病防治法 第四章\n", "", "the field basis is missing."),
        ("    en: There is nothing that you must do.\n", "", "words has no en."),
        ("{order: {isolation: false}}", "{order: {isolation: true}}", "the rule fires on this sample."),
        ("{negative_hours: 20}", "{positive_hours: 2}", "the rule does not fire on this sample."),
        ("id: codes.declared", "id: codes.nothing-known", "this id is taken."),
        ("colour: red", "color: red", "unknown field 'color'."),
    ],
)  # fmt: skip
def test_rules_that_cannot_be_trusted_are_refused(old: str, new: str, said: str) -> None:
    assert old in TEXT
    assert [it for it in findings(TEXT.replace(old, new, 1)) if said in it], findings(TEXT.replace(old, new, 1))


def test_samples_on_both_sides_are_needed_and_everything_wrong_is_told_at_once() -> None:
    text = TEXT[: TEXT.index("- id: codes.positive-result")].replace("fires: false}", "fires: true}")
    found = findings(text)
    assert "no sample does not fire." in found
    assert "one rule must have otherwise: true." in found


def test_a_nodes_own_rules_stand_in_the_place_of_the_shipped_ones(tmp_path: Path) -> None:
    assert rules_of(tmp_path / "missing").digest == RULES.digest
    (tmp_path / "mine.yaml").write_text(TEXT.replace("term: 21d", "term: 20d"), encoding="utf-8")
    mine = rules_of(tmp_path)
    assert mine.rules[0].term_h == 20 * 24
    assert mine.digest != RULES.digest


EVIDENCE = st.one_of(
    st.builds(Result, id=st.sampled_from("abcd"), at_ms=st.integers(MONDAY - 12 * DAY, MONDAY),
              result=st.sampled_from(("negative", "positive", "inconclusive")), mixed=st.sampled_from((1, 10))),
    st.builds(Visit, id=st.sampled_from("efg"), at_ms=st.integers(MONDAY - 9 * DAY, MONDAY),
              risk=st.sampled_from(("low", "medium", "high"))),
    st.builds(Declaration, id=st.just("h"), at_ms=st.integers(MONDAY - 4 * DAY, MONDAY), symptoms=st.booleans()),
    st.builds(lambda id_, at, days, kind: Order(id=id_, at_ms=at, until_ms=at + days * DAY, order=kind),
              st.sampled_from("ij"), st.integers(MONDAY - 5 * DAY, MONDAY + DAY), st.integers(1, 9),
              st.sampled_from(("isolation", "monitoring", "release"))),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(EVIDENCE, max_size=8, unique_by=lambda it: it.id), st.data())
def test_a_judgement_stays_until_the_moment_that_it_says(evidence: Sequence[Evidence], data: st.DataObject) -> None:
    found = judge(evidence, RULES, MONDAY)
    if found.rule.since:
        assert found.until_ms > MONDAY, "no colour outlasts its term"
    again = found.again_ms or MONDAY + 40 * DAY
    assert again > MONDAY
    until = min(again, found.until_ms) if found.rule.since else again
    at = data.draw(st.integers(MONDAY, until - 1))
    later = judge(evidence, RULES, at)
    assert (later.colour, later.rule) == (found.colour, found.rule)
    firing = {judge([it], RULES, MONDAY).colour for it in evidence if not isinstance(it, Order)}
    assert all(colour in COLOURS for colour in firing)
    assert GRAVITY[judge([*evidence, positive()], RULES, MONDAY).colour] == GRAVITY["red"] or any(
        isinstance(it, Result) and it.at_ms > MONDAY - HOUR for it in evidence
    )


def test_a_tube_of_several_calls_nobody_positive() -> None:
    tube = Result(id="t", at_ms=MONDAY - HOUR, result="positive", mixed=10)
    assert judge([tube], RULES, MONDAY).rule.id == "codes.tube-to-repeat"
    single = Result(id="s", at_ms=MONDAY - 1, result="negative")
    mixed = Result(id="s", at_ms=MONDAY - 1, result="negative", mixed=10)
    assert judge([tube, single], RULES, MONDAY).colour == "green"
    assert judge([tube, mixed], RULES, MONDAY).colour == "yellow", "another mixed tube says nothing of one's own"


def test_an_order_ends_with_its_time_or_by_another() -> None:
    order = Order(id="o", at_ms=MONDAY, until_ms=MONDAY + 5 * DAY, order="isolation")
    assert judge([order], RULES, MONDAY - 1).colour == "green"
    assert judge([order], RULES, MONDAY - 1).again_ms == MONDAY, "it is known when it begins"
    assert judge([order], RULES, MONDAY + 5 * DAY - 1).again_ms == MONDAY + 5 * DAY
    assert judge([order], RULES, MONDAY + 5 * DAY).colour == "green"
    release = Order(id="r", at_ms=MONDAY + DAY, until_ms=MONDAY + 2 * DAY, order="release")
    assert judge([order, release], RULES, MONDAY + DAY).colour == "green"


def test_evidence_has_one_commitment_and_other_evidence_another() -> None:
    salt, items = b"s" * 32, [positive(), negative(MONDAY, "n"), stay()]
    digests = tuple(item_digest(salt, it) for it in items)
    one = commitment(salt, Opening(MONDAY, digests))
    assert len(set(digests)) == 3
    assert item_digest(b"t" * 32, items[0]) != digests[0], "the same evidence of two people looks different"
    altered = item_digest(salt, msgspec.structs.replace(items[0], result="negative"))
    others = [Opening(MONDAY, digests[:2]), Opening(MONDAY + 1, digests), Opening(MONDAY, (altered, *digests[1:]))]
    for other in [*others, Opening(MONDAY, digests, {"colour": "red"})]:
        assert commitment(salt, other) != one
    assert commitment(b"t" * 32, Opening(MONDAY, digests)) != one
    assert one == VECTOR, "the form never changes, or what stands on trails opens no more"


@pytest.mark.parametrize(
    "said",
    [
        b"{}",
        b'{"type":"order","id":"1","at_ms":5,"until_ms":5,"order":"isolation"}',
        b'{"type":"result","id":"1","at_ms":%d,"result":"negative"}' % (MONDAY + AHEAD_MS + 1),
        b'{"type":"result","id":"1","at_ms":1,"result":"maybe"}',
        b'{"type":"result","id":"","at_ms":1,"result":"negative"}',
        b'{"type":"visit","id":"1","at_ms":1,"risk":"high","bank":"yes"}',
        b'{"type":"visit","id":"1","at_ms":1,"risk":"high","place":"a\\u0007"}',
    ],
)
def test_evidence_of_another_form_is_refused(said: bytes) -> None:
    with pytest.raises(StatusRefused):
        read_evidence(said, MONDAY)


def test_a_document_has_one_form_and_one_pseudonym_on_a_node(tmp_path: Path) -> None:
    names = Pseudonyms(tmp_path / "one")
    known = names.of(read_document("id", NUMBER))
    assert is_pseudonym(known)
    assert NUMBER not in known
    written = f" {NUMBER[:6]} {NUMBER[6:14]}-{NUMBER[14:]} ".translate({ord("9"): "９"})
    assert (
        names.of(read_document("id", written)) == known == Pseudonyms(tmp_path / "one").of(read_document("id", NUMBER))
    )
    assert Pseudonyms(tmp_path / "two").of(read_document("id", NUMBER)) != known
    assert names.of(read_document("passport", "E12345678")) != names.of(read_document("permit", "e1234-5678"))
    assert read_document("id", NUMBER).born == date(1990, 1, 1)
    for wrong in (NUMBER[:-1] + "0", NUMBER[:-1], "999999199013011238", "", "x" * 100):
        with pytest.raises(PersonRefused):
            read_document("id", wrong)


def test_links_of_a_family_need_consent_and_end() -> None:
    def ends(**given: Any) -> int:  # noqa: ANN401
        said = {"guardian": "a", "ward": "b", "kind": "child", "consent_of": "a", "proof": "paper"}
        return end_of_link(LinkWish(**(said | {"born": date(2015, 6, 1)} | given)), MONDAY)

    assert ends(days=30) == MONDAY + 30 * DAY
    eighteen = ends(born=date(2008, 3, 10))
    assert eighteen == MONDAY + 7 * DAY + 14 * HOUR, "midnight in China before the birthday"
    assert ends(kind="elder", consent_of="b", born=None, days=10) == MONDAY + 10 * DAY
    for given_, why in (
        ({"consent_of": "b"}, "consent"),
        ({"kind": "elder"}, "consent"),
        ({"born": None}, "family"),
        ({"born": date(2008, 3, 2)}, "family"),
        ({"ward": "a"}, "family"),
        ({"kind": "friend"}, "family"),
        ({"days": 367}, "term"),
        ({"days": 0}, "term"),
    ):
        with pytest.raises(PersonRefused) as error:
            ends(**given_)  # type: ignore[arg-type]
        assert error.value.reason == why


def test_reasons_that_read_alike_have_one_key() -> None:
    alike = ("村镇银行储户 1 号", "村镇银行储户，２号", "村镇银行储户号。", " 村镇 银行储户（号）")
    assert len({reason_key(it) for it in alike}) == 1
    assert reason_key("密切接触者") != reason_key(alike[0])
    assert reason_key("Close contact") == reason_key("close  CONTACT.")


def test_every_action_of_a_person_needs_a_permission_that_there_is() -> None:
    assert {move.who for move in changes.MOVES.values()} - {""} <= set(PERMISSIONS)


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("diagram", f"```mermaid\n{changes.state_diagram()}```\n"),
        ("moves", changes.moves_table()),
        ("bases", bases_table()),
        ("features", features_table()),
    ],
)
def test_what_is_generated_in_the_page_is_current(place: str, text: str) -> None:
    found = re.search(rf"<!-- generated:{place} -->\n(.*?)<!-- end -->", PAGE, re.DOTALL)
    assert found is not None
    assert found[1].strip() == text.strip()
