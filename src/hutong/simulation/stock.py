"""Hands out telephone numbers that the Chinese plan knows: which heads exist is asked of `kernel.numbering`.

Mobile numbers come in blocks of 10,000, as operators assign them: a block belongs to a place and is filled in part.
The province takes its blocks from one half of the plan, the other provinces from the other.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hutong.kernel.errors import ConfigError
from hutong.kernel.numbering import Numbering

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hutong.simulation.chance import Dice
    from hutong.simulation.parameters import Place

_BLOCK = 10_000
_SUBBLOCKS = 1_000  # blocks under a head of four digits
_FIRST_HEAD, _LAST_HEAD = 1300, 1999
_STEP = 7_919  # a prime: walks through all blocks of a pool in a scattered order
_WITHIN = 6_121  # odd and no multiple of 5: walks through a block
_SUBSCRIBERS = "2345678"
ENTERPRISE_HEAD = "6123"  # subscriber numbers of enterprise trunks begin so, nobody else's do
VIRTUAL = "virtual"


class _Pool(NamedTuple):
    heads: NDArray[np.int64]

    @property
    def blocks(self) -> int:
        return len(self.heads) * _SUBBLOCKS

    def block(self, index: NDArray[np.int64]) -> NDArray[np.int64]:
        """The seven leading digits of the blocks at these places of the pool's order."""
        step = _STEP
        while math.gcd(step, self.blocks) != 1:
            step += 2
        at = index * step % self.blocks
        return self.heads[at // _SUBBLOCKS] * _SUBBLOCKS + at % _SUBBLOCKS


class Stock:
    """Numbers of the province and of elsewhere; each mobile and fixed number of the province is given once."""

    def __init__(self, place: Place) -> None:
        self._numbering = Numbering()
        self._pools = self._read_pools(place.operators)
        self._per_block = int(_BLOCK * place.block_fill)
        self._taken = dict.fromkeys(self._pools, 0)
        self.areas = tuple(area.removeprefix("0") for area in place.areas)
        self._digits = [self._subscriber_digits(area) for area in place.areas]
        self._fixed_taken = [0] * len(self.areas)
        self._enterprise_taken = 0

    def _read_pools(self, operators: Sequence[str]) -> dict[str, _Pool]:
        """The heads of four digits of each operator, and those of all virtual ones."""
        found: dict[str, list[int]] = {name: [] for name in (*operators, VIRTUAL)}
        for head in range(_FIRST_HEAD, _LAST_HEAD + 1):
            number = self._numbering.read(f"{head}0000000")
            if number.klass == "virtual":
                found[VIRTUAL].append(head)
            elif number.klass == "mobile" and number.operator in found:
                found[number.operator].append(head)
        for name, heads in found.items():
            if not heads:
                raise ConfigError(
                    f"{name!r} has no mobile numbers.", where="province.operators", fix="Name an operator."
                )
        return {name: _Pool(np.array(heads, dtype=np.int64)) for name, heads in found.items()}

    def _subscriber_digits(self, area: str) -> int:
        for digits in (8, 7):
            if self._numbering.read(f"{area}2{'3' * (digits - 1)}").fault == "none":
                return digits
        raise ConfigError(f"{area!r} is no area code.", where="province.areas", fix="Write it with its 0, as 028.")

    def mobiles(self, pool: str, count: int) -> NDArray[np.int64]:
        """So many new mobile numbers of an operator (or VIRTUAL), block after block."""
        rank = np.arange(count, dtype=np.int64)
        index = self._taken[pool] + rank // self._per_block
        self._taken[pool] += -(-count // self._per_block)
        if self._taken[pool] > self._pools[pool].blocks // 2:
            raise ConfigError(f"{pool!r} has too few numbers for so many people.", where="--population")
        block = self._pools[pool].block(index)
        within = (rank % self._per_block * _WITHIN + block) % _BLOCK
        return block * _BLOCK + within

    def mobiles_elsewhere(self, pool: str, count: int, dice: Dice) -> NDArray[np.int64]:
        """Mobile numbers of other provinces; two may be the same."""
        blocks = self._pools[pool].blocks
        index = dice.integers(blocks // 2, blocks, count)
        return self._pools[pool].block(index) * _BLOCK + dice.integers(0, _BLOCK, count)

    def fixed(self, area: int, count: int) -> NDArray[np.int64]:
        """New fixed numbers of an area, without the leading 0."""
        space = len(_SUBSCRIBERS) * 10 ** (self._digits[area] - 1)
        rank = np.arange(self._fixed_taken[area], self._fixed_taken[area] + 2 * count + 64, dtype=np.int64)
        scattered = rank * 99_991 % space + 2 * 10 ** (self._digits[area] - 1)
        free = scattered // 10 ** (self._digits[area] - len(ENTERPRISE_HEAD)) != int(ENTERPRISE_HEAD)
        chosen = np.flatnonzero(free)[:count]
        self._fixed_taken[area] = int(rank[chosen[-1]]) + 1 if count else self._fixed_taken[area]
        return np.asarray(int(self.areas[area]) * 10 ** self._digits[area] + scattered[chosen])

    def fixed_elsewhere(self, count: int, dice: Dice) -> NDArray[np.int64]:
        """Fixed numbers of Beijing, Shanghai, Guangzhou, Wuhan and Xi'an, unless one of them is the province's own."""
        areas = np.array([int(code) for code in ("10", "21", "20", "27", "29") if code not in self.areas])
        subscriber = dice.integers(2, 9, count) * 10_000_000 + dice.integers(0, 10_000_000, count)
        return np.asarray(areas[dice.integers(0, len(areas), count)] * 100_000_000 + subscriber)

    def enterprise(self, count: int) -> NDArray[np.int64]:
        """Numbers of enterprise trunks, in the first area, in sequence."""
        room = 10 ** (self._digits[0] - len(ENTERPRISE_HEAD))
        if self._enterprise_taken + count > room:
            raise ConfigError("The enterprises' range is used up.", where="enterprise.lines_per_10k", fix="Lower it.")
        first = int(f"{self.areas[0]}{ENTERPRISE_HEAD}") * room + self._enterprise_taken
        self._enterprise_taken += count
        return np.arange(first, first + count, dtype=np.int64)

    @property
    def enterprise_range(self) -> str:
        """The range that enterprise trunks own, as settings write it."""
        rest = self._digits[0] - len(ENTERPRISE_HEAD)
        head = f"0{self.areas[0]}{ENTERPRISE_HEAD}"
        return f"{head}{'0' * rest}-{head}{'9' * rest}"
