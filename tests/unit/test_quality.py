"""Detection quality: counted rightly, the same each time, and no emergency or hospital line is ever blocked."""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from hutong.app.quality import ROW, Judging, judge, records_of
from hutong.app.quality_figures import KINDS, attacks_of, figures
from hutong.app.quality_page import BEGIN, END, PageError, put_into, tables
from hutong.app.quality_scores import Confirmed, NearLineJob, learn
from hutong.calls.features import SHIPPED_RULES, VOCABULARY
from hutong.calls.model import ACTION_BLOCK, ACTION_PASS, ACTION_WARN
from hutong.calls.records.columns import call_batch
from hutong.calls.records.convert import Converter
from hutong.calls.records.layout import Layout
from hutong.kernel.rules.loader import load_ruleset
from hutong.simulation.records import call_table
from hutong.simulation.rows import CLASS, TRUNKS, joined
from provinces import small

if TYPE_CHECKING:
    from hutong.calls.replay.batch import Texts
    from hutong.kernel.rules.ruleset import Ruleset

SECOND = 1000
SEED = 11
HOME = "028"


@cache
def ruleset() -> Ruleset:
    return load_ruleset([SHIPPED_RULES], VOCABULARY)


@cache
def judged(*, as_if_promoted: bool) -> Judging:
    return judge(small(SEED, calls=12_000), ruleset(), as_if_promoted=as_if_promoted)


@cache
def rule_ids() -> list[str]:
    return [rule.id for rule in ruleset().rules]


def rows(*calls: tuple[float, int, int, str, int]) -> np.ndarray:
    """Of (second, caller, campaign, class of the caller, action)."""
    made = np.zeros(len(calls), ROW)
    for row, (second, caller, campaign, klass, action) in zip(made, calls, strict=True):
        row["start"], row["caller"], row["campaign"] = second * SECOND, caller, campaign
        row["caller_class"], row["callee_class"] = CLASS[klass], CLASS["resident"]
        row["action"], row["decided"] = action, 3 if action == ACTION_BLOCK else -1
    return made


def test_a_campaign_is_timed_from_its_first_call_and_a_number_from_its_own() -> None:
    campaign = rows(
        (0, 1, 1, "wangiri", ACTION_PASS),
        (30, 1, 1, "wangiri", ACTION_WARN),
        (60, 2, 1, "wangiri", ACTION_PASS),
        (70, 1, 1, "wangiri", ACTION_BLOCK),
        (130, 2, 1, "wangiri", ACTION_BLOCK),
    )
    (attack,) = attacks_of(Judging(SEED, campaign, ("", "wangiri-1")))
    assert (attack.kind, attack.calls, attack.stopped, attack.warned) == ("wangiri", 5, 2, 1)
    assert (attack.late, attack.late_stopped) == (3, 2)
    assert (attack.aged, attack.aged_stopped) == (2, 2)
    assert (attack.through, attack.seconds) == (3, 70.0)
    assert attack.rules == Counter({3: 2})


def test_a_campaign_that_is_never_blocked_has_no_first_block() -> None:
    campaign = rows((0, 1, 1, "refund", ACTION_PASS), (90, 1, 1, "refund", ACTION_WARN))
    found = figures([Judging(SEED, campaign, ("", "refund-1"))])
    (kind,) = found.kinds
    assert (kind.never, kind.seconds, kind.through) == (1, None, (2, 2))
    assert (kind.late, kind.spread) == (0.0, (0.0, 0.0))


def test_provinces_are_counted_together_and_apart() -> None:
    first = rows(
        (0, 1, 1, "refund", ACTION_PASS), (90, 1, 1, "refund", ACTION_BLOCK), (91, 5, 0, "courier", ACTION_BLOCK)
    )
    second = rows(
        (0, 1, 1, "refund", ACTION_PASS), (90, 1, 1, "refund", ACTION_PASS), (91, 5, 0, "courier", ACTION_PASS)
    )
    found = figures([Judging(1, first, ("", "refund-1")), Judging(2, second, ("", "refund-1"))])
    (kind,) = found.kinds
    assert (kind.campaigns, kind.calls, kind.late, kind.spread) == (2, 4, 0.5, (0.0, 1.0))
    (courier,) = found.classes
    assert (courier.calls, courier.blocked, courier.spread) == (2, 1, (0.0, 1e6))
    assert courier.rate.numbers == 2  # the same number in two provinces is two callers


