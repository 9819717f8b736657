"""`hutong codes conformance`: the EU's collection where it is at hand, and cases made here."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
import segno

import dcc_samples as samples
from dcc_samples import DAY, NOW_S, Issuer, content
from hutong.app.cli import run
from hutong.codes.frameworks.hc1 import inflate, strip_prefix
from hutong.protocols import base45
from hutong.protocols.cbor import write_cbor

ROOT = Path(__file__).resolve().parents[2]
#: The collection: named by the environment, or kept in a folder beside the checkout.
FOUND = [Path(os.environ.get("HUTONG_DCC_CASES", "")), *ROOT.parent.glob("*/data/dcc/cases.zip")]
COLLECTION = next((path for path in FOUND if path.is_file()), None)


def case(**changed: Any) -> dict[str, Any]:  # noqa: ANN401
    """A case on which everything agrees; what is changed to None is left out."""
    by, said = Issuer((samples.VACCINATION_OID,)), content()
    text = by.text(said)
    compressed = base45.decode(strip_prefix(text))
    picture = io.BytesIO()
    segno.make(text, error="q").save(picture, kind="png", scale=3)
    found = {
        "JSON": said,
        "CBOR": write_cbor(said, "content", most=10_000).hex(),
        "COSE": inflate(compressed).hex(),
        "COMPRESSED": compressed.hex(),
        "BASE45": strip_prefix(text),
        "PREFIX": text,
        "2DCODE": base64.b64encode(picture.getvalue()).decode(),
        "TESTCTX": {
            "CERTIFICATE": base64.b64encode(by.certificate).decode(),
            "VALIDATIONCLOCK": "2021-06-01T12:00:00",
        },
        "EXPECTEDRESULTS": dict.fromkeys(FLAGS, True),
    }
    return {name: value for name, value in (found | changed).items() if value is not None}


FLAGS = [
    f"EXPECTED{flag}"
    for flag in (
        "PICTUREDECODE",
        "UNPREFIX",
        "B45DECODE",
        "COMPRESSION",
        "VERIFY",
        "KEYUSAGE",
        "EXPIRATIONCHECK",
        "DECODE",
        "VALIDJSON",
        "ENCODE",
        "VALIDOBJECT",
        "SCHEMAVALIDATION",
    )
]


def judged(tmp_path: Path, *cases: dict[str, Any]) -> list[dict[str, str]]:
    folder = tmp_path / "cases"
    folder.mkdir(exist_ok=True)
    for number, made in enumerate(cases):
        (folder / f"{number}.json").write_text(json.dumps(made), encoding="utf-8")
    out = tmp_path / "out.csv"
    assert run(["codes", "conformance", str(folder), "--out", str(out)]) == 0
    with out.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def test_every_flag_of_a_good_case_is_found_true(tmp_path: Path) -> None:
    pytest.importorskip("zxingcpp")
    rows = judged(tmp_path, case())
    assert [(row["file"], row["flag"], row["expected"], row["got"]) for row in rows] == [
        ("0.json", flag, "true", "true") for flag in FLAGS
    ]


@pytest.mark.parametrize(
    ("changed", "flags"),
    [
        ({"PREFIX": "HC2:00"}, {"UNPREFIX", "VALIDJSON", "PICTUREDECODE"}),
        ({"COMPRESSED": "00"}, {"B45DECODE", "COMPRESSION"}),
        ({"JSON": content(dob="1997-01-01")}, {"DECODE", "VALIDJSON", "ENCODE"}),
        ({"JSON": content(dob=None)}, {"DECODE", "VALIDJSON", "ENCODE", "VALIDOBJECT"}),
        ({"CBOR": "a0"}, {"DECODE", "ENCODE"}),
        ({"2DCODE": base64.b64encode(b"no picture").decode()}, {"PICTUREDECODE"}),
    ],
)
def test_what_is_wrong_in_one_encoding_shows_in_the_flags_about_it(
    changed: dict[str, Any], flags: set[str], tmp_path: Path
) -> None:
    pytest.importorskip("zxingcpp")
    rows = judged(tmp_path, case(**changed))
    assert {row["flag"].removeprefix("EXPECTED") for row in rows if row["got"] == "false"} == flags


def test_what_a_signer_may_not_sign_and_what_is_out_of_term_shows(tmp_path: Path) -> None:
    by = Issuer((samples.TEST_OID,))
    certificate = base64.b64encode(by.certificate).decode()
    message = by.message(content(), iat=NOW_S - 2 * DAY, exp=NOW_S - DAY)
    only = {"EXPECTEDRESULTS": dict.fromkeys(["EXPECTEDVERIFY", "EXPECTEDKEYUSAGE", "EXPTECTEDEXPIRED"], False)}
    context = {"CERTIFICATE": certificate, "VALIDATIONCLOCK": "2021-06-01T14:00:00+02:00"}
    mine = {"COSE": message.hex(), "TESTCTX": context}
    assert [row["got"] for row in judged(tmp_path, only | mine)] == ["true", "false", "false"]


def test_what_cannot_be_judged_is_left_open_and_what_is_no_case_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    open_ones = ["EXPECTEDPICTUREDECODE", "EXPECTEDUNPREFIX", "EXPECTEDVERIFY", "EXPECTEDEXPIRATIONCHECK", "EXPECTEDX"]
    message = {"COSE": Issuer().message(content()).hex()}
    rows = judged(tmp_path, {"EXPECTEDRESULTS": dict.fromkeys(open_ones, True)} | message)
    assert [row["got"] for row in rows] == [""] * len(open_ones)
    assert "0.json EXPECTEDX" in capsys.readouterr().out
    (tmp_path / "cases" / "1.json").write_text("[]")
    assert run(["codes", "conformance", str(tmp_path / "cases"), "--out", str(tmp_path / "out.csv")]) == 1
    assert "1.json: This is no test case" in capsys.readouterr().err
    for wrong, said in ((tmp_path / "nothing.zip", "cannot be read"), (tmp_path / "empty", "There are no cases")):
        (tmp_path / "empty").mkdir(exist_ok=True)
        assert run(["codes", "conformance", str(wrong), "--out", str(tmp_path / "out.csv")]) == 1
        assert said in capsys.readouterr().err


def test_a_case_that_claims_to_be_large_is_refused_before_it_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", bytes(5 << 20))
    assert run(["codes", "conformance", str(bomb), "--out", str(tmp_path / "out.csv")]) == 1
    assert "are read at most" in capsys.readouterr().err


@pytest.mark.skipif(COLLECTION is None, reason="the EU's collection (dcc/cases.zip) is not on this machine")
def test_the_eus_collection_deviates_exactly_where_the_documentation_explains_it(tmp_path: Path) -> None:
    pytest.importorskip("zxingcpp")
    out = tmp_path / "out.csv"
    assert run(["codes", "conformance", str(COLLECTION), "--out", str(out)]) == 0
    with out.open(encoding="utf-8", newline="") as text:
        rows = list(csv.DictReader(text))
    page = (ROOT / "docs/codes.md").read_text(encoding="utf-8")
    line = re.compile(r"^\| `(\S+\.json)` \| `(\w+)` \| (true|false) \| (true|false|) ?\| (.+) \|$", re.MULTILINE)
    explained = {found[:4] for found in line.findall(page) if found[4]}
    found = {(row["file"], row["flag"], row["expected"], row["got"]) for row in rows if row["expected"] != row["got"]}
    assert found == explained
    agree = len(rows) - len(found)
    assert f"{agree:,} of {len(rows):,} agree: {100 * agree / len(rows):.2f} %." in page
    assert agree / len(rows) >= 0.993
