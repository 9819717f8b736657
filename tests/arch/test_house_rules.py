"""Habits of the house that no linter knows. Each test says what to do about what it finds."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hutong.app import reference
from hutong.app.config import Config
from hutong.kernel import metrics, settings
from hutong.kernel.metrics import Metric

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "hutong"
MODULES = sorted(SOURCE.rglob("*.py"))
NOT_SYSTEMS = {"app", "kernel", "protocols"}
SYSTEMS = sorted(p.parent.name for p in SOURCE.glob("*/__init__.py") if p.parent.name not in NOT_SYSTEMS)
LONGEST_FILE = 600
CLOCK = SOURCE / "kernel" / "clock.py"
CLOCK_READINGS = {
    ("time", name)
    for base in ("time", "monotonic", "perf_counter", "process_time", "thread_time")
    for name in (base, f"{base}_ns")
} | {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today")}


def test_imports_keep_their_contracts() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_reference_knows_every_system() -> None:
    assert sorted(reference.SYSTEMS) == SYSTEMS


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_system_has_manifest_docs_tests_and_metrics(system: str) -> None:
    manifest = importlib.import_module(f"hutong.{system}.system").SYSTEM
    assert manifest.name == system
    assert set(manifest.title) == {"zh", "en"}
    assert all(manifest.title.values())
    assert (ROOT / manifest.docs).is_file(), f"write {manifest.docs}"
    assert manifest.commands
    declared = {metric.name for metric in reference.all_metrics()}
    named = {metric.name if isinstance(metric, Metric) else metric for metric in manifest.metrics}
    assert bool(named) == manifest.on_node, "a system on a node counts what it does; another has nobody to read it"
    assert named <= declared
    importing = re.compile(rf"(from|import) hutong\.{system}\b|from hutong import .*\b{system}\b")
    assert any(importing.search(test.read_text()) for test in (ROOT / "tests").rglob("test_*.py"))


@pytest.mark.parametrize("page", sorted(reference.PAGES))
def test_generated_pages_are_current(page: str) -> None:
    text = (ROOT / "docs" / "operate" / page).read_text()
    assert text == reference.renewed(text, reference.PAGES[page]()), "run: python -m hutong.app.reference docs/operate"


def test_metrics_are_declared_once_and_described_in_both_languages() -> None:
    declared = list(reference.all_metrics())
    assert len({metric.name for metric in declared}) == len(declared)
    for metric in declared:
        assert metric.en, metric
        assert re.search(r"[\u4e00-\u9fff]", metric.zh), metric


def test_every_metric_of_the_kernel_is_moved_by_somebody() -> None:
    names = [name for name, value in vars(metrics).items() if isinstance(value, Metric)]
    text = "".join(
        module.read_text() for module in MODULES if module.name != "metrics.py" or "kernel" not in module.parts
    )
    assert not [name for name in names if not re.search(rf"\b{name}\b", text)]


def test_every_setting_is_read_by_somebody() -> None:
    own = {SOURCE / "app" / "config.py"}
    text = "".join(module.read_text() for module in MODULES if module not in own)
    unread = [f"{e.section}.{e.key}" for e in settings.entries(Config) if not re.search(rf"\.{e.key}\b", text)]
    assert not unread, f"nothing reads {unread}: use them or take them out of app/config.py"


def test_public_things_say_what_they_are() -> None:
    silent = []
    for module in MODULES:
        tree = ast.parse(module.read_text())
        if ast.get_docstring(tree) is None:
            silent.append(f"{module}:1")
        silent += [f"{module}:{node.lineno} {node.name}" for node in _public(tree.body) if not ast.get_docstring(node)]
    assert not silent, silent


def _public(body: list[ast.stmt]) -> list[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    found: list[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef] = []
    for node in body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        marks = {ast.unparse(mark) for mark in node.decorator_list}
        if marks & {"override", "typing.override", "overload", "typing.overload"}:
            continue  # described where it is first declared
        found.append(node)
        if isinstance(node, ast.ClassDef):
            found += _public(node.body)
    return found


def test_files_are_short_enough_to_be_read() -> None:
    files = [file for folder in ("src", "tests", "bench") for file in (ROOT / folder).rglob("*.py")]
    long = {str(file): count for file in files if (count := len(file.read_text().splitlines())) > LONGEST_FILE}
    assert not long, f"split these: {long}"


def test_only_the_clock_reads_the_clock() -> None:
    guilty = []
    for module in MODULES:
        if module == CLOCK:
            continue
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Attribute):
                owner = ast.unparse(node.value).rpartition(".")[2]
                if (owner, node.attr) in CLOCK_READINGS:
                    guilty.append(f"{module}:{node.lineno}")
            elif isinstance(node, ast.ImportFrom) and node.module == "time":
                guilty.append(f"{module}:{node.lineno}")
    assert not guilty, f"take `now` as an argument or a kernel.clock.Clock: {guilty}"


def test_the_lock_file_pins_by_hash_and_names_no_address() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    requirements = re.split(r"\n(?=\S)", text.strip())
    for requirement in requirements:
        if not requirement.startswith("#"):
            assert re.match(r"[A-Za-z0-9._-]+==\S+", requirement), requirement
            assert "--hash=sha256:" in requirement, requirement


def test_nothing_is_left_for_later_in_the_files() -> None:
    words = re.compile("|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")))
    folders = ("src", "tests", "docs", "bench", "deploy")
    files = [
        f
        for folder in folders
        for f in (ROOT / folder).rglob("*")
        if f.suffix in (".py", ".md", ".cfg", ".sh", ".toml", ".yaml")
    ]
    assert not [str(file) for file in files if words.search(file.read_text())]


def test_no_module_is_named_for_nothing() -> None:
    assert not [str(module) for module in MODULES if re.search(r"util|helper|misc|common", module.stem)]
