"""`hutong calls replay`: the rules and windows of live screening over call records in files, with progress."""

from __future__ import annotations

import math
import resource
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from hutong.app.cli_terms import existing_folder, in_force, language_of
from hutong.app.config import load_config
from hutong.app.risk_work import SCORES
from hutong.app.screen import node_settings, trunks_of
from hutong.calls.features import VOCABULARY
from hutong.calls.records.layout import Layout, read_layout
from hutong.calls.records.reading import Source
from hutong.calls.records.run import Run
from hutong.calls.replay.partition import OF_CALLER, partial_reads
from hutong.calls.replay.replay import SALTS, Consulted, Terms
from hutong.calls.replay.scored import PastReplay
from hutong.calls.replay.shards import MOST_SHARDS, Case, Shards
from hutong.calls.replay.spark.session import missing, started
from hutong.calls.trunks import TRUNK_KINDS, Trunk, TrunkTable
from hutong.kernel.clock import SystemClock
from hutong.kernel.errors import ConfigError, RuleError
from hutong.kernel.lists.index import ListIndex
from hutong.kernel.lists.store import ListStore
from hutong.kernel.marks import MARKS, MarkFile
from hutong.kernel.numbering import Numbering
from hutong.kernel.rules.loader import load_ruleset, rule_files
from hutong.kernel.scores import ScoreFile
from hutong.kernel.scores.past import FOLDER as PAST_SCORES
from hutong.kernel.scores.past import PastScores
from hutong.kernel.windows import capacity_for
from hutong.kernel.windows.layout import HEAD, MAGIC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from hutong.app.config import Config
    from hutong.calls.records.run import Progress as Step
    from hutong.calls.records.run import Tally
    from hutong.calls.replay.replay import Replay
    from hutong.kernel.lists.index import ListArrays
    from hutong.kernel.rules.ruleset import Ruleset
    from hutong.kernel.rules.vocabulary import Language

_NS: Final = 1_000_000_000
_U64: Final = (1 << 64) - 1
_MIB: Final = 1 << 20
_TOP_RULES: Final = 10
_PHASES: Final = {
    "judging": {"zh": "判决", "en": "judging"},
    "reading": {"zh": "读取(未按时间排序)", "en": "reading (out of order)"},
    "sorting": {"zh": "排序", "en": "sorting"},
    "writing": {"zh": "写出", "en": "writing"},
}
_ACTIONS: Final = {
    "pass": {"zh": "放行", "en": "pass"},
    "warn": {"zh": "提示", "en": "warn"},
    "block": {"zh": "拦截", "en": "block"},
}


class Options(msgspec.Struct, frozen=True):
    """What the command was asked for; None and "" where nothing was said."""

    files: tuple[Path, ...]
    rules: Path | None = None
    out: Path | None = None
    config: Path | None = None
    data: Path | None = None
    layout: Path | None = None
    errors: Path | None = None
    stop_share: float = 0.01
    as_if_promoted: bool = False
    shards: int = 1
    spark: str = ""
    lang: Language | None = None


def replay(options: Options) -> int:
    """Replay files as asked; returns the exit status, 0. The summary goes to standard error.

    Raises:
        HutongError: something cannot be read, is wrong, or cannot be written; there are no results then.
    """
    clock, language = SystemClock(), language_of(options.lang)
    begun = clock.monotonic()
    if not options.files:
        raise ConfigError("no file was named.", fix="hutong calls replay FILES…")
    if not math.isfinite(options.stop_share) or not 0 <= options.stop_share <= 1:
        raise ConfigError("a share is from 0 to 1.", where="--stop-share", fix="0.01 is one row in a hundred.")
    _check_shards(options)
    config = load_config(options.config, data=options.data)
    ruleset = _ruleset(options)
    layout = read_layout(options.layout) if options.layout else Layout()
    errors = options.errors or _errors_beside(options)
    with ExitStack() as stack:
        case = case_of(config, ruleset, options, stack)
        names = case.consulted.trunks.names
        source = Source(options.files, names, layout, str(options.layout or ""), options.stop_share)
        rules = [rule.id for rule in ruleset.rules]
        if options.spark:
            tally = _on_spark(source, case, options, errors)
        else:
            show = stack.enter_context(shown(language, lambda: (clock.monotonic() - begun) / _NS))
            make = case.replay if options.shards == 1 else _sharded(case, options.shards, stack)
            tally = Run(source, rules, make, out=options.out, errors=errors, progress=show).run()
    seconds = (clock.monotonic() - begun) / _NS
    told = [*_partly(ruleset, options.shards, language), *_summary(tally, rules, seconds, errors, language)]
    sys.stderr.write("\n".join(told) + "\n")
    return 0


