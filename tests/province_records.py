"""A small province's call records, and what a replay of them is made of, for tests of shards."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from engines import shipped_rules
from hutong.calls.engine import Policy
from hutong.calls.records.columns import call_batch
from hutong.calls.records.convert import Converter
from hutong.calls.records.layout import Layout
from hutong.calls.replay.replay import Consulted, Terms
from hutong.calls.replay.shards import Case
from hutong.calls.trunks import TRUNK_KINDS, Trunk, TrunkTable
from hutong.kernel.lists.index import ListIndex
from hutong.kernel.lists.store import ListStore
from hutong.kernel.numbering import Numbering
from hutong.simulation.records import call_table
from hutong.simulation.rows import joined
from provinces import small

if TYPE_CHECKING:
    from hutong.calls.replay.batch import CallBatch

CALLS = 6_000


@cache
def province_table() -> pa.Table:
    """Call records with outcomes, in order of time."""
    calls = joined(list(small(calls=CALLS).run()))
    return call_table(calls, pa.array([f"c{at}" for at in range(len(calls))]))


@cache
def case() -> Case:
    """The shipped rules, each at its own action, without lists."""
    numbering = Numbering("021")
    trunks = TrunkTable([Trunk(kind, kind) for kind in TRUNK_KINDS[1:]], (), numbering)
    nothing = ListIndex(ListStore(Path("none"))).arrays
    policy = Policy("", "", 50, "Asia/Shanghai", 22, 8, use_roaming_table=False, look_up_roaming=False)
    terms = Terms(policy, capacity=20_000, as_if_promoted=True)
    return Case(shipped_rules(), Consulted(numbering, trunks, nothing, nothing), terms)


@cache
def province_batch() -> CallBatch:
    """The records as a replay takes them."""
    batch = province_table().combine_chunks().to_batches()[0]
    converter = Converter(Layout(), case().consulted.trunks.names)
    columns = {name: batch.column(name) for name in batch.schema.names}
    rows, faults = converter.convert(columns, 0, batch.num_rows)
    assert not faults.any()
    return call_batch(rows)
