"""Builds the plan from its data files: what compiled code walks, and tables of names that people read.

The files in `data/` are the only place where a prefix, an area or a country is written down.
"""

from __future__ import annotations

import csv
import tomllib
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hutong.kernel.errors import ConfigError
from hutong.kernel.numbering.codes import KLASS_FIXED, KLASS_FOREIGN, KLASS_UNKNOWN, KLASSES, LABELS
from hutong.kernel.numbering.keys import MAX_DIGITS

if TYPE_CHECKING:
    from collections.abc import Iterable

CHINA = "86"
NONE = "none"  # index 0 of every table that comes from data
CARRIER_DIGITS = 5  # every carrier access code has as many; the reader peeks at no more

_DATA = Path(__file__).parent / "data"
_SHORTEST, _LONGEST = 3, 13  # digits of any national number of the Chinese plan: 110; IoT cards
_SUBSCRIBER_FIRST = "2345678"  # 0 is the trunk prefix, 1 and 9 begin service numbers

# The table starts with these slots; rules and then the nodes of a trie over canonical E.164 digits follow. Rules and
# nodes are written down as their places in the table, and place 0 means none.
ROOT = 0  # the node before any digit
CHINA_NODE = 1  # the node after country code 86
CHINA_COUNTRY = 2  # the index of China
HOME_AREA = 3  # the home area: index, code and digits of the code; 0 without one
HOME_CODE = 4
HOME_DIGITS = 5
HOME_LENGTHS = 6  # bit n is set when a subscriber number of n digits may be dialled locally
CARRIER_COUNT = 7
CARRIERS = 8  # from here on: carrier access codes

# A rule's cells.
RULE_KLASS = 0
RULE_COUNTRY = 1
RULE_OPERATOR = 2
RULE_AREA = 3
RULE_LENGTHS = 4  # bit n is set when a number of n digits, country code included, may exist
_RULE_CELLS = 5

# A node's cells: its rule, then the node of each next digit.
FIRST_CHILD = 1
_NODE_CELLS = 11


class PlanArrays(NamedTuple):
    """The plan as compiled code walks it.

    One array on purpose: taking an array out of a tuple costs a reader more than the walk itself.

    Attributes:
        table: int32; the slots, the rules, the trie.
    """

    table: np.ndarray


@dataclass(frozen=True)
class Area:
    """One area code, without the trunk prefix, and the lengths of its subscriber numbers."""

    code: str
    lengths: tuple[int, ...]
    zh: str
    en: str


@dataclass(frozen=True)
class Region:
    """One region of the world: country code, national lengths, and leading digits where the code is shared."""

    code: str
    name: str
    lengths: tuple[int, ...]
    prefixes: tuple[str, ...]
    zh: str
    en: str


@dataclass
class _Trie:
    """Rules and nodes by their ordinals; `table` turns them into places."""

    nodes: list[list[int]] = field(default_factory=lambda: [[0] * _NODE_CELLS])
    rules: list[tuple[int, int, int, int, int]] = field(default_factory=list)

    def node(self, digits: str) -> int:
        at = 0
        for digit in digits:
            cell = FIRST_CHILD + int(digit)
            if not self.nodes[at][cell]:
                self.nodes[at][cell] = len(self.nodes)
                self.nodes.append([0] * _NODE_CELLS)
            at = self.nodes[at][cell]
        return at

    def has_rule(self, digits: str) -> bool:
        return self.nodes[self.node(digits)][0] != 0

    def put(
        self,
        prefixes: list[str],
        klass: int,
        lengths: list[int],
        *,
        country: int,
        operator: int = 0,
        area: int = 0,
    ) -> None:
        """Give every prefix (country code included) one rule; `lengths` count the country code."""
        self.rules.append((klass, country, operator, area, _bits(n for n in lengths if n <= MAX_DIGITS)))
        for prefix in prefixes:
            if self.has_rule(prefix):
                raise ConfigError(f"Two entries claim the prefix {prefix}.", where=str(_DATA))
            self.nodes[self.node(prefix)][0] = len(self.rules)

    def table(self, slots: list[int]) -> np.ndarray:
        """The whole table; `slots` stand before it, and those of the trie's own nodes are filled in."""
        rules_at = len(slots)
        nodes_at = rules_at + len(self.rules) * _RULE_CELLS
        nodes = np.array(self.nodes, dtype=np.int32)
        rule, child = nodes[:, :FIRST_CHILD], nodes[:, FIRST_CHILD:]
        rule[:] = np.where(rule == 0, 0, rules_at + (rule - 1) * _RULE_CELLS)
        child[:] = np.where(child == 0, 0, nodes_at + child * _NODE_CELLS)
        slots[ROOT] = nodes_at
        slots[CHINA_NODE] = nodes_at + self.node(CHINA) * _NODE_CELLS
        return np.concatenate(
            [np.array(slots, dtype=np.int32), np.array(self.rules, dtype=np.int32).ravel(), nodes.ravel()]
        )


def _rows(name: str) -> list[dict[str, str]]:
    with (_DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split())


def _expand(prefix: str) -> list[str]:
    """The prefixes that "134-139" stands for."""
    low, dash, high = prefix.partition("-")
    if not dash:
        return [prefix]
    return [f"{value:0{len(low)}d}" for value in range(int(low), int(high) + 1)]


