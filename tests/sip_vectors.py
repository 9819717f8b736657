"""Published SIP vectors that lie beside the project: RFC 4475's torture messages and the PROTOS malformed INVITEs."""

from __future__ import annotations

import csv
import zipfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

SIP_DATA = Path(__file__).resolve().parents[1] / "../shared/data/sip"
PROTOS_ZIP, PROTOS_CLASSES = SIP_DATA / "protos.zip", SIP_DATA / "protos.csv"
TORTURE = SIP_DATA / "rfc4475"

needs_protos = pytest.mark.skipif(not PROTOS_ZIP.exists(), reason="../shared/data/sip/protos.zip is not here")
needs_torture = pytest.mark.skipif(not TORTURE.is_dir(), reason="../shared/data/sip/rfc4475 is not here")

#: What RFC 4475 says of each message: "request" or "response" where the codec must read it (what is then wrong with
#: it, if anything, is the server's to answer), otherwise the status that the section suggests, negative where the bytes
#: allow no answer at all.
TORTURE_VERDICTS: dict[str, str | int] = {
    "wsinv": "request",  # 3.1.1.1
    "intmeth": "request",  # 3.1.1.2
    "esc01": "request",  # 3.1.1.3
    "escnull": "request",  # 3.1.1.4
    "esc02": "request",  # 3.1.1.5
    "lwsdisp": "request",  # 3.1.1.6
    "longreq": "request",  # 3.1.1.7
    "dblreq": "request",  # 3.1.1.8
    "semiuri": "request",  # 3.1.1.9
    "transports": "request",  # 3.1.1.10
    "mpart01": "request",  # 3.1.1.11
    "unreason": "response",  # 3.1.1.12
    "noreason": "response",  # 3.1.1.13
    "badinv01": 400,  # 3.1.2.1
    "clerr": 400,  # 3.1.2.2
    "ncl": 400,  # 3.1.2.3
    "scalar02": 400,  # 3.1.2.4
    "scalarlg": -400,  # 3.1.2.5, a response: dropped
    "quotbal": 400,  # 3.1.2.6
    "ltgtruri": 400,  # 3.1.2.7
    "lwsruri": 400,  # 3.1.2.8
    "lwsstart": 400,  # 3.1.2.9
    "trws": 400,  # 3.1.2.10
    "escruri": 400,  # 3.1.2.11
    "baddate": "request",  # 3.1.2.12: nobody here uses Date
    "regbadct": 400,  # 3.1.2.13
    "badaspec": 400,  # 3.1.2.14
    "baddn": 400,  # 3.1.2.15
    "badvers": 505,  # 3.1.2.16
    "mismatch01": 400,  # 3.1.2.17
    "mismatch02": 501,  # 3.1.2.18
    "bigcode": -400,  # 3.1.2.19, a response: dropped
    "badbranch": "request",  # 3.2.1
    "insuf": 400,  # 3.3.1
    "unkscm": "request",  # 3.3.2: 416 is the server's
    "novelsc": "request",  # 3.3.3: 416 is the server's
    "unksm2": "request",  # 3.3.4
    "bext01": "request",  # 3.3.5: 420 is the server's
    "invut": "request",  # 3.3.6: nobody here reads bodies
    "regaut01": "request",  # 3.3.7
    "multi01": 400,  # 3.3.8
    "mcl01": 400,  # 3.3.9
    "bcast": "response",  # 3.3.10
    "zeromf": "request",  # 3.3.11: 483 is the server's
    "cparam01": "request",  # 3.3.12
    "cparam02": "request",  # 3.3.13
    "regescrt": "request",  # 3.3.14
    "sdp01": "request",  # 3.3.15: nobody here reads bodies
    "inv2543": "request",  # 3.4.1
    "test": -400,  # not in the RFC: no version, no Via
}


class ProtosCase(NamedTuple):
    """One case. group: the part under attack. verdict: "pass", "fail" or "either". Templates: see `fill`."""

    case: str
    group: str
    verdict: str
    invite: bytes
    teardown: bytes


@cache
def protos_cases() -> tuple[ProtosCase, ...]:
    """All 2,197 cases in order, their placeholders not yet filled in."""
    cases = []
    with zipfile.ZipFile(PROTOS_ZIP) as archive, PROTOS_CLASSES.open(encoding="utf-8", newline="") as classes:
        for row in csv.DictReader(classes):
            invite, rest = _counted(archive.read(row["case"]))
            teardown, _ = _counted(rest)
            cases.append(ProtosCase(row["case"], row["group"], row["class"], invite, teardown))
    return tuple(cases)


def _counted(data: bytes) -> tuple[bytes, bytes]:
    length, _, rest = data.partition(b" ")
    return rest[: int(length)], rest[int(length) :]


def fill(template: bytes, case: str, *, address: str = "127.0.0.1", port: int = 5070, method: str = "CANCEL") -> bytes:
    """The message of a template, as sent from address:port; the Call-ID and branch are unique to the case.

    Content-Length counts what follows the first empty line, as the suite's own sender does.
    """
    values = {
        b"<To>": b"62345678@127.0.0.1:5060",
        b"<From-Address>": address.encode(),
        b"<Local-Port>": b"%d" % port,
        b"<Branch-ID>": b"b" + case.encode(),
        b"<From>": b"62340000@%b:%d" % (address.encode(), port),
        b"<Call-ID>": b"protos-" + case.encode(),
        b"<CSeq>": b"1",
        b"<From-IP>": address.encode(),
        b"<Teardown-Method>": method.encode(),
    }
    for placeholder, value in values.items():
        template = template.replace(placeholder, value)
    body = template.partition(b"\r\n\r\n")[2]
    return template.replace(b"<Content-Length>", b"%d" % len(body))


@cache
def torture_messages() -> dict[str, bytes]:
    """RFC 4475's messages by name."""
    return {path.stem: path.read_bytes() for path in sorted(TORTURE.glob("*.dat"))}
