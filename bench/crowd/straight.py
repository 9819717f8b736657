"""`codes serve` and `sampling serve` with nothing before the application: what the gate is compared with.

python bench/crowd/straight.py codes|stations CONFIG DATA
"""

from __future__ import annotations

import sys
from pathlib import Path

from hutong.app import codes_serve, codes_site, stations_serve

_SERVE = {"codes": codes_serve.serve, "stations": stations_serve.serve}


def _straight(application: object, *_: object, **__: object) -> object:
    return application


def main() -> int:
    """Serve until told to stop."""
    codes_site.gate_before = stations_serve.gate_before = _straight  # type: ignore[attr-defined]
    name, config, data = sys.argv[1:]
    return _SERVE[name](config=Path(config), data=Path(data))


if __name__ == "__main__":
    raise SystemExit(main())
