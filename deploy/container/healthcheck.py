"""Is the node in this container well? Asks `/readyz` of the console; the exit status is 0 when screening lives.

A node that is idle is well, and so is one that fails open: it answers. Settings say where the console is.
"""

from __future__ import annotations

import http.client
import json
import ssl
import sys
from pathlib import Path

from hutong.app.config import load_config
from hutong.kernel.addresses import parse_host_port

UNWELL = {"stale", "absent"}
SECONDS = 4


def main() -> int:
    """Ask, and say what was answered."""
    serve = load_config(Path(sys.argv[1]) if len(sys.argv) > 1 else None).serve
    address = parse_host_port(serve.listen)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)  # noqa: S104  # every address: ask the nearest
    if serve.tls_certificate:
        own = ssl.create_default_context()
        own.check_hostname, own.verify_mode = False, ssl.CERT_NONE  # it is this container's own certificate
        asked: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, address.port, timeout=SECONDS, context=own
        )
    else:
        asked = http.client.HTTPConnection(host, address.port, timeout=SECONDS)
    try:
        asked.request("GET", "/readyz")
        answer = asked.getresponse()
        screening = json.loads(answer.read())["screening"] if answer.status == http.client.OK else str(answer.status)
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        sys.stdout.write(f"no answer: {error}\n")
        return 1
    sys.stdout.write(f"{screening}\n")
    return int(answer.status != http.client.OK or screening in UNWELL)


if __name__ == "__main__":
    sys.exit(main())
