"""An index beside the journal: columns of every verdict and outcome, so that millions of them are searched at once.

The journal stays the truth: what is here can be deleted at any time and is made again from it. `verdicts` answers
questions, `folder` keeps one part for each segment, `sidecar` is the file of a closed one, `growing` reads frames.
"""

from hutong.calls.index.query import SORT_KEYS, Filters, Page, Role, SortKey
from hutong.calls.index.rows import warm_up_rows
from hutong.calls.index.verdicts import Row, VerdictIndex

__all__ = ["SORT_KEYS", "Filters", "Page", "Role", "Row", "SortKey", "VerdictIndex", "warm_up_rows"]
