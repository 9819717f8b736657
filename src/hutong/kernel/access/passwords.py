"""Passwords: how they are kept, which are refused, and one-time passwords. Knows no account and no table.

Argon2id with 19 MiB, two passes, one lane: one of the sets that OWASP's Password Storage Cheat Sheet recommends, and a
small one (RFC 9106's first choice takes 2 GiB). A node screens calls; signing in must not take its memory or its cores:
about 25 ms and 19 MiB each, two at once, a few waiting, the others told to come again. Whoever has proven something
before goes first (`Rank`), and takes the place of a stranger where all places are taken: a flood of strangers keeps out
strangers alone.

`known_passwords.txt` holds what everybody tries first. Twelve characters shut out most such lists; these are the stems
of what is left. A password is refused when it is little more than one of them: digits and signs around it, letters
swapped for look-alike digits, or the stem written several times.
"""

from __future__ import annotations

import bisect
import enum
import functools
import itertools
import secrets
import string
import threading
import unicodedata
from contextlib import contextmanager
from importlib import resources
from typing import TYPE_CHECKING, Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from hutong.kernel.access.errors import AccessError, Throttled

if TYPE_CHECKING:
    from collections.abc import Iterator

SHORTEST: Final = 12
LONGEST: Final = 256

_KIB, _PASSES, _LANES = 19_456, 2, 1
_AT_ONCE, _WAITING = 2, 16
_FEWEST_DIFFERENT = 5
_TELLING = 4  # a shorter name may be part of any word
#: Letters and digits that nobody takes for one another. 20 of them: 20 * log2(31) = 99 bits.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS, _GROUP = 4, 5
_LOOK_ALIKE = str.maketrans("013457@$!", "oieastasi")
_NO_LETTERS = string.digits + string.punctuation + string.whitespace
#: The hash of nothing that anybody knows, so that a name without account costs what one with an account does.
NOBODY: Final = "$argon2id$v=19$m=19456,t=2,p=1$zvPWBzIqnVaLY8GcIZSrQw$CRRWVSFmBbROqEDjskYObdjcOvtvyu1eFBz61JrGEBE"


class Rank(enum.IntEnum):
    """Who goes before whom."""

    KNOWN = 0
    """Signed in now, or from this place within 30 days."""
    CLEAN = 1
    """A stranger from a place where nothing has failed."""
    DOUBTFUL = 2
    """A stranger from a place where something has."""


class _Waiter:
    """Somebody who waits for a turn."""

    def __init__(self, rank: Rank) -> None:
        self.rank = rank
        self.called = threading.Event()
        self.put_off = False


