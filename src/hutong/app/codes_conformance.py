"""Judges a collection of the EU's test cases and writes down what was found: `hutong codes conformance`."""

from __future__ import annotations

import csv
import io
import sys
import zipfile
from pathlib import Path  # noqa: TC003  # cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.progress import track

from hutong.codes.frameworks.cases import judge_case
from hutong.codes.frameworks.errors import DccError
from hutong.kernel.errors import HutongError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hutong.codes.frameworks.cases import Finding, PictureReader

COLUMNS = ("file", "flag", "expected", "got")
#: Longest case file, bytes; those with large pictures have some 200 kB.
MAX_CASE = 4 << 20
#: Most cases in one collection.
MAX_CASES = 10_000

_WORDS = {True: "true", False: "false", None: ""}


def conformance(
    source: Annotated[Path, Parameter(name="ZIP_OR_DIR", help="用例,ZIP 或目录 / the cases: a ZIP file or a folder")],
    /,
    *,
    out: Annotated[Path, Parameter(help="结果 CSV:file,flag,expected,got / where the results go")],
) -> None:
    """评判欧盟数字新冠证书用例 / Judge the EU Digital COVID Certificate's test cases."""
    if picture_reader() is None:
        sys.stderr.write("未安装 zxing-cpp,图片不评判 / zxing-cpp is not installed: pictures are not judged\n")
    console = Console(stderr=True)
    cases = track(read_cases(source), "用例 cases", console=console, transient=True, disable=not console.is_terminal)
    found = list(judge(cases))
    out.write_text(findings_csv(found), encoding="utf-8")
    total = sum(len(findings) for _, findings in found)
    apart = [(name, it) for name, findings in found for it in findings if not it.agrees]
    for name, it in apart:
        got = "-" if it.got is None else str(it.got).lower()
        sys.stdout.write(f"{name} {it.flag} 预期 expected {str(it.expected).lower()}, 得 got {got} {it.why}\n")
    share = 100 * (total - len(apart)) / max(total, 1)
    sys.stdout.write(
        f"{len(found)} 用例 cases, {total} 预期 expectations, "
        f"{total - len(apart)} 一致 agree ({share:.2f} %), {len(apart)} 不一致 deviate\n"
    )


def read_cases(source: Path) -> list[tuple[str, bytes]]:
    """The cases of a ZIP file or a folder, by name: every *.json at any depth.

    Raises:
        HutongError: there are none, too many, one is too long, or the source cannot be read.
    """
    try:
        found = list(_in_folder(source) if source.is_dir() else _in_archive(source))
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise HutongError(f"The cases cannot be read: {error}.", where=str(source)) from error
    if not found:
        raise HutongError("There are no cases in it.", where=str(source), fix="Name a folder or a ZIP of JSON files.")
    return sorted(found)


def _in_folder(source: Path) -> Iterator[tuple[str, bytes]]:
    for count, path in enumerate(source.rglob("*.json")):
        name = path.relative_to(source).as_posix()
        _bound(source, name, path.stat().st_size, count)
        yield name, path.read_bytes()


def _in_archive(source: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(source) as archive:
        members = (it for it in archive.infolist() if it.filename.endswith(".json"))
        for count, member in enumerate(members):
            _bound(source, member.filename, member.file_size, count)
            yield member.filename, archive.read(member)


def _bound(source: Path, name: str, size: int, count: int) -> None:
    if size > MAX_CASE:
        raise HutongError(f"{name} has {size} bytes; {MAX_CASE} are read at most.", where=str(source))
    if count >= MAX_CASES:
        raise HutongError(f"There are more than {MAX_CASES} cases.", where=str(source))


def judge(cases: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, list[Finding]]]:
    """Each case's name and findings.

    Raises:
        HutongError: a file is no case.
    """
    reader = picture_reader()
    for name, data in cases:
        try:
            yield name, judge_case(data, reader)
        except DccError as error:
            raise HutongError(error.what, where=name) from error


def findings_csv(found: Iterable[tuple[str, list[Finding]]]) -> str:
    """A line for every expectation; `got` is empty where the case lacks what the flag is about."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name, findings in found:
        writer.writerows((name, it.flag, _WORDS[it.expected], _WORDS[it.got]) for it in findings)
    return text.getvalue()


def picture_reader() -> PictureReader | None:
    """What reads QR codes out of pictures; None where the library for it (zxing-cpp) is not installed."""
    try:
        import zxingcpp  # noqa: PLC0415  # only this command needs it, and only tests and developers have it
        from PIL import Image  # noqa: PLC0415
    except ImportError:
        return None

    def read(picture: bytes) -> str:
        try:
            with Image.open(io.BytesIO(picture)) as image:
                found = zxingcpp.read_barcodes(image, formats=zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode]))
        except (OSError, ValueError, SyntaxError):
            return ""
        return found[0].text if found else ""

    return read
