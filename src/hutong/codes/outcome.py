"""What came of verifying a code: one verdict of a closed list, its reasons in both languages, what the code says.

Every trust framework answers in this form. Pure.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final, Literal, get_args

import msgspec

from hutong.codes.claims import Claims  # noqa: TC001  # msgspec reads the annotation
from hutong.kernel.cases.calendar import show_moment
from hutong.kernel.web.texts import Texts

Verdict = Literal[
    "valid",
    "expired",
    "not-yet-valid",
    "forged",
    "unknown-key",
    "revoked",
    "replayed",
    "cloned",
    "clock-wrong",
    "malformed",
]
_MOMENTS: Final = frozenset({"at", "now"})
VERDICTS: Final[tuple[Verdict, ...]] = get_args(Verdict)
#: What may stand beside any verdict; none of them changes it.
Warning_ = Literal["stale-keys", "stale-revocations", "no-revocations", "paper", "old-colour"]
WARNINGS: Final[tuple[Warning_, ...]] = get_args(Warning_)
#: What a code may be used for: being let in, checking in at a venue, being registered for sampling.
Use = Literal["entry", "check-in", "sampling"]
USES: Final[dict[str, tuple[Use, ...]]] = {
    "own": ("entry", "check-in", "sampling"),
    "child": ("entry", "check-in", "sampling"),
    "elder": ("entry", "check-in", "sampling"),
    "paper": ("check-in", "sampling"),
}


class Reason(msgspec.Struct, frozen=True):
    """Why: a word of `codes/texts.toml` under `codes.reason`, and the values that its text takes.

    Values named `at` and `now` are moments, ms since 1970.
    """

    word: str
    values: dict[str, str | int] = {}


class Outcome(msgspec.Struct, frozen=True):
    """What came of it.

    Attributes:
        verdict: one word. reasons: why, the first for the verdict itself, then one for each warning.
        warnings: what to know beside it.
        claims: what the code says; None unless a known key signed it. framework: by whose rules it was judged.
        uses: what the code is good for; empty unless it is valid.
        keys_made_ms, revocations_made_ms: how fresh the verifier's knowledge is; 0 where it has none.
        facts: what a code of another framework says, for people to read.
    """

    verdict: Verdict
    reasons: tuple[Reason, ...]
    warnings: tuple[Warning_, ...] = ()
    claims: Claims | None = None
    framework: str = "HT1"
    uses: tuple[Use, ...] = ()
    keys_made_ms: int = 0
    revocations_made_ms: int = 0
    facts: dict[str, str] = {}

    @property
    def is_valid(self) -> bool:
        """Whether the code is good now."""
        return self.verdict == "valid"

    def told(self, language: str) -> tuple[str, ...]:
        """The verdict in one sentence, then each reason."""
        texts = _texts()
        said = (texts.say(f"codes.reason.{it.word}", language, **_shown(it.values)) for it in self.reasons)
        return (texts.say(f"codes.verdict.{self.verdict}", language), *said)


def _shown(values: dict[str, str | int]) -> dict[str, str | int]:
    moments = {
        name: show_moment(value) for name, value in values.items() if name in _MOMENTS and isinstance(value, int)
    }
    return {**values, **moments}


@cache
def _texts() -> Texts:
    here = Path(__file__).parent
    return Texts([here / "texts.toml", here / "frameworks" / "texts.toml"])
