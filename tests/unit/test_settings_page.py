"""The page of settings: what runs, where it was set, what would change at the next start; never a secret."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

import msgspec
import pytest

from console_pages import ConsoleSite
from hutong.app import console as app_console
from hutong.app.config import Config, load_config
from hutong.app.console import settings as page
from hutong.app.console.settings import parts, settings_now
from hutong.kernel import settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from httpx import Response

TEXT = """\
[node]
name = "province-1"

[records]
url = "postgresql://hutong:very-secret@127.0.0.1/hutong"

[mirror]
key = "hidden-key"

[[trunks]]
name = "intl-1"
kind = "international"
networks = ["198.51.100.0/24"]

[[case_contacts]]
recipient = "unit:city"
mail = ["duty@example.org"]
"""
ENVIRON = {"HUTONG_LOG__LEVEL": "debug", "OTHER": "x"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "hutong.toml"
    path.write_text(TEXT)
    return path


@pytest.fixture
def site(data_folder: Path, file: Path) -> Iterator[ConsoleSite]:
    one = ConsoleSite(data_folder, texts=[], folders=[app_console.HOME])
    config = load_config(file, data=data_folder, environ=ENVIRON)
    one.build(
        page.routes(
            one.console, config=config, file=file, environ=ENVIRON, digest=lambda: "0123456789abcdef", trail=one.trail
        )
    )
    yield one
    one.close()


def text_of(response: Response) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", response.text)))


@pytest.mark.parametrize("role", ["operator", "auditor", "administrator"])
def test_every_setting_is_told_with_its_meaning_in_both_languages(site: ConsoleSite, role: str) -> None:
    for lang in ("zh", "en"):
        response = site.browser(role).get("/settings?size=200", lang=lang)
        assert response.status_code == 200
        said = text_of(response)
        for entry in settings.entries(Config):
            if entry.section == "oidc_roles":
                continue
            assert getattr(entry.doc, lang) in said
            assert (f"{entry.section}[1].{entry.key}" if entry.repeated else f"{entry.section}.{entry.key}") in said
        assert "0123456789abcdef" in said
        assert "litestar" in said


@pytest.mark.parametrize("role", ["viewer", "analyst"])
def test_it_is_closed_to_others(site: ConsoleSite, role: str) -> None:
    assert site.browser(role).get("/settings").status_code == 403


def test_no_secret_is_shown_or_exported(site: ConsoleSite) -> None:
    shown = site.browser().get("/settings?size=200").text
    exported = site.browser().get("/settings?format=csv").text
    for text in (shown, exported):
        assert "very-secret" not in text
        assert "hidden-key" not in text
        assert "127.0.0.1/hutong" in text
    assert "mirror.key,****" in exported
    assert [deed.target for deed in site.deeds("tables.export")] == ["settings"]


def by_name(config: Config, file: Path | None, environ: dict[str, str]) -> dict[str, page.Setting]:
    return {it.name: it for it in settings_now(config, file, environ).settings}


def test_each_value_says_where_it_was_set(file: Path, tmp_path: Path) -> None:
    config = load_config(file, data=tmp_path, environ=ENVIRON)
    found = by_name(config, file, ENVIRON)
    assert (found["node.name"].origin, found["node.name"].place) == ("file", f"{file}:2")
    assert (found["trunks[1].kind"].origin, found["trunks[1].kind"].place) == ("file", f"{file}:12")
    assert found["trunks[1].next_hop"].origin == "default"
    assert (found["log.level"].origin, found["log.level"].place) == ("environment", "HUTONG_LOG__LEVEL")
    assert (found["node.data"].origin, found["node.data"].pending) == ("command", "")
    assert found["sip.listen"].origin == "default"


def test_a_change_since_the_start_is_told(file: Path, site: ConsoleSite) -> None:
    file.write_text(TEXT.replace("province-1", "province-2").replace("198.51.100.0/24", "203.0.113.0/24"))
    said = text_of(site.browser().get("/settings"))
    assert "2 settings were changed since the start" in said
    assert 'node.name : "province-1" → "province-2"' in said
    file.write_text(TEXT + "\n[nonsense]\n")
    said = text_of(site.browser().get("/settings"))
    assert "The settings are wrong now" in said
    assert "unknown section 'nonsense'" in said
    file.unlink()
    assert "cannot read the settings" in text_of(site.browser().get("/settings"))


def test_filters_and_sort(site: ConsoleSite) -> None:
    said = text_of(site.browser().get("/settings?origin=environment"))
    assert "Rows 1–1 of 1" in said
    assert "journal.keep_hours" in text_of(site.browser().get("/settings?text=keep_hours&sort=-name"))


def test_parts_are_what_hutong_asks_for() -> None:
    found = {part.name: part.version for part in parts()}
    assert {"Hutong", "Python", "Linux", "lmdb", "litestar"} <= set(found)
    assert "pytest" not in found


def test_a_trunk_that_is_gone_from_the_file_is_pending(file: Path) -> None:
    config = load_config(file, environ={})
    file.write_text('[node]\nname = "province-1"\n')
    found = by_name(config, file, {})
    assert found["trunks[1].name"].pending
    assert msgspec.json.decode(found["trunks[1].name"].value) == "intl-1"
