"""Tables of made-up users for tests of the risk score: small, seeded, and learnable."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Real data stands beside the checkout where there is any; it is never part of the project.
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "sichuan"


def made_up(count: int = 240, seed: int = 1) -> tuple[list[str], list[list[object]]]:
    """Header and rows: out_share and callees tell fraud apart, talk and city do not; some cells are empty."""
    draw = np.random.default_rng(seed)
    rows: list[list[object]] = []
    for at in range(count):
        fraud = int(draw.random() < 0.4)
        share = float(np.clip(draw.normal(0.8 if fraud else 0.45, 0.15), 0, 1))
        callees = int(draw.poisson(60 if fraud else 20))
        talk: object = "" if draw.random() < (0.5 if fraud else 0.1) else round(float(draw.exponential(60)), 1)
        rows.append([f"n{at:05d}", round(share, 4), callees, talk, ["成都", "绵阳", "乐山"][at % 3], fraud])
    return ["user", "out_share", "callees", "talk", "city", "label"], rows


def write(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]], encoding: str = "utf-8") -> Path:
    """A CSV file."""
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return path
