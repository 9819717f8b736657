"""The language of `when`: a subset of Python's expressions, read by `ast` and typed against a vocabulary.

Allowed: and, or, not, comparisons (also chained), + - * /, `in (…)`, `not in (…)`, numbers, quoted enum
values, dotted names. Everything else is refused with its place and what to do. Division is total: x / 0 =
0. No clock, no files.
"""

from __future__ import annotations

import ast
import keyword
import math
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from hutong.kernel.declared.findings import Finding
from hutong.kernel.errors import RuleError
from hutong.kernel.rules.tree import (
    And,
    Arith,
    Boolean,
    Compare,
    Const,
    Flag,
    Load,
    Member,
    Not,
    Numeric,
    Operator,
    Or,
    Relation,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.kernel.rules.vocabulary import Vocabulary

# A rule that a person can review fits well below these; they bound what a hostile file can cost.
MAX_TEXT = 2000  # characters
MAX_DEPTH = 24  # of the tree
MAX_NODES = 256  # of the tree, set values included; keeps the machine's registers enough

_RELATIONS: dict[type[ast.cmpop], Relation] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_OPERATORS: dict[type[ast.operator], Operator] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_QUOTED = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'")
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.\w+)+")
_ALLOWED = "A condition has and, or, not, comparisons, + - * /, in (…), numbers, quoted values and dotted names."

Locate: TypeAlias = "Callable[[int], str]"


