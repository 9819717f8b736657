"""Installed pages: files that are the same for everybody, each made once, and how they are answered. ASGI's plain side.

Belongs here: what a page needs that opens with no network, whichever system it is of. Not here: any page.
"""

from __future__ import annotations

import gzip
import hashlib
from typing import TYPE_CHECKING, Final

import msgspec

from hutong.kernel.web.plain import Answer, problem
from hutong.kernel.web.security import SECURITY_HEADERS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hutong.kernel.web.texts import Texts

_TYPES: Final = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
}
#: What is served out of a folder of static files: licences and checksums stay.
_SERVED: Final = {".js", ".css", ".svg"}
#: Headers of every answer. The camera is for pages that scan; a manifest belongs to an installed page.
HEADERS: Final = (
    *(
        (name.lower().encode(), value.encode())
        for name, value in SECURITY_HEADERS.items()
        if name not in {"Permissions-Policy", "Content-Security-Policy"}
    ),
    (b"permissions-policy", b"camera=(self), geolocation=(), microphone=()"),
    (b"content-security-policy", f"{SECURITY_HEADERS['Content-Security-Policy']}; manifest-src 'self'".encode()),
)


class File(msgspec.Struct, frozen=True):
    """A file as it is answered.

    Attributes:
        type: its content type. body, packed: plain, and gzip (RFC 1952) where that is smaller, else empty.
        tag: its entity tag (RFC 9110 §8.8.3).
    """

    type: str
    body: bytes
    packed: bytes
    tag: str


def file_of(suffix: str, body: bytes) -> File:
    """A file of this kind, with its packed form and its tag."""
    kind = _TYPES[suffix]
    packed = gzip.compress(body, 9, mtime=0)
    text = kind if kind == "application/json" else f"{kind}; charset=utf-8"
    return File(text, body, packed if len(packed) < len(body) else b"", f'"{hashlib.sha256(body).hexdigest()[:16]}"')


def static_files(folder: Path, prefix: str) -> dict[str, bytes]:
    """What is served of a folder, by the path below `prefix`."""
    found = [path for path in sorted(folder.rglob("*")) if path.suffix in _SERVED]
    return {f"{prefix}{path.relative_to(folder)}": path.read_bytes() for path in found}


def version_of(bodies: Mapping[str, bytes]) -> str:
    """A name of these files as they are: other as soon as one of them is."""
    return hashlib.sha256(b"".join(bodies[path] for path in sorted(bodies))).hexdigest()[:12]


def words_of(texts: Texts, said: Mapping[str, str], language: str) -> dict[str, str]:
    """What scripts say in a language; places in braces are theirs to fill in.

    Args:
        said: groups of texts (`name.`), and what scripts call these.
    """
    return {
        f"{prefix}{key.removeprefix(group)}": texts.template(key, language)
        for key in texts.keys()  # noqa: SIM118  # texts are no mapping
        for group, prefix in said.items()
        if key.startswith(group)
    }


def in_page(value: object) -> str:
    """A value as JSON that may stand within a page's element of data."""
    return msgspec.json.encode(value).decode().replace("<", "\\u003c")


def manifest(name: str, short_name: str, home: str) -> bytes:
    """The manifest (W3C Web Application Manifest) of the page at `home`."""
    icon = {"src": "/static/mark.svg", "type": "image/svg+xml", "sizes": "any"}
    return msgspec.json.encode(
        {
            "name": name,
            "short_name": short_name,
            "start_url": home,
            "scope": home,
            "display": "standalone",
            "background_color": "#f3f5f7",
            "theme_color": "#16202b",
            "icons": [icon],
        }
    )


def file_answer(found: File | None, method: str, headers: Mapping[bytes, bytes], kind: str) -> Answer:
    """The answer to a request for a file: whole, packed, unchanged (304), or a problem of `kind`."""
    if found is None:
        return problem(404, kind, "path")
    if method not in {"GET", "HEAD"}:
        return problem(405, kind, "method")
    more = [
        (b"etag", found.tag.encode()),
        (b"cache-control", b"no-cache"),
        (b"vary", b"accept-encoding, accept-language"),
    ]
    if headers.get(b"if-none-match", b"").decode("latin-1") == found.tag:
        return Answer(304, found.type, b"", tuple(more))
    body = found.body
    if found.packed and b"gzip" in headers.get(b"accept-encoding", b""):
        body = found.packed
        more.append((b"content-encoding", b"gzip"))
    return Answer(200, found.type, body, tuple(more))
