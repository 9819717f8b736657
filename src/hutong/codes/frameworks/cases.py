"""Judges the EU's published test cases: for each expectation of a case, what we find.

A case is a JSON file that carries one certificate in every encoding, its signer, a clock, and a list of expectations,
true or false. What each flag asks is written in the README of that collection; `docs/codes.md` says how we read it.
"""

from __future__ import annotations

import unicodedata
from base64 import b64decode
from binascii import Error as Base64Error
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from hutong.codes.frameworks.certificate import faults, read_certificate
from hutong.codes.frameworks.dcc import HCERT, Token, content_of, read_token, signer_of, term_fault
from hutong.codes.frameworks.errors import DccError
from hutong.codes.frameworks.hc1 import inflate, read_hc1, strip_prefix
from hutong.codes.frameworks.signers import Signer, by_kid, read_signer
from hutong.protocols import base45, cose, cwt
from hutong.protocols.cbor import read_cbor, write_cbor
from hutong.protocols.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

    #: A picture's bytes to the text of the code in it; empty where none is found.
    PictureReader = Callable[[bytes], str]


class CaseError(DccError):
    """A case that cannot be read, or that lacks what an expectation of it is about."""


class Finding(msgspec.Struct, frozen=True):
    """One expectation and what was found: None where the case lacks what it is about; why tells what was found."""

    flag: str
    expected: bool
    got: bool | None
    why: str = ""

    @property
    def agrees(self) -> bool:
        """Whether we find what is expected."""
        return self.got is self.expected


def judge_case(data: bytes, read_picture: PictureReader | None) -> list[Finding]:
    """Judge every expectation of one case.

    Args:
        data: the case file.
        read_picture: reads the QR code; None where nothing here can.

    Raises:
        CaseError: the file is no case.
    """
    try:
        case = msgspec.json.decode(data)
        expectations = {str(flag): bool(expected) for flag, expected in case["EXPECTEDRESULTS"].items()}
    except (msgspec.DecodeError, UnicodeDecodeError, TypeError, KeyError, AttributeError) as error:
        raise CaseError(f"This is no test case: {error!r}.") from error
    judge = _Case(case, read_picture)
    return [_finding(judge, flag, expected) for flag, expected in expectations.items()]


def _finding(case: _Case, flag: str, expected: bool) -> Finding:  # noqa: FBT001  # as the case says it
    check = _CHECKS.get(flag)
    if check is None:
        return Finding(flag, expected, None, "no such flag is defined")
    try:
        check(case)
    except CaseError as error:
        return Finding(flag, expected, None, str(error))
    except (DccError, ProtocolError) as error:
        return Finding(flag, expected, got=False, why=str(error))
    return Finding(flag, expected, got=True)


