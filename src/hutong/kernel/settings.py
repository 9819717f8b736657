"""TOML file + environment -> frozen msgspec structs. Knows no setting by name; `hutong.app` declares them.

A tree is a struct of sections; a section is a struct of values, or a tuple of structs (an array of tables).
Each value is declared as `Annotated[type, Doc(zh=…, en=…)]`, with `msgspec.Meta` for bounds. The file comes
first, then the environment (`HUTONG_SECTION__KEY`), which wins. All that is wrong is reported at once, each
with its place.
"""

from __future__ import annotations

import difflib
import tomllib
import types
import typing
from typing import Any, TypeVar, get_args, get_origin

import msgspec

from hutong.kernel.errors import ConfigError
from hutong.kernel.toml_lines import Place, line_of, lines_of

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

PREFIX = "HUTONG_"
_TREE = TypeVar("_TREE", bound=msgspec.Struct)


class Doc(msgspec.Struct, frozen=True):
    """What a setting is for, in both languages, and how its text is checked.

    Attributes:
        zh: one line in Chinese.
        en: one line in English.
        unit: unit of the value, as people write it; empty for none.
        check: called with the value (with each item of a list); raises ConfigError without a place.
    """

    zh: str
    en: str
    unit: str = ""
    check: Callable[[Any], object] | None = None


class Problem(msgspec.Struct, frozen=True):
    """Something wrong that only shows when values are seen together.

    Attributes:
        place: path of the setting, e.g. ("trunks", 1, "ranges").
        what: one sentence.
        fix: what to do about it.
    """

    place: Place
    what: str
    fix: str


class Entry(msgspec.Struct, frozen=True):
    """One setting as it is declared: section, key, description, type and default."""

    section: str
    key: str
    doc: Doc
    type_name: str
    default: Any
    repeated: bool


class SettingsError(ConfigError):
    """Everything that is wrong with the settings, one error a line, in `errors`."""

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = tuple(errors)


def load(
    tree: type[_TREE],
    file: Path | None,
    environ: Mapping[str, str],
    check: Callable[[_TREE], Iterable[Problem]] = lambda _: (),
    base: _TREE | None = None,
) -> _TREE:
    """Read settings from the file (none: defaults only) and the environment.

    Args:
        tree: struct of sections, every value of which has a default, here or in `base`.
        file: TOML file.
        environ: environment variables; those named HUTONG_SECTION__KEY are read, others are left alone.
        check: what must hold between values; called when each of them is right by itself.
        base: a whole tree; its values stand where neither file nor environment says anything.

    Raises:
        SettingsError: one error for each thing that is wrong.
    """
    reader = _Reader(file)
    table = reader.read_file()
    sections = _sections(tree)
    for name in table:
        if name not in sections:
            reader.unknown((name,), name, list(sections), "section")
    overrides = reader.read_environment(sections, environ)
    values = {
        name: reader.section(name, kind, table.get(name), overrides.get(name, {}), getattr(base, name, None))
        for name, kind in sections.items()
    }
    reader.stop_on_errors()
    built = tree(**values)
    for problem in check(built):
        reader.error(problem.place, problem.what, problem.fix)
    reader.stop_on_errors()
    return built


def entries(tree: type[msgspec.Struct]) -> Iterator[Entry]:
    """Every setting of a tree, in the order of declaration."""
    for section, kind in _sections(tree).items():
        item = _item_struct(kind)
        for field, doc, value_type in _fields(item or kind):
            default = None if field.default is msgspec.NODEFAULT else field.default
            yield Entry(section, field.name, doc, _type_name(value_type), default, item is not None)