class Passwords:
    """Hashes and checks passwords, a bounded count at once.

    Args:
        at_once: how many are computed at the same time in this process.
        waiting: how many more may wait for their turn.
    """

    def __init__(self, *, at_once: int = _AT_ONCE, waiting: int = _WAITING) -> None:
        self._hasher = PasswordHasher(time_cost=_PASSES, memory_cost=_KIB, parallelism=_LANES)
        self._lock = threading.Lock()
        self._free, self._places = at_once, waiting
        self._waiting: list[_Waiter] = []  # by rank, then as they came

    @contextmanager
    def turn(self, rank: Rank = Rank.KNOWN) -> Iterator[None]:
        """Hash and check within; waits for a turn.

        Raises:
            Throttled: too many wait already, or somebody of a better rank came and took the place.
        """
        if mine := self._line_up(rank):
            mine.called.wait()
            if mine.put_off:
                raise Throttled(1)
        try:
            yield
        finally:
            with self._lock:
                if self._waiting:
                    self._waiting.pop(0).called.set()
                else:
                    self._free += 1

    @property
    def line(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def _line_up(self, rank: Rank) -> _Waiter | None:
        """A place in the line; None where it is one's turn at once."""
        with self._lock:
            if self._free:
                self._free -= 1
                return None
            if len(self._waiting) >= self._places:
                if not self._waiting or self._waiting[-1].rank <= rank:
                    raise Throttled(1)
                last = self._waiting.pop()
                last.put_off = True
                last.called.set()
            mine = _Waiter(rank)
            bisect.insort(self._waiting, mine, key=lambda it: it.rank)
            return mine

    def hash(self, password: str) -> str:
        """What is kept of a password: argon2id in PHC form, with a salt of its own."""
        return self._hasher.hash(_bytes(password))

    def fits(self, kept: str, password: str) -> bool:
        """Whether this is the password of which `kept` was kept."""
        try:
            return self._hasher.verify(kept, _bytes(password))
        except (VerificationError, InvalidHashError):
            return False

    def is_outdated(self, kept: str) -> bool:
        """Whether it was hashed with other parameters than today's."""
        return self._hasher.check_needs_rehash(kept)


def one_time_password() -> str:
    """A password to be read aloud or copied by hand, 99 bits, like `k7m2p-xw9qa-…`."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))


def check_password(password: str, name: str) -> None:
    """Whether a person may choose this password for the account `name`.

    Length is what counts (NIST SP 800-63B §5.1.1.2): no rule asks for capitals or signs.

    Raises:
        AccessError: too short, too long, like the name, known to everybody, or a mere pattern.
    """
    if len(password) < SHORTEST:
        raise AccessError("password-short", f"The password is shorter than {SHORTEST} characters.", fix="Add words.")
    if len(password) > LONGEST:
        raise AccessError("password-long", f"The password is longer than {LONGEST} characters.", fix="Shorten it.")
    plain = unicodedata.normalize("NFKC", password).lower()
    core = _letters_and_digits(plain)
    own = _letters_and_digits(name.partition("@")[0])
    if (len(own) >= _TELLING and own in core) or _stem(core) in {own, _stem(own)} - {""}:
        raise AccessError("password-name", "The password is like the name.", fix="Choose one that is not.")
    if _is_known(plain):
        raise AccessError("password-known", "Everybody tries this password.", fix="Put some unrelated words together.")
    if len(set(plain)) < _FEWEST_DIFFERENT or _is_pattern(plain):
        raise AccessError("password-simple", "The password is a mere pattern.", fix="Put unrelated words together.")


def _letters_and_digits(text: str) -> str:
    return "".join(c for c in text if c.isalnum())


def _is_known(plain: str) -> bool:
    # Digits at an end may be a year or stand for a letter (4dministrator), so each way is looked at.
    cut = (plain, plain.rstrip(_NO_LETTERS), plain.strip(_NO_LETTERS))
    shapes = {_letters_and_digits(text) for one in cut for text in (one, one.translate(_LOOK_ALIKE))}
    return not _stems().isdisjoint(shapes | {_unit(shape) for shape in shapes})


@functools.cache
def _stems() -> frozenset[str]:
    return frozenset((resources.files("hutong.kernel.access") / "known_passwords.txt").read_text().split())


def _stem(text: str) -> str:
    """Text without the digits at its ends."""
    return text.strip(string.digits)


def _unit(text: str) -> str:
    """What a text repeats, or the text."""
    for length in range(1, len(text) // 2 + 1):
        if len(text) % length == 0 and text == text[:length] * (len(text) // length):
            return text[:length]
    return text


def _is_pattern(text: str) -> bool:
    """Whether nearly every character follows from the ones before: a run, or a short part again and again."""
    steps = [ord(after) - ord(before) for before, after in itertools.pairwise(text)]
    runs = sum(1 for step in steps if step in (-1, 0, 1))
    periods = (p for p in range(1, len(text) // 3 + 1) if text[p:] == text[:-p])
    return runs >= len(steps) - 2 or any(periods)


def _bytes(password: str) -> bytes:
    """NFKC, so that one keyboard's full-width letters are another's; cut, because hashing megabytes helps nobody."""
    return unicodedata.normalize("NFKC", password[: 4 * LONGEST]).encode("utf-8", "surrogatepass")
