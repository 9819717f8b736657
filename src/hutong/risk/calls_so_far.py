"""The calls that one node has heard since it began, in memory: what an archive tells, for runs over call records.

A call's outcome is told once it is over: a run that asks at some moment knows what a node would have known by then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

import duckdb
import pyarrow as pa

from hutong.risk.telling import told

if TYPE_CHECKING:
    from types import TracebackType

    from hutong.risk.telling import Kind, Made

#: What `CallsSoFar.add` takes; times and spans in ms, numbers as keys, null where nobody saw.
SCHEMA: Final = pa.schema(
    [
        ("moment", pa.timestamp("ms", "UTC")),
        ("way", pa.string()),
        *((name, pa.int64()) for name in ("caller", "callee")),
        ("blocked", pa.bool_()),
        ("answered", pa.int8()),
        *((name, pa.int64()) for name in ("ring_ms", "talk_ms", "imei", "imsi", "cell")),
    ]
)
_MEMORY_MB: Final = 1024


class CallsSoFar:
    """The calls; a context manager. One thread uses it, and DuckDB's sums come in one order.

    Args:
        kind: what is known of the node.
    """

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._engine: duckdb.DuckDBPyConnection | None = None

    def __enter__(self) -> Self:
        """Begin without a call."""
        limits: dict[str, str | bool | int | float | list[str]] = {"threads": 1, "memory_limit": f"{_MEMORY_MB}MB"}
        self._engine = duckdb.connect(config={**limits, "autoinstall_known_extensions": False, "TimeZone": "UTC"})
        self._engine.register("nothing", SCHEMA.empty_table())
        self._engine.execute("CREATE TABLE kept AS FROM nothing")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Let go of all."""
        self._held().close()
        self._engine = None

    def add(self, calls: pa.Table) -> None:
        """Take in calls of `SCHEMA`; those refused have no outcome."""
        engine = self._held()
        engine.register("fresh", calls)
        engine.execute("INSERT INTO kept FROM fresh")
        engine.unregister("fresh")

    def told(self, now_ms: int, active_ms: int, callees: int = 1) -> Made:
        """What is told at `now_ms` of the numbers that made calls from `active_ms` on; see `risk.telling`."""
        engine = self._held()
        engine.execute(
            f"""
            CREATE OR REPLACE TEMP VIEW heard AS
            SELECT moment, way, caller, callee, blocked, imei, imsi, cell,
                CASE WHEN over THEN answered END AS answered, CASE WHEN over THEN ring_ms END AS ring_ms,
                CASE WHEN over THEN talk_ms END AS talk_ms
            FROM (SELECT *, epoch_ms(moment) + ring_ms + talk_ms <= {int(now_ms)} AS over FROM kept)
            """  # noqa: S608  # a number
        )
        return told(engine, self._kind, active_ms=active_ms, callees=callees, linked=False)

    def _held(self) -> duckdb.DuckDBPyConnection:
        if self._engine is None:
            raise ValueError("used before it was entered")
        return self._engine
