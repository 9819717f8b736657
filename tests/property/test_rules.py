"""The machine, its interpreted form and the reference agree; lint's proofs hold; nothing crashes the reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hutong.kernel.compiled import compiled
from hutong.kernel.declared.source import Source
from hutong.kernel.rules.analysis import TooManyAlternatives, always_holds, never_holds
from hutong.kernel.rules.bits import lowest_bit
from hutong.kernel.rules.compiler import compile_rules
from hutong.kernel.rules.gates import least
from hutong.kernel.rules.language import read_expression
from hutong.kernel.rules.loader import check_sources
from hutong.kernel.rules.machine import leave_possible, run_rules
from hutong.kernel.rules.tree import evaluate, features_read, pushed
from hutong.kernel.rules.vocabulary import Enumeration, Feature, Vocabulary
from hutong.kernel.rules.words import Explainer

if TYPE_CHECKING:
    from numpy.typing import NDArray

VOCABULARY = Vocabulary(
    [
        Feature("f.a", "flag", {}),
        Feature("f.b", "flag", {}),
        Feature("n.a", "number", {}),
        Feature("n.b", "number", {}),
        Feature("n.share", "number", {}, high=1.0),
        Feature("n.hour", "number", {}, high=23.0, whole=True),
        Feature("e.class", "enum", {}, enumeration="k"),
        Feature("e.b", "enum", {}, enumeration="k"),
        Feature("o.name", "enum", {}, enumeration="o"),
    ],
    [Enumeration("k", ("none", "x", "y", "z")), Enumeration("o", open=True)],
)
NUMBERS = ("n.a", "n.b", "n.share", "n.hour")
CONSTANTS = ("0", "1", "2", "0.5", "3", "1e6", "23", "0.1", "1e300")

constants = st.sampled_from(CONSTANTS)
names = st.sampled_from(NUMBERS)
numbers = st.recursive(
    constants | names,
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*/"), inner) | st.builds("-{}".format, inner)
    ),
    max_leaves=5,
)
relations = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
members = st.sampled_from(["in", "not in"])
kinds = st.lists(st.sampled_from(['"none"', '"x"', '"y"', '"z"']), min_size=1, max_size=4)
enums = st.sampled_from(["e.class", "e.b"])


def _set(values: list[str]) -> str:
    return f"({', '.join(values)},)"


atoms = st.one_of(
    st.sampled_from(["f.a", "f.b"]),
    st.builds("{} {} {}".format, names, relations, constants),
    st.builds("{} {} {}".format, constants, relations, names),
    st.builds("{} {} {} * {}".format, names, relations, constants, names),
    st.builds("{} {} {}".format, numbers, relations, numbers),
    st.builds("{} {} {} {} {}".format, numbers, relations, names, relations, numbers),
    st.builds("{} {} {}".format, enums, members, kinds.map(_set)),
    st.builds("{} {} {}".format, enums, st.sampled_from(["==", "!="]), st.sampled_from(['"x"', '"z"', "e.b"])),
    st.builds("{} {} {}".format, numbers, members, st.lists(constants, min_size=1, max_size=4).map(_set)),
    st.builds("o.name {} {}".format, members, st.lists(st.sampled_from(['"p"', '"q"', '"r"']), min_size=1).map(_set)),
)
conditions = st.recursive(
    atoms,
    lambda inner: (
        st.builds("not ({})".format, inner)
        | st.builds("({})".format, st.lists(inner, min_size=2, max_size=3).map(" and ".join))
        | st.builds("({})".format, st.lists(inner, min_size=2, max_size=3).map(" or ".join))
    ),
    max_leaves=8,
)


@compiled
def _compiled_lowest_bit(word: np.uint64) -> int:
    return lowest_bit(word)


values = st.sampled_from([0.0, 0.1, 0.5, 1.0, 2.0, 3.0, 22.9, 1e6, 1e300])
code = st.sampled_from([0.0, 1.0, 2.0, 3.0])
vectors = st.tuples(
    *[st.sampled_from([0.0, 1.0])] * 2,
    values,
    values,
    st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    st.integers(0, 23).map(float),
    code,
    code,
    st.sampled_from(["p", "q", "s"]).map(lambda text: VOCABULARY.code("o.name", text)),
).map(lambda row: np.array(row, dtype=np.float64))
wild = st.lists(st.floats(), min_size=len(VOCABULARY), max_size=len(VOCABULARY)).map(np.array)


@settings(max_examples=400, deadline=None)
@given(st.lists(conditions, min_size=1, max_size=4), vectors | wild)
def test_machine_and_reference_agree(texts: list[str], vector: NDArray[np.float64]) -> None:
    trees = [expr for text in texts for expr in [read_expression(text, VOCABULARY).expr] if expr is not None]
    program = compile_rules(trees)
    expected = [evaluate(tree, vector) for tree in trees]
    for run in (run_rules, cast("Any", run_rules).py_func):
        fired = np.full(len(trees) + 1, 9, dtype=np.uint8)
        with np.errstate(all="ignore"):
            count = run(program, vector, fired)
        assert count == sum(expected)
        assert [bool(f) for f in fired[:-1]] == expected
        assert fired[-1] == 9
    for leave in (leave_possible, cast("Any", leave_possible).py_func):
        possible = np.zeros(1, dtype=np.uint64)
        leave(program, vector, possible)
        assert all(int(possible[0]) >> rule & 1 for rule, fires in enumerate(expected) if fires)


@settings(max_examples=400, deadline=None)
@given(conditions, vectors)
def test_no_condition_holds_below_what_it_needs(text: str, vector: NDArray[np.float64]) -> None:
    expr = read_expression(text, VOCABULARY).expr
    if expr is not None and evaluate(expr, vector):
        assert all(vector[feature] >= least(expr, feature) for feature in range(len(VOCABULARY)))


@given(st.integers(1, 2**64 - 1))
def test_the_lowest_bit_is_found(word: int) -> None:
    assert 1 << lowest_bit(np.uint64(word)) == word & -word
    assert _compiled_lowest_bit(np.uint64(word)) == lowest_bit(np.uint64(word))


def test_gates_rule_out_what_they_see() -> None:
    texts = ['e.class == "x" and n.a > 3', 'e.class in ("y", "z") and not f.a', "n.a > 3 or f.b", "f.a and n.a >= 7"]
    trees = [expr for text in texts for expr in [read_expression(text, VOCABULARY).expr] if expr is not None]
    program, possible = compile_rules(trees), np.zeros(1, dtype=np.uint64)
    for kind, flag, left in (("none", 0, 0b0100), ("x", 0, 0b0101), ("z", 0, 0b0110), ("y", 1, 0b1100)):
        vector = VOCABULARY.defaults()
        vector[VOCABULARY.index("e.class")], vector[VOCABULARY.index("f.a")] = VOCABULARY.code("e.class", kind), flag
        leave_possible(program, vector, possible)
        assert int(possible[0]) == left
    assert least(trees[3], VOCABULARY.index("n.a")) == 7
    assert least(trees[2], VOCABULARY.index("n.a")) == -np.inf


@settings(max_examples=200, deadline=None)
@given(conditions, st.lists(vectors, min_size=1, max_size=20))
def test_what_lint_proves_is_true(text: str, tries: list[NDArray[np.float64]]) -> None:
    expr = read_expression(text, VOCABULARY).expr
    if expr is None:
        return
    try:
        never, always = never_holds(expr, VOCABULARY), always_holds(expr, VOCABULARY)
    except TooManyAlternatives:
        return
    assert not (never and always)
    for vector in tries:
        assert not (never and evaluate(expr, vector))
        assert not (always and not evaluate(expr, vector))


@settings(max_examples=200, deadline=None)
@given(conditions, vectors)
def test_normal_form_and_words_keep_the_meaning(text: str, vector: NDArray[np.float64]) -> None:
    expr = read_expression(text, VOCABULARY).expr
    if expr is None:
        return
    holds = evaluate(expr, vector)
    assert evaluate(pushed(expr), vector) is holds
    assert evaluate(pushed(expr, positive=False), vector) is not holds
    if holds:
        lines = Explainer(VOCABULARY, vector, "en", {}).explain(expr)
        assert lines or not features_read(expr)


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=80)
    | st.lists(st.sampled_from([*CONSTANTS, *NUMBERS, "and", "not", "(", ")", "in", '"x"', ",", "<"])).map(" ".join)
)
def test_no_text_crashes_the_reader_and_every_refusal_has_a_place(text: str) -> None:
    reading = read_expression(text, VOCABULARY)
    assert (reading.expr is None) == bool(reading.findings)
    for finding in reading.findings:
        assert finding.where.startswith("when:1:")
        assert 1 <= int(finding.where.rpartition(":")[2]) <= max(len(text), 1)


SOUND = "- id: x.y\n  version: 1\n  when: f.a\n  samples: [{given: {f.a: true}, fires: true}]\n"


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=60)
    | st.tuples(st.integers(0, len(SOUND)), st.text(max_size=4), st.integers(0, 6)).map(
        lambda cut: SOUND[: cut[0]] + cut[1] + SOUND[cut[0] + cut[2] :]
    )
)
def test_no_file_crashes_the_check(text: str) -> None:
    for finding in check_sources([Source("r.yaml", text)], VOCABULARY).findings:
        assert finding.where.startswith("r.yaml:")
