"""Proofs that an entry is in the trail (c2sp.org/tlog-proof), verified with nothing but a public key. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hutong.kernel.audit.entry import Entry, read_entry
from hutong.kernel.audit.merkle import included_root, leaf_hash
from hutong.kernel.audit.notes import NoteError, open_note, read_checkpoint, read_proof

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hutong.kernel.audit.notes import PublicKey


class Proven(msgspec.Struct, frozen=True):
    """What a proof shows: this entry has this number in the log of this origin, which had `size` entries then."""

    number: int
    entry: Entry
    origin: str
    size: int


def verify_proof(text: str, keys: Iterable[PublicKey]) -> Proven:
    """What a proof shows.

    Args:
        text: the proof. keys: any of which may have signed its checkpoint.

    Raises:
        NoteError: it is no proof, no known key signed it, or it does not hold.
    """
    proof = read_proof(text)
    checkpoint = read_checkpoint(open_note(proof.note, keys))
    root = included_root(proof.index, checkpoint.size, leaf_hash(proof.entry), proof.path)
    if root != checkpoint.root:
        raise NoteError("The proof does not hold: the entry, its number or the hashes are not those of this log.")
    entry = read_entry(proof.entry)
    if entry is None:
        raise NoteError("What is proven is no entry of a trail.")
    return Proven(proof.index + 1, entry, checkpoint.origin, checkpoint.size)
