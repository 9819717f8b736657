"""The pack as bytes: files, a manifest with the SHA-256 of each, a signature over the manifest. Pure.

The same material gives the same bytes: files stand in order, their times are when the pack was made, JSON has its keys
in order.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import msgspec

from hutong.kernel.reporter import rfc3339_ms
from hutong.kernel.spreadsheet import harmless
from hutong.orders.evidence.material import COLUMNS, Cut

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hutong.kernel.audit.notes import Signer
    from hutong.orders.evidence.material import Material

FORMAT: Final = "hutong-evidence-pack-1"
MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.sig"
PROOFS: Final = "proofs/"
CHECKPOINT: Final = "proofs/checkpoint.txt"
_ZONE: Final = ZoneInfo("Asia/Shanghai")
_UNIX: Final = 3  # the system that a member's mode is of (APPNOTE.TXT 4.4.2)
_MODE: Final = 0o100640 << 16
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9@._+-]")


class File(msgspec.Struct, frozen=True):
    """A file of the pack as the manifest names it."""

    name: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What a pack holds and what it is about.

    Attributes:
        made: RFC 3339. key: the public key that signed; a copy, not to be trusted by itself.
        cuts: what is not in the pack whole; packs of before do not tell.
    """

    format: str
    node: str
    made: str
    made_by: str
    purpose: str
    about: dict[str, Any]
    counts: dict[str, int]
    key: str
    files: list[File]
    cuts: list[Cut] = []


def data_files(it: Material) -> dict[str, bytes]:
    """The files that machines read, by name."""
    files = {
        "calls.csv": _csv(it.calls.calls),
        "calls.json": _json({"calls": it.calls.calls, "cut": bool(it.calls.cut)}),
        "lists.json": _json(it.calls.lists),
        "windows.json": _json(it.calls.windows),
        "proofs/entries.json": _json(it.entries),
        CHECKPOINT: it.checkpoint.encode(),
    }
    files |= {f"rules/{_safe(name)}.json": _json(rule) for name, rule in it.calls.rules.items()}
    for folder, stories in (("orders", it.orders), ("cases", it.cases)):
        files |= {f"{folder}/{_safe(story.id)}.json": _json(story) for story in stories}
    return files | {f"{PROOFS}{number:09d}.tlog-proof": proof.encode() for number, proof in it.proofs.items()}


def sealed(it: Material, files: Mapping[str, bytes], signer: Signer) -> bytes:
    """The pack: these files, their manifest, its signature."""
    named = [File(name, len(files[name]), hashlib.sha256(files[name]).hexdigest()) for name in sorted(files)]
    subject = it.subject
    about = {"kind": subject.kind, "id": subject.id, "title": subject.title}
    about |= {"since": rfc3339_ms(subject.since_ms), "until": rfc3339_ms(subject.until_ms)}
    counts = {"calls": len(it.calls.calls), "orders": len(it.orders), "cases": len(it.cases), "proofs": len(it.proofs)}
    made = rfc3339_ms(it.made_ms)
    told = Manifest(FORMAT, it.node, made, it.made_by, it.purpose, about, counts, it.key, named, list(it.cuts))
    manifest = _json(told)
    note = signer.sign(signed_text(manifest))
    out = io.BytesIO()
    moment = datetime.fromtimestamp(it.made_ms // 1000, UTC).astimezone(_ZONE)
    stamp = (max(moment.year, 1980), *moment.timetuple()[1:6])
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in [*sorted(files.items()), (MANIFEST, manifest), (SIGNATURE, note.encode())]:
            member = zipfile.ZipInfo(name, stamp)
            member.compress_type, member.create_system, member.external_attr = zipfile.ZIP_DEFLATED, _UNIX, _MODE
            archive.writestr(member, content, compresslevel=6)
    return out.getvalue()


def signed_text(manifest: bytes) -> str:
    """What is signed. It can be no checkpoint: the second line of one is a number."""
    return f"{FORMAT}\nsha256 {hashlib.sha256(manifest).hexdigest()}\n"


def _csv(calls: list[dict[str, Any]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows([harmless(call.get(name, "")) for name in COLUMNS] for call in calls)
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def _json(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=1) + b"\n"


def _safe(name: str) -> str:
    return _UNSAFE.sub("_", name)