class _Case:
    """One case. Each check returns where all is as the flag says, and raises what is wrong where it is not.

    A representation that is missing is made from the next outer one.
    """

    def __init__(self, case: dict[str, Any], read_picture: PictureReader | None) -> None:
        self.case, self.read_picture = case, read_picture
        self.context: dict[str, Any] = case.get("TESTCTX") or {}

    def text(self, name: str) -> str:
        value = self.case.get(name)
        if not isinstance(value, str):
            raise CaseError(f"The case has no {name}.")
        return value

    def bytes_of(self, name: str) -> bytes:
        try:
            return bytes.fromhex(self.text(name))
        except ValueError as error:
            raise CaseError(f"{name} is not hexadecimal.") from error

    def base45(self) -> str:
        return self.text("BASE45") if "BASE45" in self.case else strip_prefix(self.text("PREFIX"))

    def compressed(self) -> bytes:
        return self.bytes_of("COMPRESSED") if "COMPRESSED" in self.case else base45.decode(self.base45())

    def message(self) -> bytes:
        return self.bytes_of("COSE") if "COSE" in self.case else inflate(self.compressed())

    def token(self) -> Token:
        return read_token(self.message())

    def json(self) -> object:
        if "JSON" not in self.case:
            raise CaseError("The case has no JSON.")
        return self.case["JSON"]

    def signer(self) -> Signer:
        try:
            return read_signer(b64decode(self.context["CERTIFICATE"]))
        except (KeyError, TypeError, Base64Error) as error:
            raise CaseError("The case has no certificate of a signer.") from error

    def clock(self) -> float:
        try:
            moment = datetime.fromisoformat(self.context["VALIDATIONCLOCK"])
        except (KeyError, TypeError, ValueError) as error:
            raise CaseError("The case has no clock.") from error
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()

    def content(self) -> object:
        """The content in CBOR, which some cases write with the claims around it."""
        if "CBOR" not in self.case:
            return self.token().content
        data = self.bytes_of("CBOR")
        found = read_cbor(data, "CBOR", most=cwt.MAX_CLAIMS, depth=cwt.MAX_DEPTH)
        return content_of(cwt.read_claims(data)) if isinstance(found, dict) and HCERT in found else found

    # The checks, in the order of the encodings.

    def picture(self) -> None:
        if self.read_picture is None:
            raise CaseError("Nothing here reads pictures.")
        picture = b64decode(self.text("_2DCODE" if "_2DCODE" in self.case else "2DCODE"))
        _expect(self.read_picture(picture) == self.text("PREFIX"), "The picture holds another text.")

    def prefix(self) -> None:
        _expect(strip_prefix(self.text("PREFIX")) == self.base45(), "Behind the prefix stands another text.")

    def base45_text(self) -> None:
        _expect(base45.decode(self.base45()) == self.compressed(), "Other bytes are compressed.")

    def compression(self) -> None:
        _expect(inflate(self.compressed()) == self.message(), "Another message was compressed.")

    def signature(self) -> Signer:
        signer = self.signer()
        found = signer_of(cose.read_sign1(self.message()), by_kid([signer]))
        _expect(found is not None, "It is not this signer's signature, or not its name.")
        return signer

    def key_usage(self) -> None:
        signer = self.signature()
        kinds = read_certificate(self.token().content).kinds
        _expect(kinds <= signer.usages, f"The signer may sign {sorted(signer.usages)}, not {sorted(kinds)}.")

    def term(self) -> None:
        wrong = term_fault(self.token().claims, self.clock())
        _expect(wrong is None, wrong[1] if wrong else "")

    def decoding(self) -> None:
        token = self.token().content
        if "CBOR" in self.case:
            _expect(_same(token, self.content()), "CBOR and the message differ.")
        if "JSON" in self.case:
            _expect(_same(token, self.json()), "JSON and the message differ.")

    def json_text(self) -> None:
        token = read_token(read_hc1(self.text("PREFIX")))
        _expect(_same(token.content, self.json()), "JSON and the text differ.")

    def encoding(self) -> None:
        data = write_cbor(self.json(), "JSON", most=cwt.MAX_CLAIMS)
        again = read_cbor(data, "JSON", most=cwt.MAX_CLAIMS, depth=cwt.MAX_DEPTH)
        _expect(_same(again, self.content()), "JSON and CBOR differ.")

    def structure(self) -> None:
        read_certificate(self.json())

    def rules(self) -> None:
        token = self.token()
        broken = faults(read_certificate(token.content), token.claims.iat)
        _expect(not broken, "; ".join(broken))


_CHECKS: dict[str, Callable[[_Case], object]] = {
    "EXPECTEDPICTUREDECODE": _Case.picture,
    "EXPECTEDUNPREFIX": _Case.prefix,
    "EXPECTEDB45DECODE": _Case.base45_text,
    "EXPECTEDCOMPRESSION": _Case.compression,
    "EXPECTEDVERIFY": _Case.signature,
    "EXPECTEDKEYUSAGE": _Case.key_usage,
    "EXPECTEDEXPIRATIONCHECK": _Case.term,
    # Its name in the README's first edition, for the same check.
    "EXPTECTEDEXPIRED": _Case.term,
    "EXPECTEDDECODE": _Case.decoding,
    "EXPECTEDVALIDJSON": _Case.json_text,
    "EXPECTEDENCODE": _Case.encoding,
    "EXPECTEDVALIDOBJECT": _Case.structure,
    "EXPECTEDSCHEMAVALIDATION": _Case.rules,
}


def _expect(holds: bool, what: str) -> None:  # noqa: FBT001  # an assertion that speaks
    if not holds:
        raise DccError(what)


def _same(one: object, other: object) -> bool:
    """Whether two contents say the same: texts as Unicode's NFC, moments as moments, members in any order."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, str) and isinstance(other, str):
        return (
            unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)
            or _moment(one) == _moment(other) is not None
        )
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
