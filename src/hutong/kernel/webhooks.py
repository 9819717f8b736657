"""A message posted to somebody's address, signed, with a key that tells repetitions; what is answered is not read.

Idempotency-Key    the message's id, the same for every repetition
Hutong-Signature   t=SECONDS,v1=HEX: HMAC-SHA-256 with the shared secret over SECONDS, a dot and the body
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

import httpx

from hutong.kernel.errors import HutongError

_NS: Final = 1_000_000_000


class UnreachedError(HutongError):
    """Nobody answered at the address."""


def post_signed(url: str, secret: bytes, id_: str, body: bytes, wall_ns: int, patience_s: float) -> int:
    """Post JSON; gives the status of the answer.

    Args:
        secret: shared with the receiver. id_: the message's. wall_ns: the time, ns since 1970.

    Raises:
        UnreachedError: there was no answer in time.
    """
    seconds = str(wall_ns // _NS)
    mark = hmac.new(secret, seconds.encode() + b"." + body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "Idempotency-Key": id_}
    headers["Hutong-Signature"] = f"t={seconds},v1={mark}"
    try:
        # The environment's proxies are for people's browsers.
        return httpx.post(url, content=body, headers=headers, timeout=patience_s, trust_env=False).status_code
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UnreachedError(f"Nobody answered: {type(error).__name__}.") from error
