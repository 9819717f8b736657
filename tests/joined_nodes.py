"""Settings of nodes whose records are on either engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hutong.app.config import load_config

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.app.config import Config


def settings_on(url: str, data: Path) -> Config:
    """Of a node with records at a URL: of PostgreSQL, or SQLite in its data folder."""
    return load_config(data=data, environ={"HUTONG_RECORDS__URL": url} if url.startswith("postgresql") else {})
