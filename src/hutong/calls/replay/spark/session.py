"""Spark started for one replay: silent, reachable from this machine only, and gone afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hutong.kernel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession

LOOPBACK: Final = "127.0.0.1"
#: Rows of a batch between Spark and Python: as many as our own readers take at once.
_BATCH_ROWS: Final = 65_536
_SHOWN: Final = 400


def missing() -> ConfigError | None:
    """What is not there that Spark needs; None where all is."""
    try:
        import pyspark  # noqa: F401, PLC0415  # an extra
    except ImportError:
        return ConfigError("Spark is not installed.", where="--spark", fix="pip install 'hutong[spark]'")
    home = os.environ.get("JAVA_HOME")
    if shutil.which("java") is None and not (home and (Path(home) / "bin" / "java").is_file()):
        return ConfigError(
            "Spark needs Java, which is not there.", where="--spark", fix="Install Java 17, or set JAVA_HOME."
        )
    return None


def _settings(master: str, folder: Path) -> dict[str, str]:
    settings = {
        "spark.app.name": "hutong calls replay",
        "spark.master": master,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(_BATCH_ROWS),
        "spark.sql.adaptive.enabled": "false",
        "spark.local.dir": str(folder),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
    }
    if master.startswith("local"):
        settings |= {"spark.driver.bindAddress": LOOPBACK, "spark.driver.host": LOOPBACK}
    return settings


@contextmanager
def started(master: str, folder: Path | None = None) -> Iterator[SparkSession]:
    """A session of Spark; what Spark says goes to a file that is deleted with it.

    Args:
        master: as `spark-submit --master` takes it: local[2], spark://HOST:7077, …
        folder: for what Spark puts on disk; default: TMPDIR.

    Raises:
        ConfigError: Spark or Java is missing, or Spark does not start.
    """
    lacking = missing()
    if lacking is not None:
        raise lacking
    with tempfile.TemporaryDirectory(prefix="hutong-spark-", dir=folder) as name:
        log = Path(name) / "log"
        with log.open("wb") as sink:
            session = _begin(master, Path(name), sink.fileno(), log)
        gateway = session.sparkContext._gateway  # noqa: SLF001  # Spark has no way of its own to end its Java
        try:
            yield session
        finally:
            session.stop()
            _end(gateway)


def _begin(master: str, folder: Path, sink: int, log: Path) -> SparkSession:
    from pyspark import SparkConf, SparkContext  # noqa: PLC0415  # an extra
    from pyspark.errors import PySparkException  # noqa: PLC0415
    from pyspark.java_gateway import launch_gateway  # noqa: PLC0415
    from pyspark.sql import SparkSession  # noqa: PLC0415

    conf = SparkConf(loadDefaults=False).setAll(list(_settings(master, folder).items()))
    try:
        gateway = launch_gateway(conf, {"stdout": sink, "stderr": sink})  # type: ignore[no-untyped-call]
    except (PySparkException, OSError) as error:
        raise ConfigError(f"Spark does not start: {_last(log) or error}.", where=f"--spark {master}") from error
    try:
        context = SparkContext(conf=SparkConf(_jvm=gateway.jvm).setAll(conf.getAll()), gateway=gateway)
    except Exception as error:  # Java's, as py4j makes it of whatever happened there
        _end(gateway)
        raise ConfigError(f"Spark does not start: {first_line(error)}.", where=f"--spark {master}") from error
    # Where nobody says which Python Spark's processes run, it takes one from PATH, which need not have our code.
    context.pythonExec = os.environ.get("PYSPARK_PYTHON", sys.executable)
    return SparkSession(context)


def _end(gateway: object) -> None:
    """End the Java process, which otherwise lives as long as this one, and let another be started."""
    from pyspark import SparkContext  # noqa: PLC0415  # an extra

    gateway.shutdown()  # type: ignore[attr-defined]
    process: subprocess.Popen[bytes] = gateway.proc  # type: ignore[attr-defined]
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    SparkContext._gateway = SparkContext._jvm = None  # noqa: SLF001


def _last(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1][:_SHOWN].rstrip(".") if lines else ""


def first_line(error: Exception) -> str:
    """What an exception of Spark says, without the Java that led to it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if "Error" in line or "Exception" in line] or lines or [type(error).__name__]
    return told[-1][:_SHOWN].rstrip(".")
