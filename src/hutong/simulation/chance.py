"""Seeded chance: every part of a province has a stream of its own at every hour, so that none disturbs another."""

from __future__ import annotations

import zlib

import numpy as np

Dice = np.random.Generator


def dice(seed: int, *names: str | int) -> Dice:
    """The stream of these names: the same for the same seed and names on every machine."""
    words = [zlib.crc32(name.encode()) if isinstance(name, str) else name for name in names]
    return np.random.Generator(np.random.PCG64DXSM(np.random.SeedSequence([seed, *words])))
