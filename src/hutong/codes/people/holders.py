"""Whether a telephone number belongs to the holder of a document: what operators know and this node does not.

`IdentityCheck` is the port. Its adapters ask the operator's real-name service over HTTP, or look into a file of keyed
hashes that the operator has made; nothing that is asked or answered is kept. docs/codes.md has the contract of both.
"""

from __future__ import annotations

import hmac
import mmap
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol

import msgspec

from hutong.kernel.errors import StateError
from hutong.kernel.webhooks import UnreachedError, ask_signed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hutong.codes.people.documents import Document

#: "away": whoever knows did not answer.
Belongs = Literal["yes", "no", "unknown", "away"]
_NS_IN_MS: Final = 1_000_000
_HALF: Final = 16  # bytes of each hash
#: What a line begins with: the hash of a number.
NUMBER_BYTES: Final = 2 * _HALF
_LINE: Final = 4 * _HALF + 2  # two hashes in hex, a blank, a line feed


class Holder(NamedTuple):
    """Who is said to hold a number: the document, the name in its one spelling, the number in E.164 without +."""

    document: Document
    name: str
    number: str


class IdentityCheck(Protocol):
    """Whoever knows whose numbers are."""

    def belongs(self, holder: Holder, now_ms: int) -> Belongs:
        """Whether the number is registered to the holder of the document."""


class Circuit:
    """Spares who does not answer: after some failures in a row nobody asks for a while, then one tries.

    Args:
        failures: in a row. rest_ms: for how long nobody asks then.
    """

    def __init__(self, failures: int, rest_ms: int) -> None:
        self._most, self._rest_ms = failures, rest_ms
        self._failures, self._until_ms = 0, 0
        self._lock = threading.Lock()

    def may_ask(self, now_ms: int) -> bool:
        """Whether to ask now; of many who come when the rest is over, one."""
        with self._lock:
            if self._failures < self._most:
                return True
            if now_ms < self._until_ms:
                return False
            self._until_ms = now_ms + self._rest_ms
            return True

    def note(self, now_ms: int, *, answered: bool) -> None:
        """What came of asking."""
        with self._lock:
            self._failures = 0 if answered else self._failures + 1
            if self._failures >= self._most:
                self._until_ms = now_ms + self._rest_ms


class _Question(msgspec.Struct, frozen=True):
    id: str
    kind: str
    document: str
    name: str
    number: str


class _Answer(msgspec.Struct, frozen=True):
    id: str
    belongs: Literal["yes", "no", "unknown"]


class HttpCheck:
    """The operator's real-name service.

    Args:
        url: where it is. secret: shared with it. patience_s: after so long it is away. circuit: spares it.
        new_id: of a question. troubled: is told why there was no answer.
    """

    def __init__(
        self,
        url: str,
        secret: bytes,
        patience_s: float,
        circuit: Circuit,
        new_id: Callable[[], str],
        troubled: Callable[[str], None] = lambda _why: None,
    ) -> None:
        self._url, self._secret, self._patience_s = url, secret, patience_s
        self._circuit, self._new_id, self._troubled = circuit, new_id, troubled

    def belongs(self, holder: Holder, now_ms: int) -> Belongs:
        """See `IdentityCheck.belongs`."""
        if not self._circuit.may_ask(now_ms):
            return "away"
        id_ = self._new_id()
        asked = _Question(id_, holder.document.kind, holder.document.number, holder.name, holder.number)
        body = msgspec.json.encode(asked)
        try:
            said = ask_signed(self._url, self._secret, id_, body, now_ms * _NS_IN_MS, self._patience_s)
            answer = _read(said, id_)
        except (UnreachedError, msgspec.MsgspecError) as error:
            self._circuit.note(now_ms, answered=False)
            self._troubled(str(error))
            return "away"
        self._circuit.note(now_ms, answered=True)
        return answer.belongs


def _read(said: bytes, id_: str) -> _Answer:
    answer = msgspec.json.decode(said, type=_Answer)
    if answer.id != id_:
        raise UnreachedError("The answer is to another question.")
    return answer


class FileCheck:
    """A file of keyed hashes: sorted lines of the hash of a number, a blank, and the hash of its holder.

    It is looked into by halves, so it may hold every number of an operator; a new file in its place is seen at once.

    Args:
        file: as `holder_files.write_holders` writes it. key: that the operator made the hashes with.
    """

    def __init__(self, file: Path, key: bytes) -> None:
        self._file, self._key = file, key

    def belongs(self, holder: Holder, now_ms: int) -> Belongs:  # noqa: ARG002  # a file has no clock
        """See `IdentityCheck.belongs`. Raises StateError: the file is not as it must be."""
        number, said = _hashes(self._key, holder)
        with self._opened() as lines:
            low, high = 0, len(lines) // _LINE
            while low < high:
                middle = (low + high) // 2
                line = lines[middle * _LINE : (middle + 1) * _LINE]
                if line[2 * _HALF : 2 * _HALF + 1] != b" " or line[-1:] != b"\n":
                    raise self._wrong("A line has another form")
                if line[: 2 * _HALF] < number:
                    low = middle + 1
                else:
                    high = middle
            line = lines[low * _LINE : (low + 1) * _LINE]
        if line[: 2 * _HALF] != number:
            return "unknown"
        return "yes" if hmac.compare_digest(line[2 * _HALF + 1 : -1], said) else "no"

    @contextmanager
    def _opened(self) -> Iterator[mmap.mmap | bytes]:
        try:
            with self._file.open("rb") as opened:
                size = opened.seek(0, 2)
                if size % _LINE:
                    raise self._wrong("It was cut, or has another form")
                if not size:
                    yield b""
                    return
                with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as lines:
                    yield lines
        except OSError as error:
            raise self._wrong(f"It cannot be read: {error.strerror}") from error

    def _wrong(self, why: str) -> StateError:
        return StateError(f"The file of holders is not as it must be. {why}.", where=str(self._file))


def holder_line(key: bytes, it: Holder) -> bytes:
    """The line of a number in a file of holders; lines stand in the order of their first `NUMBER_BYTES`."""
    return b" ".join(_hashes(key, it)) + b"\n"


def _hashes(key: bytes, it: Holder) -> tuple[bytes, bytes]:
    document = it.document
    return _hash(key, f"number:{it.number}"), _hash(
        key, f"holder:{it.number}:{document.kind}:{document.number}:{it.name}"
    )


def _hash(key: bytes, said: str) -> bytes:
    return hmac.digest(key, said.encode(), "sha256")[:_HALF].hex().encode()