class _Reader:
    """Gathers errors: values are converted one by one, as converting a whole tree stops at the first."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._lines: dict[Place, int] = {}
        self._variables: dict[Place, str] = {}
        self._errors: list[ConfigError] = []

    def stop_on_errors(self) -> None:
        if self._errors:
            raise SettingsError(self._errors)

    def error(self, place: Place, what: str, fix: str) -> None:
        self._errors.append(ConfigError(what, where=self._where(place), fix=fix))

    def unknown(self, place: Place, name: str, known: list[str], what: str) -> None:
        near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
        fix = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(known)}."
        self.error(place, f"unknown {what} {name!r}.", fix)

    def _where(self, place: Place) -> str:
        dotted = ".".join(str(part) for part in place if isinstance(part, str))
        if place in self._variables:
            return f"environment {self._variables[place]}"
        if self._file is None:
            return dotted
        line = line_of(self._lines, place)
        return f"{self._file}:{line}" if line else f"{self._file} ({dotted})"

    def read_file(self) -> dict[str, Any]:
        if self._file is None:
            return {}
        try:
            text = self._file.read_bytes().decode()
            table = tomllib.loads(text)
        except OSError as error:
            raise self._unreadable(f"cannot read the settings: {error.strerror}.", 0, "Check --config.") from None
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            raise self._unreadable("not UTF-8.", line, "Save the file as UTF-8.") from None
        except tomllib.TOMLDecodeError as error:
            what, line = _syntax_error(text, str(error))
            raise self._unreadable(what, line, "Correct this line.") from None
        self._lines = lines_of(text)
        return table

    def _unreadable(self, what: str, line: int, fix: str) -> SettingsError:
        where = f"{self._file}:{line}" if line else str(self._file)
        return SettingsError([ConfigError(what, where=where, fix=fix)])

    def read_environment(self, sections: Mapping[str, type], environ: Mapping[str, str]) -> dict[str, dict[str, str]]:
        """Texts by section and key; variables without a double underscore are not settings."""
        found: dict[str, dict[str, str]] = {}
        for variable, text in sorted(environ.items()):
            if not variable.startswith(PREFIX) or "__" not in variable:
                continue
            section, _, key = variable.removeprefix(PREFIX).lower().partition("__")
            place = (section, key)
            self._variables[place] = variable
            if section not in sections:
                self.unknown(place, section, list(sections), "section")
            elif _item_struct(sections[section]) is not None:
                self.error(place, f"{section} is a list of tables.", "Set it in the file.")
            else:
                found.setdefault(section, {})[key] = text
        return found

    def section(
        self, name: str, kind: type, raw: object, overrides: Mapping[str, str], base: msgspec.Struct | None = None
    ) -> object:
        item = _item_struct(kind)
        if item is None:
            return self._struct((name,), kind, {} if raw is None else raw, overrides, base)
        if raw is None:
            return ()
        if not isinstance(raw, list):
            self.error((name,), f"{name} must be a list of tables.", f"Write [[{name}]] above its keys.")
            return ()
        return tuple(self._struct((name, at), item, one, {}) for at, one in enumerate(raw))

    def _struct(
        self,
        place: Place,
        kind: type[msgspec.Struct],
        raw: object,
        overrides: Mapping[str, str],
        base: msgspec.Struct | None = None,
    ) -> msgspec.Struct | None:
        if not isinstance(raw, dict):
            self.error(place, f"{place[0]} must be a table.", f"Write [{place[0]}] above its keys.")
            return None
        fields = {field.name: (field, doc, value_type) for field, doc, value_type in _fields(kind)}
        for key in [*raw, *(key for key in overrides if key not in raw)]:
            if key not in fields:
                self.unknown((*place, key), key, list(fields), "setting")
        values: dict[str, Any] = {}
        for key, (field, doc, value_type) in fields.items():
            if key in overrides:
                given = _from_text(value_type, overrides[key])
                values[key] = self._value((*place, key), value_type, doc, given, strict=False)
            elif key in raw:
                values[key] = self._value((*place, key), value_type, doc, raw[key], strict=True)
            elif base is not None:
                values[key] = getattr(base, key)
            elif field.default is msgspec.NODEFAULT:
                self.error(place, f"{place[0]} has no {key!r}.", f"Add {key} = … ({doc.en}).")
        return kind(**values) if len(self._errors) == 0 else None

    def _value(self, place: Place, value_type: object, doc: Doc, given: object, *, strict: bool) -> object:
        key = place[-1]
        try:
            value = msgspec.convert(given, value_type, strict=strict)
        except msgspec.ValidationError:
            self.error(place, f"{key} = {_shown(given)} must be {_type_name(value_type)}: {doc.en}.", "")
            return None
        for item in value if isinstance(value, tuple) else (value,):
            try:
                if doc.check is not None:
                    doc.check(item)
            except ConfigError as error:
                self.error(place, f"{key}: {error.what}", error.fix)
        return value


def _sections(tree: type[msgspec.Struct]) -> dict[str, type]:
    hints = typing.get_type_hints(tree, include_extras=True)
    return {field.name: hints[field.name] for field in msgspec.structs.fields(tree)}


def _item_struct(kind: type) -> type[msgspec.Struct] | None:
    """The struct of an array of tables; None for a plain section."""
    if get_origin(kind) is not tuple:
        return None
    return typing.cast("type[msgspec.Struct]", get_args(kind)[0])


def _fields(kind: type[msgspec.Struct]) -> Iterator[tuple[msgspec.structs.FieldInfo, Doc, Any]]:
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in msgspec.structs.fields(kind):
        doc = next(extra for extra in hints[field.name].__metadata__ if isinstance(extra, Doc))
        yield field, doc, hints[field.name]


def _from_text(value_type: object, text: str) -> object:
    """An environment variable as a value: items of a list are separated by commas."""
    if get_origin(get_args(value_type)[0]) is tuple:
        return [item.strip() for item in text.split(",") if item.strip()]
    return text


def _type_name(value_type: object) -> str:
    bare = get_args(value_type)[0]
    _, *extras = get_args(value_type)
    meta = next((extra for extra in extras if isinstance(extra, msgspec.Meta)), None)
    if get_origin(bare) is tuple and get_args(bare)[0] in {float, int}:
        return "list of numbers" if meta is None or meta.min_length is None else f"list of {meta.min_length} numbers"
    if get_origin(bare) is tuple:
        return "list of text" if meta is None else "non-empty list of text"
    if get_origin(bare) is typing.Literal:
        return " | ".join(get_args(bare))
    if isinstance(bare, types.GenericAlias):
        raise TypeError(f"no name for {bare}")
    name = {int: "integer", float: "number", bool: "true | false", str: "text"}[bare]
    if meta is not None and meta.ge is not None:
        return f"{name} from {meta.ge} to {meta.le}"
    return name


def _shown(given: object) -> str:
    return msgspec.json.encode(given, enc_hook=str).decode()


def _syntax_error(text: str, message: str) -> tuple[str, int]:
    """The parser's message, and the line that it names at its end."""
    what, _, at = message.partition(" (at ")
    words = at.rstrip(")").replace(",", "").split()
    line = int(words[1]) if words[:1] == ["line"] else text.count("\n") + 1
    return f"not TOML: {what}.", line
