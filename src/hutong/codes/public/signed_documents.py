"""The signed key set and the signed news of what was revoked, as every listener answers them: made once a moment."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from hutong.kernel.web.plain import Answer, problem

if TYPE_CHECKING:
    from collections.abc import Callable

#: For how long they are given again as they were signed.
FRESH_MS: Final = 5_000
_MOST_KEPT: Final = 256
_MOST_KEPT_BYTES: Final = 32 << 20
_KIND: Final = "codes"
_CBOR: Final = "application/cbor"
_FOR_A_MOMENT: Final = ((b"cache-control", b"public, max-age=5"),)


class SignedDocuments:
    """Both documents.

    Args:
        key_set: gives the signed key set, nothing where there is none yet. news: gives what was revoked since a
            version, signed.
    """

    def __init__(self, key_set: Callable[[int], bytes], news: Callable[[int, int], bytes]) -> None:
        self._key_set, self._news = key_set, news
        self._kept: OrderedDict[tuple[str, int], tuple[int, bytes]] = OrderedDict()

    def keys(self, now_ms: int) -> Answer:
        """The key set. Raises HutongError where keys or records cannot be read."""
        return self._again(("keys", 0), now_ms, lambda: self._key_set(now_ms))

    def revocations(self, since: str, now_ms: int) -> Answer:
        """What was revoked since a version. Raises ValueError where that is no number, HutongError as above."""
        version = max(int(since[:18]), 0)
        return self._again(("news", version), now_ms, lambda: self._news(version, now_ms))

    def _again(self, name: tuple[str, int], now_ms: int, make: Callable[[], bytes]) -> Answer:
        """What was made a moment ago, or anew."""
        kept = self._kept.get(name)
        if kept is None or not 0 <= now_ms - kept[0] < FRESH_MS:
            self._kept.pop(name, None)
            kept = self._kept[name] = (now_ms, make())
            while len(self._kept) > _MOST_KEPT or (
                len(self._kept) > 1 and sum(len(body) for _, body in tuple(self._kept.values())) > _MOST_KEPT_BYTES
            ):
                self._kept.popitem(last=False)
        return Answer(200, _CBOR, kept[1], _FOR_A_MOMENT) if kept[1] else problem(404, _KIND, "none")
