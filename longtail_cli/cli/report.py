"""`ltcal report`: AP by frequency group, Fixed and pooled AP, and TIDE; or accuracy and calibration of classifiers."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from longtail_cli.cli import report_options
from longtail_cli.cli.merging import Location, inputs_of, locations_of, merge_option
from longtail_cli.cli.options import INPUT, PREDICTIONS, SPEC, execution_options, input_options
from longtail_cli.cli.status import print_status
from longtail_cli.cli.streams import as_given, check_reachable, inputs

if TYPE_CHECKING:
    from longtail_cli.cli.report_options import Outputs
    from longtail_cli.evaluation.options import EvaluationOptions
    from longtail_cli.methods.base import Method
    from longtail_cli.reports.model import Report
    from longtail_cli.workflow.judge import GatePlan
    from longtail_cli.workflow.options import (
        BootstrapOptions,
        BootstrapRequest,
        ExecutionOptions,
        GateRequest,
        InputOptions,
    )
    from longtail_cli.workflow.progress import Progress


@click.command()
@click.argument("predictions", nargs=-1, required=True, type=PREDICTIONS)
@merge_option
@click.option("--annotations", type=INPUT, help="Detections: the COCO or LVIS annotations they were made for.")
@click.option("--labels", type=INPUT, help="Classification: the true classes, if the file does not hold them.")
@click.option(
    "--freq",
    "frequencies",
    type=INPUT,
    help="Frequency table, or a name such as lvis-v1, for the methods and the frequency groups.",
)
@click.option(
    "--method",
    "specs",
    multiple=True,
    type=SPEC,
    metavar="SPEC",
    help="Adjust with this method first, or with what a tuning chose (@tuned.json); repeatable, one run each.",
)
@report_options.evaluation
@click.option(
    "--slices",
    type=INPUT,
    help="Add the metrics of parts of the images: JSON or CSV of image ids by name, or of attributes of images.",
)
@click.option("--name", "names", multiple=True, help="Name of a run, once per file and method, in order.")
@click.option("--reference", metavar="RUN", help="The run that differences are to, by its name. [the first]")
@report_options.intervals
@report_options.gates
@report_options.outputs
@click.option("--verify", is_flag=True, help="Recompute with the official packages; exit 1 unless equal to 1e-9.")
@input_options
@execution_options
def report(
    predictions: tuple[Path, ...],
    merge: bool,
    annotations: Path | None,
    labels: Path | None,
    frequencies: Path | None,
    specs: tuple[str, ...],
    evaluation: EvaluationOptions,
    slices: Path | None,
    names: tuple[str, ...],
    reference: str | None,
    intervals: BootstrapRequest,
    gates: GateRequest,
    outputs: Outputs,
    verify: bool,
    input_options: InputOptions,
    execution: ExecutionOptions,
) -> None:
    """Evaluate PREDICTIONS side by side; differences are to the baseline, to --reference, or to the first run.

    PREDICTIONS are detections or logits of a detector, with --annotations; or logits or scores of a classifier,
    without. Files are read as frameworks save them; `ltcal inspect` says what a file is. - is stdin.

    \b
    ltcal report predictions.json --annotations lvis_v1_val.json
    ltcal report before.json after.json --annotations val.json --html report.html
    ltcal report predictions.json --annotations val.json --baseline main.json --max-drop bbox/APr=0.005
    ltcal report --merge 'rank_*.json' --annotations val.json
    ltcal report logits/ --annotations val.json --freq freq.csv --method none --method iif
    ltcal report logits.npz --labels labels.npy --freq freq.csv --method none --method logit-adjust
    """
    from longtail_cli.cli.progress_bar import working
    from longtail_cli.cli.report_outputs import Asked, report_outputs, write
    from longtail_cli.files.paths import paths_in
    from longtail_cli.workflow.judge import check_one_reference, judged, plan_bootstrap, plan_gates
    from longtail_cli.workflow.method_specs import method_of, spec_files

    given_inputs = (locations_of if execution.in_parts else inputs_of)(predictions, merge)
    _check_options(given_inputs, annotations, labels, specs)
    if verify:
        _check_verifiable(given_inputs, annotations, specs, input_options, execution)
    if annotations is None:
        _refuse_for_classification(evaluation, outputs, execution)
    paths = [*predictions, *(path for one in given_inputs for path in paths_in(one))]
    check_reachable(paths, execution)
    methods = tuple(map(method_of, specs))
    plan = plan_gates(gates, Path())
    check_one_reference(reference, plan)
    bootstrap = plan_bootstrap(intervals, plan, plotted=outputs.plotted)
    with_intervals = plan_bootstrap(intervals, plan, plotted=False) is not None
    asked = Asked(evaluation.per_category, evaluation.reliability, with_intervals)
    beside = (annotations, labels, frequencies, slices, input_options.category_ids)
    read = inputs([*paths, *beside, *plan.files, *spec_files(specs, methods)])
    computed = replace(
        evaluation,
        per_category=evaluation.per_category or outputs.plotted or outputs.csv_file is not None,
        per_image=outputs.per_image_file is not None,
        reliability=evaluation.reliability or outputs.plotted,
        thresholds=outputs.thresholds_file is not None,
    )
    given = _Inputs(
        given_inputs, annotations, labels, frequencies, slices, methods, names, reference, input_options, execution
    )
    with report_outputs(outputs, read) as staged, working("report") as progress:
        result = as_given(judged(_evaluate(given, computed, bootstrap, progress), plan))
        progress("writing", None)
        command = shlex.join(["ltcal", *sys.argv[1:]])
        text = write(result, outputs, staged, asked=asked, command=command)
    if text is not None:
        click.echo(text, nl=False)
    else:
        print_status(f"warning: {warning}" for warning in result.warnings)
    _echo_notes(result)
    if verify and annotations is not None:
        _verify(result, predictions, annotations, frequencies)
    _end(result, plan)


@dataclass(frozen=True, slots=True)
class _Inputs:
    """The inputs of the evaluation. annotations: None for classification."""

    predictions: tuple[Location | tuple[Location, ...], ...]
    annotations: Path | None
    labels: Path | None
    frequencies: Path | None
    slices: Path | None
    methods: tuple[Method, ...]
    names: tuple[str, ...]
    reference: str | None
    input_options: InputOptions
    execution: ExecutionOptions


def _evaluate(
    inputs: _Inputs, options: EvaluationOptions, bootstrap: BootstrapOptions | None, progress: Progress
) -> Report:
    from longtail_cli.workflow.options import require_torch

    if inputs.annotations is None:
        require_torch()
        from longtail_cli.workflow.report_classification import evaluate_classification

        return evaluate_classification(
            inputs.predictions,
            inputs.labels,
            frequencies=inputs.frequencies,
            methods=inputs.methods,
            input_options=inputs.input_options,
            per_category=options.per_category,
            per_image=options.per_image,
            bootstrap=bootstrap,
            slices=inputs.slices,
            names=inputs.names,
            reference=inputs.reference,
            progress=progress,
        )
    from longtail_cli.workflow.partitioned.executions import evaluation_of

    return evaluation_of(inputs.execution)(
        inputs.predictions,
        inputs.annotations,
        frequencies=inputs.frequencies,
        methods=inputs.methods,
        input_options=inputs.input_options,
        options=options,
        bootstrap=bootstrap,
        slices=inputs.slices,
        names=inputs.names,
        reference=inputs.reference,
        progress=progress,
    )


def _echo_notes(result: Report) -> None:
    """Print the notes to stderr, each once, and in a GitHub workflow the gates as annotations."""
    import os

    from longtail_cli.cli.flags import report_with_flags
    from longtail_cli.reports.ci import workflow_commands
    from longtail_cli.reports.text_tables import notes_of

    print_status(notes_of(result))
    if os.environ.get("GITHUB_ACTIONS") == "true":
        click.echo(workflow_commands(report_with_flags(result)), err=True, nl=False)


def _verify(result: Report, predictions: Sequence[Path], annotations: Path, frequencies: Path | None) -> None:
    from longtail_cli.cli.progress_bar import working
    from longtail_cli.verify.comparison import verify

    with working("verifying with the official packages"):
        verify(result, predictions, annotations, frequencies)
    print_status(["verified: every metric equals that of the official packages to 1e-9"])


def _end(result: Report, plan: GatePlan) -> None:
    """Raise the error of the gates, if any, after everything is written."""
    from longtail_cli.reports.gates.judging import outcome_error

    error = outcome_error(result, plan.source)
    if error is not None:
        raise error


def _check_options(
    predictions: Sequence[Location | tuple[Location, ...]],
    annotations: Path | None,
    labels: Path | None,
    specs: Sequence[str],
) -> None:
    """Raise click's UsageError for options that contradict each other or lack an input."""
    from longtail_cli.files.recognise import kind_of_location

    kinds = {kind_of_location(one) for one in predictions}
    if annotations is not None and labels is not None:
        raise click.UsageError("--annotations is for detections and --labels for classification: give one of them")
    if annotations is None and "results" in kinds:
        raise click.UsageError("Missing option '--annotations', which result files are evaluated against")


