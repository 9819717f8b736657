"""Metrics of several processes become one exposition: every series once, none lost, the text correct."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from hutong.app.console.metrics_files import merged_metrics
from hutong.kernel import metrics as declared
from hutong.kernel.metrics import METRICS, Metrics

LABEL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
SERIES = st.tuples(st.sampled_from(METRICS), st.lists(LABEL, min_size=3, max_size=3), st.integers(0, 2**40))
PROCESS = st.lists(SERIES, max_size=8)


def exposed(series: list[tuple[declared.Metric, list[str], int]]) -> bytes:
    metrics = Metrics()
    for metric, labels, value in series:
        metrics.set(metric, value, **dict(zip(metric.labels, labels, strict=False)))
    return metrics.expose()


def samples(text: bytes) -> list[tuple[str, tuple[tuple[str, str], ...], float, str]]:
    return [
        (sample.name, tuple(sorted(sample.labels.items())), sample.value, family.type)
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    ]


@settings(max_examples=120, deadline=None)
@given(own=PROCESS, others=st.lists(PROCESS, max_size=3))
def test_every_series_comes_once_and_none_is_lost(
    own: list[tuple[declared.Metric, list[str], int]], others: list[list[tuple[declared.Metric, list[str], int]]]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        texts = [exposed(own), *map(exposed, others)]
        for at, text in enumerate(texts[1:]):
            (Path(name) / f"p{at}.prom").write_bytes(text)
        merged = merged_metrics(Path(name), texts[0])
    expected: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for text in texts:
        for series, labels, value, kind in samples(text):
            add = expected.get((series, labels), 0) if kind == "counter" else 0
            expected[series, labels] = add + value
    assert {(series, labels): value for series, labels, value, _ in samples(merged)} == expected
    lines = merged.decode().splitlines()
    heads = Counter(line.split()[2] for line in lines if line.startswith("# TYPE "))
    assert all(count == 1 for count in heads.values()), "a family stands once"
    assert len(samples(merged)) == len(expected), "a series stands once"


def test_what_is_no_exposition_is_left_out_and_told(tmp_path: Path) -> None:
    (tmp_path / "a.prom").write_bytes(exposed([(declared.JOB_RUNS, ["x"], 3)]))
    (tmp_path / "b.prom").write_bytes(b"this is {no exposition\n")
    (tmp_path / "c.prom").write_bytes(b"\xff\xfe")
    (tmp_path / "d.prom").write_bytes(b"# TYPE hutong_job_runs_total gauge\nhutong_job_runs_total 1\n")
    merged = merged_metrics(tmp_path)
    assert b'hutong_job_runs_total{job="x"} 3.0' in merged
    assert b"# b.prom is no exposition" in merged
    assert b"# c.prom is no exposition" in merged
    assert samples(merged)


def test_a_run_folder_that_is_not_there_leaves_ones_own(tmp_path: Path) -> None:
    own = exposed([(declared.LISTS_ENTRIES, [], 7)])
    assert samples(merged_metrics(tmp_path / "none", own)) == samples(own)
