"""The compiled interpreter: a program and a feature vector in, fired rules out. Pure.

Every condition is one instruction with two successors, so `and`, `or` and `not` cost nothing and a rule
whose first condition fails costs one instruction. Jumps only go forward, so a rule ends after at most as many
steps as it has instructions. Most rules never start: gates (see `gates`) leave few of them possible. Nothing
allocates and nothing is shared: any number of threads may run a program.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hutong.kernel.compiled import compiled, inlined
from hutong.kernel.rules.gates import WORD

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hutong.kernel.rules.gates import Gates

# Instructions.
COMPARE = 0  # features[LEFT] against constant
MEMBER = 1  # tables[RIGHT + features[LEFT]], a table of MASK entries
PAIR = 2  # features[LEFT] against constant * features[RIGHT]
FREE = 3  # two postfix expressions in steps[LEFT:RIGHT]

# Successors that end a rule.
FIRED, FAILED = 1 << 30, (1 << 30) + 1

# Columns of Program.args.
LEFT, RIGHT, MASK, YES, NO = 0, 1, 2, 3, 4

# Bits of MASK for COMPARE, PAIR and FREE: which outcomes satisfy the relation. NaN has none of the three.
LESS, EQUAL, MORE = 1, 2, 4

# Postfix steps of FREE.
PUSH_CONSTANT, PUSH_FEATURE, ADD, MULTIPLY, SUBTRACT, DIVIDE = 0, 1, 2, 3, 4, 5
SUBTRACT_FROM, DIVIDE_INTO = 6, 7  # the right side was pushed first
REGISTERS = 8

_ALL, _NONE = np.uint64(0xFFFF_FFFF_FFFF_FFFF), np.uint64(0)


class Program(NamedTuple):
    """Compiled rules. Built by `compiler.compile_rules` only: the machine trusts it.

    Places are unsigned, which spares the machine the test for a negative index.

    ops: uint64[n] instructions. args: uint64[n, 5] their arguments. constants: float64[n]. tables: uint8[t]
    set tables. steps: uint64[s, 2] postfix code (step, feature). step_constants: float64[s]. starts:
    uint64[rules] first instructions of the rules. gates: what rules most of them out.
    """

    ops: NDArray[np.uint64]
    args: NDArray[np.uint64]
    constants: NDArray[np.float64]
    tables: NDArray[np.uint8]
    steps: NDArray[np.uint64]
    step_constants: NDArray[np.float64]
    starts: NDArray[np.uint64]
    gates: Gates


@compiled
def _relation(left: float, right: float, mask: int) -> bool:
    less = np.uint64(left < right)
    equal = np.uint64(left == right)
    more = np.uint64(left > right)
    return bool((less | equal << np.uint64(1) | more << np.uint64(2)) & mask)


@compiled
def _calculate(step: int, left: float, right: float) -> float:
    if step == ADD:
        return left + right
    if step == MULTIPLY:
        return left * right
    if step in (SUBTRACT_FROM, DIVIDE_INTO):
        left, right = right, left
    if step in (SUBTRACT, SUBTRACT_FROM):
        return left - right
    return left / right if right != 0.0 else 0.0


@compiled
def _free(
    steps: NDArray[np.uint64], constants: NDArray[np.float64], start: int, end: int, features: NDArray[np.float64]
) -> tuple[float, float]:
    """The two values that postfix code leaves, on a stack of REGISTERS variables: the compiler needs no more."""
    r0 = r1 = r2 = r3 = r4 = r5 = r6 = r7 = 0.0
    for at in range(start, end):
        step = steps[at, 0]
        if step in (PUSH_CONSTANT, PUSH_FEATURE):
            r7, r6, r5, r4, r3, r2, r1 = r6, r5, r4, r3, r2, r1, r0
            r0 = constants[at] if step == PUSH_CONSTANT else features[steps[at, 1]]
        else:
            r0 = _calculate(step, r1, r0)
            r1, r2, r3, r4, r5, r6 = r2, r3, r4, r5, r6, r7
    return r1, r0


@inlined
def leave_possible(program: Program, features: NDArray[np.float64], possible: NDArray[np.uint64]) -> None:
    """Write the set of rules that may fire, as far as the gates tell.

    Args:
        program: compiled rules.
        features: float64[len(vocabulary)]; only those of the gates are read.
        possible: uint64[words]; bit r % 64 of word r // 64 is set where rule r may fire.
    """
    gates = program.gates
    words = gates.sets.shape[1]
    rules = program.starts.shape[0]
    for word in range(words):
        here = min(max(rules - word * WORD, 0), WORD)
        possible[word] = _ALL >> np.uint64(WORD - here) if here > 0 else _NONE
    for gate in range(gates.features.shape[0]):
        value = features[gates.features[gate]]
        row = gates.sizes[gate]
        if 0.0 <= value < row:
            place = np.uint64(value)
            row = place if np.float64(place) == value else row
        row += gates.starts[gate]
        for word in range(words):
            possible[word] &= gates.sets[row, word]


@inlined
def run_rule(program: Program, rule: int, features: NDArray[np.float64]) -> bool:
    """Whether one rule fires.

    Args:
        program: compiled rules.
        rule: which.
        features: float64[len(vocabulary)].
    """
    ops, args, constants, tables = program.ops, program.args, program.constants, program.tables
    steps, step_constants = program.steps, program.step_constants
    at = program.starts[np.uint64(rule)]
    while at < FIRED:
        op = ops[at]
        left = features[args[at, LEFT]] if op != FREE else 0.0
        holds = False
        if op == MEMBER:
            if 0.0 <= left < args[at, MASK]:
                place = np.uint64(left)
                holds = np.float64(place) == left and tables[args[at, RIGHT] + place] != 0
        else:
            right = constants[at]
            if op == PAIR:
                right *= features[args[at, RIGHT]]
            elif op == FREE:
                left, right = _free(steps, step_constants, args[at, LEFT], args[at, RIGHT], features)
            holds = _relation(left, right, args[at, MASK])
        at = args[at, YES] if holds else args[at, NO]
    return bool(at == FIRED)


@compiled
def run_rules(program: Program, features: NDArray[np.float64], fired: NDArray[np.uint8]) -> int:
    """Judge one feature vector.

    Args:
        program: compiled rules.
        features: float64[len(vocabulary)].
        fired: uint8[>= number of rules]; the first `number of rules` entries are written: 1 = fired.

    Returns:
        How many rules fired.
    """
    count = 0
    for rule in range(program.starts.shape[0]):
        fired[rule] = run_rule(program, rule, features)
        count += fired[rule]
    return count
