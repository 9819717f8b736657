"""The metrics that only sampling has."""

from __future__ import annotations

from typing import Final

from hutong.kernel.metrics import Metric

TAKEN: Final = Metric(
    "hutong_sampling_events_total",
    "counter",
    "events",
    "中心收下的采样事件数",
    "Events of sampling that the centre took",
    ("action",),
)
AGAIN: Final = Metric(
    "hutong_sampling_events_again_total",
    "counter",
    "events",
    "重复送达而不再计入的事件数",
    "Events that came again and counted once",
)
REFUSED: Final = Metric(
    "hutong_sampling_events_refused_total",
    "counter",
    "events",
    "中心拒收的事件数",
    "Events that the centre refused",
    ("reason",),
)
TUBES: Final = Metric(
    "hutong_sampling_tubes", "gauge", "tubes", "尚未出结果的试管数", "Tubes without a result, by state", ("state",)
)
CONFLICTS: Final = Metric(
    "hutong_sampling_conflicts", "gauge", "conflicts", "采样冲突数", "Conflicts of sampling, by rule", ("rule",)
)
SILENT: Final = Metric(
    "hutong_sampling_station_silence_seconds",
    "gauge",
    "seconds",
    "最久未联系的采样点距今",
    "Time since the last contact of the station that is silent longest",
)
TURNAROUND: Final = Metric(
    "hutong_sampling_turnaround_seconds",
    "gauge",
    "seconds",
    "近一日内检测的试管从开管到检测的平均时间",
    "From a tube's first sample to its test, mean of the tubes tested within the last day",
)