class _Wrong(Exception):  # noqa: N818  # carries a finding to the next place that can go on
    def __init__(self, node: ast.AST, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.node, self.what, self.fix = node, what, fix


@dataclass(frozen=True, slots=True)
class _Operand:
    """A typed side of a comparison. `text` is set for quoted values, `expr` for all others."""

    kind: Literal["number", "flag", "enum", "text", "condition"]
    node: ast.expr
    expr: Numeric | None = None
    text: str = ""
    feature: int = -1


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading an expression gave: the tree, or None and at least one error."""

    expr: Boolean | None
    findings: tuple[Finding, ...]


def _default_place(offset: int) -> str:
    return f"when:1:{offset + 1}"


def parse(text: str, vocabulary: Vocabulary) -> Boolean:
    """The tree of a condition.

    Raises:
        RuleError: the first thing wrong, with its place as `when:1:column`.
    """
    reading = read_expression(text, vocabulary)
    if reading.expr is None:
        first = reading.findings[0]
        raise RuleError(first.what, where=first.where, fix=first.fix)
    return reading.expr


def read_expression(text: str, vocabulary: Vocabulary, locate: Locate = _default_place) -> Reading:
    """Read a condition and report everything that is wrong with it.

    Args:
        text: the condition, at most `MAX_TEXT` characters; line breaks count as blanks.
        vocabulary: the names it may use.
        locate: place of a character of `text` as file:line:column.
    """
    reader = _Reader(text, vocabulary, locate)
    return reader.read()


class _Reader:
    def __init__(self, text: str, vocabulary: Vocabulary, locate: Locate) -> None:
        self.text = text
        self.vocabulary = vocabulary
        self.locate = locate
        self.mistakes: list[tuple[int, str, str]] = []
        self.nodes = 0
        # ast counts columns in UTF-8 bytes of one line; one line with blanks for breaks keeps every offset.
        self.line = re.sub(r"[\n\r\t\f]", " ", text)
        self.encoded = b""
        self.start = 0

    def read(self) -> Reading:
        body = self.syntax()
        expr = None
        if body is not None:
            try:
                expr = self.condition(body, 1)
            except _Wrong as wrong:
                self.report(wrong)
        if self.mistakes:
            found = (Finding("error", self.locate(at), what, fix) for at, what, fix in sorted(self.mistakes))
            return Reading(None, tuple(found))
        return Reading(expr, ())

    def add(self, offset: int, what: str, fix: str = "") -> None:
        self.mistakes.append((offset, what, fix))

    def report(self, wrong: _Wrong) -> None:
        self.add(self.offset(getattr(wrong.node, "col_offset", 0)), wrong.what, wrong.fix)

    def offset(self, column: int) -> int:
        """Character of the text at one of ast's columns."""
        return self.start + len(self.encoded[:column].decode(errors="ignore"))

    def syntax(self) -> ast.expr | None:
        """The body as Python reads it; None after reporting why not."""
        if len(self.text) > MAX_TEXT:
            self.add(MAX_TEXT, f"the condition is longer than {MAX_TEXT} characters.", "Split the rule.")
            return None
        if not self.text.strip():
            self.add(0, "the condition is empty.", _ALLOWED)
            return None
        bare = _QUOTED.sub(lambda quoted: " " * len(quoted.group()), self.line)
        for character in "#\\":
            if character in bare or (character == "\\" and character in self.line):
                self.add(self.line.find(character), f"{character!r} has no meaning in a condition.", _ALLOWED)
                return None
        self.start = len(self.line) - len(self.line.lstrip())
        readable = _DOTTED.sub(_shield, self.line)[self.start :]
        self.encoded = readable.encode(errors="replace")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # a doubtful number such as 1in is a mistake here
                tree = ast.parse(readable, mode="eval")
        except SyntaxError as error:
            column = (error.offset or len(readable)) - 1  # no offset: the end came too early
            self.add(self.start + min(column, len(readable) - 1), f"this does not read: {error.msg}.", _ALLOWED)
            return None
        except (ValueError, RecursionError, MemoryError):
            self.add(0, "the condition cannot be read: nested too deeply or a stray character.", "Split the rule.")
            return None
        return tree.body

    def count(self, node: ast.AST, depth: int) -> None:
        self.nodes += 1
        if depth > MAX_DEPTH:
            raise _Wrong(node, f"the condition is nested deeper than {MAX_DEPTH}.", "Split the rule.")
        if self.nodes > MAX_NODES:
            raise _Wrong(node, f"the condition has more than {MAX_NODES} parts.", "Split the rule.")

    def condition(self, node: ast.expr, depth: int) -> Boolean:
        self.count(node, depth)
        match node:
            case ast.BoolOp(op, values):
                items = self.all_of(values, depth + 1)
                return And(items) if isinstance(op, ast.And) else Or(items)
            case ast.UnaryOp(ast.Not(), operand):
                return Not(self.condition(operand, depth + 1))
            case ast.Compare():
                return self.comparison(node, depth + 1)
            case ast.Name() | ast.Attribute():
                operand_ = self.operand(node, depth + 1)
                if operand_.kind == "flag":
                    return Flag(operand_.feature)
                name = self.vocabulary.features[operand_.feature].name
                raise _Wrong(node, f"{name} is {_a(operand_.kind)}, not a condition.", "Compare it with something.")
            case ast.Constant():
                raise _Wrong(node, f"{node.value!r} is not a condition.", "Compare something with it.")
            case _:
                # Arithmetic is typed too, so that its own mistakes are told first.
                self.operand(node, depth + 1)
                raise _Wrong(node, "a number is not a condition.", "Compare it with something.")

    def all_of(self, nodes: list[ast.expr], depth: int) -> tuple[Boolean, ...]:
        """Read every part, also after a mistake in one: all mistakes are told at once."""
        items = []
        failed: _Wrong | None = None
        for node in nodes:
            try:
                items.append(self.condition(node, depth))
            except _Wrong as wrong:
                if failed is not None:
                    self.report(failed)
                failed = wrong
        if failed is not None:
            raise failed
        return tuple(items)

    def comparison(self, node: ast.Compare, depth: int) -> Boolean:
        parts: list[Boolean] = []
        left_node = node.left
        for op, right_node in zip(node.ops, node.comparators, strict=True):
            if isinstance(op, ast.In | ast.NotIn):
                inside = self.membership(left_node, right_node, depth)
                parts.append(Not(inside) if isinstance(op, ast.NotIn) else inside)
            elif type(op) in _RELATIONS:
                left, right = self.operand(left_node, depth), self.operand(right_node, depth)
                parts.append(self.relation(_RELATIONS[type(op)], left, right, node))
            else:
                raise _Wrong(node, "`is` is not part of the language.", "Write == or !=.")
            left_node = right_node
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def relation(self, relation: Relation, left: _Operand, right: _Operand, node: ast.Compare) -> Boolean:
        kinds = (left.kind, right.kind)
        if kinds == ("number", "number") and left.expr is not None and right.expr is not None:
            return Compare(relation, left.expr, right.expr)
        for side, other in ((left, right), (right, left)):
            if side.kind in {"flag", "condition"}:
                what = self.describe(side)
                raise _Wrong(side.node, f"{what} is true or false already.", "Write it alone, or `not` before it.")
            if side.kind == "text" and other.kind != "enum":
                raise _Wrong(
                    node,
                    f"cannot compare {self.describe(other)} with {self.describe(side)}.",
                    "Quote enum values only.",
                )
        if relation not in {"==", "!="} and "number" not in kinds:
            enum = left if left.kind == "enum" else right
            raise _Wrong(node, f"{self.describe(enum)} has no order.", f"Use ==, != or in (…) instead of {relation}.")
        return self.enum_relation(relation, left, right, node)

    def enum_relation(self, relation: Relation, left: _Operand, right: _Operand, node: ast.Compare) -> Boolean:
        if left.kind == "enum" and right.kind == "enum":
            ours, theirs = (
                self.vocabulary.enumeration(left.feature),
                self.vocabulary.enumeration(right.feature),
            )
            if ours.name != theirs.name:
                raise _Wrong(node, f"{self.describe(left)} and {self.describe(right)} have different values.")
            return Compare(relation, Load(left.feature), Load(right.feature))
        enum, other = (left, right) if left.kind == "enum" else (right, left)
        if other.kind == "number":
            raise _Wrong(
                node,
                f"{self.describe(enum)} cannot be compared with a number.",
                self.example(enum.feature),
            )
        inside = Member(Load(enum.feature), (self.code(enum.feature, other),))
        return Not(inside) if relation == "!=" else inside

    def membership(self, left_node: ast.expr, right_node: ast.expr, depth: int) -> Boolean:
        operand = self.operand(left_node, depth)
        if not isinstance(right_node, ast.Tuple) or not right_node.elts:
            raise _Wrong(
                right_node,
                "`in` wants values in parentheses.",
                'Write in ("a", "b"); for one value write ==.',
            )
        if operand.kind not in {"number", "enum"} or operand.expr is None:
            raise _Wrong(left_node, f"{self.describe(operand)} cannot be in a set.", "Write it alone.")
        values = []
        for element in right_node.elts:
            value = self.operand(element, depth + 1)
            if operand.kind == "enum" and value.kind == "text":
                values.append(self.code(operand.feature, value))
            elif operand.kind == "number" and value.kind == "number" and isinstance(value.expr, Const):
                values.append(value.expr.value)
            else:
                wanted = "quoted values" if operand.kind == "enum" else "numbers"
                raise _Wrong(element, f"{self.describe(value)} cannot stand in this set.", f"It takes {wanted}.")
        return Member(operand.expr, tuple(dict.fromkeys(values)))

    def operand(self, node: ast.expr, depth: int) -> _Operand:
        self.count(node, depth)
        match node:
            case ast.Constant(str(value)):
                return _Operand("text", node, text=value)
            case ast.Constant(bool() | None):
                raise _Wrong(
                    node,
                    f"{node.value!r} is not part of the language.",
                    "Write a flag alone, or `not` before it.",
                )
            case ast.Constant(int() | float()):
                return _Operand("number", node, expr=self.number(node))
            case ast.Name() | ast.Attribute():
                return self.name(node)
            case ast.UnaryOp(ast.USub(), operand):
                return self.negative(node, operand, depth)
            case ast.BinOp(left, op, right) if type(op) in _OPERATORS:
                return self.arithmetic(node, _OPERATORS[type(op)], left, right, depth)
            case ast.BoolOp() | ast.Compare() | ast.UnaryOp(ast.Not()):
                return _Operand("condition", node)
            case _:
                raise _Wrong(node, f"{_construct(node)} is not part of the language.", _ALLOWED)

    def number(self, node: ast.Constant) -> Const:
        try:
            value = float(node.value)  # type: ignore[arg-type]  # the match above saw int or float
        except OverflowError:
            value = math.inf
        if not math.isfinite(value):
            raise _Wrong(node, "this number is too large.", "Use a smaller one.")
        return Const(value)

    def negative(self, node: ast.expr, inner: ast.expr, depth: int) -> _Operand:
        operand = self.operand(inner, depth + 1)
        if operand.kind != "number" or operand.expr is None:
            raise _Wrong(node, f"{self.describe(operand)} has no negative.", "Only numbers have.")
        if isinstance(operand.expr, Const):
            return _Operand("number", node, expr=Const(-operand.expr.value))
        return _Operand("number", node, expr=Arith("-", Const(0.0), operand.expr))

    def arithmetic(self, node: ast.expr, op: Operator, left: ast.expr, right: ast.expr, depth: int) -> _Operand:
        sides = [self.operand(left, depth + 1), self.operand(right, depth + 1)]
        for side in sides:
            if side.kind != "number":
                raise _Wrong(side.node, f"{self.describe(side)} cannot be calculated with.", "Only numbers can.")
        first, second = sides[0].expr, sides[1].expr
        if first is None or second is None:  # pragma: no cover  # numbers always have a tree
            raise _Wrong(node, "this is no number.")
        return _Operand("number", node, expr=Arith(op, first, second))

    def name(self, node: ast.expr) -> _Operand:
        name = self.line[self.offset(node.col_offset) : self.offset(node.end_col_offset or 0)]
        if not _is_dotted(node):
            raise _Wrong(node, f"{_construct(node)} is not part of the language.", _ALLOWED)
        index = self.vocabulary.find(name)
        if index is None:
            windows = self.vocabulary.windows(name)
            if windows:
                raise _Wrong(node, f"{name} has no window.", f"Choose a window: {', '.join(windows)}.")
            raise _Wrong(node, f"unknown name {name}.", self.vocabulary.advice(name))
        kind = self.vocabulary.features[index].kind
        return _Operand(kind, node, expr=None if kind == "flag" else Load(index), feature=index)

    def code(self, feature: int, value: _Operand) -> float:
        try:
            return self.vocabulary.code(feature, value.text)
        except RuleError as error:
            raise _Wrong(value.node, error.what, error.fix) from None

    def describe(self, operand: _Operand) -> str:
        if operand.kind == "text":
            return f"the text {operand.text!r}"
        if operand.kind == "condition":
            return "a condition"
        if operand.feature >= 0:
            return f"{_a(operand.kind)} ({self.vocabulary.features[operand.feature].name})"
        return "a number"

    def example(self, feature: int) -> str:
        values = [v for v in self.vocabulary.enumeration(feature).values if v]
        shown = values[1] if len(values) > 1 else "…"
        return f'Write for example {self.vocabulary.features[feature].name} == "{shown}".'


def _a(kind: str) -> str:
    return {"number": "a number", "flag": "a flag", "enum": "an enum"}[kind]


def _shield(name: re.Match[str]) -> str:
    """Make Python's keywords readable in a name (caller.class); names are taken from the text itself."""
    parts = name.group().split(".")
    return ".".join(part.upper() if keyword.iskeyword(part) else part for part in parts)


def _is_dotted(node: ast.expr) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)


def _construct(node: ast.AST) -> str:
    names: dict[type[ast.AST], str] = {
        ast.Call: "a function call",
        ast.Subscript: "an index […]",
        ast.Lambda: "lambda",
        ast.IfExp: "if … else",
        ast.NamedExpr: "an assignment",
        ast.JoinedStr: "an f-string",
        ast.Tuple: "a list of values outside `in (…)`",
        ast.List: "a list […]",
        ast.Constant: "this kind of constant",
    }
    return names.get(type(node), f"{type(node).__name__}")