@pytest.mark.parametrize("as_if_promoted", [False, True])
def test_totals_agree_with_the_rows(as_if_promoted: bool) -> None:  # noqa: FBT001
    one = judged(as_if_promoted=as_if_promoted)
    found = figures([one])
    fraud = one.rows["campaign"] > 0
    assert 0 < fraud.sum() < len(one.rows)
    assert sum(kind.calls for kind in found.kinds) == found.fraud.calls == fraud.sum()
    assert [kind.name for kind in found.kinds] == [
        name for name in KINDS if np.any(one.rows["caller_class"] == CLASS[name])
    ]
    assert sum(it.calls for it in found.classes) == found.honest.calls == (~fraud).sum()
    blocked = one.rows["action"] == ACTION_BLOCK
    assert found.fraud.stopped == pytest.approx((blocked & fraud).sum() / fraud.sum())
    assert found.fraud.rules.total() == (blocked & fraud).sum()
    assert sum(it.blocked for it in found.classes) == found.honest.blocked == (blocked & ~fraud).sum()
    assert found.honest.rules.total() == found.honest.blocked


def test_the_same_province_is_judged_the_same() -> None:
    again = judge(small(SEED, calls=12_000), ruleset(), as_if_promoted=True)
    ids = [rule.id for rule in ruleset().rules]
    assert tables(figures([again]), ids) == tables(figures([judged(as_if_promoted=True)]), ids)


@pytest.mark.parametrize("as_if_promoted", [False, True])
def test_no_emergency_or_hospital_line_is_blocked(as_if_promoted: bool) -> None:  # noqa: FBT001
    found = figures([judged(as_if_promoted=as_if_promoted)])
    assert {it.name for it in found.untouched} == {"emergency-line", "hospital"}
    for it in found.untouched:
        assert it.made > 0
        assert (it.made_blocked, it.taken_blocked) == (0, 0)


def test_calls_are_judged_as_the_records_that_would_be_written_of_them() -> None:
    calls = joined(list(small(SEED, calls=3_000).run()))
    names = ("", *TRUNKS)
    table = call_table(calls, pa.array(calls["key"]).cast(pa.string()))
    columns = {name: table.column(name).combine_chunks() for name in table.column_names}
    converted = Converter(Layout(), names).convert(columns, 0, len(calls))
    assert not converted.faults.any()
    written = call_batch(converted.rows)
    direct = records_of(calls, np.array([names.index(name) for name in TRUNKS], dtype=np.int32))
    for name in ("caller", "callee"):
        assert as_texts(getattr(direct, name)) == as_texts(getattr(written, name))
    for name, column in direct._asdict().items():
        if isinstance(column, np.ndarray):
            np.testing.assert_array_equal(column, getattr(written, name), err_msg=name)


def as_texts(texts: Texts) -> list[bytes]:
    return [bytes(texts.data[a:b]) for a, b in pairwise(texts.offsets.tolist())]


def test_the_score_is_learned_from_other_provinces_and_read_by_rules_from_then_on() -> None:
    """One province teaches, the same one is judged: as small as gives enough fraud numbers to learn from."""
    with Confirmed(HOME) as confirmed:
        province = small(SEED, calls=90_000)
        alone = judge(province, ruleset(), as_if_promoted=True, beside=confirmed)
        told = confirmed.table(province)
    plain = judge(small(SEED, calls=90_000), ruleset(), as_if_promoted=True)
    assert tables(figures([alone]), rule_ids()) == tables(figures([plain]), rule_ids())
    labels = np.array(told["label"].to_pylist())
    assert 20 <= labels.sum() < len(labels)
    with NearLineJob(learn([told]), HOME) as job:
        scored = judge(small(SEED, calls=90_000), ruleset(), as_if_promoted=True, beside=job)
    by_score = scored.rows[scored.rows["decided"] == rule_ids().index("calls.caller-risk-very-high")]
    assert (by_score["campaign"] > 0).sum() > 0
    found = figures([scored])
    assert found.fraud.stopped > figures([alone]).fraud.stopped
    assert all((it.made_blocked, it.taken_blocked) == (0, 0) for it in found.untouched)


def test_tables_go_between_their_marks_and_nowhere_else() -> None:
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert put_into(page, "new\n", "page") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    with pytest.raises(PageError, match=r"page: |page"):
        put_into("no marks\n", "new\n", "page")


def test_every_row_of_a_table_has_as_many_cells_as_its_head() -> None:
    for block in tables(figures([judged(as_if_promoted=True)]), [rule.id for rule in ruleset().rules]).split("\n\n"):
        cells = {line.count("|") for line in block.strip().splitlines()}
        assert len(cells) == 1