class Plan:
    """The data files, read: tables of names, and the arrays without a home area."""

    def __init__(self) -> None:
        self._china: dict[str, Any] = tomllib.loads((_DATA / "china.toml").read_text(encoding="utf-8"))
        self.areas = [Area(row["code"], _numbers(row["lengths"]), *_place(row)) for row in _rows("areas.csv")]
        self.regions = [
            Region(
                row["code"],
                row["region"],
                _numbers(row["lengths"]),
                tuple(row["prefixes"].split()),
                row["zh"],
                row["en"],
            )
            for row in _rows("world.csv")
        ]
        self.area_names = (NONE, *(f"0{area.code}" for area in self.areas))
        self.operator_names = (NONE, *self._china["operators"])
        self.country_names = (NONE, *dict.fromkeys(region.name for region in self.regions))
        self.labels = self._labels()

    def _labels(self) -> dict[tuple[str, str], dict[str, str]]:
        """(kind, name) to the words in zh and en."""
        labels = dict(LABELS)
        none = {"zh": "无", "en": "none"}
        labels |= {(kind, NONE): none for kind in ("country", "operator", "area")}
        labels |= {("operator", name): words for name, words in self._china["operators"].items()}
        labels |= {("area", f"0{area.code}"): {"zh": area.zh, "en": area.en} for area in self.areas}
        labels |= {("country", region.name): {"zh": region.zh, "en": region.en} for region in self.regions}
        labels |= {("line", entry["digits"]): entry["name"] for entry in self._china["number"]}
        return labels | {("line", digits): words for digits, words in self._china["lines"].items()}

    def arrays(self) -> PlanArrays:
        """The trie of the whole plan, without a home area."""
        trie = _Trie()
        self._put_world(trie)
        self._put_china(trie)
        self._put_areas(trie)
        slots = [0] * CARRIERS
        slots[CHINA_COUNTRY] = self.country_names.index("CN")
        slots[HOME_LENGTHS] = _bits(chain.from_iterable(area.lengths for area in self.areas))
        carriers = [int(code) for code in self._china["carriers"]]
        slots[CARRIER_COUNT] = len(carriers)
        return PlanArrays(trie.table([*slots, *carriers]))

    def at_home(self, arrays: PlanArrays, area_name: str) -> PlanArrays:
        """The same arrays for a node whose own area is `area_name`, such as "0755"; empty for none.

        Raises:
            ConfigError: there is no such area code.
        """
        if not area_name:
            return arrays
        if area_name not in self.area_names[1:]:
            fix = "Write an area code with its 0, such as 021 or 0755."
            raise ConfigError(f"{area_name!r} is no area code of mainland China.", fix=fix)
        index = self.area_names.index(area_name)
        area = self.areas[index - 1]
        table = arrays.table.copy()
        table[HOME_AREA : HOME_LENGTHS + 1] = index, int(area.code), len(area.code), _bits(area.lengths)
        return PlanArrays(table)

    def _put_world(self, trie: _Trie) -> None:
        """The first region of a code has all that no other region's leading digits claim."""
        seen = {CHINA}
        for region in self.regions:
            prefixes = region.prefixes if region.code in seen else ("",)
            seen.add(region.code)
            trie.put(
                [region.code + prefix for prefix in prefixes],
                KLASS_FOREIGN,
                [len(region.code) + n for n in region.lengths],
                country=self.country_names.index(region.name),
            )

    def _put_china(self, trie: _Trie) -> None:
        country = self.country_names.index("CN")
        lengths = [len(CHINA) + n for n in range(_SHORTEST, _LONGEST + 1)]
        trie.put([CHINA], KLASS_UNKNOWN, lengths, country=country)
        named = [{"prefixes": [e["digits"]], "lengths": [len(e["digits"])], **e} for e in self._china["number"]]
        for entry in [*self._china["range"], *named]:
            trie.put(
                [CHINA + prefix for text in entry["prefixes"] for prefix in _expand(text)],
                _index(KLASSES, entry["class"]),
                [len(CHINA) + n for n in entry["lengths"]],
                country=country,
                operator=_index(self.operator_names, entry.get("operator", NONE)),
            )

    def _put_areas(self, trie: _Trie) -> None:
        """The digit after the code carries the rule, so that a code may also be a number (999)."""
        country = self.country_names.index("CN")
        for index, area in enumerate(self.areas, start=1):
            lengths = [len(CHINA) + len(area.code) + n for n in area.lengths]
            for digits, klass in ((_SUBSCRIBER_FIRST, KLASS_FIXED), ("019", KLASS_UNKNOWN)):
                prefixes = [CHINA + area.code + digit for digit in digits]
                free = [p for p in prefixes if not trie.has_rule(p)]  # 100 is not Beijing's
                trie.put(free, klass, lengths, country=country, area=index)


def _place(row: dict[str, str]) -> tuple[str, str]:
    """Province and place, in zh and en; once where they are the same."""
    if row["en"] == row["province_en"]:
        return row["zh"], row["en"]
    return row["province_zh"] + row["zh"], f"{row['en']}, {row['province_en']}"


def _bits(lengths: Iterable[int]) -> int:
    return sum(1 << n for n in set(lengths))


def _index(names: tuple[str, ...], name: str) -> int:
    if name not in names:
        raise ConfigError(f"{name!r} is none of {', '.join(names)}.", where=str(_DATA / "china.toml"))
    return names.index(name)
