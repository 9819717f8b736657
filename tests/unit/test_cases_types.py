"""Case types as data: what lint finds, with its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from case_samples import TYPES
from hutong.kernel.access.permissions import PERMISSIONS
from hutong.kernel.cases.errors import CaseRefused
from hutong.kernel.cases.lint import lint, load_types
from hutong.kernel.cases.table import moves_table, state_diagram
from hutong.kernel.cases.types import SHIPPED, TypesError, read_types, type_sources
from hutong.kernel.declared.source import Source

if TYPE_CHECKING:
    from pathlib import Path

GOOD = (SHIPPED / "fraud-number.yaml").read_text(encoding="utf-8")


def findings(text: str) -> list[str]:
    drafts, wrong = read_types([Source("t.yaml", text)])
    return [str(it) for it in (*wrong, *lint(drafts, PERMISSIONS))]


def test_the_shipped_types_are_without_a_finding() -> None:
    drafts, wrong = read_types(type_sources(SHIPPED))
    assert [*wrong, *lint(drafts, PERMISSIONS)] == []
    assert {"fraud-number", "rectification", "wrong-block", "dissuasion"} <= set(TYPES.by_id)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("id: fraud-number", "id: Fraud Number", "t.yaml:1:5: error: id: Expected `str` matching"),
        ("version: 2", "version: 0", "t.yaml:2:10: error"),
        ("kind: count", "kind: counter", "t.yaml:7:28: error: fields[2].kind: Invalid enum value 'counter'"),
        ("deadline: 5wd", "deadline: 5 days", "t.yaml:11:11: error: deadline"),
        ("deadline: 5wd", "deadline: 5wd\ncolour: red", "Object contains unknown field `colour`"),
        ("  found: 4wh\n", "", "the state found has no deadline"),
        (
            "  verified: 1wd\n",
            "  verified: 1wd\n  closed: 1wd\n",
            "t.yaml:18:11: error: [fraud-number] closed takes no",
        ),
        ("  verified: 1wd\n", "", "the type has no state that verify leads to"),
        ("who: cases.verify", "who: cases.very", "there is no permission 'cases.very'"),
        ("  close: {who: cases.close}\n", "", "nothing is said of close"),
        (
            "  close: {who: cases.close}\n",
            "  close: {who: cases.close}\n  remind: {who: cases.work}\n",
            "nobody's to allow",
        ),
        (
            "  close: {who: cases.close}\n",
            "  close: {who: cases.close}\n  reopen: {who: cases.close, countersign: true}\n",
            "reopen cannot wait for a second person",
        ),
        ("proof: [reference]", "proof: [statement]", "this step is refused: no-proof"),
        ("{after: 1wd, to: supervisor}", "{after: 1wh, to: supervisor}", "no later than the step before"),
        ("risk: {longest: 30d}\n", "", "accepting risks needs an action and a longest term"),
        ("countersign: true", "countersign: false", "warning: [fraud-number] one person alone accepts risks"),
        ("    ends: closed", "    ends: verified", "the sample ends closed"),
        ("refused: same-person", "refused: no-proof", "this step is refused: same-person"),
        ("{name: operator, kind: text", "{name: number, kind: text", "the field number stands twice"),
        ("choices: [impersonation", "required: false, other: [impersonation", "unknown field `other`"),
        ("samples:", "samples: []\nmore:", "unknown field `more`"),
        ("{zh: 涉诈号码核查, en: Number suspected of fraud}", "{zh: 涉诈号码核查}", "missing required field `en`"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(old: str, new: str, said: str) -> None:
    assert old in GOOD
    found = findings(GOOD.replace(old, new, 1))
    assert any(said in it for it in found), found


def test_a_type_that_would_close_without_a_proof_is_refused() -> None:
    bare = GOOD.replace("proof: [reference]", "proof: [statement]").replace(", proof: [retest]", "")
    assert any("close without a proof" in it for it in findings(bare))
    assert any("no sample ends closed" in it for it in findings(GOOD.partition("samples:")[0] + "samples: []"))


def test_types_are_taken_all_or_none(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(GOOD.replace("id: fraud-number", "id: own"), encoding="utf-8")
    assert "own" in load_types(SHIPPED, tmp_path, permissions=PERMISSIONS).by_id
    (tmp_path / "again.yaml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "not.yaml").write_text("a: [", encoding="utf-8")
    with pytest.raises(TypesError) as refused:
        load_types(SHIPPED, tmp_path, permissions=PERMISSIONS)
    assert "this id is taken at" in str(refused.value)
    assert "not.yaml" in str(refused.value)
    with pytest.raises(CaseRefused):
        TYPES["none"]


def test_the_diagram_and_the_table_show_every_move() -> None:
    diagram, table = state_diagram(), moves_table()
    assert "verified --> closed: 销号 close" in diagram
    assert "closed --> assigned: 重开 reopen" in diagram
    assert "acted --> closed" not in diagram
    assert "| `return` | 退回 | assigned, accepted, acted, verified | accepted, found |" in table
