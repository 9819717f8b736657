"""`hutong codes verify`: codes verified offline; takes a key set and, where there is one, a revocation list."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from cyclopts import Parameter

from hutong.app.codes_keys_cli import ConfigFile, DataFolder  # noqa: TC001  # cyclopts reads the annotations
from hutong.app.codes_work import key_ring
from hutong.app.config import load_config
from hutong.codes.frameworks.framework import EuDcc
from hutong.codes.frameworks.signers import read_signers
from hutong.codes.keys import read_key_set
from hutong.codes.revocation import no_revocations, read_news
from hutong.codes.verification import Trust, verify
from hutong.kernel.cases.calendar import show_moment
from hutong.kernel.clock import SystemClock
from hutong.kernel.errors import StateError
from hutong.kernel.lists.csv_file import read_time
from hutong.kernel.web.texts import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hutong.codes.outcome import Outcome
    from hutong.codes.revocation import Revocations

_NS_IN_MS: Final = 1_000_000
_COLOURS: Final = {"green": "绿码", "yellow": "黄码", "red": "红码"}
_LONGEST: Final = 1 << 26


def verify_command(
    code: Annotated[
        str,
        Parameter(
            name="TEXT|FILE|-",
            allow_leading_hyphen=True,
            help="码、每行一码的文件、- 为标准输入 / a code, a file of codes, or - for standard input",
        ),
    ],
    /,
    *,
    keys: Annotated[
        tuple[Path, ...], Parameter(help="密钥表,可多次;缺省为本节点的 / key sets; this node's by default")
    ] = (),
    revocations: Annotated[
        tuple[Path, ...], Parameter(help="注销表,可依次多次 / revocation lists, each the news since the last")
    ] = (),
    signers: Annotated[
        tuple[Path, ...],
        Parameter(help="欧盟数字新冠证书的签发者证书 (PEM/DER),可多次 / certificates of signers of EU certificates"),
    ] = (),
    at: Annotated[str, Parameter(help="以此时刻核验 / verify as of then, such as 2026-03-02T08:00:00+08:00")] = "",
    json: Annotated[bool, Parameter(negative="", help="每码一行 JSON / one JSON object for a code")] = False,
    config: ConfigFile = None,
    data: DataFolder = None,
) -> int:
    """离线核验;有一码无效则状态 1 / Verify codes offline; status 1 if one of them is not valid."""
    now_ms = _moment(at)
    if keys or signers:
        sets = [read_key_set(_read(file)) for file in keys]
    else:
        sets = [key_ring(load_config(config, data=data)).key_set(now_ms)]
    abroad = [EuDcc(signer for file in signers for signer in read_signers(_read(file)))] if signers else []
    trust, known = Trust(sets, frameworks=abroad), dict[str, "Revocations"]()
    for file in revocations:
        news = read_news(_read(file), trust.key_sets)
        before = known.get(news.head.iss, no_revocations(news.head.iss))
        known[before.issuer] = before.applied(news)
    outcomes = [_judged(text, trust, known, now_ms, json=json) for text in _codes(code)]
    if not outcomes:
        raise StateError("There is no code in it.", where=code[:80])
    return 0 if all(it.is_valid for it in outcomes) else 1


def _judged(text: str, trust: Trust, known: Mapping[str, Revocations], now_ms: int, *, json: bool) -> Outcome:
    found = verify(text, trust, known, None, now_ms)
    if json:
        sys.stdout.write(msgspec.json.encode(_told(found)).decode() + "\n")
        return found
    zh, en = (found.told(language) for language in LANGUAGES)
    lines = [f"{zh[0]} / {en[0]}"]
    claims = found.claims
    if claims is not None:
        colour = f"{_COLOURS[claims.colour]} {claims.colour}  " if claims.colour else ""
        lines.append(f"  {colour}{claims.name} ···{claims.tail}  {claims.kind}  {claims.issuer}")
    if found.facts:
        lines.append("  " + "  ".join(found.facts.values()))
    lines += [f"  {one}\n  {other}" for one, other in zip(zh[1:], en[1:], strict=True)]
    if found.keys_made_ms:
        lines.append(f"  密钥表 keys: {show_moment(found.keys_made_ms)}")
    sys.stdout.write("\n".join(lines) + "\n")
    return found


def _told(found: Outcome) -> dict[str, Any]:
    claims = None
    if found.claims is not None:
        values = msgspec.structs.asdict(found.claims)
        claims = {name: it.hex() if isinstance(it, bytes) else it for name, it in values.items()}
    told = {language: found.told(language) for language in LANGUAGES}
    return {
        "verdict": found.verdict,
        "warnings": found.warnings,
        "uses": found.uses,
        "claims": claims,
        "framework": found.framework,
        "facts": found.facts,
        "keys_made_ms": found.keys_made_ms,
        "revocations_made_ms": found.revocations_made_ms,
        **told,
    }


def _codes(code: str) -> list[str]:
    if code == "-":
        text = sys.stdin.read()
    elif ":" in code[:8] and not Path(code).exists():
        return [code]
    else:
        text = _read(Path(code)).decode("utf-8", "replace")
    return [line for line in text.splitlines() if line.strip()]


def _moment(at: str) -> int:
    if not at:
        return SystemClock().wall() // _NS_IN_MS
    return read_time(at, "--at") * 1000


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as source:
            content = source.read(_LONGEST + 1)
    except OSError as error:
        raise StateError(f"The file cannot be read: {error.strerror}.", where=str(file)) from error
    if len(content) > _LONGEST:
        raise StateError(f"The file has more than {_LONGEST:,} bytes.", where=str(file), fix="Split it.")
    return content
