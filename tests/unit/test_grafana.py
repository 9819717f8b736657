"""The dashboard and the alerts name metrics that exist, and all that matters is on them."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from hutong.app.reference import all_metrics

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
DECLARED = {metric.name for metric in all_metrics()}
LABELS = {metric.name: {*metric.labels, "instance"} for metric in all_metrics()}
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "hutong.json").read_bytes())
ALERTS: list[dict[str, Any]] = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_bytes())["groups"][0]["rules"]
NAME = re.compile(r"\bhutong_\w+")
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def expressions() -> list[str]:
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]


def test_the_dashboard_is_what_its_maker_draws_today() -> None:
    spec = importlib.util.spec_from_file_location("make_dashboard", DEPLOY / "grafana" / "make.py")
    assert spec is not None
    assert spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    assert maker.dashboard() == DASHBOARD, "run: python deploy/grafana/make.py"


def test_every_metric_on_the_dashboard_is_declared_and_every_declared_one_is_on_it() -> None:
    assert set(NAME.findall(" ".join(expressions()))) == DECLARED


@pytest.mark.parametrize("expression", [*expressions(), *(rule["expr"] for rule in ALERTS)])
def test_counters_are_shown_as_rates_and_labels_are_those_declared(expression: str) -> None:
    for name in NAME.findall(expression):
        assert name in DECLARED
        if name.endswith("_total"):
            assert re.search(rf"(rate|increase|delta)\({name}\b", expression)
    by = {label.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(",")}
    assert by <= set().union(*(LABELS[name] for name in NAME.findall(expression)), set())


def test_panels_have_titles_in_both_languages_and_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        assert CHINESE.search(panel["title"])
        assert re.search(r"[A-Za-z]", panel["title"])
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken
        taken |= cells
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(numbers)) == len(numbers)


def test_alerts_speak_both_languages_and_say_what_to_do() -> None:
    for rule in ALERTS:
        assert rule["labels"]["severity"] in {"page", "ticket"}
        for text in rule["annotations"].values():
            chinese, _, english = text.partition(" / ")
            assert CHINESE.search(chinese)
            assert english
            assert not CHINESE.search(english)


def test_what_must_wake_somebody_has_an_alert() -> None:
    named = set(NAME.findall(" ".join(rule["expr"] for rule in ALERTS)))
    assert named >= {
        "hutong_calls_fail_open_total",
        "hutong_sip_dropped_total",
        "hutong_mirror_lost_total",
        "hutong_calls_snapshot_age_seconds",
        "hutong_calls_screening_up",
        "hutong_calls_journal_refused_total",
        "hutong_process_restarts_total",
        "hutong_backup_time_seconds",
    }
    assert any("node_filesystem_avail_bytes" in rule["expr"] for rule in ALERTS)


@pytest.mark.peer("promtool")
@pytest.mark.parametrize(
    "words",
    [
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts_test.yml"],
        ["check", "config", "--syntax-only", "scrape.yml"],
    ],
)
def test_prometheus_itself_takes_them(words: list[str]) -> None:
    done = subprocess.run(
        ["promtool", *words], cwd=DEPLOY / "prometheus", capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.peer("promtool")
def test_prometheus_reads_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{at}", "expr": text.replace("$node", ".*")} for at, text in enumerate(expressions())]
    file = tmp_path / "panels.yml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", str(file)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
