"""What the search needs of the data that is tuned on, of any kind: the figures of methods, and cross-fitted runs."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from longtail_cli.errors import Problem, UsageError
from longtail_cli.evaluation.detections import DetectionMetrics
from longtail_cli.methods.base import Method
from longtail_cli.metrics import Interval, Value
from longtail_cli.reports.metric_names import metrics_of
from longtail_cli.reports.model import Report
from longtail_cli.tuning.folds import Folds
from longtail_cli.tuning.goal import Goal
from longtail_cli.tuning.trials import Figures
from longtail_cli.workflow.progress import Progress


@dataclass(frozen=True, slots=True)
class CrossFitted:
    """A run whose images are scored with the method that was chosen on the other folds."""

    name: str
    methods: tuple[Method, ...]
    """One for each fold."""

    def notes(self, by_spec: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
        """The notes of its methods, each once."""
        return tuple(dict.fromkeys(note for method in self.methods for note in by_spec[method.spec]))


@dataclass(frozen=True, slots=True)
class Estimate:
    """The objective of a run; without a bootstrap there are no intervals."""

    value: Value
    interval: Interval | None
    gain: Interval | None
    """Of the difference to the first run; None for that itself."""


def detection_figures(found: Sequence[DetectionMetrics], goal: Goal, moved: float) -> Figures:
    """The figures of one set of detections, evaluated for each IoU type in the lanes of the folds."""
    lanes = {name: values for one in found for name, values in (one.resampled or {}).items()}
    shown = {name: None if math.isnan(values[0]) else float(values[0]) for name, values in lanes.items()}
    return Figures({name: lanes[name] for name in goal.metrics}, shown, moved)


def no_fitted_temperature() -> UsageError:
    """The error of a space with ``t=fit`` for detectors."""
    problem = Problem("temperature", "a number or a range, as detectors are tuned on AP", "t=fit")
    return UsageError("`methods=`", [problem], "search a range, such as temperature:t=0.5..2, or leave it out")


class TuningData(Protocol):
    """Predictions with annotations or labels, divided into folds."""

    folds: Folds
    at_once: int
    """How many methods to pass to `figures` at once."""

    def figures(self, methods: Sequence[Method], progress: Progress) -> Iterator[Figures]:
        """The figures of each method, in order."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about the data."""
        ...

    def retain(self, specs: Collection[str]) -> None:
        """Forget what was kept of other methods to report on them without computing it again."""
        ...

    def with_temperature(self, method: Method, part: int) -> Method:
        """The method with a temperature that is fitted to the images of a part. Raises UsageError for detection."""
        ...

    def report(self, runs: Sequence[CrossFitted], progress: Progress) -> Report:
        """The report of these runs."""
        ...

    def objectives(self, runs: Sequence[CrossFitted], report: Report) -> list[Estimate]:
        """The objective of each run of `report`, whose images are scored by the method of their fold."""
        ...


class DetectionData(ABC):
    """What result files and logits of detectors share."""

    at_once: int

    def __init__(self, folds: Folds, goal: Goal) -> None:
        self.folds, self.goal = folds, goal

    @property
    def notes(self) -> tuple[str, ...]:
        return ()

    @abstractmethod
    def figures(self, methods: Sequence[Method], progress: Progress) -> Iterator[Figures]: ...

    @abstractmethod
    def retain(self, specs: Collection[str]) -> None: ...

    @abstractmethod
    def report(self, runs: Sequence[CrossFitted], progress: Progress) -> Report: ...

    def with_temperature(self, method: Method, part: int) -> Method:
        raise no_fitted_temperature()

    def objectives(self, runs: Sequence[CrossFitted], report: Report) -> list[Estimate]:
        name, found = self.goal.objective, {run.name: run for run in report.runs}
        return [
            Estimate(metrics_of(one).get(name), one.intervals.get(name), one.deltas.get(name))
            for one in (found[run.name] for run in runs)
        ]
