"""The EU Digital COVID Certificate as a trust framework beside our own: the same verdicts, told in both languages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hutong.codes.frameworks import dcc, hc1
from hutong.codes.frameworks.signers import Signer, by_kid
from hutong.codes.outcome import Outcome, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hutong.codes.frameworks.certificate import Certificate

_MS = 1000
_ENTRIES = {"v": "接种 vaccination", "t": "检测 test", "r": "康复 recovery"}


class EuDcc:
    """Judges texts that begin with "HC1:" for `verification.verify`.

    Args:
        signers: whom the trust list names.
        made_ms: when the list was made, ms since 1970; 0 where nobody knows.
    """

    prefix = hc1.PREFIX

    def __init__(self, signers: Iterable[Signer], made_ms: int = 0) -> None:
        self.signers, self.made_ms = by_kid(signers), made_ms

    def judge(self, text: str, now_ms: int) -> Outcome:
        """What comes of a certificate's text. What it is good for here is not said: it knows no colour of ours."""
        found = dcc.judge(text, self.signers, now_ms / _MS)
        return Outcome(
            verdict=found.verdict,
            reasons=(_reason(found),),
            framework="HC1",
            keys_made_ms=self.made_ms,
            facts={} if found.certificate is None else _facts(found.certificate),
        )


def _reason(found: dcc.Judgement) -> Reason:
    issued, ends = (None, None) if found.claims is None else (found.claims.iat, found.claims.exp)
    if found.verdict == "valid" and ends is not None:
        return Reason("dcc_valid", {"at": int(ends * _MS)})
    if found.why == "term":
        at = issued if found.verdict == "not-yet-valid" else ends
        return Reason("dcc_no_term") if at is None or issued is None else _dated(found.verdict, at)
    if found.why == "content":
        members = (fault.partition(":")[0] for fault in found.detail.split("; "))
        return Reason("dcc_content", {"members": ", ".join(members)})
    return Reason(f"dcc_{found.why}")


def _dated(verdict: str, at: float) -> Reason:
    return Reason(f"dcc_{verdict}", {"at": int(at * _MS)})


def _facts(certificate: Certificate) -> dict[str, str]:
    """What is compared with the identity document, and the kind of entry: nothing about anyone's health."""
    name = certificate.nam
    surname, forename = name.fn or name.fnt or "", name.gn or name.gnt or ""
    entries = " ".join(_ENTRIES[kind] for kind in sorted(certificate.kinds))
    return {"name": f"{surname}, {forename}".strip(", "), "born": certificate.dob, "entry": entries}
