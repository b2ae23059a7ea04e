"""`ltcal report`: AP by frequency group, Fixed and pooled AP, and TIDE; or accuracy and calibration of classifiers."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from longtail_cli.cli import report_options
from longtail_cli.cli.options import logit_options
from longtail_cli.cli.report_options import FILE, Figures, Gates, Intervals, Outputs

if TYPE_CHECKING:
    from longtail_cli.adjust.base import Method
    from longtail_cli.reports.model import Report
    from longtail_cli.workflow.intervals import Bootstrapping
    from longtail_cli.workflow.judge import GatePlan
    from longtail_cli.workflow.options import LogitOptions
    from longtail_cli.workflow.progress import Progress


@click.command()
@click.argument("predictions", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--annotations", type=FILE, help="Detections: COCO or LVIS annotations they were made for.")
@click.option("--labels", type=FILE, help="Classification: the true classes, where the file does not hold them.")
@click.option("--freq", "frequencies", type=FILE, help="Frequency table; for the methods, and for the groups.")
@click.option("--method", "specs", multiple=True, metavar="SPEC", help="Correct with it first; repeatable, a run each.")
@report_options.figures
@click.option("--name", "names", multiple=True, help="Name of a run, once for each file in turn.")
@report_options.intervals
@report_options.gates
@report_options.outputs
@click.option("--verify", is_flag=True, help="Recompute with the official packages; exit 1 unless equal to 1e-9.")
@logit_options
def report(
    predictions: tuple[Path, ...],
    annotations: Path | None,
    labels: Path | None,
    frequencies: Path | None,
    specs: tuple[str, ...],
    figures: Figures,
    names: tuple[str, ...],
    intervals: Intervals,
    gates: Gates,
    outputs: Outputs,
    verify: bool,
    options: LogitOptions,
) -> None:
    """Evaluate PREDICTIONS side by side; differences are to the baseline, or to the first run.

    PREDICTIONS are result files (.json, .json.gz, .parquet) or logits (.safetensors, .npz, .pt, or a folder of such
    shards) of a detector, with --annotations; or logits or scores of a classifier, without.

    \b
    ltcal report predictions.json --annotations lvis_v1_val.json
    ltcal report before.json after.json --annotations val.json --html report.html
    ltcal report predictions.json --annotations val.json --baseline main.json --max-drop bbox/APr=0.005
    ltcal report logits/ --annotations val.json --freq freq.csv --method none --method iif
    ltcal report logits.npz --labels labels.npy --freq freq.csv --method none --method logit-adjust
    """
    from longtail_cli.adjust.registry import parse_method
    from longtail_cli.cli.progress_bar import working
    from longtail_cli.cli.report_outputs import check_places, write
    from longtail_cli.workflow.judge import judged

    _check_options(predictions, annotations, labels, specs, verify)
    if annotations is None:
        _refuse_for_classification(figures)
    methods = tuple(parse_method(spec) for spec in specs)
    plan = _plan(gates)
    baseline = [] if plan.baseline is None else [plan.baseline.path]
    check_places([*predictions, *baseline, *(path for path in (annotations, labels, frequencies) if path)], outputs)
    pictured = outputs.html_file is not None or outputs.plots is not None
    wanted = replace(
        figures,
        per_category=figures.per_category or pictured or outputs.csv_file is not None,
        reliability=figures.reliability or pictured,
    )
    inputs = _Inputs(predictions, annotations, labels, frequencies, methods, names, options)
    with working("report") as progress:
        found = _evaluated(inputs, wanted, _bootstrapping(intervals, plan, pictured), progress)
        result = judged(found, plan)
        progress("writing", None)
        command = shlex.join(["ltcal", *sys.argv[1:]])
        write(result, outputs, rows_shown=figures.per_category, command=command)
    _tell(result)
    if verify and annotations is not None:
        with working("verifying with the official packages"):
            from longtail_cli.verify.comparison import verify as compare_with_official

            compare_with_official(result, predictions, annotations, frequencies)
        click.echo("verified: every figure equals that of the official packages to 1e-9", err=True)
    _end(result)


@dataclass(frozen=True, slots=True)
class _Inputs:
    """What is evaluated. annotations: None for classification."""

    predictions: tuple[Path, ...]
    annotations: Path | None
    labels: Path | None
    frequencies: Path | None
    methods: tuple[Method, ...]
    names: tuple[str, ...]
    options: LogitOptions


def _evaluated(inputs: _Inputs, figures: Figures, bootstrap: Bootstrapping | None, progress: Progress) -> Report:
    from longtail_cli.evaluate.options import EvaluationOptions
    from longtail_cli.workflow.options import require_torch
    from longtail_cli.workflow.report_detection import evaluate

    if inputs.annotations is None:
        require_torch()
        from longtail_cli.workflow.report_classification import evaluate_classification

        return evaluate_classification(
            inputs.predictions,
            labels=inputs.labels,
            frequencies=inputs.frequencies,
            methods=inputs.methods,
            options=inputs.options,
            per_category=figures.per_category,
            bootstrap=bootstrap,
            names=inputs.names,
            progress=progress,
        )
    return evaluate(
        inputs.predictions,
        inputs.annotations,
        frequencies=inputs.frequencies,
        methods=inputs.methods,
        options=inputs.options,
        choices=EvaluationOptions(**asdict(figures)),
        bootstrap=bootstrap,
        names=inputs.names,
        progress=progress,
    )


def _plan(gates: Gates) -> GatePlan:
    """What flags and files ask to be judged; with --no-gate nothing, and a baseline is for differences alone."""
    from longtail_cli.workflow.judge import Asked, GatePlan, plan_gates, read_baseline

    if not gates.gate:
        return GatePlan(baseline=None if gates.baseline is None else read_baseline(gates.baseline))
    asked = Asked(
        gates={
            "fail-under": gates.fail_under,
            "fail-over": gates.fail_over,
            "max-drop": gates.max_drop,
            "max-rise": gates.max_rise,
        },
        baseline=gates.baseline,
        on=gates.gate_on,
        allow_undefined=gates.allow_undefined,
        runs=gates.gate_runs,
    )
    return plan_gates(asked, Path())


def _bootstrapping(intervals: Intervals, plan: GatePlan, pictured: bool) -> Bootstrapping | None:
    """How to resample, or None; by the baseline's draws where it has any."""
    from longtail_cli.workflow.intervals import Bootstrapping

    asked = intervals.bootstrap
    if asked is False and plan.on == "interval" and plan.gates:
        raise click.UsageError("--gate-on interval needs intervals: leave --no-bootstrap out")
    if asked is None:
        asked = pictured or plan.on == "interval" or intervals.resamples is not None or intervals.seed is not None
    if not asked:
        return None
    if plan.baseline is not None:
        return plan.baseline.bootstrapping(intervals.resamples, intervals.seed)
    default = Bootstrapping()
    seed = default.seed if intervals.seed is None else intervals.seed
    return Bootstrapping(intervals.resamples or default.resamples, seed)


