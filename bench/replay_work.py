"""One run over call records in a process of its own, on one core: `python -m bench.replay_work WHO FILE CALLS`.

`hutong` reads the columns with Arrow and judges every call: all shipped rules, all windows, outcomes in their time.
`command` is `hutong calls replay`: the same behind its checks of every row, with a result written for each.
The others do a part of the windows' work: for every call, its caller's attempts and distinct callees in the minute, ten
minutes, hour and day up to it, exactly, summed up. No callee's or trunk's windows, no outcomes, shares, areas or runs,
no numbering, lists or rules.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from hutong.calls.replay.batch import CallBatch, Texts
    from hutong.calls.replay.shards import Case

SPANS_MS = {"1m": 60_000, "10m": 600_000, "1h": 3_600_000, "24h": 86_400_000}
_ROWS = 65_536
_GIB = 1 << 30
_MOST_BYTES = 3 * _GIB
_TOUCH = """
import mmap, sys
memory = mmap.mmap(-1, int(sys.argv[1]), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
memory.madvise(mmap.MADV_HUGEPAGE)
for at in range(0, len(memory), 4096):
    memory[at] = 1
"""


def _case(calls: int) -> Case:
    """What replays are made of: the shipped rules and room for every subscriber."""
    from bench.records import subscribers_of  # noqa: PLC0415  # peers load none of this
    from hutong.calls.engine import Policy  # noqa: PLC0415
    from hutong.calls.features import SHIPPED_RULES, VOCABULARY  # noqa: PLC0415
    from hutong.calls.replay.replay import Consulted, Terms  # noqa: PLC0415
    from hutong.calls.replay.shards import Case  # noqa: PLC0415
    from hutong.calls.trunks import TRUNK_KINDS, Trunk, TrunkTable  # noqa: PLC0415
    from hutong.kernel.lists.index import ListIndex  # noqa: PLC0415
    from hutong.kernel.lists.store import ListStore  # noqa: PLC0415
    from hutong.kernel.numbering import Numbering  # noqa: PLC0415
    from hutong.kernel.rules.loader import load_ruleset  # noqa: PLC0415

    numbering = Numbering("021")
    trunks = TrunkTable([Trunk(kind, kind) for kind in TRUNK_KINDS[1:]], (), numbering)
    nothing = ListIndex(ListStore(Path("none"))).arrays
    policy = Policy("", "", 50, "Asia/Shanghai", 22, 8, use_roaming_table=False, look_up_roaming=False)
    terms = Terms(policy, capacity=subscribers_of(calls) + 10_000)
    return Case(load_ruleset([SHIPPED_RULES], VOCABULARY), Consulted(numbering, trunks, nothing, nothing), terms)


def _texts(column: pa.Array) -> Texts:
    from hutong.calls.replay.batch import Texts  # noqa: PLC0415

    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, dtype=np.int32)[column.offset : column.offset + len(column) + 1]
    return Texts(np.frombuffer(data, dtype=np.uint8), ends)


def _batches(path: Path) -> Iterator[CallBatch]:
    import pyarrow.parquet as pq  # noqa: PLC0415

    from hutong.calls.replay.batch import new_batch  # noqa: PLC0415
    from hutong.calls.trunks import TRUNK_KINDS  # noqa: PLC0415

    names = ["start", "trunk", "caller", "callee", "answered", "ring_ms", "talk_ms"]
    # Buffered ahead, a file is kept in memory as far as it was read.
    with pq.ParquetFile(path, read_dictionary=["trunk"], pre_buffer=False) as file:
        for rows in file.iter_batches(_ROWS, columns=names, use_threads=False):
            trunk = rows.column("trunk")
            codes = np.array([TRUNK_KINDS.index(kind) for kind in trunk.dictionary.to_pylist()], dtype=np.int32)
            batch = new_batch(
                rows.column("start").to_numpy(),
                codes[trunk.indices.to_numpy()],
                _texts(rows.column("caller")),
                _texts(rows.column("callee")),
            )
            ends: dict[str, Any] = {name: rows.column(name).to_numpy() for name in names[4:]}
            yield batch._replace(**ends)


def hutong(path: Path, calls: int) -> dict[str, float]:
    """The judgement, read by Arrow."""
    replay, actions = _case(calls).replay(), np.zeros(4, dtype=np.int64)
    for batch in _batches(path):
        actions += np.bincount(replay.feed(batch).action, minlength=4)
    summary = replay.finish()
    if summary.calls != calls or summary.unfollowed:
        raise RuntimeError(f"not all of {calls} calls were followed: {summary}")
    return {"blocked": int(actions[3]), "outcomes": summary.outcomes}


def command(path: Path, calls: int) -> dict[str, float]:
    """The whole of `hutong calls replay`, but for its progress bar."""
    from hutong.calls.records.reading import Source  # noqa: PLC0415
    from hutong.calls.records.run import Run  # noqa: PLC0415

    case = _case(calls)
    rules, trunks = [rule.id for rule in case.ruleset.rules], case.consulted.trunks.names
    with tempfile.TemporaryDirectory(prefix="hutong-bench-", dir=path.parent) as folder:
        out = Path(folder)
        tally = Run(
            Source([path], trunks), rules, case.replay, out=out / "out.parquet", errors=out / "errors.csv"
        ).run()
    if tally.calls != calls or tally.sorted:
        raise RuntimeError(f"not all of {calls} calls were judged in order: {tally}")
    return {"blocked": tally.actions["block"]}


def duckdb(path: Path, _calls: int) -> dict[str, float]:
    """Window frames in SQL."""
    import duckdb as duck  # noqa: PLC0415

    frames = ", ".join(
        f"w{name} AS (PARTITION BY caller ORDER BY start RANGE BETWEEN {ms} PRECEDING AND CURRENT ROW)"
        for name, ms in SPANS_MS.items()
    )
    values = ", ".join(
        f"count(*) OVER w{name} AS a{name}, count(DISTINCT callee) OVER w{name} AS d{name}" for name in SPANS_MS
    )
    sums = ", ".join(f"sum(a{name}), sum(d{name})" for name in SPANS_MS)
    with duck.connect(config={"threads": 1}) as it:
        it.execute(f"SET temp_directory = '{path.parent}'")
        query = f"SELECT {sums} FROM (SELECT {values} FROM read_parquet('{path}') WINDOW {frames})"  # noqa: S608
        row = it.execute(query).fetchone()
    return {"attempts in a day": float(row[6])} if row else {}


def polars(path: Path, _calls: int) -> dict[str, float]:
    """Rolling groups."""
    import polars as pl  # noqa: PLC0415

    calls = pl.read_parquet(path, columns=["start", "caller", "callee"]).sort("caller", "start")
    sums = [
        calls.rolling("start", period=f"{ms + 1}i", group_by="caller")
        .agg(pl.len().alias("a"), pl.col("callee").n_unique().alias("d"))
        .select(pl.col("a").sum(), pl.col("d").sum())
        .row(0)
        for ms in SPANS_MS.values()
    ]
    return {"attempts in a day": float(sums[-1][0])}


def spark(path: Path, _calls: int) -> dict[str, float]:
    """Window frames of PySpark, local[1]."""
    from pyspark.sql import SparkSession, Window  # noqa: PLC0415
    from pyspark.sql import functions as f  # noqa: PLC0415

    session = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.memory", "6g")
        .config("spark.sql.shuffle.partitions", "8")
        .config("spark.local.dir", str(path.parent))
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    calls, values = session.read.parquet(str(path)).select("start", "caller", "callee"), []
    for name, ms in SPANS_MS.items():
        frame = Window.partitionBy("caller").orderBy("start").rangeBetween(-ms, 0)
        values += [
            f.count("*").over(frame).alias(f"a{name}"),
            f.size(f.collect_set("callee").over(frame)).alias(f"d{name}"),
        ]
    names = [f"{kind}{name}" for name in SPANS_MS for kind in "ad"]
    row = calls.select(*values).agg(*(f.sum(name) for name in names)).first()
    jvm: Any = session.sparkContext._jvm  # noqa: SLF001  # nothing public tells which process does the work
    used = _used_by(int(jvm.java.lang.ProcessHandle.current().pid()))
    session.stop()
    return {"attempts in a day": float(row[6]), **used} if row else {}


def _used_by(process: int) -> dict[str, float]:
    """Peak memory and processor time of another process so far, loading included."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text("utf-8").splitlines())
    ticks = Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()[11:13]
    return {
        "gib": int(status["VmHWM"].split()[0]) * 1024 / _GIB,
        "busy": sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"),
    }


WORK: dict[str, Callable[[Path, int], dict[str, float]]] = {
    "hutong": hutong,
    "command": command,
    "duckdb": duckdb,
    "polars": polars,
    "spark": spark,
}


def _busy() -> float:
    """Seconds of processor that this process and its children took."""
    used = (resource.getrusage(which) for which in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(it.ru_utime + it.ru_stime for it in used)


def _take_memory() -> None:
    """Touch as much memory as any of them takes, and give it back, in a process of its own.

    A virtual machine that gives free memory back to its host waits for it page by page when it is used again: up to two
    seconds a gigabyte, which are the host's, and fewer where somebody just used it.
    """
    subprocess.run([sys.executable, "-c", _TOUCH, str(_MOST_BYTES)], check=True)


def main() -> None:
    """Pin to a core, load code on a small file where there is one, work, tell seconds, memory and results as JSON."""
    who, path, calls = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if len(sys.argv) > 4:
        WORK[who](Path(sys.argv[4]), int(sys.argv[5]))
    _take_memory()
    began, busy = time.perf_counter(), _busy()
    found = WORK[who](path, calls)
    seconds, busy = time.perf_counter() - began, _busy() - busy
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "busy": busy, "gib": memory * 1024 / _GIB, **found}))


if __name__ == "__main__":
    main()
