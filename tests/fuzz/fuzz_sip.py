"""Coverage-guided fuzzing of the SIP codec: `python tests/fuzz/fuzz_sip.py CORPUS -runs=100000` (libFuzzer flags).

Whatever the bytes: they are read or refused with SipError, an answer to them is one well-formed response, and a stream
gives the same however it is cut.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["hutong.protocols.sip"]):
    from hutong.protocols.sip import (
        Request,
        Response,
        SipError,
        StreamReader,
        build_response,
        call_key,
        parse_datagram,
        transaction_key,
    )

_CORE = (
    b"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport\r\nMax-Forwards: 70\r\n"
    b'From: "A \\" B" <sip:+8621@192.0.2.1;user=phone>;tag=a\r\nTo: <sip:10@h>\r\nCall-ID: c@h\r\n'
)
#: One seed for each corner of the grammar; the fuzzer finds its own way from there.
SEEDS = tuple(
    seed.replace(b"CORE\r\n", _CORE)
    for seed in (
        b"""INVITE sip:10@h SIP/2.0\r
CORE\r
CSeq: 1 INVITE\r
Content-Length: 4\r
\r
v=0
""",
        b"""INVITE tel:+86-10;phone-context=x SIP/2.0\r
CORE\r
CSeq: 1 INVITE\r
Privacy: id;user\r
P-Asserted-Identity: <sip:1@h>, tel:+86\r
Diversion: <sip:1@h>;reason=busy;counter=1\r
History-Info: <sip:1@h;cause=302>;index=1, <sip:2@h?Reason=SIP%3Bcause%3D486>;index=1.1\r
\r
""",
        b"""INVITE sips:a;b=c:pw@[2001:db8::1]:5061;lr;maddr=1.2.3.4;ttl=9 SIP/2.0\r
CORE\r
CSeq: 1 INVITE\r
Identity: e.p.s;info=<https://h/c>;alg=ES256;ppt=shaken\r
P-Access-Network-Info: 3GPP;cgi-3gpp="4"\r
Reason: Q.850;cause=16;text="x"\r
Require: a, b\r
Route: <sip:h;lr>\r
Contact: *\r
Expires: 9\r
\r
""",
        b"""OPTIONS sip:h SIP/2.0\r
v : SIP / 2.0 / TCP  h : 5 ;received=::1 , SIP/2.0/UDP i\r
f: sip:1@h\r
 ;tag=x\r
t: sip:h\r
i: x\r
CSeq: 1\r
 OPTIONS\r
c: a/b;c=d\r
m: <sip:1@h>;q=0.5;expires=1\r
l: 0\r
\r
""",
        b"""SIP/2.0 486 Busy Here\r
CORE\r
CSeq: 1 INVITE\r
\r
""",
    )
)


def one_input(data: bytes) -> None:
    """The laws, for one input."""
    _read(data)
    whole, pieces = StreamReader(), StreamReader()
    step = data[0] % 31 + 1 if data else 1
    apart = [event for at in range(0, len(data), step) for event in pieces.feed(data[at : at + step])]
    if list(map(repr, apart)) != list(map(repr, whole.feed(data))) or pieces.broken != whole.broken:
        raise AssertionError(f"cut into pieces of {step}, the stream reads otherwise")


def _read(data: bytes) -> None:
    try:
        message = parse_datagram(data)
    except SipError as error:
        heads = error.heads
        str(error)
    else:
        if not isinstance(message, Request):
            return
        heads = message.heads
        transaction_key(message)
        call_key(message)
        answer = parse_datagram(build_response(message, 302, "Moved", to_tag="t", via_received=("192.0.2.9", 5)))
        if not isinstance(answer, Response) or answer.call_id != message.call_id:
            raise AssertionError("the answer to a good request is no good response")
    if heads is not None:
        answer_bytes = build_response(heads, 400, "Bad Request", to_tag="t", via_received=("::1", 5))
        if answer_bytes.count(b"\n") != answer_bytes.count(b"\r\n") or answer_bytes.count(b"\r\n\r\n") != 1:
            raise AssertionError("the answer to a bad request has a foreign line")


def write_seeds(folder: Path) -> None:
    """Put the seeds where libFuzzer looks for its corpus."""
    for number, seed in enumerate(SEEDS):
        (folder / f"seed{number}").write_bytes(seed)


if __name__ == "__main__":
    for corpus in (Path(argument) for argument in sys.argv[1:] if not argument.startswith("-")):
        corpus.mkdir(parents=True, exist_ok=True)
        write_seeds(corpus)
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
