"""The manifest of codes: what the app wires, and what the house checks that it has."""

from __future__ import annotations

from hutong.codes import metrics
from hutong.codes.scans import metrics as scans
from hutong.codes.status import metrics as status
from hutong.kernel.system import System

SYSTEM = System(
    name="codes",
    title={"zh": "一码通", "en": "Personal codes"},
    docs="docs/codes.md",
    commands=(
        "codes conformance",
        "codes family",
        "codes holders",
        "codes issue",
        "codes keys make",
        "codes keys rotate",
        "codes keys withdraw",
        "codes keys list",
        "codes keys export",
        "codes revocations",
        "codes revoke",
        "codes scans",
        "codes status",
        "codes venues",
        "codes verify",
    ),
    metrics=tuple(
        it.name
        for it in (
            metrics.ISSUED,
            metrics.KEYS,
            metrics.KEY_LEFT,
            metrics.REVOKED,
            metrics.PURGED,
            *status.ALL,
            *scans.ALL,
        )
    ),
)
