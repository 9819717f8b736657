"""The manifest of the simulation system: what the house checks that it has."""

from __future__ import annotations

from hutong.kernel.system import System

SYSTEM = System(
    name="simulation",
    title={"zh": "省级仿真", "en": "A province to test on"},
    docs="docs/simulation.md",
    commands=("simulate province",),
    on_node=False,
)
