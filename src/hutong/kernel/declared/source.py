"""YAML in which every value knows its place, so that every message can say file:line:column. Knows no rule.

Only plain data is read: no tags, no anchors, no duplicate keys. Sizes are bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import yaml

from hutong.kernel.declared.findings import Finding

MAX_FILE = 2_000_000  # characters; thousands of rules fit
_MAX_DEPTH = 12
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml, where PyYAML was built with it
_PLAIN = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq", "timestamp")}

Scalar: TypeAlias = "str | int | float | bool | None"


@dataclass(frozen=True, slots=True)
class Source:
    """A rule file: its name as messages show it, and its text."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Item:
    """A value with its place.

    Attributes:
        value: a scalar, a list of items, or a mapping of keys to items.
        source: the file.
        line, column: of its first character, from 1.
        keys: of a mapping: the items of the keys themselves.
        start: index of the scalar's first character in the source's text.
        style: YAML's: None plain, a quote, | or >.
    """

    value: Scalar | list[Item] | dict[str, Item]
    source: Source
    line: int
    column: int
    keys: tuple[Item, ...] = ()
    start: int = 0
    style: str | None = None

    @property
    def where(self) -> str:
        """file:line:column of the value."""
        return f"{self.source.name}:{self.line}:{self.column}"

    def locate(self, offset: int) -> str:
        """file:line:column of a character of a text value.

        YAML folds and indents, so characters are counted without blanks, which it never adds or takes away.
        """
        text, at = self.source.text, self.start
        if self.style in {"|", ">"}:
            at = max(text.find("\n", at), at)
        elif self.style:
            at += 1
        wanted = sum(not c.isspace() for c in str(self.value)[:offset])
        while at < len(text) - 1 and (wanted or text[at].isspace()):
            wanted -= not text[at].isspace()
            at += 1
        line = text.count("\n", 0, at) + 1
        column = at - text.rfind("\n", 0, at)
        return f"{self.source.name}:{line}:{column}"


class _Refused(Exception):  # noqa: N818  # carries a finding out of the recursion
    def __init__(self, mark: yaml.Mark, what: str, fix: str) -> None:
        super().__init__(what)
        self.mark, self.what, self.fix = mark, what, fix


def read_source(source: Source) -> tuple[list[Item], list[Finding]]:
    """The documents of a YAML file, or the findings that say why it cannot be read."""
    if len(source.text) > MAX_FILE:
        what = f"the file is longer than {MAX_FILE} characters."
        return [], [Finding("error", f"{source.name}:1:1", what, "Split it.")]
    try:
        loader = _LOADER(source.text)
        try:
            reader = _Reader(source)
            items = []
            while loader.check_node():
                node = loader.get_node()
                if node is not None:
                    items.append(reader.item(node, 0))
            return items, []
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = f"this is not YAML: {error.problem or error.context or 'unreadable'}."
        return [], [_finding(source, mark, what, "Check quotes, colons and indentation.")]
    except yaml.YAMLError as error:
        what = f"this is not YAML: {' '.join(str(error).split())}."
        return [], [_finding(source, None, what, "Remove control characters; save it as UTF-8.")]
    except RecursionError:
        return [], [_finding(source, None, "the file is nested too deeply.", "Rules are flat.")]
    except _Refused as refused:
        return [], [_finding(source, refused.mark, refused.what, refused.fix)]


def _finding(source: Source, mark: yaml.Mark | None, what: str, fix: str) -> Finding:
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    return Finding("error", f"{source.name}:{line}:{column}", what, fix)


class _Reader:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.seen: set[int] = set()
        self.kept: list[yaml.Node] = []  # keeps ids unique while `seen` is in use
        self.constructor = yaml.constructor.SafeConstructor()

    def item(self, node: yaml.Node, depth: int) -> Item:
        mark = node.start_mark
        if depth > _MAX_DEPTH:
            raise _Refused(mark, "this is nested too deeply.", "Rules are flat.")
        if id(node) in self.seen:
            raise _Refused(mark, "anchors and aliases are not allowed.", "Write the value out.")
        if node.tag not in _PLAIN:
            raise _Refused(mark, f"the tag {node.tag} is not allowed.", "Write plain data.")
        self.seen.add(id(node))
        self.kept.append(node)
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, depth)
        if isinstance(node, yaml.SequenceNode):
            values = [self.item(child, depth + 1) for child in node.value]
            return Item(values, self.source, mark.line + 1, mark.column + 1)
        if not isinstance(node, yaml.ScalarNode):  # pragma: no cover  # YAML has three kinds of nodes
            raise _Refused(mark, "this is no plain value.", "Write plain data.")
        return self.scalar(node)

    def scalar(self, node: yaml.ScalarNode) -> Item:
        mark = node.start_mark
        try:
            value = self.constructor.construct_object(node)
        except (ValueError, yaml.YAMLError):
            value = node.value
        if not isinstance(value, str | int | float | bool | None):
            value = node.value  # a date: rules have none, so it is the text that was written
        return Item(value, self.source, mark.line + 1, mark.column + 1, start=mark.index, style=node.style)

    def mapping(self, node: yaml.MappingNode, depth: int) -> Item:
        values: dict[str, Item] = {}
        keys: list[Item] = []
        for key_node, value_node in node.value:
            key = self.item(key_node, depth + 1)
            if not isinstance(key.value, str):
                raise _Refused(key_node.start_mark, "a key must be a text.", "Quote it.")
            if key.value in values:
                raise _Refused(key_node.start_mark, f"the key {key.value!r} stands twice.", "Remove one.")
            keys.append(key)
            values[key.value] = self.item(value_node, depth + 1)
        mark = node.start_mark
        return Item(values, self.source, mark.line + 1, mark.column + 1, keys=tuple(keys))
