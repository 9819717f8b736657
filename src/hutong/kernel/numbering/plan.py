"""Builds the plan from its data files: the arrays that compiled code walks, and the tables of names that people read.

The files in `data/` are the only place where a prefix, an area or a country is written down; no code knows one.
"""

from __future__ import annotations

import csv
import tomllib
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hutong.kernel.errors import ConfigError
from hutong.kernel.numbering.codes import KLASS_FIXED, KLASS_FOREIGN, KLASS_UNKNOWN, KLASSES, LABELS
from hutong.kernel.numbering.keys import MAX_DIGITS

CHINA = "86"
NONE = "none"  # index 0 of every table that comes from data
CARRIER_DIGITS = 5  # every carrier access code has as many; the reader peeks at no more

_DATA = Path(__file__).parent / "data"
_SHORTEST, _LONGEST = 3, 13  # digits of any national number of the Chinese plan: 110; IoT cards
_SUBSCRIBER_FIRST = "2345678"  # 0 is the trunk prefix, 1 and 9 begin service numbers

# Slots of PlanArrays.local.
LOCAL_CHINA_NODE = 0
LOCAL_AREA = 1
LOCAL_AREA_CODE = 2
LOCAL_AREA_DIGITS = 3
LOCAL_LENGTHS = 4


class PlanArrays(NamedTuple):
    """A trie over canonical E.164 digits. Node 0 is the root; rule 0 and child 0 mean none.

    Attributes:
        child: int32, 10 cells a node: the node of the next digit.
        rule: int32, one a node: what is known about numbers that begin so.
        klass, country, operator, area: int64, one a rule.
        lengths: int64, one a rule: bit n is set when a number of n digits, country code included, may exist.
        carriers: int64, carrier access codes as integers.
        local: int64, the LOCAL slots: the node of country code 86; index, code, digit count of the home area
            (0 without one); and a bit set of the lengths of a subscriber number dialled locally.
    """

    child: np.ndarray
    rule: np.ndarray
    klass: np.ndarray
    country: np.ndarray
    operator: np.ndarray
    area: np.ndarray
    lengths: np.ndarray
    carriers: np.ndarray
    local: np.ndarray


@dataclass(frozen=True)
class Area:
    """One area code, without the trunk prefix, and the lengths of its subscriber numbers."""

    code: str
    lengths: tuple[int, ...]
    zh: str
    en: str


@dataclass(frozen=True)
class Region:
    """One region of the world: its country code, possible national lengths, and its leading digits if it shares the code."""

    code: str
    name: str
    lengths: tuple[int, ...]
    prefixes: tuple[str, ...]
    zh: str
    en: str


@dataclass
class _Trie:
    child: list[int] = field(default_factory=lambda: [0] * 10)
    rule: list[int] = field(default_factory=lambda: [0])
    rules: list[tuple[int, int, int, int, int]] = field(default_factory=lambda: [(0, 0, 0, 0, 0)])

    def node(self, digits: str) -> int:
        at = 0
        for digit in digits:
            cell = at * 10 + int(digit)
            if not self.child[cell]:
                self.child[cell] = len(self.rule)
                self.rule.append(0)
                self.child.extend([0] * 10)
            at = self.child[cell]
        return at

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
        bits = sum(1 << n for n in set(lengths) if n <= MAX_DIGITS)
        self.rules.append((klass, country, operator, area, bits))
        for prefix in prefixes:
            self.rule[self.node(prefix)] = len(self.rules) - 1


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
        klass, country, operator, area, lengths = np.array(trie.rules, dtype=np.int64).T.copy()
        carriers = sorted(int(code) for code in self._china["carriers"])
        local = [trie.node(CHINA), 0, 0, 0, _bits(chain.from_iterable(a.lengths for a in self.areas))]
        return PlanArrays(
            child=np.array(trie.child, dtype=np.int32),
            rule=np.array(trie.rule, dtype=np.int32),
            klass=klass,
            country=country,
            operator=operator,
            area=area,
            lengths=lengths,
            carriers=np.array(carriers, dtype=np.int64),
            local=np.array(local, dtype=np.int64),
        )

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
        home = [
            int(arrays.local[LOCAL_CHINA_NODE]),
            index,
            int(area.code),
            len(area.code),
            _bits(area.lengths),
        ]
        return arrays._replace(local=np.array(home, dtype=np.int64))

    def _put_world(self, trie: _Trie) -> None:
        for region in self.regions:
            if region.code == CHINA:
                continue
            trie.put(
                [region.code + prefix for prefix in region.prefixes or ("",)],
                KLASS_FOREIGN,
                [len(region.code) + n for n in region.lengths],
                country=self.country_names.index(region.name),
            )

    def _put_china(self, trie: _Trie) -> None:
        country = self.country_names.index("CN")
        lengths = [len(CHINA) + n for n in range(_SHORTEST, _LONGEST + 1)]
        trie.put([CHINA], KLASS_UNKNOWN, lengths, country=country)
        named = [
            {"prefixes": [e["digits"]], "lengths": [len(e["digits"])], **e} for e in self._china["number"]
        ]
        for entry in [*self._china["range"], *named]:
            trie.put(
                [CHINA + prefix for text in entry["prefixes"] for prefix in _expand(text)],
                _index(KLASSES, entry["class"]),
                [len(CHINA) + n for n in entry["lengths"]],
                country=country,
                operator=_index(self.operator_names, entry.get("operator", NONE)),
            )

    def _put_areas(self, trie: _Trie) -> None:
        """The area is told by the first digit of the subscriber number, so that a code may also be a number (999)."""
        country = self.country_names.index("CN")
        for index, area in enumerate(self.areas, start=1):
            lengths = [len(CHINA) + len(area.code) + n for n in area.lengths]
            for digits, klass in ((_SUBSCRIBER_FIRST, KLASS_FIXED), ("019", KLASS_UNKNOWN)):
                prefixes = [CHINA + area.code + digit for digit in digits]
                free = [
                    prefix for prefix in prefixes if not trie.rule[trie.node(prefix)]
                ]  # 100 is not Beijing's
                trie.put(free, klass, lengths, country=country, area=index)


def _place(row: dict[str, str]) -> tuple[str, str]:
    """Province and place, in zh and en; once where they are the same."""
    if row["en"] == row["province_en"]:
        return row["zh"], row["en"]
    return row["province_zh"] + row["zh"], f"{row['en']}, {row['province_en']}"


def _bits(lengths: Any) -> int:
    return sum(1 << n for n in set(lengths))


def _index(names: tuple[str, ...], name: str) -> int:
    if name not in names:
        raise ConfigError(f"{name!r} is none of {', '.join(names)}.", where=str(_DATA / "china.toml"))
    return names.index(name)
