"""What is vendored is what its checksum file says, with its licence beside it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from hutong.codes import public
from hutong.kernel.web.frame import STATIC
from hutong.sampling.station import web as station

CODES = Path(public.__path__[0]) / "static"
ECHARTS, HTMX = STATIC / "vendor" / "echarts", STATIC / "vendor" / "htmx"
QR, ED25519 = CODES / "vendor" / "qr", CODES / "vendor" / "noble-ed25519"


@pytest.mark.parametrize("folder", [ECHARTS, HTMX, QR, ED25519], ids=lambda folder: folder.name)
def test_vendored_files_are_unchanged_and_complete(folder: Path) -> None:
    lines = (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    sums = {name: digest for digest, name in (line.split("  ") for line in lines)}
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {"SHA256SUMS"}
    assert set(sums) == files
    for name, digest in sums.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name


def test_the_licences_stand_beside() -> None:
    assert "Zero-Clause BSD" in (HTMX / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in (ECHARTS / "LICENSE").read_text(encoding="utf-8")
    assert "Apache ECharts" in (ECHARTS / "NOTICE").read_text(encoding="utf-8")
    assert "MIT License" in (QR / "LICENSE-MIT").read_text(encoding="utf-8")
    assert "The MIT License" in (ED25519 / "LICENSE").read_text(encoding="utf-8")


def test_no_page_or_style_names_another_host() -> None:
    files = [*STATIC.rglob("*"), *CODES.rglob("*"), *(Path(station.__path__[0]) / "static").rglob("*")]
    own = [path for path in files if path.suffix in {".css", ".js"} and "vendor" not in path.parts]
    assert own
    for path in own:
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"""(?:\w:|["'`(]\s*)//""", text), path
