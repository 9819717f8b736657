"""What is asked of the records as samples come goes by indexes: it takes as long with a hundred million of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import event as listening

from fresh_records import lay_out
from hutong.kernel.records import Database
from hutong.sampling.counts import HOUR_MS
from hutong.sampling.figures import Figures
from hutong.sampling.listing import Listing, TubeQuery
from hutong.sampling.model import Batch
from sampling_samples import HOUR, NOW, filled, received, result, sampling

if TYPE_CHECKING:
    from pathlib import Path

LATER = NOW + 3 * HOUR


def test_no_statement_looks_through_a_table(tmp_path: Path) -> None:
    lay_out(tmp_path / "records.db")
    database = Database(f"sqlite:///{tmp_path / 'records.db'}")
    database.open()
    asked: dict[str, Any] = {}
    with database.read() as connection:
        engine = connection.engine
    listening.listen(
        engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, values, _context, many: asked.setdefault(
            statement, values[0] if many else values
        ),
    )
    it = sampling(database)
    it.merge(Batch("s1", LATER, tuple(filled())), LATER)
    it.do(received(), LATER)
    it.do(result(told="positive"), LATER)
    for look in (it.calls, it.conflicts, it.stations):
        look()
    it.results_of("a")
    it.told_since(0)
    it.batch_tubes("B-s1")
    it.turnaround_ms(NOW)
    figures, listing, hour = Figures(database, HOUR), Listing(database), LATER // HOUR_MS
    for read in (figures.states, figures.oldest_ms, figures.held):
        read()
    figures.by_hour("samples", hour - 24, hour)
    figures.spent(hour - 24, hour)
    figures.districts(it.stations(), LATER)
    queries = (TubeQuery(), TubeQuery("waiting"), TubeQuery("reported", "610102"), TubeQuery("reported", held=True))
    for query in queries:
        listing.tubes(query, 50)
    listing.batches(50)
    listing.batches(50, state="in-transit")
    it.close_calls()
    it.forget(NOW)
    plans = []
    with database.read() as connection:
        for statement, values in list(asked.items()):
            if re.match("SELECT|WITH|DELETE|UPDATE", statement) and "sampling_" in statement:
                plans += connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).scalars("detail").all()
    database.close()
    assert len(plans) > 20
    assert not [plan for plan in plans if re.match(r"SCAN sampling_\w+$", plan)]
