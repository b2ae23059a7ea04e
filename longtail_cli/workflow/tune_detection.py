"""`ltcal tune` of detectors: logits or a result file against annotations."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from longtail_cli.choices import IOU_TYPES, IouType
from longtail_cli.errors import Problem, UsageError
from longtail_cli.evaluation import summary
from longtail_cli.evaluation.average_precision import Curves
from longtail_cli.evaluation.detections import Evaluation
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.evaluation.protocol import AREA_NAMES, IOU_THRESHOLDS
from longtail_cli.evaluation.tide import BASE, MAIN_ERRORS, SPECIAL
from longtail_cli.files.annotations.reader import open_annotations
from longtail_cli.files.results.file import ResultFile
from longtail_cli.reports.origin import InputDigest, Origin
from longtail_cli.reports.tuning.model import Tuning
from longtail_cli.tables import FrequencyTable, GroundTruth, LogitColumns, Longs, Results
from longtail_cli.tuning import default_spaces
from longtail_cli.tuning.folds import Folds, one_fold, rarest_category, stratified_folds
from longtail_cli.tuning.goal import Goal, parse_goal
from longtail_cli.tuning.search import Search
from longtail_cli.workflow.category_names import compared_names
from longtail_cli.workflow.conventions import resolved
from longtail_cli.workflow.detection_inputs import GEOMETRY, held_iou_types, open_inputs
from longtail_cli.workflow.image_subset import truth_of
from longtail_cli.workflow.input_digests import input_digests, sha256_of
from longtail_cli.workflow.locate_detections import areas_in
from longtail_cli.workflow.options import BootstrapOptions, InputOptions, load_frequencies
from longtail_cli.workflow.oracle import images_in
from longtail_cli.workflow.progress import Progress, bytes_progress, no_progress
from longtail_cli.workflow.report_detection import (
    DetectionReporter,
    draws_of,
    group_labels,
    prepared_evaluations,
)
from longtail_cli.workflow.tune import (
    TuneOptions,
    check_unseen,
    chosen_half,
    method_digests,
    result,
    search_all,
    spaces_of,
    split_of,
    with_heldout,
)
from longtail_cli.workflow.tune_data import DetectionData, no_fitted_temperature

SIZED = re.compile(r"/A[PR][sml](@|$)")
"""In the names of metrics by object size."""


@dataclass(frozen=True, slots=True)
class TuningInputs:
    """What the search needs to know of the inputs, beside the predictions."""

    source: str
    """The predictions, as the user gave them."""
    columns: LogitColumns | None
    """Of logits; None for a result file."""
    path: str | None
    """Of logits, see `default_spaces.as_source`."""
    truth: GroundTruth
    image_names: Mapping[int, str]
    """The file name of each image by id."""
    frequencies: Path | FrequencyTable | None
    table: FrequencyTable | None
    labels: Sequence[str] | None
    predictions_sha256: Callable[[], str | None]
    """Waits for the digest, which is computed beside the search."""
    annotations_sha256: str
    frequencies_sha256: str | None


@dataclass(frozen=True, slots=True)
class TuningRules:
    """How the detections are decoded and evaluated."""

    evaluation: EvaluationOptions
    inputs: InputOptions
    bootstrap: BootstrapOptions | None


def tune_detection(
    predictions: Any,
    annotations: Any,
    *,
    frequencies: Path | FrequencyTable | None,
    options: TuneOptions,
    evaluation: EvaluationOptions,
    input_options: InputOptions,
    bootstrap: BootstrapOptions | None,
    progress: Progress = no_progress,
) -> Tuning:
    """Choose an adjustment for the detections or logits `predictions` on these annotations.

    Raises InputError for broken files and UsageError for options that do not fit them.
    """
    table, frequencies_sha256 = load_frequencies(frequencies)
    progress("reading", None)
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        truth_file = stack.enter_context(open_annotations(annotations))
        annotations_sha256 = pool.submit(truth_file.sha256)
        file = open_inputs([predictions], truth_file, input_options, stack)[0]
        predictions_sha256 = pool.submit(sha256_of, file)
        iou_types = tuple(dict.fromkeys(evaluation.iou_types)) or held_iou_types(file)
        if not isinstance(file, ResultFile):
            check_boxes(file.source, iou_types)
        truth = truth_file.read(masks="segm" in iou_types)
        results = None
        if isinstance(file, ResultFile):
            fields = frozenset(GEOMETRY[iou_type] for iou_type in iou_types)
            results = file.read(fields, bytes_progress(progress, "reading", file.size))
            results = resolved(results, truth, input_options.convention)
        else:
            from longtail_cli.workflow.logit_conventions import resolved_logits

            file = resolved_logits(file, truth, input_options)
        inputs = TuningInputs(
            source=file.source,
            columns=None if isinstance(file, ResultFile) else file.columns,
            path=default_spaces.as_source(predictions),
            truth=truth,
            image_names=truth_file.image_names(),
            frequencies=frequencies,
            table=table,
            labels=group_labels(truth, table),
            predictions_sha256=predictions_sha256.result,
            annotations_sha256=annotations_sha256.result(),
            frequencies_sha256=frequencies_sha256,
        )
        rules = TuningRules(evaluation, input_options, bootstrap)
        return tuned(inputs, iou_types, options, rules, _InMemory(file, results), progress)


def check_boxes(source: str, iou_types: Sequence[IouType]) -> None:
    """Raise UsageError for logits that are to be tuned on masks."""
    if tuple(iou_types) != ("bbox",):
        problem = Problem("`iou_types=`", "bbox", ", ".join(iou_types))
        raise UsageError(source, [problem], "logits hold boxes only; tune masks on a result file")


def tuned(
    inputs: TuningInputs,
    iou_types: Sequence[IouType],
    options: TuneOptions,
    rules: TuningRules,
    data_of: DataOf,
    progress: Progress,
) -> Tuning:
    """The tuning on these inputs. data_of: gives the predictions on some of the images."""
    truth, spaces = inputs.truth, spaces_of(options, _default_spaces(inputs))
    if any(space.temperature_fitted for space in spaces):
        raise no_fitted_temperature()
    tuned = chosen_half(_strata(truth), options)
    part = truth if tuned is None else truth_of(truth, tuned)
    whole = prepared_evaluations(truth, iou_types, inputs.labels, rules.evaluation, None)
    names = {id_: inputs.image_names[id_] for id_ in part.image_id.tolist()}
    check_unseen(spaces, lambda saved: images_in(names, saved.origin.images), "images")
    goal = parse_goal(options.objective or f"{iou_types[0]}/AP", options.keep, _known_metrics(whole))
    folds = stratified_folds(_strata(part), options.folds, options.seed)
    task = TuningTask(inputs, goal, iou_types, rules)
    data = data_of(task, part, folds, split_of(options, "tuned on"))
    search = Search(spaces, goal, folds)
    complete = search_all(search, data, progress)
    tuned_on = _tuned_on(inputs, part, method_digests(spaces))
    tuning = result(search, data, options, tuned_on, complete=complete, progress=progress)
    if tuned is None or tuning.partial:
        return tuning
    other = truth_of(truth, ~tuned)
    held_out = data_of(task, other, one_fold(len(other.image_id)), split_of(options, "held out"))
    return with_heldout(tuning, held_out, progress)


@dataclass(frozen=True, slots=True)
class TuningTask:
    """What is evaluated, and by which rules."""

    inputs: TuningInputs
    goal: Goal
    iou_types: Sequence[IouType]
    """Of the report."""
    rules: TuningRules

    def reporter(self, part: GroundTruth, split: str | None) -> DetectionReporter:
        """Reports with everything that was asked for, and what the goal needs."""
        inputs, options, needed = self.inputs, self.rules.evaluation, self.needed
        shown = replace(
            options,
            fixed_ap=options.fixed_ap or needed.fixed_ap,
            pooled_ap=options.pooled_ap or needed.pooled_ap,
        )
        draws = draws_of(part, self.rules.bootstrap)
        evaluations = prepared_evaluations(part, self.iou_types, inputs.labels, shown, draws)
        return DetectionReporter(
            evaluations, inputs.labels, inputs.table, draws, lambda: inputs.annotations_sha256,
            inputs.frequencies_sha256, split, compared_names(inputs.table, inputs.truth),
        )  # fmt: skip

    def lanes(self, part: GroundTruth, folds: Folds) -> list[Evaluation]:
        """Evaluates only what the goal needs, in each lane of the folds."""
        names = self.goal.metrics
        iou_types = [one for one in IOU_TYPES if any(one in name.split("/")[:2] for name in names)]
        sizes = any(SIZED.search(name) for name in names)
        return prepared_evaluations(part, iou_types, self.inputs.labels, self.needed, folds, resampled_sizes=sizes)

    @property
    def needed(self) -> EvaluationOptions:
        """The options with only the metrics of the goal."""
        names = self.goal.metrics
        return replace(
            self.rules.evaluation,
            fixed_ap=any("/APfixed/" in name for name in names),
            pooled_ap=any("/APpool/" in name for name in names),
            tide="aligned" if any(name.startswith("tide/") for name in names) else "off",
            reliability=False,
            per_category=False,
        )


DataOf = Callable[[TuningTask, GroundTruth, Folds, str | None], DetectionData]
"""Called with the task, the images, their folds and `Signature.split`: the predictions on these images."""


@dataclass(frozen=True, slots=True)
class _InMemory:
    """Predictions of which all that is evaluated is held in this process."""

    file: Any
    """A `ResultFile` or a `LogitsFile`."""
    results: Results | None
    """Of a result file."""

    def __call__(self, task: TuningTask, part: GroundTruth, folds: Folds, split: str | None) -> DetectionData:
        """See `DataOf`."""
        inputs, rules, goal = task.inputs, task.rules, task.goal
        reporter, lanes = task.reporter(part, split), task.lanes(part, folds)
        if self.results is not None:
            from longtail_cli.workflow.tune_results import ResultData

            def resolve(found: Results) -> Results:
                return resolved(found, inputs.truth, rules.inputs.convention)

            space, areas = rules.evaluation.score_space, areas_in(self.file, self.results, resolve)
            return ResultData(
                self.results, areas, inputs.predictions_sha256, inputs.truth, lanes, folds, goal, inputs.table, space,
                reporter,
            )  # fmt: skip
        from longtail_cli.workflow.tune_detector import DetectorData

        ids = inputs.truth.image_id
        return DetectorData(self.file, lanes[0], ids, folds, goal, inputs.table, rules.inputs, reporter)


def _strata(truth: GroundTruth) -> Longs:
    return rarest_category(truth.image, truth.category, len(truth.image_id), len(truth.categories))


def _default_spaces(inputs: TuningInputs) -> Sequence[str]:
    if inputs.columns is None:
        return default_spaces.of_results() if inputs.table is not None else ()
    return default_spaces.of_detector(inputs.columns, inputs.table, inputs.path)


def _known_metrics(evaluations: Sequence[Evaluation]) -> list[str]:
    """The names of all metrics that are computed for weighted images."""
    names = []
    for one in evaluations:
        categories, iou_type = len(one.ground_truth.categories), one.iou_type
        nothing = np.full((len(IOU_THRESHOLDS), categories, len(AREA_NAMES)), np.nan)
        ranked = dict.fromkeys(summary.RANKS[one.protocol.name], nothing[:, :, 0])
        headline = summary.headline(Curves(nothing, nothing), ranked, one.protocol, one.groups)
        grouped = summary.grouped_ap(nothing[:, :, 0], one.groups)
        names += [f"{iou_type}/{name}" for name in headline]
        names += [f"{iou_type}/{kind}/{name}" for kind in ("APfixed", "APpool") for name in grouped]
        gains = (BASE, *MAIN_ERRORS, "Miss", *SPECIAL)
        names += [f"tide/{iou_type}{group}/{name}" for group in ("", *(f"/{g}" for g in one.groups)) for name in gains]
    return names


def _tuned_on(inputs: TuningInputs, part: GroundTruth, of_methods: tuple[InputDigest, ...]) -> Origin:
    columns, table = inputs.columns, inputs.table
    digests = (
        *input_digests(inputs.source, inputs.predictions_sha256(), inputs.frequencies, inputs.frequencies_sha256),
        InputDigest("annotations", inputs.truth.source, inputs.annotations_sha256),
        *of_methods,
    )
    images = {id_: inputs.image_names[id_] for id_ in part.image_id.tolist()}
    if columns is not None:
        return Origin("logits", columns.head, columns.background, tuple(columns.category_id.tolist()), digests, images)
    known = inputs.truth.categories.id if table is None else table.category_id
    return Origin("results", "sigmoid", "none", tuple(known.tolist()), digests, images)
