"""The compiled interpreter: a program and a feature vector in, fired rules out. Pure.

Every condition is one instruction with two successors, so `and`, `or` and `not` cost nothing and a rule
whose first condition fails costs one instruction. Jumps only go forward, so a program ends after at most as
many steps as it has instructions. Only free arithmetic (FREE) allocates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hutong.kernel.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Instructions. COMPARE comes first in the chain below because nearly every condition is one.
HALT = 0
FIRE = 1  # rule LEFT fired, go on at YES
COMPARE = 2  # features[LEFT] against constant
MEMBER = 3  # tables[RIGHT + features[LEFT]], a table of MASK entries
PAIR = 4  # features[LEFT] against constant * features[RIGHT]
FREE = 5  # two postfix expressions in steps[LEFT:RIGHT]

# Columns of Program.args.
LEFT, RIGHT, MASK, YES, NO = 0, 1, 2, 3, 4

# Bits of MASK for COMPARE, PAIR and FREE: which outcomes satisfy the relation. NaN has none of the three.
LESS, EQUAL, MORE = 1, 2, 4

# Postfix steps of FREE.
PUSH_CONSTANT, PUSH_FEATURE, ADD, SUBTRACT, MULTIPLY, DIVIDE = 0, 1, 2, 3, 4, 5
STACK = 64


class Program(NamedTuple):
    """Compiled rules. Built by `compiler.compile_rules` only: the machine trusts it.

    ops: int64[n] instructions. args: int64[n, 5] their arguments. constants: float64[n]. tables: uint8[t]
    set tables. steps: int64[s, 2] postfix code (step, feature). step_constants: float64[s]. starts:
    int64[rules] first instructions of the rules.
    """

    ops: NDArray[np.int64]
    args: NDArray[np.int64]
    constants: NDArray[np.float64]
    tables: NDArray[np.uint8]
    steps: NDArray[np.int64]
    step_constants: NDArray[np.float64]
    starts: NDArray[np.int64]


@compiled
def _relation(left: float, right: float, mask: int) -> bool:
    outcome = np.int64(0)
    if left < right:
        outcome = np.int64(LESS)
    elif left == right:
        outcome = np.int64(EQUAL)
    elif left > right:
        outcome = np.int64(MORE)
    return bool((outcome & mask) != 0)


@compiled
def _free(program: Program, start: int, end: int, mask: int, features: NDArray[np.float64]) -> bool:
    stack = np.empty(STACK, dtype=np.float64)
    top = 0
    for at in range(start, end):
        step = program.steps[at, 0]
        if step == PUSH_CONSTANT:
            stack[top] = program.step_constants[at]
            top += 1
        elif step == PUSH_FEATURE:
            stack[top] = features[program.steps[at, 1]]
            top += 1
        else:
            top -= 1
            right = stack[top]
            left = stack[top - 1]
            if step == ADD:
                stack[top - 1] = left + right
            elif step == SUBTRACT:
                stack[top - 1] = left - right
            elif step == MULTIPLY:
                stack[top - 1] = left * right
            elif right == 0.0:
                stack[top - 1] = 0.0
            else:
                stack[top - 1] = left / right
    return _relation(stack[0], stack[1], mask)


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
    for rule in range(program.starts.shape[0]):
        fired[rule] = 0
    count = 0
    at = np.int64(0)
    while True:
        op = program.ops[at]
        if op == COMPARE:
            holds = _relation(features[program.args[at, LEFT]], program.constants[at], program.args[at, MASK])
        elif op == MEMBER:
            value = features[program.args[at, LEFT]]
            holds = False
            if 0.0 <= value < program.args[at, MASK]:
                place = np.int64(value)
                holds = place == value and program.tables[program.args[at, RIGHT] + place] != 0
        elif op == PAIR:
            other = program.constants[at] * features[program.args[at, RIGHT]]
            holds = _relation(features[program.args[at, LEFT]], other, program.args[at, MASK])
        elif op == FREE:
            holds = _free(program, program.args[at, LEFT], program.args[at, RIGHT], program.args[at, MASK], features)
        elif op == FIRE:
            fired[program.args[at, LEFT]] = 1
            count += 1
            holds = True
        else:
            return count
        at = program.args[at, YES] if holds else program.args[at, NO]
