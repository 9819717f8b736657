"""What the screening of calls over HTTP counts beside what every API does."""

from __future__ import annotations

from hutong.calls.metrics import API_CALLS
from hutong.kernel.web.api.meters import Meters


class ScreeningMeters(Meters):
    """The API's figures in one process, and those of calls."""

    def calls(self, result: str, count: int) -> None:
        """So many calls fared so."""
        if count:
            self._metrics.add(API_CALLS, count, result=result)
