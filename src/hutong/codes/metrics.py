"""The metrics of codes: keys, bundles, revocations; those of colours and people come from `status.metrics`."""

from __future__ import annotations

from hutong.codes.scans.metrics import (  # noqa: F401  # likewise
    AGAIN,
    CLOCKS,
    COPIES,
    EMPTIED,
    KEPT,
    LOOKUPS,
    MERGED,
    ORDERS,
    OVER,
    REFUSED,
    VENUES,
    WRONG_CLOCK,
)
from hutong.codes.status.metrics import (  # noqa: F401  # declared for the whole system here
    APPEALS,
    APPEALS_LATE,
    CHANGES,
    DAY_KEYS,
    DAY_KEYS_OVERDUE,
    EXPIRED,
    JUDGED,
    RESULTS,
    RESULTS_BEHIND,
    RESULTS_OWED,
)
from hutong.kernel.metrics import Metric

ISSUED = Metric(
    "hutong_code_bundles_total",
    "counter",
    "bundles",
    "发放的成批码与纸质码,按种类",
    "Bundles and paper codes issued, by kind: own, child, elder, paper",
    ("kind",),
)
KEYS = Metric(
    "hutong_code_keys",
    "gauge",
    "keys",
    "码的签名密钥,按状态:待用、在签、保留",
    "Signing keys of codes, by state: next, signing, kept",
    ("state",),
)
KEY_LEFT = Metric(
    "hutong_code_key_seconds_left",
    "gauge",
    "seconds",
    "在签密钥还能签发多久;0 为没有密钥",
    "For how long the signing key may go on signing; 0 without one",
)
REVOKED = Metric("hutong_code_revocations", "gauge", "entries", "注销表的条目数", "Entries of the revocation list")
PURGED = Metric(
    "hutong_code_rows_purged_total",
    "counter",
    "rows",
    "因到期删除的发码记录与注销条目",
    "Rows of bundles and of revocations deleted because they are over",
)
