"""`ltcal tune` of detectors in parts: the same search, on figures that are equal to those of one process.

A batch of candidates is one pass over the parts: each is read once, adjusted and matched for all of them. The rows are
reduced in all lanes of the folds, so that a lane costs no pass of its own.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from longtail_cli.choices import IouType
from longtail_cli.evaluation.detections import DetectionMetrics
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.execution.base import Execution
from longtail_cli.files.annotations.reader import open_annotations
from longtail_cli.methods.base import Method
from longtail_cli.methods.registry import parse_method
from longtail_cli.reports.model import Report
from longtail_cli.reports.tuning.model import Tuning
from longtail_cli.tables import FrequencyTable, GroundTruth
from longtail_cli.tuning import default_spaces
from longtail_cli.tuning.folds import Folds
from longtail_cli.tuning.trials import Figures
from longtail_cli.workflow.detection_facts import ComparedRuns
from longtail_cli.workflow.detection_inputs import Adjustments
from longtail_cli.workflow.detection_runs import RunRecord, outcome_of, score_notes
from longtail_cli.workflow.input_digests import sha256_of
from longtail_cli.workflow.options import BootstrapOptions, ExecutionOptions, InputOptions, load_frequencies
from longtail_cli.workflow.partitioned.cross_fitted import cross_fitted, kept_images
from longtail_cli.workflow.partitioned.executions import execution_of
from longtail_cli.workflow.partitioned.inputs import DividedInput, Planned, open_in_parts, read_masks
from longtail_cli.workflow.partitioned.memory import MOST_ROWS, Sizes
from longtail_cli.workflow.partitioned.result_sample import ResultSample, sample_results
from longtail_cli.workflow.partitioned.runs import WholeRun, whole_runs
from longtail_cli.workflow.progress import Progress, no_progress
from longtail_cli.workflow.report_detection import group_labels
from longtail_cli.workflow.tune import TuneOptions
from longtail_cli.workflow.tune_data import CrossFitted, DetectionData, detection_figures
from longtail_cli.workflow.tune_detection import TuningInputs, TuningRules, TuningTask, tuned
from longtail_cli.workflow.tune_results import cannot_change, follows_from_order

if TYPE_CHECKING:
    from longtail_cli.workflow.partitioned.logit_sample import LogitSample

RUNS = 8
"""Methods for which the detections of a result file are matched in one pass."""

NONE = parse_method("none")

IN_ORDER = ""
"""Instead of the specs of all methods that keep the order within each category."""


def tune_in_parts(
    predictions: Any,
    annotations: Any,
    *,
    execution: ExecutionOptions,
    frequencies: Path | FrequencyTable | None,
    options: TuneOptions,
    evaluation: EvaluationOptions,
    input_options: InputOptions,
    bootstrap: BootstrapOptions | None,
    progress: Progress = no_progress,
) -> Tuning:
    """As `tune_detection.tune_detection`, in parts. predictions: a path, paths of shards, or URLs."""
    table, frequencies_sha256 = load_frequencies(frequencies)
    progress("reading", None)
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        truth_file = stack.enter_context(open_annotations(annotations))
        annotations_sha256 = pool.submit(truth_file.sha256)
        divided = open_in_parts(predictions, truth_file, input_options)
        stack.callback(divided.close)
        iou_types = tuple(dict.fromkeys(evaluation.iou_types)) or divided.iou_types
        truth = truth_file.read(masks="segm" in iou_types)
        where = stack.enter_context(execution_of(execution))
        adjustments = Adjustments((), table, evaluation.score_space, input_options, beyond_limit=False)
        resamples = 0 if bootstrap is None else bootstrap.resamples
        masks = read_masks([divided], iou_types)
        sizes = Sizes.within(
            execution.memory, truth, runs=RUNS, iou_types=len(iou_types), masks=masks, resamples=resamples
        )
        sizes = replace(sizes, part=min(sizes.part, MOST_ROWS // RUNS))
        work = PartedInput(divided, truth, iou_types, adjustments, where, sizes)
        unadjusted = work.planned((NONE,), progress)
        columns, sha256 = None, unadjusted.sha256
        if unadjusted.from_logits:
            from longtail_cli.workflow.partitioned.logit_sample import columns_of, whole_file

            columns, sha256 = columns_of(unadjusted), partial(sha256_of, whole_file(divided))
        inputs = TuningInputs(
            source=unadjusted.source,
            columns=columns,
            path=default_spaces.as_source(predictions),
            truth=truth,
            image_names=truth_file.image_names(),
            frequencies=frequencies,
            table=table,
            labels=group_labels(truth, table),
            predictions_sha256=pool.submit(sha256).result,
            annotations_sha256=annotations_sha256.result(),
            frequencies_sha256=frequencies_sha256,
        )
        rules = TuningRules(evaluation, input_options, bootstrap)
        return tuned(inputs, iou_types, options, rules, partial(_data, work), progress)


def _data(work: PartedInput, task: TuningTask, part: GroundTruth, folds: Folds, split: str | None) -> DetectionData:
    """See `tune_detection.DataOf`."""
    if task.inputs.columns is None:
        return PartedResults(work, task, part, folds, split)
    return PartedLogits(work, task, part, folds, split)


@dataclass(frozen=True, slots=True)
class PartedInput:
    """The predictions, to be planned for any methods."""

    divided: DividedInput
    truth: GroundTruth
    """Of all images."""
    iou_types: Sequence[IouType]
    adjustments: Adjustments
    """Without methods."""
    execution: Execution
    sizes: Sizes

    def planned(self, methods: Sequence[Method], progress: Progress, *, beyond_limit: bool = False) -> Planned:
        """The predictions on all images with a run for each method; without methods, one run as they are.

        beyond_limit: see `Adjustments`.
        """
        adjustments = replace(self.adjustments, methods=tuple(methods), beyond_limit=beyond_limit)
        names = [method.spec for method in methods] or [NONE.spec]
        return self.divided.planned(
            self.truth, adjustments, names, self.iou_types, self.sizes, self.execution, progress
        )


class PartedData(DetectionData):
    """See `longtail_cli.workflow.tune_data.TuningData`. What it holds grows with the images alone."""

    def __init__(self, work: PartedInput, task: TuningTask, part: GroundTruth, folds: Folds, split: str | None) -> None:
        """part: the images that are tuned on. split: see `Signature.split`."""
        super().__init__(folds, task.goal)
        self.work = work
        self._keep = np.isin(work.truth.image_id, part.image_id)
        self._lanes, self._reporter = task.lanes(part, folds), task.reporter(part, split)
        self._sha256 = task.inputs.predictions_sha256 if task.inputs.columns is None else lambda: None
        self._beyond_limit = self._reporter.evaluations[0].options.beyond_limits

    def planned(self, methods: Sequence[Method], progress: Progress) -> Planned:
        """The predictions on all images with a run for each method."""
        return self.work.planned(methods, progress, beyond_limit=self._beyond_limit)

    def kept(self, planned: Planned) -> Planned:
        """The same on the images that are tuned on."""
        return kept_images(planned, self.work.truth, self._keep)

    def in_lanes(self, planned: Planned, progress: Progress) -> list[tuple[DetectionMetrics, ...]]:
        """The metrics of each run in the lanes of the folds, for each IoU type of the goal."""
        runs = whole_runs(
            self._lanes, self.kept(planned), self.work.sizes, self.work.execution, progress, digested=False
        )
        return [run.metrics for run in runs]

    def retain(self, specs: Collection[str]) -> None:
        """Nothing is kept: the report is one pass over the parts."""

    @abstractmethod
    def notes_on(self, methods: Sequence[Method], planned: Planned, progress: Progress) -> dict[str, tuple[str, ...]]:
        """The notes on each method, by spec. planned: with these methods."""

    def report(self, runs: Sequence[CrossFitted], progress: Progress) -> Report:
        methods = tuple({method.spec: method for run in runs for method in run.methods}.values())
        planned = self.planned(methods, progress)
        notes = self.notes_on(methods, planned, progress)
        specs = [method.spec for method in methods]
        crossed = cross_fitted(self.kept(planned), runs, specs, self.folds, beyond_limit=self._beyond_limit)
        reporter, compared = self._reporter, ComparedRuns()
        evaluations, outcomes = reporter.evaluations, []
        before: WholeRun | None = None
        found = whole_runs(evaluations, crossed, self.work.sizes, self.work.execution, progress, digested=True)
        for own, run in zip(runs, found, strict=True):
            confident = run.facts.confident or not evaluations[0].options.reliability
            shown = (*score_notes(confident=confident), *own.notes(notes))
            record = RunRecord(own.name, planned.source, self._sha256(), None, shown)
            same_boxes, same_order = run.same_boxes(before), run.same_order(before)
            facts = compared.facts(run.seen(crossed, 1), same_boxes=same_boxes, same_order=same_order)
            outcomes.append(outcome_of(evaluations, run.metrics, record, reporter.train_counts, facts))
            before = run
        return reporter.report(outcomes)


class PartedResults(PartedData):
    """Result files, whose rows are many and quickly read."""

    at_once = RUNS

    def __init__(self, work: PartedInput, task: TuningTask, part: GroundTruth, folds: Folds, split: str | None) -> None:
        super().__init__(work, task, part, folds, split)
        self._known: ResultSample | None = None
        self._in_order: dict[str, tuple[DetectionMetrics, ...]] = {}
        """Of methods that keep the order within each category, where the goal follows from it."""
        self._reordered = False
        """Whether a method was evaluated that does not keep it."""

    def figures(self, methods: Sequence[Method], progress: Progress) -> Iterator[Figures]:
        sample = self._sample(progress)
        keys = [IN_ORDER if sample.adjustable.keeps_order(method) else method.spec for method in methods]
        self._reordered |= set(keys) != {IN_ORDER}
        if not self._only_order_matters(sample):
            keys = [method.spec for method in methods]
        new: dict[str, Method] = {}
        for key, method in zip(keys, methods, strict=True):
            if key not in self._in_order:
                new.setdefault(key, method)
        found = dict(self._in_order)
        if new:
            planned = self.planned(tuple(new.values()), progress)
            found |= dict(zip(new, self.in_lanes(planned, progress), strict=True))
        self._in_order = {key: metrics for key, metrics in found.items() if key == IN_ORDER}
        for key, method in zip(keys, methods, strict=True):
            yield detection_figures(found[key], self.goal, sample.moved(method))

    @property
    def notes(self) -> tuple[str, ...]:
        sample = self._sample(no_progress)
        if self._reordered or not self._only_order_matters(sample):
            return sample.notes
        return (*sample.notes, cannot_change(self.goal))

    def notes_on(self, methods: Sequence[Method], planned: Planned, progress: Progress) -> dict[str, tuple[str, ...]]:
        adjustable = self._sample(progress).adjustable
        return {method.spec: adjustable.adjusted(method).notes for method in methods}

    def _only_order_matters(self, sample: ResultSample) -> bool:
        """Whether no adjustment that keeps the order within each category can change a metric of the goal."""
        return follows_from_order(self.goal) and not sample.limit_decides

    def _sample(self, progress: Progress) -> ResultSample:
        """The sample, which takes a pass over the parts when it is first asked for."""
        if self._known is None:
            planned = self.kept(self.work.planned((), progress))
            first, adjustments = self._lanes[0], self.work.adjustments
            self._known = sample_results(planned, first, adjustments, self.work.execution, progress)
        return self._known


class PartedLogits(PartedData):
    """Logits, whose parts are the smaller the more methods there are."""

    at_once = 24

    def __init__(self, work: PartedInput, task: TuningTask, part: GroundTruth, folds: Folds, split: str | None) -> None:
        super().__init__(work, task, part, folds, split)
        self._known: LogitSample | None = None

    def figures(self, methods: Sequence[Method], progress: Progress) -> Iterator[Figures]:
        planned, sample = self.planned(methods, progress), self._sample(progress)
        for number, metrics in enumerate(self.in_lanes(planned, progress)):
            yield detection_figures(metrics, self.goal, sample.moved(planned, number))

    def notes_on(self, methods: Sequence[Method], planned: Planned, progress: Progress) -> dict[str, tuple[str, ...]]:
        about_file = self.planned((NONE,), progress).runs[0].notes
        return {
            method.spec: tuple(note for note in run.notes if note not in about_file)
            for method, run in zip(methods, planned.runs, strict=True)
        }

    def _sample(self, progress: Progress) -> LogitSample:
        """The sample, which takes a pass over the parts when it is first asked for."""
        if self._known is None:
            from longtail_cli.workflow.partitioned.logit_sample import sample_logits

            planned = self.planned((NONE,), progress)
            self._known = sample_logits(self.work.divided, planned, self.work.execution, progress)
        return self._known
