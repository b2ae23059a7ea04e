"""How often 95% intervals hold what they should, and how often gates fail without a difference.

    python benchmarks/coverage.py                          # every setting
    python benchmarks/coverage.py rare null-rare --repetitions 40 --populations 2

In each population of simulated images two models are evaluated, and val sets are drawn from it without replacement. Of
each val set a report is made as `ltcal report` makes it. Intervals are compared with the population's figure, and with
the mean of the figures of the val sets, which differs from it as AP depends on the size of the set. In a null setting
the two models exchange their detections in half of the images, drawn anew for each val set, so that there is no
difference. Then `max-drop = 0` should fail in 2.5% of the val sets.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from populations import Models, Setting, population
from tabulate import tabulate

from longtail_cli.choices import JudgedOn
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.metrics import Interval
from longtail_cli.reports.gates.judging import judge
from longtail_cli.reports.gates.limits import parse_gate
from longtail_cli.reports.metric_names import metrics_of
from longtail_cli.reports.model import Report
from longtail_cli.tables import Bools
from longtail_cli.workflow.detection_inputs import RunInput, Source
from longtail_cli.workflow.options import BootstrapOptions
from longtail_cli.workflow.progress import no_progress
from longtail_cli.workflow.report_detection import DetectionReporter, draws_of, prepared_evaluations, swaps_of

SETTINGS = {
    "balanced": Setting(images=200, rare=4, chance=0.15),
    "large": Setting(images=800, rare=8, chance=0.01),
    "rare": Setting(images=200, rare=8, chance=0.01),
    "few-rare": Setting(images=200, rare=4, chance=0.006),
    "small": Setting(images=40, rare=4, chance=0.05),
    "null-balanced": Setting(images=200, rare=4, chance=0.15, null=True),
    "null-rare": Setting(images=200, rare=8, chance=0.01, null=True),
    "null-few-rare": Setting(images=200, rare=4, chance=0.006, null=True),
    "null-small": Setting(images=40, rare=4, chance=0.05, null=True),
}
POPULATION = 8_000
METRICS = ("bbox/AP", "bbox/AP50", "bbox/APr", "bbox/APc", "bbox/APf")
OPTIONS = EvaluationOptions(protocol="lvis", tide="off")


@dataclass(frozen=True, slots=True)
class Found:
    """A figure of a val set, and its interval; NaN and None if undefined, None also if withheld."""

    value: float
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class Repetition:
    """What the report of a val set says of a metric."""

    level: Found
    difference: Found
    failed: dict[JudgedOn, bool]
    """Whether a gate on the metric fails at ``max-drop = 0``."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """A metric in a population, and in its val sets."""

    level: float
    difference: float
    repetitions: list[Repetition]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", nargs="*", metavar="SETTING", help=", ".join(SETTINGS))
    parser.add_argument("--populations", type=int, default=20)
    parser.add_argument("--repetitions", type=int, default=20, help="val sets of each population")
    parser.add_argument("--resamples", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    levels, differences, failures = [], [], []
    for name in options.settings or SETTINGS:
        begin = time.perf_counter()
        rng = np.random.default_rng((options.seed, list(SETTINGS).index(name)))
        found = [
            sampled(SETTINGS[name], options.repetitions, options.resamples, rng) for _ in range(options.populations)
        ]
        by_metric = [coverage([one[metric] for one in found]) for metric in METRICS]
        levels.append([name, *(one.level for one in by_metric)])
        differences.append([name, *(one.difference for one in by_metric)])
        if SETTINGS[name].null:
            failures.append([name, *(false_failures([one[metric] for one in found]) for metric in METRICS)])
        print(f"{name}: {time.perf_counter() - begin:.0f} s", file=sys.stderr)
    metrics = [metric.removeprefix("bbox/") for metric in METRICS]
    for title, rows in (
        ("Differences: % of the intervals that hold the population's / the mean (intervals shown, %)", differences),
        ("Levels: % of the intervals that hold the population's / the mean", levels),
        ("False failures, %: judged by interval / by significance", failures),
    ):
        print(title, tabulate(rows, ["setting", *metrics], tablefmt="github"), sep="\n\n", end="\n\n")


def sampled(setting: Setting, repetitions: int, resamples: int, rng: np.random.Generator) -> dict[str, Sampled]:
    """Each metric in a new population and in `repetitions` val sets."""
    models = population(setting, POPULATION, rng)
    whole = report_of(models, None)
    sets = [repetition(setting, models, resamples, rng) for _ in range(repetitions)]
    first, second = (metrics_of(run) for run in whole.runs)
    return {
        metric: Sampled(
            _number(first[metric]),
            0.0 if setting.null else _number(second[metric]) - _number(first[metric]),
            [one[metric] for one in sets],
        )
        for metric in METRICS
    }


def repetition(setting: Setting, models: Models, resamples: int, rng: np.random.Generator) -> dict[str, Repetition]:
    """The metrics of a new val set."""
    chosen = models.images(_chosen(setting.images, rng))
    if setting.null:
        chosen = chosen.swapped(rng.random(setting.images) < 0.5)
    seed = int(rng.integers(1 << 31))
    report = report_of(chosen, BootstrapOptions(resamples, seed, significance=setting.null))
    return dict(_repetitions(report, ("interval", "significance") if setting.null else ()))


def _repetitions(report: Report, ways: Sequence[JudgedOn]) -> Iterator[tuple[str, Repetition]]:
    first, second = report.runs
    before, after = metrics_of(first), metrics_of(second)
    for metric in METRICS:
        value, change = _number(before[metric]), _number(after[metric]) - _number(before[metric])
        gate = parse_gate("max-drop", f"{metric}=0", "gate")
        failed = {
            on: not all(verdict.allowed for verdict in judge(report, [gate], on=on, allow_undefined=True))
            for on in ways
        }
        yield (
            metric,
            Repetition(Found(value, first.intervals.get(metric)), Found(change, second.deltas.get(metric)), failed),
        )


def report_of(models: Models, bootstrap: BootstrapOptions | None) -> Report:
    """The report of the two models, without files."""
    truth, labels = models.truth, models.truth.categories.frequency
    draws = draws_of(truth, bootstrap)
    evaluations = prepared_evaluations(truth, ("bbox",), labels, OPTIONS, draws, resampled_sizes=False)
    reporter = DetectionReporter(evaluations, labels, None, draws, lambda: "", None)
    sources = [
        Source(name, None, (RunInput(name, None, detections),))
        for name, detections in (("first", models.first), ("second", models.second))
    ]
    return reporter.report(reporter.outcomes(sources, no_progress, swaps_of(len(truth.image_id), bootstrap)))


@dataclass(frozen=True, slots=True)
class Coverage:
    """The cells of the tables for a metric in a setting."""

    level: str
    difference: str


def coverage(found: Sequence[Sampled]) -> Coverage:
    """How many percent of the intervals hold the population's figure / the mean of the val sets.

    In brackets, if some are withheld, how many percent of the val sets that define the metric have an interval.
    """
    defined = sum(not np.isnan(one.level.value) for own in found for one in own.repetitions)
    held = [
        [
            _holds(one.level, own.level),
            _holds(one.level, np.nanmean([other.level.value for other in own.repetitions])),
            _holds(one.difference, own.difference),
            _holds(one.difference, np.nanmean([other.difference.value for other in own.repetitions])),
        ]
        for own in found
        for one in own.repetitions
        if one.level.interval is not None
    ]
    share = (100 * np.mean(held, axis=0)).tolist()
    shown = "" if len(held) == defined else f" ({100 * len(held) / defined:.0f})"
    level, difference = (f"{population:.1f} / {mean:.1f}" for population, mean in (share[:2], share[2:]))
    return Coverage(level + shown, difference + shown)


def false_failures(found: Sequence[Sampled]) -> str:
    """How many percent of the val sets fail a gate by its interval / its significance."""
    every = [one.failed for own in found for one in own.repetitions if not np.isnan(one.level.value)]
    return " / ".join(f"{100 * float(np.mean([one[on] for one in every])):.1f}" for on in ("interval", "significance"))


def _holds(found: Found, value: float) -> bool:
    return found.interval is not None and found.interval.low <= value <= found.interval.high


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _chosen(images: int, rng: np.random.Generator) -> Bools:
    keep = np.zeros(POPULATION, bool)
    keep[rng.choice(POPULATION, images, replace=False)] = True
    return keep


if __name__ == "__main__":
    main()
