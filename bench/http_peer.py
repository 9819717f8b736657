"""Bare Litestar: `python -m bench.http_peer PORT`. The floor of the web stack that Hutong stands on.

One route decodes the bodies that Hutong takes with msgspec and encodes an answer of the same shape; nobody is asked who
they are, nothing is judged, nothing is kept. uvicorn, httptools and uvloop are set as `hutong serve` sets them.
"""

from __future__ import annotations

import sys

import msgspec
import uvicorn
from litestar import Litestar, Request, Response, post

from hutong.calls.api.bodies import Call, Calls, Screened, ScreenedCalls

_one, _several = msgspec.json.Decoder(Call), msgspec.json.Decoder(Calls)
_encode = msgspec.json.Encoder().encode


def _answer(call: Call) -> Screened:
    return Screened(call.call_id, 1, "pass", 302, {"zh": "", "en": ""}, [], "bench", [])


@post("/v1/calls/screen", status_code=200)
async def screen(request: Request) -> Response[bytes]:  # type: ignore[type-arg]
    """Decode and encode."""
    body = await request.body()
    if b'"calls"' in body:
        told = _encode(ScreenedCalls([_answer(call) for call in _several.decode(body).calls]))
    else:
        told = _encode(_answer(_one.decode(body)))
    return Response(told, media_type="application/json")


if __name__ == "__main__":
    uvicorn.run(
        Litestar([screen], openapi_config=None, logging_config=None),
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )
