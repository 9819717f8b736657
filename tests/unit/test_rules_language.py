"""The language of conditions: what reads, what is refused, and where the message points."""

from __future__ import annotations

import numpy as np
import pytest

from hutong.kernel.errors import RuleError
from hutong.kernel.rules.compiler import compile_rules
from hutong.kernel.rules.language import MAX_DEPTH, MAX_NODES, MAX_TEXT, parse, read_expression
from hutong.kernel.rules.machine import run_rules
from hutong.kernel.rules.tree import evaluate, features_read
from hutong.kernel.rules.vocabulary import Enumeration, Feature, Vocabulary, open_code

VOCABULARY = Vocabulary(
    [
        Feature("call.night", "flag", {}),
        Feature("call.hour", "number", {}, high=23.0, whole=True),
        Feature("caller.attempts_1m", "number", {}, family="caller.attempts"),
        Feature("caller.attempts_1h", "number", {}, family="caller.attempts"),
        Feature("caller.class", "enum", {}, enumeration="class"),
        Feature("callee.class", "enum", {}, enumeration="class"),
        Feature("caller.form", "enum", {}, enumeration="form"),
        Feature("trunk.name", "enum", {}, enumeration="trunk"),
    ],
    [
        Enumeration("class", ("unknown", "mobile", "fixed", "foreign")),
        Enumeration("form", ("none", "national")),
        Enumeration("trunk", open=True),
    ],
)


def fires(text: str, **given: float | str) -> bool:
    vector = VOCABULARY.defaults()
    for name, value in given.items():
        index = VOCABULARY.index(name.replace("__", "."))
        vector[index] = VOCABULARY.code(index, value) if isinstance(value, str) else value
    return evaluate(parse(text, VOCABULARY), vector)


@pytest.mark.parametrize(
    ("text", "given", "expected"),
    [
        ("call.night", {"call__night": 1}, True),
        ("not call.night", {"call__night": 1}, False),
        ("caller.attempts_1m >= 30", {"caller__attempts_1m": 30}, True),
        ("caller.attempts_1m > 30", {"caller__attempts_1m": 30}, False),
        ("30 < caller.attempts_1m", {"caller__attempts_1m": 31}, True),
        ("22 <= call.hour <= 23", {"call__hour": 22}, True),
        ("22 <= call.hour <= 23", {"call__hour": 3}, False),
        ('caller.class == "mobile"', {"caller__class": "mobile"}, True),
        ('"mobile" == caller.class', {"caller__class": "mobile"}, True),
        ('caller.class != "mobile"', {"caller__class": "mobile"}, False),
        ('caller.class in ("mobile", "fixed")', {"caller__class": "fixed"}, True),
        ('caller.class not in ("mobile", "fixed")', {"caller__class": "fixed"}, False),
        ("call.hour in (1, 2, 3)", {"call__hour": 2}, True),
        ("caller.class == callee.class", {"caller__class": "fixed", "callee__class": "fixed"}, True),
        ("caller.class != callee.class", {"caller__class": "fixed"}, True),
        ('trunk.name == "intl-1"', {"trunk__name": "intl-1"}, True),
        ('trunk.name == "INTL-1"', {"trunk__name": "intl-1"}, True),
        ('trunk.name == "intl-2"', {"trunk__name": "intl-1"}, False),
        ("caller.attempts_1h / caller.attempts_1m == 0", {"caller__attempts_1h": 5}, True),
        ("caller.attempts_1h - 2 * caller.attempts_1m + 1 > -3", {"caller__attempts_1m": 1}, True),
        ("-caller.attempts_1h < -4", {"caller__attempts_1h": 5}, True),
        ("call.night and call.hour > 3 or call.hour == 1", {"call__hour": 1}, True),
        ("call.night and (call.hour > 3 or call.hour == 1)", {"call__hour": 1}, False),
        ("call.hour > 3\n  and call.night", {"call__hour": 4, "call__night": 1}, True),
    ],
)
def test_conditions_mean_what_they_say(text: str, given: dict[str, float | str], *, expected: bool) -> None:
    assert fires(text, **given) is expected