def _check_verifiable(
    predictions: Sequence[Location | tuple[Location, ...]],
    annotations: Path | None,
    specs: Sequence[str],
    options: InputOptions,
    execution: ExecutionOptions,
) -> None:
    """Raise click's UsageError for what the official packages do not read."""
    from longtail_cli.files.frameworks.formats import detection_format
    from longtail_cli.files.outline import outline_of
    from longtail_cli.files.recognise import kind_of
    from longtail_cli.workflow.options import ConventionOptions

    if execution.in_parts:
        raise click.UsageError("--verify reads all detections in one process: leave it out, or --engine and --memory")
    paths = [one for one in predictions if isinstance(one, Path)]
    if annotations is None or specs or len(paths) < len(predictions) or "logits" in map(kind_of, paths):
        raise click.UsageError("--verify is for unadjusted result files: write one with rescore, and verify that")
    other = any(detection_format(outline_of(path)) is not None for path in paths)
    if other or options.convention != ConventionOptions():
        raise click.UsageError("--verify is for COCO results as they are: write them with rescore --method none first")


def _refuse_for_classification(evaluation: EvaluationOptions, outputs: Outputs, execution: ExecutionOptions) -> None:
    """Raise click's UsageError if options were given that only apply to detections."""
    given = {
        "--fixed-ap": evaluation.fixed_ap,
        "--pooled-ap": evaluation.pooled_ap,
        "--max-dets": evaluation.max_dets,
        "--iou-type": evaluation.iou_types,
        "--reliability": evaluation.reliability,
        "--thresholds": outputs.thresholds_file,
        "--engine": execution.engine != "local",
        "--memory": execution.memory,
    }
    options = [option for option, value in given.items() if value]
    if options:
        raise click.UsageError(f"{', '.join(options)}: for detections, which need --annotations")
