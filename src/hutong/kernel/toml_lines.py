"""On which line of a TOML text each key stands: what `tomllib` does not say and an error message needs.

Reads only texts that `tomllib` has accepted, so a few kinds of token are enough.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Place = tuple[str | int, ...]

_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"|\n|[\[\]{}=.,]"
    r"|[^\s\[\]{}=.,\"'\#]+",
    re.DOTALL,
)


def lines_of(text: str) -> dict[Place, int]:
    """Line (from 1) of every header and key; an item of an array of tables has its index in the path."""
    places: dict[Place, int] = {}
    counts: dict[Place, int] = {}
    table: Place = ()
    for line, statement in _statements(text):
        if statement[0] == "[":
            array = statement[1] == "["
            table = _within(counts, _keys(statement[2:-2] if array else statement[1:-1]))
            if array:
                at = counts.get(table, 0)
                counts[table] = at + 1
                table = (*table, at)
            places.setdefault(table, line)
        else:
            places.setdefault((*table, *_keys(statement[: statement.index("=")])), line)
    return places


def line_of(lines: Mapping[Place, int], place: Place) -> int:
    """Line of a path, or of the nearest thing around it (inline tables, dotted keys); 0 = nowhere."""
    for length in range(len(place), 0, -1):
        if place[:length] in lines:
            return lines[place[:length]]
    return min((line for path, line in lines.items() if path[: len(place)] == place), default=0)


def _statements(text: str) -> Iterator[tuple[int, list[str]]]:
    """Tokens of each header or assignment, with the line it starts on."""
    line, start, depth = 1, 1, 0
    pieces: list[str] = []
    for match in _TOKEN.finditer(text):
        piece = match[0]
        if piece == "\n":
            if depth == 0 and pieces:
                yield start, pieces
                pieces = []
        elif piece[0] != "#":
            if not pieces:
                start = line
            depth += (piece in "[{") - (piece in "]}")
            pieces.append(piece)
        line += piece.count("\n")
    if pieces:
        yield start, pieces


def _keys(pieces: list[str]) -> tuple[str, ...]:
    """The parts of a possibly quoted, dotted key."""
    parts = [piece for piece in pieces if piece != "."]
    return tuple(tomllib.loads(f"x = {part}")["x"] if part[0] in "\"'" else part for part in parts)


def _within(counts: Mapping[Place, int], keys: tuple[str, ...]) -> Place:
    """A header's path with the index of the last item of each array of tables that it passes through."""
    place: Place = ()
    for at, key in enumerate(keys):
        place = (*place, key)
        if place in counts and at < len(keys) - 1:
            place = (*place, counts[place] - 1)
    return place
