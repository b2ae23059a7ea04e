"""Intervals of metrics and of their differences, from the resamples of the runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from longtail_cli.evaluation.bootstrap.resampling import Draws, interval
from longtail_cli.metrics import ImageMetrics, Interval, Resamples, RowPredictions, Thresholds, Value
from longtail_cli.reports.metric_names import bounds_of, metrics_of
from longtail_cli.reports.model import Bootstrap, Report, Run
from longtail_cli.reports.reliance import effective_images, withheld_notes
from longtail_cli.tables import Floats
from longtail_cli.workflow.detection_facts import DetectionFacts

Resampled = Mapping[str, Floats]
"""The metrics of a run in each resample by name: float64 [B], NaN if undefined."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run, and what is computed beside it."""

    run: Run
    resampled: Resampled
    """Empty without a bootstrap."""
    facts: DetectionFacts | None = None
    """Of detections; None for classification."""
    images: Mapping[str, ImageMetrics] = field(default_factory=dict)
    """By IoU type; empty unless asked for, as are the thresholds."""
    rows: RowPredictions | None = None
    """None unless asked for."""
    thresholds: Mapping[str, Thresholds] = field(default_factory=dict)


def add_intervals(
    report: Report, draws: Draws | None, resampled: Mapping[str, Resampled], images: Mapping[str, float]
) -> Report:
    """The report with an interval for every metric that was resampled, and for its difference to the reference's.

    resampled: by name of the run, by name of the metric, float64 [B]. images: see `Bootstrap`.
    """
    if draws is None:
        return report
    resamples = Resamples(draws.seed, draws.sha256(), resampled)
    bootstrap = Bootstrap(resamples.number, resamples.seed, resamples.sha256, images)
    report = replace(report, bootstrap=bootstrap, resamples=resamples)
    base = report.reference
    compared = tuple(
        run if run is base else with_deltas(run, resampled[run.name], base, resampled[base.name], report)
        for run in report.runs
    )
    runs = tuple(replace(run, intervals=intervals_of(run, resampled[run.name], report)) for run in compared)
    return replace(report, runs=runs, notes=(*report.notes, *withheld_notes(report)))


def with_deltas(run: Run, own: Resampled, reference: Run, base: Resampled, report: Report) -> Run:
    """The run with the interval of each difference to the reference, paired resample by resample.

    report: says on how many images metrics rest.
    """
    value, before = metrics_of(run), metrics_of(reference)
    deltas = {}
    for name in own.keys() & base.keys():
        change = _difference(value.get(name), before.get(name))
        found = _interval(change, own[name] - base[name], effective_images(report, name))
        if found is not None:
            deltas[name] = found
    return replace(run, deltas={name: deltas[name] for name in own if name in deltas})


def intervals_of(run: Run, resampled: Resampled, report: Report) -> dict[str, Interval]:
    """The interval of each metric that was resampled and is defined, within the bounds of the metric.

    report: says on how many images metrics rest.
    """
    values = metrics_of(run)
    found = {}
    for name, resamples in resampled.items():
        one = _interval(values.get(name), resamples, effective_images(report, name))
        least, greatest = bounds_of(name)
        if one is not None:
            found[name] = Interval(max(one.low, least), min(one.high, greatest))
    return found


def _interval(value: Value, resampled: Floats, images: float | None) -> Interval | None:
    found = None if value is None else interval(resampled, value, images)
    return None if found is None else Interval(*found)


def _difference(value: Value, base: Value) -> Value:
    return None if value is None or base is None else value - base
