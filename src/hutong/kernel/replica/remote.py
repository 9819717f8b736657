"""The source at an address: `wire` seen from the other side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import httpx
import msgspec

from hutong.kernel.errors import HutongError
from hutong.kernel.replica.log import News
from hutong.kernel.replica.source import Page
from hutong.kernel.replica.wire import NEWS, PAGE, PARTS, NewsAsked, PageAsked

if TYPE_CHECKING:
    from collections.abc import Mapping

PATIENCE_S: Final = 30.0
_OK: Final = 200
_WHY: Final = {401: "Its token opens nothing.", 403: "Its token may not follow."}
Told = TypeVar("Told")


class SourceError(HutongError):
    """What a replica is made from cannot be asked."""


class RemoteSource:
    """The `Source` at an address.

    Args:
        url: of the listener for stations or the edge before it, such as https://stations.example.
        token: with the permission `replica.follow`. client: for tests.
    """

    def __init__(self, url: str, token: str, client: httpx.Client | None = None) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._client = client or httpx.Client(timeout=PATIENCE_S)

    def parts(self) -> tuple[str, ...]:
        """See `Source`."""
        return self._ask(PARTS, None, tuple[str, ...])

    def news(self, positions: Mapping[str, int], limit: int) -> dict[str, News | None]:
        """See `Source`."""
        return self._ask(NEWS, NewsAsked(dict(positions), limit), dict[str, News | None])

    def page(self, part: str, after: str, limit: int) -> Page:
        """See `Source`."""
        return self._ask(PAGE, PageAsked(part, after, limit), Page)

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def _ask(self, path: str, body: object, kind: type[Told]) -> Told:
        where, fix = f"{self._url}{path}", "What the replica has stays; it asks again."
        try:
            answer = self._client.post(where, content=msgspec.json.encode(body), headers=self._headers)
        except httpx.HTTPError as error:
            raise SourceError(f"The node was not reached: {error}.", where=where, fix=fix) from error
        if answer.status_code != _OK:
            why = _WHY.get(answer.status_code, f"It answered {answer.status_code}.")
            raise SourceError(f"The node did not tell: {why}", where=where, fix=fix)
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except msgspec.MsgspecError as error:
            raise SourceError("What answers there is no node.", where=where, fix="Check the address.") from error
