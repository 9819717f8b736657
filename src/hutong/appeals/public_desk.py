"""What the owner of a number is told and may do: no page and no route, so that page and API say the same.

Every limit on strangers is met here: of an address and of all together out of memory, before anything is read or
written; of a number as the records say (`codes`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from hutong.appeals.limits import Quota
from hutong.appeals.metrics import REFUSED
from hutong.appeals.model import AppealRefused, read_receipt
from hutong.appeals.told import shown_of
from hutong.kernel.access.throttle import place_of
from hutong.kernel.errors import HutongError
from hutong.kernel.one_time import TooManyCodes

if TYPE_CHECKING:
    from collections.abc import Callable

    from hutong.appeals.blocks import BlockPort
    from hutong.appeals.bodies import Shown
    from hutong.appeals.codes import Codes
    from hutong.appeals.model import Appeal, Block
    from hutong.appeals.store import AppealStore
    from hutong.kernel.clock import Clock
    from hutong.kernel.metrics import Metrics
    from hutong.kernel.numbering import Numbering

#: For one address: requests in a minute, and codes in an hour. Phones of a whole town may share one.
ASKED: Final = (60, 60)
CODES: Final = (30, 3600)
_MS: Final = 1_000_000
_CHINA: Final = "CN"
#: Numbers that nobody owns: 110, 12345.
_NOBODYS: Final = frozenset({"emergency", "public"})
_LONGEST_NUMBER: Final = 40


class TooMuch(HutongError):  # noqa: N818  # says what happened
    """A stranger asks too much.

    Attributes:
        wait_s: after so many seconds it may be asked again.
    """

    def __init__(self, wait_s: int) -> None:
        super().__init__("Too many requests.", fix=f"Come back in {wait_s} s.")
        self.wait_s = wait_s


class NoNumber(HutongError):  # noqa: N818  # says what happened
    """What was written is no number that a code can be sent to."""


class Standing(msgspec.Struct, frozen=True):
    """What the owner of a number is told of it: masked, what blocks it, and the appeal that is open."""

    number: str
    blocks: tuple[Block, ...]
    waiting: Appeal | None

    @property
    def shown(self) -> Shown:
        """Whether others show the number, and only that is refused."""
        return shown_of(self.blocks)


class PublicDesk:
    """Serves strangers; safe for many threads.

    Args:
        store, codes: in the records. blocks: knows what blocks a number. numbering: reads numbers.
        codes_per_minute: for all numbers together. metrics: counts what is refused. clock: the time.
        words: the text that a code is sent with, by language, code and minutes.
    """

    def __init__(  # its parts, each by name
        self,
        *,
        store: AppealStore,
        codes: Codes,
        blocks: BlockPort,
        numbering: Numbering,
        codes_per_minute: int,
        metrics: Metrics,
        clock: Clock,
        words: Callable[[str, str, int], str],
    ) -> None:
        self._store, self._codes, self._blocks, self._numbering = store, codes, blocks, numbering
        self._metrics, self._clock, self._words = metrics, clock, words
        self._asked, self._sent, self._all = Quota(*ASKED), Quota(*CODES), Quota(codes_per_minute, 60)

    @property
    def ready(self) -> bool:
        """Whether codes can be sent at all."""
        return self._codes.postbox.ready

    def admit(self, address: str) -> None:
        """Count a request from an address.

        Raises:
            TooMuch: there were too many.
        """
        self._take(self._asked, place_of(address), "address")

    def ask(self, number: str, address: str, language: str) -> str:
        """Send a code to a number; gives the ticket to show with it. The same for every number, blocked or not.

        Raises:
            NoNumber: no code can be sent to it. TooMuch: by whatever limit.
        """
        read = self._numbering.read(number[:_LONGEST_NUMBER])
        mine = read.country == _CHINA and read.fault == "none" and read.klass not in _NOBODYS
        if not mine or len(number) > _LONGEST_NUMBER:
            raise NoNumber("This is no telephone number of this country.", where="number")
        self._take(self._sent, place_of(address), "codes-of-address")
        self._take(self._all, "", "codes")

        def text(code: str, minutes: int) -> str:
            return self._words(language, code, minutes)

        try:
            return self._codes.issue(read.key, f"+{read.digits}", text, language, self._now_ms())
        except TooManyCodes as error:
            self._metrics.add(REFUSED, limit="codes-of-number")
            raise TooMuch(error.wait_s) from error

    def prove(self, ticket: str, code: str) -> str | None:
        """The proof for a right code; None where it is not."""
        return self._codes.prove(ticket, code, self._now_ms())

    def why(self, proof: str) -> Standing:
        """What blocks the number that was proven.

        Raises:
            AppealRefused: "not-proven". HutongError: lists or verdicts cannot be read.
        """
        now_ms = self._now_ms()
        proven = self._codes.proven(proof, now_ms)
        blocks = self._blocks.blocks(proven.key, now_ms)
        return Standing(self._numbering.mask(proven.key), blocks, self._store.open_of(proven.key))

    def appeal(self, proof: str, words: str, contact: str) -> Appeal:
        """Take an appeal in.

        Raises:
            AppealRefused: says why.
        """
        now_ms = self._now_ms()
        blocks = self._blocks.blocks(self._codes.proven(proof, now_ms).key, now_ms)
        return self._store.take(self._codes, proof, blocks, words, contact, now_ms)

    def receipt(self, text: str) -> Appeal:
        """What became of an appeal.

        Raises:
            AppealRefused: "no-appeal".
        """
        receipt = read_receipt(text)
        if not receipt:
            raise AppealRefused("no-appeal", "This is no receipt.")
        return self._store.of_receipt(receipt)

    def _take(self, quota: Quota, who: str, limit: str) -> None:
        wait_s = quota.take(who, self._clock.wall())
        if wait_s:
            self._metrics.add(REFUSED, limit=limit)
            raise TooMuch(wait_s)

    def _now_ms(self) -> int:
        return self._clock.wall() // _MS
