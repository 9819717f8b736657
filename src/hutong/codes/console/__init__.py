"""Codes for people who work here: colours, appeals, venues, look-ups, codes issued by hand, keys; pages and HTTP API.

Nothing is decided here: who may do what stands in the machines of `codes.status`, `codes.scans` and `codes.people`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

HOME: Final = Path(__file__).resolve().parent
