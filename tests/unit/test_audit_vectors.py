"""Merkle trees and signed notes against what others published: vectors of Certificate Transparency, of Go's notes."""

from __future__ import annotations

import pytest

from hutong.kernel.audit.merkle import (
    EMPTY,
    Frontier,
    consistency_spans,
    included_root,
    inclusion_spans,
    is_consistent,
    leaf_hash,
)
from hutong.kernel.audit.notes import (
    Checkpoint,
    NoteError,
    UnknownKeyError,
    notes_in,
    open_note,
    read_checkpoint,
    read_public_key,
    read_signer,
    whole_notes_end,
)

# The eight leaves, roots and paths that implementations of RFC 6962 are tested with.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
A, B, C, D, E, F = (
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
)

# The key and the note of the example in the documentation of golang.org/x/mod/sumdb/note.
PRIVATE = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
PUBLIC = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
NOTE = (
    TEXT + "\n— PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def root_of(leaves: list[bytes]) -> bytes:
    tree = Frontier()
    for leaf in leaves:
        tree.append(leaf_hash(leaf))
    return tree.root()


def hexes(spans: list[tuple[int, int]]) -> list[str]:
    return [root_of(LEAVES[first:end]).hex() for first, end in spans]


def test_roots() -> None:
    assert EMPTY.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert root_of([]) == EMPTY
    assert [root_of(LEAVES[:size]).hex() for size in range(1, 9)] == ROOTS


@pytest.mark.parametrize(
    ("leaf", "size", "path"),
    [(1, 1, []), (1, 8, [A, B, C]), (6, 8, [D, E, ROOTS[3]]), (3, 3, [ROOTS[1]]), (2, 5, [ROOTS[0], B, D])],
)
def test_inclusion(leaf: int, size: int, path: list[str]) -> None:
    assert hexes(inclusion_spans(leaf - 1, size)) == path
    root = included_root(leaf - 1, size, leaf_hash(LEAVES[leaf - 1]), [bytes.fromhex(it) for it in path])
    assert root is not None
    assert root.hex() == ROOTS[size - 1]


@pytest.mark.parametrize(
    ("old", "new", "path"), [(1, 1, []), (1, 8, [A, B, C]), (6, 8, [F, E, ROOTS[3]]), (2, 5, [B, D])]
)
def test_consistency(old: int, new: int, path: list[str]) -> None:
    assert hexes(consistency_spans(old, new)) == path
    roots = bytes.fromhex(ROOTS[old - 1]), bytes.fromhex(ROOTS[new - 1])
    assert is_consistent(old, new, *roots, [bytes.fromhex(it) for it in path])


def test_a_note_that_go_signed() -> None:
    signer, key = read_signer(PRIVATE), read_public_key(PUBLIC)
    assert signer.public == key
    assert (str(key), signer.private_text()) == (PUBLIC, PRIVATE)
    assert signer.sign(TEXT) == NOTE
    assert open_note(NOTE, [key]) == TEXT


def test_a_note_is_held_to_known_keys_only() -> None:
    key = read_public_key(PUBLIC)
    other = "— somebody.example/else AAAAAAAAAAA=\n"
    assert open_note(NOTE + other, [key]) == TEXT
    with pytest.raises(UnknownKeyError):
        open_note(NOTE, [])
    with pytest.raises(UnknownKeyError):
        open_note(f"{TEXT}\n{other}", [key])
    for wrong in (NOTE.replace("answer", "problem"), NOTE.replace("ZJku", "ZJkv")):
        with pytest.raises(NoteError, match="PeterNeumann does not fit"):
            open_note(wrong, [key])
    for none in ("", TEXT, f"{TEXT}\n", NOTE[:-1], NOTE.replace("— ", "- "), NOTE.replace("AM=", "AN=")):
        with pytest.raises(NoteError):
            open_note(none, [key])


@pytest.mark.parametrize(
    "text",
    ["", "a", "PeterNeumann+c74f20a3", PUBLIC[:-4], PUBLIC.replace("c74f", "c74e"), PUBLIC.replace("+AR", "+AA")],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        read_public_key(text)
    with pytest.raises(NoteError) as refused:
        read_signer("PRIVATE+KEY+" + text)
    assert "c74" not in str(refused.value)


def test_a_checkpoint_of_others_is_read() -> None:
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    found = read_checkpoint(text)
    assert (found.origin, found.size, found.root[:2].hex()) == ("example.com/behind-the-sofa", 20852163, "0ac5")
    assert found.text() == text
    assert read_checkpoint(text + "more\n") == found
    for wrong in (
        "",
        text[:-1],
        text.replace("2085", "0285"),
        text.replace("q2I=", "q2J="),
        text.replace("\nCs", "\n\nCs"),
    ):
        with pytest.raises(NoteError):
            read_checkpoint(wrong)


def test_a_file_of_notes_ends_with_the_last_whole_one() -> None:
    signer = read_signer(PRIVATE)
    notes = [signer.sign(Checkpoint("log", size, bytes(32)).text()) for size in (1, 22, 333)]
    content = "".join(notes).encode()
    assert notes_in(content) == notes
    for cut in range(len(content)):
        whole = notes_in(content[:cut])
        assert whole == notes[: len(whole)]
        assert whole_notes_end(content[:cut]) == len("".join(whole).encode())
