"""Data that ships beside a module: a TOML file of one array of tables."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, TypeVar

import msgspec

from hutong.kernel.errors import StateError

if TYPE_CHECKING:
    from pathlib import Path

_Item = TypeVar("_Item", bound=msgspec.Struct)


def shipped(file: Path, name: str, kind: type[_Item]) -> tuple[_Item, ...]:
    """The items of `[[name]]`, in the order of the file; nothing else may stand in it.

    Raises:
        StateError: the file is not as it must be.
    """
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
        items: tuple[_Item, ...] = msgspec.convert(found.pop(name, ()), tuple[kind, ...])  # type: ignore[valid-type]
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise StateError(
            f"{file.name} cannot be read: {error}.", where=str(file), fix="Install Hutong again."
        ) from error
    if found:
        raise StateError(f"{file.name} holds more than {name}.", where=str(file), fix="Install Hutong again.")
    return items
