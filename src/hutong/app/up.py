"""`hutong up`: a whole node. Checks the settings once, then supervises the processes that do the work."""

from __future__ import annotations

import contextlib
import fcntl
import sys
from pathlib import Path  # noqa: TC003  # cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from hutong.app.config import load_config
from hutong.app.supervisor import Program, Supervisor
from hutong.kernel.clock import SystemClock
from hutong.kernel.errors import StateError
from hutong.kernel.reporter import Reporter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hutong.app.config import Config

# -P: a file named like a module in the folder where somebody stands must not take that module's place.
_HUTONG = (sys.executable, "-P", "-m", "hutong")
PROCESSES = {"screen": ("calls", "screen"), "serve": ("serve",), "work": ("work",)}


def processes_of(config: Config) -> dict[str, tuple[str, ...]]:
    """The processes of a node with these settings, and the words that start each."""
    found = dict(PROCESSES)
    if config.kafka.bootstrap_servers:
        found["feed"] = ("feed",)
    for name, words, part in (("codes", "codes", config.codes), ("stations", "sampling", config.sampling)):
        for process in range(1, part.processes + 1 if part.listen else 1):
            further = ("--process", str(process)) if process > 1 else ()
            found[f"{name}-{process}" if process > 1 else name] = (words, "serve", *further)
    if config.codes.listen or config.sampling.listen or config.replica.url:
        found["replica"] = ("replica", "follow")
    return found


def up(
    *,
    config: Annotated[Path | None, Parameter(help="配置文件 (TOML) / settings file (TOML)")] = None,
    data: Annotated[Path | None, Parameter(help="数据目录 / data folder")] = None,
) -> int:
    """启动并看护 screen、serve、work 等进程,Ctrl-C 停止 / Supervise screen, serve, work and what the settings add."""
    settings = load_config(config, data=data)
    common = ("--data", str(settings.data)) + (("--config", str(config)) if config else ())
    programs = [Program(name, (*_HUTONG, *words, *common)) for name, words in processes_of(settings).items()]
    reporter = Reporter("up", level=settings.log.level, form=settings.log.format)
    with only_one(settings.data / "run") as run_folder:
        return Supervisor(programs, reporter, SystemClock(), run_folder).run()


@contextlib.contextmanager
def only_one(run_folder: Path) -> Iterator[Path]:
    """Make the folder and hold its lock.

    Raises:
        StateError: another `hutong up` has this data folder, or it cannot be written.
    """
    try:
        run_folder.mkdir(parents=True, exist_ok=True)
        lock = (run_folder / "up.lock").open("ab")
    except OSError as error:
        raise StateError(
            f"the data folder cannot be written: {error.strerror}.",
            where=str(run_folder),
            fix="Give this user the right to write there, or choose another with --data.",
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateError(
                "another `hutong up` is running on this data folder.",
                where=str(run_folder.parent),
                fix="Stop it, or give this one another folder with --data.",
            ) from None
        yield run_folder