@pytest.mark.parametrize(
    ("text", "column", "told"),
    [
        ("caller.attemps_1m > 3", 1, "Did you mean caller.attempts_1m"),
        ("call.night and caller.attempts > 3", 16, "Choose a window: caller.attempts_1m, caller.attempts_1h."),
        ('caller.class == "mobil"', 17, "Did you mean mobile?"),
        ("caller.class == 3", 1, "cannot be compared with a number"),
        ("caller.class > 3", 1, "cannot be compared with a number"),
        ('caller.class > "mobile"', 1, "has no order"),
        ('caller.attempts_1m == "mobile"', 1, "cannot compare a number"),
        ("caller.class == caller.form", 1, "different values"),
        ("call.night == 1", 1, "true or false already"),
        ("call.night + 1 > 2", 1, "cannot be calculated with"),
        ("caller.attempts_1m", 1, "Compare it with something"),
        ("caller.attempts_1m + 1", 1, "a number is not a condition"),
        ("3", 1, "not a condition"),
        ("True", 1, "not a condition"),
        ("call.hour == True", 14, "not part of the language"),
        ("caller.class in caller.form", 17, "wants values in parentheses"),
        ("call.hour in ()", 14, "wants values in parentheses"),
        ('call.hour in (1, "a")', 18, "It takes numbers."),
        ("call.hour in (1, call.hour)", 18, "It takes numbers."),
        ("call.night in (1, 2)", 1, "cannot be in a set"),
        ("call.hour is 3", 1, "Write == or !="),
        ("max(1, 2) > 1", 1, "a function call is not part"),
        ("call['hour'] > 1", 1, "an index"),
        ("call.hour ** 2 > 4", 1, "not part of the language"),
        ("(call.hour if call.night else 1) > 2", 2, "if … else"),
        ("call.hour > 1e999", 13, "too large"),
        ("call.hour > (call.night and call.night)", 14, "true or false already"),
        ("call.hour > 3 # late\n and call.night", 15, "has no meaning"),
        (r"call.hour > \3", 13, "has no meaning"),
        ("call.hour >", 11, "does not read"),
        ("1in (2, 3)", 1, "does not read"),
        ("call.hour > 3 and and call.night", 19, "does not read"),
        ('"中文" == caller.class and caller.zz > 1', 1, "has no value"),
        ("   ", 1, "empty"),
        ("call.hour > 1 \x00", 15, "does not read"),
    ],
)
def test_mistakes_are_told_with_place_and_remedy(text: str, column: int, told: str) -> None:
    with pytest.raises(RuleError) as caught:
        parse(text, VOCABULARY)
    assert caught.value.where == f"when:1:{column}"
    assert told in str(caught.value)


def test_every_mistake_of_a_condition_is_told_at_once_in_order() -> None:
    reading = read_expression('caller.x > 1 or caller.class == "z" and call.nigth', VOCABULARY)
    assert reading.expr is None
    assert [f.where for f in reading.findings] == ["when:1:1", "when:1:33", "when:1:41"]


def test_columns_count_characters_not_bytes() -> None:
    reading = read_expression('trunk.name == "北京出口局" and caller.zz > 1', VOCABULARY)
    assert [f.where for f in reading.findings] == ["when:1:27"]


@pytest.mark.parametrize(
    "text",
    [
        "call.hour > 1 and " * (MAX_TEXT // 18 + 1) + "call.night",
        "not " * (MAX_DEPTH + 1) + "call.night",
        "(" * 300 + "call.night" + ")" * 300,
        f"call.hour in ({', '.join(map(str, range(MAX_NODES)))})",
        "-" * 1500 + "1 > call.hour",
    ],
    ids=["long", "deep", "parentheses", "many", "minus"],
)
def test_hostile_sizes_are_refused(text: str) -> None:
    with pytest.raises(RuleError):
        parse(text, VOCABULARY)


@pytest.mark.parametrize("op", ["-", "/", "+", "*"])
@pytest.mark.parametrize("shape", ["left", "right", "balanced"])
def test_the_machine_has_registers_for_the_largest_arithmetic(op: str, shape: str) -> None:
    def build(leaves: int) -> str:
        if leaves == 1:
            return "call.hour"
        split = {"left": leaves - 1, "right": 1, "balanced": leaves // 2}[shape]
        return f"({build(split)} {op} {build(leaves - split)})"

    leaves = 64 if shape == "balanced" else 20
    expr = parse(f"{build(leaves)} <= {build(leaves // 2)} + 0.5", VOCABULARY)
    vector = VOCABULARY.defaults()
    vector[VOCABULARY.index("call.hour")] = 3
    fired = np.zeros(1, dtype=np.uint8)
    assert bool(run_rules(compile_rules([expr]), vector, fired)) is evaluate(expr, vector)


def test_features_are_listed_once_in_the_order_of_the_text() -> None:
    expr = parse('call.hour > 3 and (caller.class == "fixed" or call.hour < 1) and call.night', VOCABULARY)
    assert [VOCABULARY.names[i] for i in features_read(expr)] == ["call.hour", "caller.class", "call.night"]


def test_an_open_value_fits_a_float_and_the_empty_text_equals_no_name() -> None:
    assert open_code("") == 0.0
    assert 0 < open_code("intl-1") < 2**50
    assert open_code("intl-1") != open_code("intl-2")


def test_a_vocabulary_refuses_two_features_of_one_name_and_missing_enumerations() -> None:
    flag = Feature("a.b", "flag", {})
    with pytest.raises(RuleError, match="one name"):
        Vocabulary([flag, flag])
    with pytest.raises(RuleError, match="is missing"):
        Vocabulary([Feature("a.c", "enum", {}, enumeration="x")])
