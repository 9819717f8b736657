"""The signing keys of a data folder: one file of all of them, for their owner alone, replaced whole; the root key."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import msgspec

from hutong.codes.keys import SECRET_BYTES, KeySet, SigningKey, write_key_set
from hutong.codes.rotation import AHEAD_MS, KeyRecord, Term, follower_begins, terms
from hutong.kernel.errors import StateError
from hutong.kernel.key_files import give_to_owner, kept_secret, make_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hutong.codes.keys import Algorithm

#: In the data folder.
FOLDER: Final = "keys"
RING: Final = "codes.keys"
ROOT: Final = "codes-root.key"
_RECORDS: Final = msgspec.json.Decoder(tuple[KeyRecord, ...])
_FOREVER_MS: Final = 1 << 52


class KeyRing:
    """The keys that a node signs codes with. Inert until asked; safe among processes.

    Args:
        data: the data folder. issuer: the node's name. algorithm: of keys to be made.
        term_ms: after so long a key is followed by the next. lasting_ms: the longest that a code lasts.
    """

    def __init__(self, data: Path, issuer: str, algorithm: Algorithm, term_ms: int, lasting_ms: int) -> None:
        self._folder = data / FOLDER
        self._file = self._folder / RING
        self.issuer, self._algorithm = issuer, algorithm
        self._term_ms, self._lasting_ms = term_ms, lasting_ms

    def terms(self, now_ms: int) -> list[Term]:
        """Every key and its part now, in the order in which they begin.

        Raises:
            StateError: the file cannot be read.
        """
        return terms(self._read(), now_ms)

    def upkeep(self, now_ms: int) -> int:
        """Make the key that is due, and drop keys whose codes are over; gives how many keys were made or dropped.

        Raises:
            StateError: the file cannot be read or written.
        """
        with self._alone() as records:
            kept = tuple(it.record for it in terms(records, now_ms) if it.state != "over")
            begins_ms = follower_begins(kept, now_ms)
            made = () if begins_ms is None else (self._fresh(begins_ms),)
            if kept + made != records:
                self._write(kept + made)
        return len(records) - len(kept) + len(made)

    def rotate(self, now_ms: int) -> Term:
        """Make the next key now; one that was made already and has not begun stays the next.

        Raises:
            StateError: the file cannot be read or written.
        """
        with self._alone() as records:
            known = terms(records, now_ms)
            if not any(it.state == "next" for it in known):
                signing = any(it.state == "signing" for it in known)
                self._write((*records, self._fresh(now_ms + AHEAD_MS if signing else now_ms)))
        return self.terms(now_ms)[-1]

    def withdraw(self, kid: bytes, now_ms: int) -> None:
        """Take a key out at once, with all that it signed; if it was the one that signs, a new one signs from now on.

        Raises:
            StateError: there is no such key, or the file cannot be read or written.
        """
        with self._alone() as records:
            known = terms(records, now_ms)
            kept = tuple(it.record for it in known if it.public().kid != kid)
            if len(kept) == len(records):
                raise StateError(f"There is no key {kid.hex()}.", fix="`hutong codes keys list` shows all.")
            if not any(it.state == "signing" for it in terms(kept, now_ms)):
                kept += (self._fresh(now_ms),)
            self._write(kept)

    def signing_key(self, now_ms: int) -> SigningKey:
        """The key that signs now.

        Raises:
            StateError: there is none.
        """
        found = next((it for it in self.terms(now_ms) if it.state == "signing"), None)
        if found is None:
            raise StateError(
                "No key signs codes now.", where=str(self._file), fix="`hutong codes keys make` makes one."
            )
        return found.signing_key(now_ms)

    def key_set(self, now_ms: int) -> KeySet:
        """The key set as of now, signed by the root.

        Raises:
            StateError: there is no key yet, or the files cannot be used.
        """
        public = [it.public() for it in self.terms(now_ms) if it.state != "over"]
        if not public:
            raise StateError("There is no key yet.", where=str(self._file), fix="`hutong codes keys make` makes one.")
        return write_key_set(self.issuer, public, self._root(), now_ms)

    def _root(self) -> SigningKey:
        try:
            secret = kept_secret(self._folder / ROOT, lambda: os.urandom(SECRET_BYTES))
        except OSError as error:
            raise self._unusable(error) from error
        if len(secret) != SECRET_BYTES:
            raise StateError("The root key is damaged.", where=str(self._folder / ROOT), fix="Restore it.")
        return SigningKey("EdDSA", secret, 0, _FOREVER_MS)

    def _fresh(self, begins_ms: int) -> KeyRecord:
        secret = os.urandom(SECRET_BYTES)
        return KeyRecord(self._algorithm, secret, begins_ms, self._term_ms, self._lasting_ms)

    @contextmanager
    def _alone(self) -> Iterator[tuple[KeyRecord, ...]]:
        """The records, while no other process changes them."""
        try:
            make_folder(self._folder, 0o700)
            held = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield self._read()
        finally:
            os.close(held)

    def _read(self) -> tuple[KeyRecord, ...]:
        try:
            return _RECORDS.decode(self._file.read_bytes())
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise self._unusable(error) from error
        except (msgspec.DecodeError, ValueError):
            # What is wrong with it may quote a secret.
            raise StateError("The keys of codes are damaged.", where=str(self._file), fix="Restore them.") from None

    def _write(self, records: tuple[KeyRecord, ...]) -> None:
        draft = self._file.with_name(f"{RING}.new")
        try:
            draft.unlink(missing_ok=True)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as out:
                give_to_owner(out.fileno(), self._folder)
                out.write(msgspec.json.encode(records))
                out.flush()
                os.fsync(out.fileno())
            draft.replace(self._file)
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> StateError:
        what = f"The keys of codes cannot be used: {error.strerror}."
        return StateError(what, where=str(error.filename or self._file), fix="Check that this user may write there.")
