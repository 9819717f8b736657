"""The form of a system's manifest: what the app wires, and what the house checks that it has."""

from __future__ import annotations

import msgspec


class System(msgspec.Struct, frozen=True):
    """One system of the platform.

    Attributes:
        name: the package's name.
        title: in both languages.
        docs: its page.
        commands: its commands.
        metrics: names of the metrics that only it has.
        on_node: whether it runs on a node; what is only run by hand has nobody to read its metrics, and none.
    """

    name: str
    title: dict[str, str]
    docs: str
    commands: tuple[str, ...]
    metrics: tuple[str, ...] = ()
    on_node: bool = True
