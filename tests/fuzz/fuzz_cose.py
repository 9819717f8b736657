"""Coverage-guided fuzzing of signed codes: `python tests/fuzz/fuzz_cose.py CORPUS -runs=100000` (libFuzzer flags).

Whatever the bytes: base45, COSE, CWT and an EU certificate's content are read or refused with their own errors, what
was read can be written and says the same again, and a text of either scheme gets a verdict, also one that is signed.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import atheris
import cbor2

sys.path.insert(0, str(Path(__file__).parents[1]))

with atheris.instrument_imports(
    include=["hutong.protocols", "hutong.codes.frameworks", "hutong.codes.claims", "hutong.codes.verification"]
):
    from hutong.codes import claims
    from hutong.codes.frameworks import dcc
    from hutong.codes.frameworks.certificate import faults, read_certificate
    from hutong.codes.frameworks.errors import DccError
    from hutong.codes.frameworks.framework import EuDcc
    from hutong.codes.verification import Trust, verify
    from hutong.protocols import base45, cose, cwt
    from hutong.protocols.cbor import read_cbor

import cose_vectors as vectors
import dcc_samples as samples

_ISSUER = samples.Issuer()
_TRUST = Trust(frameworks=[EuDcc([_ISSUER.signer])])
_HEADER = cose.write_protected({cose.ALGORITHM: _ISSUER.algorithm, cose.KEY_ID: _ISSUER.signer.kid})
_NOW_S = samples.NOW_S
SEEDS = (
    vectors.RFC9052_C21,
    vectors.SIGN1_PASS_01,
    vectors.CWT_A3,
    vectors.MACED_A4,
    vectors.CLAIMS_A1,
    b"UJCLQE7W581",
    _ISSUER.message(samples.content()),
    _ISSUER.text(samples.content("t")).removeprefix("HC1:").encode(),
    *(cbor2.dumps(samples.content(kind)) for kind in ("v", "t", "r")),
    *(cose.read_sign1(_ISSUER.message(samples.content(kind))).payload for kind in ("v", "t", "r")),
    cbor2.dumps({1: "node", 4: 2, 5: 1, 6: 1, 7: bytes(8), -65537: bytes(12), -65538: bytes(8), -65539: 0, -65540: 0}),
)


def one_input(data: bytes) -> None:
    """The laws, for one input."""
    _base45(data)
    _message(data)
    _claims(data)
    _content(data)
    signed = cose.write_sign1(_HEADER, data, _ISSUER.sign(cose.to_be_signed(_HEADER, data)))
    plain = data.decode("latin-1")
    for text in (f"HC1:{plain}", samples.hc1(data), samples.hc1(signed), f"HT1:{plain}", f"HT1:{base45.encode(data)}"):
        verify(text, _TRUST, {}, None, int(_NOW_S * 1000)).told("en")


def _base45(data: bytes) -> None:
    if base45.decode(base45.encode(data)) != data:
        raise AssertionError("bytes do not survive base45")
    text = data.decode("latin-1")
    with contextlib.suppress(base45.Base45Error):
        if base45.encode(base45.decode(text)) != text:
            raise AssertionError("a text is read that is never written")


def _message(data: bytes) -> None:
    try:
        message = cose.read_sign1(data)
    except cose.CoseError as error:
        str(error)
        return
    signed = cose.to_be_signed(message.protected, message.payload)
    with contextlib.suppress(cose.CoseError):  # floats grow as they are written
        again = cose.write_sign1(message.protected, message.payload, message.signature, message.unprotected)
        read = cose.read_sign1(again)
        if (read.protected, read.payload, read.signature) != (message.protected, message.payload, message.signature):
            raise AssertionError("what was read is not what is written")
        if cose.to_be_signed(read.protected, read.payload) != signed:
            raise AssertionError("other bytes are signed")
    with contextlib.suppress(cwt.CwtError, DccError):
        dcc.read_token(data)


def _claims(data: bytes) -> None:
    try:
        found = cwt.read_claims(data)
    except cwt.CwtError as error:
        str(error)
        return
    with contextlib.suppress(cwt.CwtError):  # floats grow as they are written
        written = cwt.write_claims(found)
        if cwt.write_claims(cwt.read_claims(written)) != written:
            raise AssertionError("claims that were written say something else")
    with contextlib.suppress(claims.ClaimError):
        claims.checked(found)


def _content(data: bytes) -> None:
    with contextlib.suppress(cwt.CwtError, DccError):
        content = read_cbor(data, "content", cwt.CwtError, most=cwt.MAX_CLAIMS, depth=cwt.MAX_DEPTH)
        faults(read_certificate(content), _NOW_S)


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
