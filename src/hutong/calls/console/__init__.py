"""The console's pages of the calls system: routes, and what they render; figures and stores are made elsewhere.

Each module gives `routes(console, …)`; `hutong.app` wires them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

HOME: Final = Path(__file__).resolve().parents[1]
"""Holds `templates/` and the texts that several pages share."""
STATIC: Final = HOME / "static"
TEXTS: Final = tuple(sorted((HOME / "console" / "texts").glob("*.toml")))
"""Each page's own texts."""
