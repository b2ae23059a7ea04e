"""Tuning on a result file: the boxes stay, so methods share the geometry and, where the order stays, the matches."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from longtail_cli.choices import ScoreSpace
from longtail_cli.evaluation.detections import Candidates, Evaluation, Ordered
from longtail_cli.evaluation.selection import per_image
from longtail_cli.files.results.rows import results_at
from longtail_cli.methods.base import Method
from longtail_cli.reports.model import Report
from longtail_cli.tables import Floats, FrequencyTable, GroundTruth, Results
from longtail_cli.tuning.folds import Folds
from longtail_cli.tuning.goal import Goal
from longtail_cli.tuning.trials import Figures
from longtail_cli.workflow.detection_inputs import RunInput, Source
from longtail_cli.workflow.locate_detections import locate
from longtail_cli.workflow.progress import Progress
from longtail_cli.workflow.report_detection import DetectionReporter
from longtail_cli.workflow.rescore_results import AdjustableResults, AdjustedResults
from longtail_cli.workflow.score_sample import ScoreSample, positions, sampled
from longtail_cli.workflow.tune_data import CrossFitted, DetectionData, detection_figures

BY_ORDER = ("AP", "AR")
"""How the metrics begin that follow from the order within each category, which most methods keep."""


def follows_from_order(goal: Goal) -> bool:
    """Whether the metrics of the goal follow from which detections count, and their order within each category."""
    return all(name.split("/")[1].startswith(BY_ORDER) and "APpool" not in name for name in goal.metrics)


def cannot_change(goal: Goal) -> str:
    """The note on an objective that no candidate can change."""
    return (
        f"{goal.objective} cannot change: these methods keep the order of the file's detections within each "
        "category, and no image holds more of them than are evaluated. Pooled AP, reliability and errors between "
        "classes can; tune one of them, or tune on logits."
    )


class ResultData(DetectionData):
    """See `longtail_cli.workflow.tune_data.TuningData`."""

    at_once = 64

    def __init__(
        self,
        results: Results,
        areas: Callable[[], Floats],
        sha256: Callable[[], str | None],
        truth: GroundTruth,
        evaluations: Sequence[Evaluation],
        folds: Folds,
        goal: Goal,
        table: FrequencyTable | None,
        score_space: ScoreSpace,
        reporter: DetectionReporter,
    ) -> None:
        """areas: reads `Detections.area` of the results. sha256: waits for the digest of the file. truth: all images of
        the annotations.

        evaluations: one for each IoU type of the goal, of the images that are tuned on, with the lanes of `folds` as
        their resamples.
        Raises InputError if ids are unknown or a score is not a probability.
        """
        super().__init__(folds, goal)
        self._sha256, self._evaluations, self._reporter = sha256, evaluations, reporter
        located = locate(results, truth)  # so that unknown images are refused, whatever is tuned on
        own_areas = cache(areas)
        self._adjustable = AdjustableResults(results, table, score_space, own_areas)
        inside = np.isin(located.image, np.searchsorted(truth.image_id, evaluations[0].ground_truth.image_id))
        self._inside = None if inside.all() else np.flatnonzero(inside)
        if self._inside is not None:
            results = results_at(results, self._inside)
            located = locate(results, evaluations[0].ground_truth)
        self._located = located
        row = sampled(positions(located.image, np.arange(len(evaluations[0].ground_truth.image_id))))
        sample = results_at(results, row)
        self._sample = ScoreSample(
            sample.score, AdjustableResults(sample, table, score_space, lambda: own_areas()[inside][row])
        )
        self._about_file = results.convention.notes
        self._candidates: list[Candidates] = [one.candidates(located) for one in evaluations]
        self._ordered: list[Ordered | None] = [None for _ in evaluations]
        self._base: Figures | None = None
        """Of a method that keeps the order within each category, once one was evaluated."""
        self._reordered = False
        """Whether a method was evaluated that does not keep it."""

    def figures(self, methods: Sequence[Method], progress: Progress) -> Iterator[Figures]:
        for number, method in enumerate(methods):
            progress("evaluating", number / len(methods))
            moved = self._sample.moved(method)
            order_kept = self._adjustable.keeps_order(method)
            self._reordered |= not order_kept
            if self._base is not None and self.only_order_matters and order_kept:
                yield replace(self._base, moved=moved)
                continue
            detections = replace(self._located, score=self._inside_of(self._adjustable.adjusted(method)))
            found = [
                one.evaluate(detections, candidates, before)
                for one, candidates, before in zip(self._evaluations, self._candidates, self._ordered, strict=True)
            ]
            self._ordered = [one.ordered for one in found]
            figures = detection_figures([one.metrics for one in found], self.goal, moved)
            if self._base is None and order_kept:
                self._base = figures
            yield figures

    @property
    def notes(self) -> tuple[str, ...]:
        if self._reordered or not self.only_order_matters:
            return self._about_file
        return (*self._about_file, cannot_change(self.goal))

    @property
    def only_order_matters(self) -> bool:
        """Whether no adjustment that keeps the order within each category can change a metric of the goal."""
        return follows_from_order(self.goal) and not self._limit_decides

    @property
    def _limit_decides(self) -> bool:
        """Whether some image has more detections than count, so that scores decide which of them count."""
        protocol, images = self._evaluations[0].protocol, len(self._evaluations[0].ground_truth.image_id)
        return protocol.federated and bool((per_image(self._located.image, images) > protocol.max_dets).any())

    def retain(self, specs: Collection[str]) -> None:
        """Nothing is kept: a method is adjusted again in less time than it takes to evaluate it."""

    def report(self, runs: Sequence[CrossFitted], progress: Progress) -> Report:
        methods = {method.spec: method for run in runs for method in run.methods}
        adjusted = {spec: self._adjustable.adjusted(method) for spec, method in methods.items()}
        notes = {spec: one.notes for spec, one in adjusted.items()}
        scores = {spec: self._inside_of(one) for spec, one in adjusted.items()}
        inputs = tuple(
            RunInput(run.name, None, replace(self._located, score=self._scores(run, scores)), run.notes(notes))
            for run in runs
        )
        source = Source(self._located.source, self._sha256(), inputs)
        return self._reporter.report(self._reporter.outcomes([source], progress))

    def _inside_of(self, adjusted: AdjustedResults) -> Floats:
        """The scores of the detections that are tuned on. All are adjusted together, which keeps their order."""
        score = adjusted.results.score
        return score if self._inside is None else score[self._inside]

    def _scores(self, run: CrossFitted, scores: Mapping[str, Floats]) -> Floats:
        """The score of each detection by the method of its image's fold: float64 [N]. scores: by spec, [N]."""
        fold = self.folds.fold[self._located.image]
        chosen = np.empty(len(fold))
        for number, method in enumerate(run.methods):
            chosen[fold == number] = scores[method.spec][fold == number]
        return chosen
