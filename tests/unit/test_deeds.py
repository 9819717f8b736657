"""Every deed that is written into the trail has a name in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import hutong
from hutong.kernel.access import pages
from hutong.kernel.web.frame import Frame

_SYSTEMS = "session|account|people|tokens|lists|rules|numbers|tables|appeals|bulletins|handoffs"
_DEED = re.compile(rf"\"((?:{_SYSTEMS})\.[a-z_]+)\"")
_RECORDS = re.compile(r"\b(?:record|deed|_record)\b")


def test_every_deed_has_a_name() -> None:
    texts = Frame([pages.HOME]).texts
    deeds = set()
    for file in Path(hutong.__file__).parent.rglob("*.py"):
        for line in file.read_text(encoding="utf-8").splitlines():
            if _RECORDS.search(line) and "requires(" not in line and ".can(" not in line:
                deeds |= set(_DEED.findall(line))
    assert {"lists.add", "numbers.unmask", "people.role", "session.start"} <= deeds
    assert {deed for deed in deeds if f"deeds.{deed}" not in texts} == set()
