"""The centre over HTTP, as a station speaks to it (`sampling.wire` is the other side)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx
import msgspec

from hutong.sampling.errors import SamplingError
from hutong.sampling.model import MergeAnswer
from hutong.sampling.wire import MERGE

if TYPE_CHECKING:
    from hutong.sampling.model import Batch

PATIENCE_S: Final = 15.0
_WHY: Final = {401: "Its token opens nothing.", 403: "Its token is not for this station, or may not register."}
_OK: Final = 200


class RemoteCentre:
    """The `Centre` at an address.

    Args:
        url: of the edge or the application, such as https://stations.example. token: the station's.
    """

    def __init__(self, url: str, token: str) -> None:
        self._url = f"{url.rstrip('/')}{MERGE}"
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"}, timeout=PATIENCE_S
        )

    def merge(self, batch: Batch, now_ms: int) -> MergeAnswer:  # noqa: ARG002  # the centre has its own clock
        """See `Centre.merge`.

        Raises:
            SamplingError: it was not taken, or nobody knows: send it again.
        """
        fix = "Nothing is lost: merge again later."
        try:
            answer = self._client.post(self._url, content=msgspec.json.encode(batch))
        except httpx.HTTPError as error:
            raise SamplingError(f"The centre was not reached: {error}.", where=self._url, fix=fix) from error
        if answer.status_code != _OK:
            why = _WHY.get(answer.status_code, f"It answered {answer.status_code}.")
            raise SamplingError(f"The centre did not take it: {why}", where=self._url, fix=fix)
        try:
            return msgspec.json.decode(answer.content, type=MergeAnswer)
        except msgspec.MsgspecError as error:
            raise SamplingError(
                "What answers there is no centre.", where=self._url, fix="Check the address."
            ) from error

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()
