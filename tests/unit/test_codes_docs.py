"""docs/codes.md says of our own codes what the tables in the source say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from codes_samples import ISSUER, KEY, NOW, bundle, key_set
from hutong.codes.claims import claims_table
from hutong.codes.minting import Bundle
from hutong.codes.outcome import VERDICTS, WARNINGS
from hutong.codes.revocation import write_news

PAGE = (Path(__file__).parents[2] / "docs" / "codes.md").read_text("utf-8")


def test_claims_fields_and_verdicts_are_all_there() -> None:
    assert PAGE.partition("<!-- claims -->\n")[2].partition("<!-- end of claims -->")[0] == claims_table()
    for word in (*VERDICTS, *WARNINGS, *(field.name for field in msgspec.structs.fields(Bundle))):
        assert f"`{word}`" in PAGE, word


def test_the_example_of_the_library_runs() -> None:
    example = PAGE.partition("```python\n")[2].partition("```")[0]
    held: dict[str, Any] = {
        "keys": key_set().document,
        "news": write_news(ISSUER, 0, 0, [], KEY, NOW),
        "text": bundle().text(0),
        "now_ms": NOW,
    }
    exec(example, held)  # noqa: S102  # the page's own
    assert held["outcome"].is_valid
    assert held["lists"][ISSUER].made_ms == NOW
