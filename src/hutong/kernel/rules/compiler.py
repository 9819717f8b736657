"""From trees to a `Program`. Knows the machine's instructions; knows nothing of files, stages or people."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from hutong.kernel.rules import machine
from hutong.kernel.rules.gates import build_gates
from hutong.kernel.rules.tree import (
    MIRRORED,
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
    from collections.abc import Sequence

_MASKS: dict[Relation, int] = {
    "<": machine.LESS,
    "<=": machine.LESS | machine.EQUAL,
    ">": machine.MORE,
    ">=": machine.MORE | machine.EQUAL,
    "==": machine.EQUAL,
}
_STEPS: dict[Operator, int] = {
    "+": machine.ADD,
    "-": machine.SUBTRACT,
    "*": machine.MULTIPLY,
    "/": machine.DIVIDE,
}
_TURNED: dict[Operator, int] = {  # the right side is computed first
    "+": machine.ADD,
    "-": machine.SUBTRACT_FROM,
    "*": machine.MULTIPLY,
    "/": machine.DIVIDE_INTO,
}
# A set becomes a table when its largest value is below this: every closed enumeration does.
_LARGEST_TABLE = 4096


class _Label:
    """A place in the program, known once it is placed."""

    def __init__(self, at: int = -1) -> None:
        self.at = at


_Row: TypeAlias = "tuple[int, int, int, int, float, _Label, _Label]"  # op, left, right, mask, constant, yes, no


class _Writer:
    """Instructions in the order in which they will run."""

    def __init__(self) -> None:
        self.rows: list[_Row] = []
        self.tables: dict[frozenset[float], int] = {}
        self.table: list[int] = []
        self.steps: list[tuple[int, int, float]] = []

    def place(self, label: _Label) -> None:
        label.at = len(self.rows)

    def emit(
        self,
        op: int,
        *,
        left: int = 0,
        right: int = 0,
        mask: int = 0,
        constant: float = 0.0,
        to: tuple[_Label, _Label],
    ) -> None:
        self.rows.append((op, left, right, mask, constant, to[0], to[1]))

    def boolean(self, expr: Boolean, yes: _Label, no: _Label) -> None:
        match expr:
            case Not(item):
                self.boolean(item, no, yes)
            case And(items):
                for item in items[:-1]:
                    following = _Label()
                    self.boolean(item, following, no)
                    self.place(following)
                self.boolean(items[-1], yes, no)
            case Or(items):
                for item in items[:-1]:
                    following = _Label()
                    self.boolean(item, yes, following)
                    self.place(following)
                self.boolean(items[-1], yes, no)
            case Flag(feature):
                self.emit(machine.COMPARE, left=feature, mask=machine.EQUAL, to=(no, yes))
            case Member(operand, values):
                self.member(operand, values, yes, no)
            case Compare(relation, left, right):
                self.compare(relation, left, right, yes, no)

    def member(self, operand: Numeric, values: tuple[float, ...], yes: _Label, no: _Label) -> None:
        tabular = isinstance(operand, Load) and all(0 <= v < _LARGEST_TABLE and v == int(v) for v in values)
        if isinstance(operand, Load) and tabular and len(values) > 1:
            size = int(max(values)) + 1
            start = self.tables.setdefault(frozenset(values), len(self.table))
            if start == len(self.table):
                self.table.extend(int(v in values) for v in range(size))
            self.emit(machine.MEMBER, left=operand.feature, right=start, mask=size, to=(yes, no))
            return
        for value in values[:-1]:
            following = _Label()
            self.compare("==", operand, Const(value), yes, following)
            self.place(following)
        self.compare("==", operand, Const(values[-1]), yes, no)

    def compare(self, relation: Relation, left: Numeric, right: Numeric, yes: _Label, no: _Label) -> None:
        if relation == "!=":
            self.compare("==", left, right, no, yes)
            return
        mask = _MASKS[relation]
        match left, right:
            case Load(feature), Const(value):
                self.emit(machine.COMPARE, left=feature, mask=mask, constant=value, to=(yes, no))
            case Const(), Load():
                self.compare(MIRRORED[relation], right, left, yes, no)
            case Load(feature), Load(other):
                self.emit(machine.PAIR, left=feature, right=other, mask=mask, constant=1.0, to=(yes, no))
            case (Load(feature), Arith("*", Const(value), Load(other))) | (
                Load(feature),
                Arith("*", Load(other), Const(value)),
            ):
                self.emit(machine.PAIR, left=feature, right=other, mask=mask, constant=value, to=(yes, no))
            case Arith(), Load():
                self.compare(MIRRORED[relation], right, left, yes, no)
            case _:
                if _registers(right) > _registers(left):
                    left, right, mask = right, left, _MASKS[MIRRORED[relation]]
                start = len(self.steps)
                self.numeric(left)
                self.numeric(right)
                self.emit(machine.FREE, left=start, right=len(self.steps), mask=mask, to=(yes, no))

    def numeric(self, expr: Numeric) -> None:
        match expr:
            case Const(value):
                self.steps.append((machine.PUSH_CONSTANT, 0, value))
            case Load(feature):
                self.steps.append((machine.PUSH_FEATURE, feature, 0.0))
            case Arith(op, left, right) if _registers(right) > _registers(left):
                self.numeric(right)
                self.numeric(left)
                self.steps.append((_TURNED[op], 0, 0.0))
            case Arith(op, left, right):
                self.numeric(left)
                self.numeric(right)
                self.steps.append((_STEPS[op], 0, 0.0))


def _registers(expr: Numeric) -> int:
    """How many values wait at once when the side that needs more is computed first (Sethi and Ullman, 1970).

    n of them take 2**(n - 1) leaves, and `language.MAX_NODES` allows at most 128: the machine's registers suffice.
    """
    if not isinstance(expr, Arith):
        return 1
    left, right = _registers(expr.left), _registers(expr.right)
    return left + 1 if left == right else max(left, right)


def compile_rules(expressions: Sequence[Boolean]) -> machine.Program:
    """One program that judges all expressions in order; expression i is rule i.

    Trees come from `language.parse`, whose limits keep the machine's registers enough.
    """
    writer = _Writer()
    fired, failed = _Label(machine.FIRED), _Label(machine.FAILED)
    starts: list[int] = []
    for expr in expressions:
        starts.append(len(writer.rows))
        writer.boolean(expr, fired, failed)
    rows = writer.rows
    args = [(*row[1:4], row[5].at, row[6].at) for row in rows]
    return machine.Program(
        ops=np.array([row[0] for row in rows], dtype=np.uint64),
        args=np.array(args, dtype=np.uint64).reshape(-1, 5),
        constants=np.array([row[4] for row in rows], dtype=np.float64),
        tables=np.array(writer.table, dtype=np.uint8),
        steps=np.array([step[:2] for step in writer.steps], dtype=np.uint64).reshape(-1, 2),
        step_constants=np.array([step[2] for step in writer.steps], dtype=np.float64),
        starts=np.array(starts, dtype=np.uint64),
        gates=build_gates(expressions),
    )
