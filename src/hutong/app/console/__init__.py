"""Pages about the node itself: what it runs with, and whether it is well. They know every part, so they live in `app`.

Each module gives `routes(console, …)`; `hutong.app.site` wires them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

HOME: Final = Path(__file__).resolve().parent
"""Holds `templates/` and `texts.toml`."""
