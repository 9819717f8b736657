"""The centre over HTTP, as a device at a door speaks to it (`codes.scans.wire` is the other side)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx
import msgspec

from hutong.codes.scans.errors import ScanError
from hutong.codes.scans.model import MOST_IN_BATCH, Answer
from hutong.codes.scans.wire import PATH

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.codes.scans.device import Device
    from hutong.codes.scans.model import Batch

PATIENCE_S: Final = 15.0
_KEPT: Final = "Nothing is lost: send again later."
_WHY: Final = {401: "its token opens nothing", 403: "its token is not for this device, or may not merge"}


class RemoteScans:
    """A centre.

    Args:
        url: of the edge, such as https://codes.example. token: the device's.
    """

    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/") + PATH
        self._client = httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE_S)

    def merge(self, batch: Batch) -> Answer:
        """What became of a batch. Raises ScanError: it was not taken, or nobody knows: send it again."""
        body = {"source": batch.source, "clock_ms": batch.clock_ms, "scans": batch.scans}
        try:
            told = self._client.post(self._url, content=msgspec.json.encode(body)).raise_for_status()
            return msgspec.json.decode(told.content, type=Answer)
        except httpx.HTTPStatusError as error:
            status = error.response.status_code
            what = f"The centre did not take it: {_WHY.get(status, status)}."
            raise ScanError(what, where=self._url, fix=_KEPT) from error
        except (httpx.HTTPError, msgspec.MsgspecError) as error:
            raise ScanError(f"The centre did not answer: {error}.", where=self._url, fix=_KEPT) from error

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()


def send_all(device: Device, centre: RemoteScans, now_ms: Callable[[], int], most: int = MOST_IN_BATCH) -> int:
    """Send what waits, batch by batch; gives how many scans the centre has of it. Raises ScanError, as `merge`."""
    sent = 0
    while (batch := device.batch(now_ms(), most)).scans:
        answer = centre.merge(batch)
        device.answered(answer)
        sent += len(answer.taken)
    return sent