def _ruleset(options: Options) -> Ruleset:
    if options.rules is None:
        data = existing_folder(options.data) if options.data is not None else None
        return in_force(data, options.config)
    if not rule_files([options.rules]):
        raise RuleError("there are no rule files here.", where=str(options.rules), fix="Name a folder of .yaml files.")
    return load_ruleset([options.rules], VOCABULARY)


def _check_shards(options: Options) -> None:
    if not 1 <= options.shards <= MOST_SHARDS:
        raise ConfigError(f"a replay has 1 to {MOST_SHARDS} shards.", where="--shards")
    if options.spark:
        lacking = missing()
        if lacking is not None:
            raise lacking
        if options.out is None:
            raise ConfigError("results of Spark need a folder.", where="--spark", fix="Name one: --out.")


def _sharded(case: Case, count: int, stack: ExitStack) -> Callable[[], Shards]:
    """What makes shards, anew for each reading of the files; those of the reading before are closed first."""
    kept = stack.enter_context(ExitStack())

    def make() -> Shards:
        kept.close()
        shards = Shards(case, count)
        kept.callback(shards.close)
        return shards

    return make


def _on_spark(source: Source, case: Case, options: Options, errors: Path) -> Tally:
    from hutong.calls.replay.spark.run import replay_on_spark  # noqa: PLC0415  # an extra

    assert options.out is not None  # noqa: S101  # see _check_shards
    with started(options.spark) as session:
        return replay_on_spark(session, source, case, options.shards, options.out, errors)


def _errors_beside(options: Options) -> Path:
    """Bad rows go beside the results; without a file for these, into the working folder."""
    if options.out is not None:
        return options.out.with_name(f"{options.out.stem}.errors.csv")
    return Path(f"{options.files[0].stem}.errors.csv")


class Judges(NamedTuple):
    """What judges calls of the past.

    make: makes a replay, anew for each reading of the files. trunks: configured ones, then the kinds.
    scored_from: from which moment on (ms since 1970) the scores of the time are known; None where no scores were kept.
    """

    make: Callable[[], Replay]
    trunks: TrunkTable
    scored_from: int | None


def judges(config: Config, ruleset: Ruleset, options: Options, stack: ExitStack) -> Judges:
    """Judges of calls of the past: a call reads the scores that were published when it was set up, or none.

    No mark is consulted: what is known since is more than was known when the calls were set up.

    Raises:
        StateError: past scores cannot be read.
    """
    case = case_of(config, ruleset, options, stack)
    case = case._replace(consulted=case.consulted._replace(scores=None, marks=None))
    past = PastScores(options.data / PAST_SCORES) if options.data is not None else None
    begins = past.begins() if past is not None else None
    if past is None or begins is None:
        return Judges(case.replay, case.consulted.trunks, None)
    return Judges(lambda: PastReplay(*case, past.publications()), case.consulted.trunks, begins)


def case_of(config: Config, ruleset: Ruleset, options: Options, stack: ExitStack) -> Case:
    """What a replay is made of; of its lists until `stack` ends."""
    configured = trunks_of(config)
    kinds = [Trunk(kind, kind) for kind in TRUNK_KINDS[1:] if kind not in {trunk.name for trunk in configured}]
    numbering = Numbering(config.calls.home_area)
    trunks = TrunkTable([*configured, *kinds], (), numbering)
    lists, roaming, salts = _kept(options.data, stack)
    policy = msgspec.structs.replace(
        node_settings(config).policy,
        # Where nobody can be asked, nobody is said to be at home.
        use_roaming_table=config.roaming.table and options.data is not None,
        look_up_roaming=False,
    )
    terms = Terms(
        policy=policy,
        capacity=capacity_for(config.windows.memory_mb * _MIB),
        as_if_promoted=options.as_if_promoted,
        salts=salts,
    )
    return Case(
        ruleset, Consulted(numbering, trunks, lists, roaming, _scores(options.data), _marks(options.data)), terms
    )


