"""`ltcal report` in parts: equal to that of one process to the last bit, whatever the parts."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from longtail_cli.errors import Problem, UsageError
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.execution.base import Execution
from longtail_cli.files.annotations.reader import open_annotations
from longtail_cli.methods.base import Method
from longtail_cli.reports.model import Report
from longtail_cli.tables import FrequencyTable
from longtail_cli.workflow.detection_facts import ComparedRuns
from longtail_cli.workflow.detection_inputs import Adjustments
from longtail_cli.workflow.detection_runs import outcome_of, with_thresholds
from longtail_cli.workflow.intervals import Outcome
from longtail_cli.workflow.options import BootstrapOptions, ExecutionOptions, InputOptions, load_frequencies
from longtail_cli.workflow.partitioned.executions import execution_of
from longtail_cli.workflow.partitioned.inputs import DividedInput, open_in_parts, read_masks
from longtail_cli.workflow.partitioned.memory import Sizes
from longtail_cli.workflow.partitioned.runs import WholeRun, whole_runs
from longtail_cli.workflow.progress import Progress, no_progress
from longtail_cli.workflow.report_detection import (
    DEFAULT_LOGIT_OPTIONS,
    DEFAULT_OPTIONS,
    DetectionReporter,
    with_oracles,
)
from longtail_cli.workflow.run_names import number_of, run_names


def evaluate_in_parts(
    predictions: Sequence[Any],
    annotations: Any,
    *,
    execution: ExecutionOptions,
    frequencies: Path | FrequencyTable | None = None,
    methods: Sequence[Method] = (),
    input_options: InputOptions = DEFAULT_LOGIT_OPTIONS,
    options: EvaluationOptions = DEFAULT_OPTIONS,
    bootstrap: BootstrapOptions | None = None,
    names: Sequence[str] = (),
    reference: str | None = None,
    slices: Any = None,
    progress: Progress = no_progress,
) -> Report:
    """As `report_detection.evaluate`, in parts. predictions: paths or URLs.

    Raises UsageError for what needs all detections in one process, and otherwise as `evaluate` does.
    """
    _check_divisible(options, bootstrap, slices)
    names_by_input = run_names(predictions, methods, names)
    compared_to = None if reference is None else number_of(reference, names_by_input)
    table, frequencies_sha256 = load_frequencies(frequencies)
    progress("reading", None)
    with ExitStack() as stack, ThreadPoolExecutor(1) as pool:
        truth_file = stack.enter_context(open_annotations(annotations))
        digest = pool.submit(truth_file.sha256)
        inputs = [open_in_parts(one, truth_file, input_options) for one in predictions]
        for one in inputs:
            stack.callback(one.close)
        iou_types = tuple(dict.fromkeys(options.iou_types)) or inputs[0].iou_types
        truth = truth_file.read(masks="segm" in iou_types)
        reporter = DetectionReporter.of(truth, iou_types, table, options, bootstrap, digest.result, frequencies_sha256)
        adjustments = Adjustments(methods, table, options.score_space, input_options, options.beyond_limits)
        where = stack.enter_context(execution_of(execution))
        resamples = 0 if bootstrap is None else bootstrap.resamples
        masks = read_masks(inputs, iou_types)
        runs = max(len(methods), 1)
        sizes = Sizes.within(
            execution.memory, truth, runs=runs, iou_types=len(iou_types), masks=masks, resamples=resamples
        )
        outcomes = outcomes_in_parts(reporter, inputs, names_by_input, adjustments, where, sizes, progress)
        return reporter.report(with_oracles(outcomes, methods, truth_file), compared_to)


def _check_divisible(options: EvaluationOptions, bootstrap: BootstrapOptions | None, slices: Any) -> None:
    """Raise UsageError for what is only computed from all detections in one process."""
    asked = {
        "`tide='tidecv'`": options.tide == "tidecv",
        "`slices=`": slices is not None,
        "`per_image=`": options.per_image,
        "`significance=`": bootstrap is not None and bootstrap.significance,
    }
    whole = [name for name, is_asked in asked.items() if is_asked]
    if whole:
        problem = Problem("options", "those that are computed in parts", ", ".join(whole))
        fix = "leave these out; or leave out `engine=` and `memory=`, to evaluate all detections in one process"
        raise UsageError("`engine=` and `memory=`", [problem], fix)


def outcomes_in_parts(
    reporter: DetectionReporter,
    inputs: Sequence[DividedInput],
    names: Sequence[Sequence[str]],
    adjustments: Adjustments,
    execution: Execution,
    sizes: Sizes,
    progress: Progress,
) -> tuple[Outcome, ...]:
    """The outcomes of the runs, one input after another. names: of the runs of each input."""
    evaluations, compared = reporter.evaluations, ComparedRuns()
    truth, iou_types = evaluations[0].ground_truth, [one.iou_type for one in evaluations]
    digested = len(inputs) > 1 and not adjustments.methods  # else no two runs differ in scores that a file holds
    outcomes: list[Outcome] = []
    before: WholeRun | None = None
    for number, (divided, own_names) in enumerate(zip(inputs, names, strict=True), 1):
        planned = divided.planned(truth, adjustments, own_names, iou_types, sizes, execution, progress)
        with ThreadPoolExecutor(1) as pool:
            sha256 = pool.submit(planned.sha256)
            runs = whole_runs(evaluations, planned, sizes, execution, progress, digested=digested)
        for run in runs:
            facts = compared.facts(
                run.seen(planned, number), same_boxes=run.same_boxes(before), same_order=run.same_order(before)
            )
            record = run.record(planned, sha256.result(), evaluations[0].options)
            outcome = outcome_of(evaluations, run.metrics, record, reporter.train_counts, facts)
            outcomes.append(with_thresholds(outcome, run.thresholds))
            before = run
    return tuple(outcomes)
