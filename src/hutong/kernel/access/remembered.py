"""Who was let in lately: while the records are away, a token that was good before opens what it opened then."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from hutong.kernel.records import RecordsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.kernel.access.viewer import Viewer

#: A token that was ended meanwhile is good for so long at most.
KEPT_MS: Final = 12 * 3_600_000
#: For so long the records are not asked again once they were away, but by one.
AWAY_MS: Final = 5_000
_MOST: Final = 10_000


class RememberedViewers:
    """Remembers in memory whom tokens stood for; only for questions that are answered without the records.

    Args:
        viewer: asks the records, by token and address. now_ms: the time.
    """

    def __init__(self, viewer: Callable[[str, str], Viewer | None], now_ms: Callable[[], int]) -> None:
        self._viewer, self._now_ms = viewer, now_ms
        self._known: OrderedDict[bytes, tuple[int, Viewer]] = OrderedDict()
        self._away_until_ms = 0

    def __call__(self, token: str, address: str) -> Viewer | None:
        """Whom a token stands for.

        Raises:
            RecordsError: they are away, and the token was not seen lately.
        """
        name, now_ms = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest(), self._now_ms()
        if now_ms < self._away_until_ms <= now_ms + AWAY_MS:
            return self._remembered(name, now_ms)
        if self._away_until_ms:
            self._away_until_ms = now_ms + AWAY_MS  # one asks whether they are back, the others go on without
        try:
            found = self._viewer(token, address)
        except RecordsError:
            now_ms = self._now_ms()  # their time-outs were waited for
            self._away_until_ms = now_ms + AWAY_MS
            return self._remembered(name, now_ms)
        self._away_until_ms = 0
        self._known.pop(name, None)
        if found is not None:
            self._known[name] = (now_ms, found)
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
        return found

    def _remembered(self, name: bytes, now_ms: int) -> Viewer:
        kept = self._known.get(name)
        if kept is None or now_ms - kept[0] > KEPT_MS:
            raise RecordsError("The records are away, and this token was not seen lately.")
        return kept[1]
