"""Intervals of metrics and of their differences, from the resamples of the runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from longtail_cli.evaluation.bootstrap.resampling import Draws, interval
from longtail_cli.metrics import Interval, Resamples, Value
from longtail_cli.reports.metric_names import bounds_of, metrics_of
from longtail_cli.reports.model import Bootstrap, Report, Run
from longtail_cli.tables import Floats

Resampled = Mapping[str, Floats]
"""The metrics of a run in each resample by name: float64 [B], NaN if undefined."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run and its resamples; these are empty without a bootstrap."""

    run: Run
    resampled: Resampled


def add_intervals(report: Report, draws: Draws | None, resampled: Mapping[str, Resampled]) -> Report:
    """The report with an interval for every metric that was resampled, and for its difference to the first run's.

    resampled: by name of the run, by name of the metric, float64 [B].
    """
    if draws is None:
        return report
    resamples = Resamples(draws.seed, draws.sha256(), resampled)
    bootstrap = Bootstrap(resamples.number, resamples.seed, resamples.sha256)
    runs = tuple(replace(run, intervals=intervals_of(run, resampled[run.name])) for run in report.runs)
    first = runs[0]
    compared = tuple(with_deltas(run, resampled[run.name], first, resampled[first.name]) for run in runs[1:])
    return replace(report, runs=(first, *compared), bootstrap=bootstrap, resamples=resamples)


def with_deltas(run: Run, own: Resampled, reference: Run, base: Resampled) -> Run:
    """The run with the interval of each difference to the reference, paired resample by resample."""
    value, before = metrics_of(run), metrics_of(reference)
    deltas = {}
    for name in own.keys() & base.keys():
        found = _interval(_difference(value.get(name), before.get(name)), own[name] - base[name])
        if found is not None:
            deltas[name] = found
    return replace(run, deltas={name: deltas[name] for name in own if name in deltas})


def intervals_of(run: Run, resampled: Resampled) -> dict[str, Interval]:
    """The interval of each metric that was resampled and is defined, within the bounds of the metric."""
    values = metrics_of(run)
    found = {}
    for name, resamples in resampled.items():
        one, (least, greatest) = _interval(values.get(name), resamples), bounds_of(name)
        if one is not None:
            found[name] = Interval(max(one.low, least), min(one.high, greatest))
    return found


def _interval(value: Value, resampled: Floats) -> Interval | None:
    found = None if value is None else interval(resampled, value)
    return None if found is None else Interval(*found)


def _difference(value: Value, base: Value) -> Value:
    return None if value is None or base is None else value - base
