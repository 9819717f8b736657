"""Sampling on the console and in the API, for those who work at the centre: how it goes, tubes, results, emergencies.

Belongs here: pages, routes, their words. Not here: what may be done (`sampling.machine`, `sampling.desk`) and counting
(`sampling.figures`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

HOME: Final = Path(__file__).resolve().parent
STATIC: Final = HOME / "static"
