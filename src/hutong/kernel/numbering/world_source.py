"""Writes `data/world.csv` from the `phonenumbers` package: `python -m hutong.kernel.numbering.world_source`.

The table is generated and committed, so that a start need not read the metadata's thousands of patterns. Regions
that share a country code are told apart by leading digits, found by walking each region's own patterns. It takes
about a minute and is needed only when a new version of the package is taken up.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import phonenumbers
from phonenumbers.geodata.locale import LOCALE_DATA

_TARGET = Path(__file__).parent / "data" / "world.csv"
_DEPTH = 8  # no two regions of one code agree on more digits than this
_TYPES = (
    "fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost",
    "personal_number", "voip", "pager", "uan", "voicemail",
)  # fmt: skip
_DIGITS = frozenset("0123456789")
_SPACE_WIDE = "001"  # how the metadata calls codes that belong to no country
# This platform serves mainland China, whose usage names the first three so; the rest the package lacks.
_NAMES = {
    "HK": ("中国香港", "Hong Kong, China"),
    "MO": ("中国澳门", "Macao, China"),
    "TW": ("中国台湾", "Taiwan, China"),
    "AC": ("阿森松岛", "Ascension Island"),
    "TA": ("特里斯坦-达库尼亚", "Tristan da Cunha"),
    "DM": ("多米尼克", "Dominica"),
    "XK": ("科索沃", "Kosovo"),
    _SPACE_WIDE: ("国际网络与卫星", "international networks and satellites"),
}

Row = tuple[frozenset[str], ...]  # one way through a pattern: the digits allowed at each place


@dataclass
class _Pattern:
    """A reader of the metadata's patterns: digits, classes, groups, `?` and counted repeats, nothing else."""

    text: str
    at: int = 0

    def branches(self) -> set[Row]:
        rows: set[Row] = set()
        while True:
            rows |= self._sequence()
            if self.at >= len(self.text) or self.text[self.at] == ")":
                return rows
            self.at += 1

    def _sequence(self) -> set[Row]:
        rows: set[Row] = {()}
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            atom = self._atom()
            low, high = self._repeat()
            repeated: set[Row] = set()
            power: set[Row] = {()}
            for times in range(high + 1):
                if times >= low:
                    repeated |= power
                power = _joined(power, atom)
            rows = _joined(rows, repeated)
        return rows

    def _atom(self) -> set[Row]:
        head = self.text[self.at]
        self.at += 1
        if head == "(":
            self.at += 2 if self.text.startswith("?:", self.at) else 0
            rows = self.branches()
            self.at += 1
            return rows
        if head == "\\":
            self.at += 1
            return {(_DIGITS,)}
        if head == "[":
            return {(self._class(),)}
        return {(frozenset(head),)}

    def _class(self) -> frozenset[str]:
        end = self.text.index("]", self.at)
        body, self.at = self.text[self.at : end], end + 1
        found: set[str] = set()
        for place, char in enumerate(body):
            if char == "-":
                found |= {d for d in _DIGITS if body[place - 1] <= d <= body[place + 1]}
            else:
                found.add(char)
        return frozenset(found)

    def _repeat(self) -> tuple[int, int]:
        if self.text.startswith("?", self.at):
            self.at += 1
            return 0, 1
        if not self.text.startswith("{", self.at):
            return 1, 1
        end = self.text.index("}", self.at)
        low, _, high = self.text[self.at + 1 : end].partition(",")
        self.at = end + 1
        return int(low), int(high or low)


def _joined(heads: set[Row], tails: set[Row]) -> set[Row]:
    return {(head + tail)[:_DEPTH] for head in heads for tail in tails}


def _rows(region: str) -> set[Row]:
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
    if metadata is None:
        raise LookupError(region)
    if metadata.leading_digits is not None:
        return _Pattern(metadata.leading_digits).branches()
    rows: set[Row] = set()
    for name in _TYPES:
        kind = getattr(metadata, name)
        if kind is not None and kind.national_number_pattern is not None:
            rows |= _Pattern(kind.national_number_pattern).branches()
    return rows


def _split(rows: dict[str, set[Row]], prefix: str) -> dict[str, str]:
    """Prefix to region for everything below `prefix`; one entry where only one region can have it."""
    at = len(prefix)
    alive = [region for region, some in rows.items() if some]
    if not alive:
        return {}
    settled = any(len(row) <= at for row in rows[alive[0]])
    if len(alive) == 1 or at == _DEPTH or settled:
        return {prefix: alive[0]}
    found: dict[str, str] = {}
    for digit in sorted(_DIGITS):
        narrowed = {
            region: {row for row in some if len(row) <= at or digit in row[at]} for region, some in rows.items()
        }
        found |= _split(narrowed, prefix + digit)
    owners = set(found.values())
    return {prefix: owners.pop()} if len(owners) == 1 else found


def _prefixes(regions: tuple[str, ...]) -> dict[str, list[str]]:
    """The leading national digits of every region of a shared code except the first, whose is the rest."""
    found: dict[str, list[str]] = {region: [] for region in regions}
    if len(regions) > 1:
        for prefix, region in _split({region: _rows(region) for region in regions}, "").items():
            if region != regions[0]:
                found[region].append(prefix)
    return found


def _lengths(code: int, region: str) -> list[int]:
    metadata = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(code, region)
    if metadata is None or metadata.general_desc is None:
        raise LookupError(region)
    return sorted(n for n in metadata.general_desc.possible_length if n > 0)


def _names(region: str) -> tuple[str, str]:
    if region in _NAMES:
        return _NAMES[region]
    names = LOCALE_DATA.get(region, {})

    def of(language: str) -> str:
        name = names.get(language, "")
        return names[name[1:]] if name.startswith("*") else name

    return of("zh") or of("en") or region, of("en") or region


def table() -> str:
    """The whole file as text."""
    out = io.StringIO()
    out.write(f"# Generated by hutong.kernel.numbering.world_source from phonenumbers {phonenumbers.__version__}\n")
    out.write("# (the metadata of Google's libphonenumber, Apache-2.0). Do not edit; generate anew.\n")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("code", "region", "lengths", "zh", "en", "prefixes"))
    for code, regions in sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items(), key=lambda item: str(item[0])):
        prefixes = _prefixes(regions)
        shared = set(_lengths(code, regions[0]))
        for region in regions:
            lengths = sorted(shared | set(_lengths(code, region)))
            zh, en = _names(region)
            row = (code, region, " ".join(map(str, lengths)), zh, en, " ".join(prefixes[region]))
            writer.writerow(row)
    return out.getvalue()


if __name__ == "__main__":
    _TARGET.write_text(table(), encoding="utf-8")
