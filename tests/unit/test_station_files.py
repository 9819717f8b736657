"""The station's page has everything that it may ever load, before the network goes."""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import pytest

from hutong.app.stations_site import station_files
from hutong.kernel.web.texts import LANGUAGES

if TYPE_CHECKING:
    from hutong.sampling.station.web.files import StationFiles

_LOADED = re.compile(r"""(?:^import\b[^;"]*|\bfrom|\bimport\()\s*"([^"]+)\"""", re.MULTILINE)
_LINKED = re.compile(r"""(?:href|src)="(/[^"?]+)""")


@pytest.fixture(scope="module")
def files() -> StationFiles:
    return station_files("centre")


def text_of(files: StationFiles, path: str) -> str:
    found = files.file(path, "", "zh")
    assert found is not None, path
    return found.body.decode()


def test_all_that_a_page_or_a_script_loads_is_kept_on_the_device(files: StationFiles) -> None:
    listed = json.loads(text_of(files, "/station/files"))
    kept = set(listed["paths"])
    for path, lang in [(path, lang) for path in kept for lang in LANGUAGES]:
        found = files.file(path.partition("?")[0], path.partition("?")[2], lang)
        assert found is not None
        assert found.tag in listed["tags"]
    assert {"/station/", *(f"/station/?lang={lang}" for lang in LANGUAGES)} <= kept
    pages = _LINKED.findall(text_of(files, "/station/"))
    assert set(pages) - kept == set()
    scripts = [path for path in kept if PurePosixPath(path).suffix == ".js"]
    loaded = {urljoin(path, name) for path in scripts for name in _LOADED.findall(text_of(files, path))}
    assert {"/codes/static/verification.js", "/codes/static/vendor/qr/decode.js"} <= loaded
    assert loaded - kept == set()
    for path in kept:
        text_of(files, path)


def test_the_page_says_whose_version_it_is(files: StationFiles) -> None:
    said = json.loads(text_of(files, "/station/files"))["version"]
    assert f'content="{said}"' in text_of(files, "/station/")
    assert station_files("other").version != said
