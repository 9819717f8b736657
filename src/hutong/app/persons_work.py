"""Who people are, as a node has it: the keys of people, whose codes are, and what a station needs to read codes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from hutong.app.codes_work import key_ring
from hutong.codes.bundles import BundleStore
from hutong.codes.keys import read_key_set
from hutong.codes.people.pseudonyms import Pseudonyms
from hutong.codes.revocation import no_revocations, read_news
from hutong.codes.verification import Trust, verify
from hutong.kernel.errors import StateError
from hutong.kernel.key_marks import KeyMarks
from hutong.kernel.persons import Persons, station_key
from hutong.sampling.errors import SamplingRefused
from hutong.sampling.identity import KeyedIdentities

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hutong.app.config import Config
    from hutong.codes.keys import KeySet
    from hutong.codes.verification import RevocationList
    from hutong.kernel.records import Database

#: The folder of keys in the data folder; `codes.key_folder` may name another.
KEYS: Final = "code-keys"
#: What a station verifies codes by, in its folder.
KEY_SET_FILE: Final = "codes-keys.cbor"
REVOCATIONS_FILE: Final = "codes-revocations.bin"
_SAMPLING: Final = "sampling"


def key_folder(config: Config) -> Path:
    """Where the keys are that no backup has."""
    return Path(config.codes.key_folder) if config.codes.key_folder else config.data / KEYS


def pseudonyms_of(config: Config, database: Database) -> Pseudonyms:
    """The pseudonyms of a node; `database` is opened by whoever made it."""
    return Pseudonyms(key_folder(config), KeyMarks(database))


def persons_of(config: Config, database: Database) -> Persons:
    """The people of a node, by their documents; `database` is opened by whoever made it."""
    return pseudonyms_of(config, database).persons


class SampledCodes:
    """The `Codes` of whoever registers for sampling.

    Args:
        key_sets: of issuers. revocations: by issuer. now_ms: the time, ms since 1970.
        whenever: codes are good that were issued here, though they are over: somebody is looked up, not let in.
    """

    def __init__(
        self,
        key_sets: Callable[[], list[KeySet]],
        revocations: Mapping[str, RevocationList],
        now_ms: Callable[[], int],
        *,
        whenever: bool = False,
    ) -> None:
        self._key_sets, self._revocations, self._now_ms = key_sets, revocations, now_ms
        self._whenever = whenever

    def handle(self, text: str) -> str:
        """See `Codes.handle`."""
        found = verify(text, Trust(self._key_sets()), self._revocations, None, self._now_ms())
        if found.claims is None or not (self._whenever or _SAMPLING in found.uses):
            said = f"{found.told('zh')[0]} {found.told('en')[0]}"
            raise SamplingRefused("identity", f"The code is not good: {said}.", where="person", fix="Take a card.")
        return found.claims.handle.hex()


class _RevokedHere:
    """What this node has revoked, looked up code by code."""

    floor_ms: Final = 0

    def __init__(self, bundles: BundleStore, made_ms: int) -> None:
        self._bundles, self.made_ms = bundles, made_ms

    def __contains__(self, handle: bytes) -> bool:
        """Whether a bundle is revoked."""
        return self._bundles.looked_up(handle.hex())[1]


def node_identities(
    config: Config, database: Database, now_ms: Callable[[], int], *, whenever: bool
) -> KeyedIdentities:
    """Who somebody is, at the centre.

    Args:
        database: opened by whoever made it. now_ms: the time, ms since 1970.
        whenever: as of `SampledCodes`: a code that is over, or revoked, still says whose it was.
    """
    ring = key_ring(config)
    revoked = {ring.issuer: _RevokedHere(BundleStore(database), now_ms())}
    # A node that issues no codes has no keys of them: then no code is good here.
    codes = SampledCodes(
        lambda: [ring.key_set(now_ms())] if ring.terms(now_ms()) else [], revoked, now_ms, whenever=whenever
    )
    return KeyedIdentities(persons_of(config, database), codes, BundleStore(database))


def station_identities(folder: Path, now_ms: Callable[[], int]) -> KeyedIdentities:
    """Who somebody is, at a station away from the centre, by what lies in its folder.

    Raises:
        StateError: the key of persons is not there. CodeError: keys or revocations are not as they were signed.
    """
    station_key(folder)  # said before anybody is asked for a card
    persons = Persons(lambda: station_key(folder))
    if not (folder / KEY_SET_FILE).is_file():
        return KeyedIdentities(persons)
    key_set = read_key_set((folder / KEY_SET_FILE).read_bytes())
    news = read_news((folder / REVOCATIONS_FILE).read_bytes(), [key_set])
    known = {key_set.issuer: no_revocations(key_set.issuer).applied(news)}
    return KeyedIdentities(persons, SampledCodes(lambda: [key_set], known, now_ms))


def give_codes(folder: Path, key_set: KeySet, news: bytes) -> None:
    """Give a station's folder what it verifies codes by: the key set, and the list of what was revoked.

    Raises:
        StateError: it cannot be written.
    """
    try:
        for name, content in ((KEY_SET_FILE, key_set.document), (REVOCATIONS_FILE, news)):
            draft = folder / f"{name}.new"
            draft.write_bytes(content)
            draft.replace(folder / name)
    except OSError as error:
        raise StateError(f"Keys of codes cannot be written: {error.strerror}.", where=str(folder)) from error
