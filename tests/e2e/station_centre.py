"""A centre that stations merge with: `hutong sampling serve` on a folder of its own, and what tests ask of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from e2e.processes import HUTONG, Process, free_port
from hutong.app.codes_work import code_issuer, key_ring
from hutong.app.config import load_config
from hutong.app.persons_work import persons_of
from hutong.app.sampling_work import open_sampling
from hutong.app.stations_site import pairings_of
from hutong.codes.issuing import Bearer
from hutong.kernel.access.people import People
from hutong.kernel.identity_documents import Document, canonical
from hutong.kernel.records import Database, database_url

if TYPE_CHECKING:
    from pathlib import Path

DISTRICT, OTHER_DISTRICT = "610100", "610102"
_SETTINGS: Final = """\
[node]
name = "centre"

[sampling]
listen = "127.0.0.1:{port}"
"""


class Centre:
    """`hutong sampling serve` on a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.base = f"http://127.0.0.1:{(port := free_port())}"
        self.folder, self.data, self.settings = folder, folder / "data", folder / "hutong.toml"
        self.data.mkdir()
        self.settings.write_text(_SETTINGS.format(port=port), encoding="utf-8")
        self.common = ["--config", str(self.settings), "--data", str(self.data)]
        self.config = load_config(self.settings, data=self.data)
        self.database = Database(database_url("", self.data))
        self.database.open()
        for name in ("s1", "s2", "s3", "s4"):
            People(self.database).add(name, name, "operator", now_ms())
        key_ring(self.config).rotate(now_ms())
        self.process = Process("stations", [*HUTONG, "sampling", "serve", *self.common], folder)

    def code(self, station: str, district: str = DISTRICT) -> str:
        """A pairing code."""
        return pairings_of(self.config, self.database).begin(station, district, now_ms())

    def person(self, card: str) -> str:
        """The pseudonym of a card."""
        document = canonical("id", card)
        assert isinstance(document, Document)
        return persons_of(self.config, self.database).of(document)

    def paper(self, person: str) -> str:
        """A paper code of somebody."""
        bearer = Bearer(
            person=person, who=b"w" * 12, kind="own", name="王*", tail="2X", colour="green", as_of_ms=now_ms()
        )
        return code_issuer(self.config, self.database).paper(bearer, now_ms()).text

    def people(self, tube: str) -> list[list[str]]:
        """Of each tube with this barcode, who is in it."""
        return [
            [it.person for it in each.members] for each in open_sampling(self.config, self.database).story(tube).tubes
        ]


def now_ms() -> int:
    return time.time_ns() // 10**6