def _scores(data: Path | None) -> NDArray[np.int64] | None:
    """The scores last published in a data folder."""
    if data is None:
        return None
    published = ScoreFile(data / SCORES)
    published.refresh()
    return published.rows


def _marks(data: Path | None) -> NDArray[np.int64] | None:
    """The marks of a data folder as they are now."""
    if data is None:
        return None
    kept = MarkFile(data / MARKS)
    kept.refresh()
    return kept.rows.copy()


def _kept(data: Path | None, stack: ExitStack) -> tuple[ListArrays, ListArrays, tuple[int, int]]:
    """Lists, roaming table and the windows' hashes of a data folder; empty ones without it."""
    found: list[ListArrays] = []
    for name in ("lists", "roaming"):
        there = data is not None and (data / name / "data.mdb").exists()
        store = ListStore(data / name if data is not None else Path(name))
        index = ListIndex(store)
        stack.callback(index.close)
        if there:
            store.open()
            stack.callback(store.close)
            index.load()
        found.append(index.arrays)
    return found[0], found[1], _salts(data / "windows.bin") if data is not None else SALTS


def _salts(windows: Path) -> tuple[int, int]:
    """The hashes of a node's windows, so that its estimates come out the same."""
    try:
        head = np.fromfile(windows, HEAD, 1)
    except OSError:
        return SALTS
    if not head.size or int(head[0]["magic"]) != MAGIC:
        return SALTS
    index, bins = (int(head[0][name]) & _U64 for name in ("salt_index", "salt_bins"))
    return index, bins


@contextmanager
def shown(language: Language, seconds: Callable[[], float]) -> Iterator[Callable[[Step], None]]:
    """Draws how far a run is: rows, rows a second, time left, memory; nothing where nobody looks."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[told]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks = {}

        def show(step: Step) -> None:
            if step.phase not in tasks:
                tasks[step.phase] = bar.add_task(_PHASES[step.phase][language], told="")
            rows, each = ("行", "行/秒") if language == "zh" else ("rows", "rows/s")
            told = f"{step.rows:,} {rows}  {step.rows / max(seconds(), 1e-3):,.0f} {each}  {_peak_mib()} MiB"
            bar.update(tasks[step.phase], completed=step.done, total=max(step.total, 1), told=told)

        yield show


def _peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 // _MIB


def _partly(ruleset: Ruleset, shards: int, language: Language) -> list[str]:
    """The rules whose verdicts depend on how many shards there are, where there are several."""
    partial = partial_reads(ruleset, OF_CALLER) if shards > 1 else {}
    told = {
        "zh": "以下规则只读到各片所见,结果随片数而变:",
        "en": "rules that read what each shard sees, and depend on K: ",
    }
    return [told[language] + ", ".join(sorted(partial))] if partial else []


def _summary(tally: Tally, rules: Sequence[str], seconds: float, errors: Path, language: Language) -> list[str]:
    zh = language == "zh"
    colon = ":" if zh else ": "
    rate = tally.calls / max(seconds, 1e-3)
    lines = [
        f"{'呼叫' if zh else 'calls'}{colon}{tally.calls:,}",
        *(
            f"  {_ACTIONS[name][language]}{colon}{count:,} ({count / max(tally.calls, 1):.3%})"
            for name, count in tally.actions.items()
        ),
    ]
    top = sorted(((hits, rule) for rule, hits in zip(rules, tally.hits, strict=True) if hits), reverse=True)
    if top:
        lines.append(f"{'命中最多的规则' if zh else 'rules that fired most'}{colon}".rstrip())
        lines += [f"  {rule}{colon}{hits:,}" for hits, rule in top[:_TOP_RULES]]
    lines.append(f"{'错误行' if zh else 'bad rows'}{colon}{tally.bad:,}" + (f" → {errors}" if tally.bad else ""))
    if tally.sorted:
        lines.append("话单未按时间排序,已排序后判决" if zh else "the records were out of order and were sorted first")
    lines.append(
        f"{'用时' if zh else 'time'}{colon}{seconds:,.1f} s, {rate:,.0f} {'个呼叫/秒' if zh else 'calls/s'}, "
        f"{'内存峰值' if zh else 'peak memory'} {_peak_mib():,} MiB"
    )
    return lines
