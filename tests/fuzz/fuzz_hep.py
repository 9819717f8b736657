"""Coverage-guided fuzzing of the HEP codec: `python tests/fuzz/fuzz_hep.py CORPUS -runs=100000` (libFuzzer flags).

Whatever the bytes: they are read or refused with HepError, what was read can be written and read again, and a stream
gives the same however it is cut.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["hutong.protocols.hep"]):
    from hutong.protocols.hep import HepError, Packet, StreamReader, build_packet, parse_packet

_PLAIN = Packet("192.0.2.1", "192.0.2.2", 5060, 5070, 17, 1, 2, 1, b"BYE", capture_id=3, key=b"k", correlation=b"c")
_OTHER = Packet("2001:db8::1", "::1", 1, 2, 6, 1, 2, 1, b"INVITE " * 20)
SEEDS = (build_packet(_PLAIN), build_packet(_OTHER, compress="gzip"), build_packet(_PLAIN, compress="zlib") * 2)


def one_input(data: bytes) -> None:
    """The laws, for one input."""
    try:
        packet = parse_packet(data)
    except HepError as error:
        str(error)
    else:
        if len(packet.payload) < len(data) and parse_packet(build_packet(packet)) != packet:
            raise AssertionError("what was read is not what is written")
    whole, pieces = StreamReader(), StreamReader()
    step = data[0] % 31 + 1 if data else 1
    apart = [frame for at in range(0, len(data), step) for frame in pieces.feed(data[at : at + step])]
    if apart != whole.feed(data) or pieces.broken != whole.broken:
        raise AssertionError(f"cut into pieces of {step}, the stream reads otherwise")


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
