"""Files that prove something: hostile names, types and sizes, and files that changed."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING

import pytest

from case_samples import MONDAY
from hutong.kernel.cases import attachments
from hutong.kernel.cases.attachments import FOLDER, Attachments, show_name
from hutong.kernel.cases.errors import CaseError, CaseRefused
from hutong.kernel.records import Database, database_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PDF = b"%PDF-1.7 a report"


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Attachments]:
    database = Database(database_url("", tmp_path))
    database.open()
    yield Attachments(tmp_path, database)
    database.close()


def keep(files: Attachments, content: bytes, name: str = "report.pdf") -> attachments.Attachment:
    return files.keep(io.BytesIO(content), name, "wang", MONDAY, str)[0]


def test_a_file_is_kept_once_under_its_hash(files: Attachments, tmp_path: Path) -> None:
    one, two = keep(files, PDF), keep(files, PDF, "other.pdf")
    assert one == two
    assert (one.sha256, one.media, one.size) == (hashlib.sha256(PDF).hexdigest(), "application/pdf", len(PDF))
    kept = [path for path in (tmp_path / FOLDER).rglob("*") if path.is_file()]
    assert kept == [tmp_path / FOLDER / one.sha256[:2] / one.sha256]
    assert kept[0].stat().st_mode & 0o077 == 0
    assert files.read(one.sha256) == PDF


@pytest.mark.parametrize(
    ("content", "media"),
    [
        (b"\x89PNG\r\n\x1a\n...", "image/png"),
        (b"\xff\xd8\xff\xe0...", "image/jpeg"),
        ("重测录音说明".encode(), "text/plain"),
        ("重测录音说明".encode("gb18030"), "text/plain"),
    ],
)
def test_the_type_is_told_from_the_bytes(files: Attachments, content: bytes, media: str) -> None:
    assert keep(files, content, "virus.exe").media == media


def test_a_long_text_is_a_text_wherever_a_block_ends(files: Attachments) -> None:
    assert keep(files, ("a" + "证" * 40_000).encode()).media == "text/plain"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"MZ\x90\x00",
        b"\x7fELF\x02",
        b"PK\x03\x04 an archive or an office file with macros",
        b"#!/bin/sh\nrm -rf /",
        b"<html><script>alert(1)</script>",
        b"hello <SCRIPT src=x>",
        b"<?xml version='1.0'?><svg onload=alert(1)>",
        b"text with a \0 in it",
        b"\xff\xfe\xfd",
    ],
)
def test_what_could_run_or_is_unknown_is_refused_and_nothing_is_left(
    files: Attachments, tmp_path: Path, content: bytes
) -> None:
    with pytest.raises(CaseRefused):
        keep(files, content)
    assert not [path for path in (tmp_path / FOLDER).rglob("*") if path.is_file()]


def test_a_file_that_is_too_large_is_refused(
    files: Attachments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attachments, "LARGEST", 1 << 20)
    with pytest.raises(CaseRefused):
        keep(files, PDF + bytes(1 << 20))
    assert not [path for path in (tmp_path / FOLDER).rglob("*") if path.is_file()]


def test_what_is_refused_keeps_no_file_and_takes_none_away(files: Attachments, tmp_path: Path) -> None:
    def refuse(sha256: str) -> None:
        raise CaseRefused("not-allowed", sha256)

    def there() -> list[Path]:
        return [path for path in (tmp_path / FOLDER).rglob("*") if path.is_file()]

    with pytest.raises(CaseRefused, match=hashlib.sha256(PDF).hexdigest()):
        files.keep(io.BytesIO(PDF), "report.pdf", "wang", MONDAY, refuse)
    assert there() == []
    with pytest.raises(CaseRefused, match="No file"):
        files.about(hashlib.sha256(PDF).hexdigest())
    kept = keep(files, PDF)
    with pytest.raises(CaseRefused):
        files.keep(io.BytesIO(PDF), "again.pdf", "li", MONDAY, refuse)
    assert files.read(kept.sha256) == PDF


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\windows\\system32\\a.pdf", "a.pdf"),
        ("a\0b\n\u202efdp.exe", "abfdp.exe"),
        ("", "file"),
        ("..", "file"),
        ("x" * 300 + ".pdf", "x" * 96 + ".pdf"),
        ("证据 一.pdf", "证据 一.pdf"),
    ],
)
def test_a_name_is_for_reading_only(files: Attachments, name: str, shown: str) -> None:
    assert show_name(name) == shown
    assert keep(files, PDF, name).name == shown


@pytest.mark.parametrize("sha256", ["", "../../etc/passwd", "a" * 64, "A" * 64, "\0"])
def test_what_is_not_kept_is_not_read(files: Attachments, sha256: str) -> None:
    with pytest.raises(CaseRefused):
        files.read(sha256)


def test_a_file_that_changed_or_went_is_not_taken_for_proof(files: Attachments, tmp_path: Path) -> None:
    sha256 = keep(files, PDF).sha256
    place = tmp_path / FOLDER / sha256[:2] / sha256
    place.write_bytes(b"%PDF-1.7 another report")
    with pytest.raises(CaseError, match="not what was kept"):
        files.read(sha256)
    place.unlink()
    with pytest.raises(CaseError, match="is gone"):
        files.read(sha256)