def _tell(result: Report) -> None:
    """Notes on stderr; and in a GitHub workflow the commands that mark what the gates found."""
    import os

    from longtail_cli.errors import one_line
    from longtail_cli.reports.github import workflow_commands

    for note in (*result.notes, *(f"{run.name}: {note}" for run in result.runs for note in run.notes)):
        click.echo(one_line(note), err=True)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        click.echo(workflow_commands(result), err=True, nl=False)


def _end(result: Report) -> None:
    """Raise what ends the build, now that everything is written."""
    from longtail_cli.reports.gates.judging import outcome_error

    error = outcome_error(result)
    if error is not None:
        raise error


def _check_options(
    predictions: Sequence[Path], annotations: Path | None, labels: Path | None, specs: Sequence[str], verify: bool
) -> None:
    """Refuse options that leave open what is to be evaluated. Raises click's UsageError."""
    from longtail_cli.workflow.options import kind_of

    kinds = {kind_of(path) for path in predictions}
    if annotations is not None and labels is not None:
        raise click.UsageError("--annotations are for detections and --labels for classification: give one of them")
    if annotations is None and "results" in kinds:
        raise click.UsageError("Missing option '--annotations', which result files are evaluated against")
    if verify and (annotations is None or specs or "logits" in kinds):
        raise click.UsageError("--verify is for result files as they are: write one with rescore, and verify that")


def _refuse_for_classification(figures: Figures) -> None:
    """Raise click's UsageError where options were given that only detections know."""
    given = {
        "--fixed-ap": figures.fixed_ap,
        "--pooled-ap": figures.pooled_ap,
        "--max-dets": figures.max_dets,
        "--iou-type": figures.iou_types,
        "--reliability": figures.reliability,
    }
    options = [option for option, value in given.items() if value]
    if options:
        raise click.UsageError(f"{', '.join(options)}: for detections, which need --annotations")
