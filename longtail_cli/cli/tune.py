"""`ltcal tune`: chooses the best adjustment for a model on data that is not the data reported on."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from longtail_cli.choices import IOU_TYPES, PROTOCOL_CHOICES, SCORE_SPACES, TARGETS
from longtail_cli.cli.merging import Location, divided_input_of, input_of, merge_option
from longtail_cli.cli.options import INPUT, OUTPUT, OUTPUT_FOLDER, PREDICTIONS, execution_options, input_options
from longtail_cli.cli.signals import INTERRUPTED
from longtail_cli.cli.status import print_status
from longtail_cli.cli.streams import WordOrInput, as_given, check_reachable, inputs, url_of

if TYPE_CHECKING:
    from longtail_cli.choices import IouType, ProtocolChoice, ScoreSpace
    from longtail_cli.evaluation.options import EvaluationOptions
    from longtail_cli.reports.tuning.model import Tuning
    from longtail_cli.workflow.options import BootstrapOptions, ExecutionOptions, InputOptions
    from longtail_cli.workflow.progress import Progress
    from longtail_cli.workflow.tune import TuneOptions


@click.command()
@click.argument("predictions", metavar="INPUT", nargs=-1, required=True, type=PREDICTIONS)
@merge_option
@click.option("--annotations", type=INPUT, help="Detections: the COCO or LVIS annotations to tune on.")
@click.option("--labels", type=INPUT, help="Classification: the true classes, if the file does not hold them.")
@click.option(
    "--freq", "frequencies", type=INPUT, help="Frequency table of the training set, or a name such as lvis-v1."
)
@click.option(
    "--method",
    "spaces",
    multiple=True,
    metavar="SPACE",
    help="Methods to search, such as norcal:gamma=0..1.5; repeatable. Default: every method that INPUT allows.",
)
@click.option(
    "--objective",
    metavar="METRIC",
    help="Metric to optimise. [bbox/AP; for classifiers classification/nll, after a fitted temperature]",
)
@click.option(
    "--keep",
    multiple=True,
    metavar="METRIC=CHANGE",
    help="How much worse a metric may become than without adjustment, such as bbox/APf=-0.005; repeatable.",
)
@click.option("--folds", type=int, default=5, show_default=True, help="Folds of the images for cross-fitting.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed of the folds.")
@click.option(
    "--target",
    type=WordOrInput(TARGETS),
    default="balanced",
    show_default=True,
    metavar="balanced|as-is|FILE",
    help="Classification: class distribution that rows are weighted to; FILE is a frequency table.",
)
@click.option(
    "--split", metavar="half:SEED", help="Tune on a random half of the images, and report on the other half too."
)
@click.option(
    "-o", "--output", required=True, type=OUTPUT, help="File for the choice (ltcal-tuned/1), for --method @FILE."
)
@click.option("--html", "html_file", type=OUTPUT, help="Write a self-contained HTML page with plots.")
@click.option("--plots", type=OUTPUT_FOLDER, help="Write the plots to this folder as PNG and PDF.")
@click.option("--bootstrap/--no-bootstrap", default=True, help="Add 95% bootstrap intervals. [on]")
@click.option("--resamples", type=click.IntRange(min=2), default=1000, show_default=True, help="Bootstrap resamples.")
@click.option(
    "--protocol", type=click.Choice(PROTOCOL_CHOICES), default="auto", show_default=True, help="Evaluation protocol."
)
@click.option("--iou-type", "iou_types", multiple=True, type=click.Choice(IOU_TYPES), help="IoU of boxes or of masks.")
@click.option("--max-dets", type=click.IntRange(min=1), help="Detections that are evaluated, as in report.")
@click.option(
    "--score-space",
    type=click.Choice(SCORE_SPACES),
    default="prob",
    show_default=True,
    help="Whether the scores of a result file are probabilities or logits.",
)
@input_options
@execution_options
def tune(
    predictions: tuple[Path, ...],
    merge: bool,
    annotations: Path | None,
    labels: Path | None,
    frequencies: Path | None,
    spaces: tuple[str, ...],
    objective: str | None,
    keep: tuple[str, ...],
    folds: int,
    seed: int,
    target: str,
    split: str | None,
    output: Path,
    html_file: Path | None,
    plots: Path | None,
    bootstrap: bool,
    resamples: int,
    protocol: ProtocolChoice,
    iou_types: tuple[IouType, ...],
    max_dets: int | None,
    score_space: ScoreSpace,
    input_options: InputOptions,
    execution: ExecutionOptions,
) -> None:
    """Choose the best adjustment of INPUT, and say how good it is on images that it was not chosen on.

    INPUT are logits or detections of a detector, with --annotations; or logits or probabilities of a classifier. A
    SPACE is a SPEC with alternatives: a range low..high, a list a|b, or * for all words of a parameter;
    temperature:t=fit at the end of a chain is fitted (classifiers).

    \b
    ltcal tune logits/ --annotations train_part.json --freq freq.csv -o tuned.json
    ltcal tune logits/ --annotations train_part.json --freq freq.csv --method norcal:gamma=0..1.5 -o tuned.json
    ltcal tune predictions.json --annotations val.json --freq freq.csv --split half:0 -o tuned.json
    ltcal tune logits.npz --labels labels.npy --freq freq.csv -o tuned.json
    ltcal report test_logits/ --annotations test.json --freq freq.csv --method none --method @tuned.json
    """
    from longtail_cli.cli.flags import tuning_with_flags
    from longtail_cli.cli.progress_bar import working
    from longtail_cli.evaluation.options import EvaluationOptions
    from longtail_cli.files.output import name_of, outputs_of
    from longtail_cli.files.paths import is_stdout, paths_in
    from longtail_cli.reports.tuning.text import to_text
    from longtail_cli.workflow.method_specs import space_files
    from longtail_cli.workflow.options import BootstrapOptions
    from longtail_cli.workflow.tune import TuneOptions

    source = (divided_input_of if execution.in_parts else input_of)(predictions, merge)
    _check_options(source, annotations, labels)
    if annotations is None and execution.in_parts:
        raise click.UsageError("--engine and --memory are for detections: classifiers are tuned in one process")
    check_reachable(paths_in(source), execution)
    _check_packages(html_file, plots)
    table = None if target in TARGETS else Path(target)
    beside = (annotations, labels, frequencies, input_options.category_ids)
    read = inputs([*predictions, *paths_in(source), *beside, table, *space_files(spaces)])
    options = TuneOptions(spaces, objective, keep, folds, seed, target, split)
    evaluation = EvaluationOptions(protocol, iou_types, max_dets, score_space=score_space)
    given = _Inputs(source, annotations, labels, frequencies, input_options, execution)
    files = [path for path in (output, html_file) if path is not None]
    folders = {} if plots is None else {plots: (".png", ".pdf")}
    resampling = BootstrapOptions(resamples) if bootstrap else None
    with outputs_of(files, inputs=read, folders=folders, url_of=url_of) as staged, working("tune") as progress:
        tuning = as_given(_tuned(given, options, evaluation, resampling, progress))
        progress("writing", None)
        _write(tuning, staged, output, html_file, plots)
    if not any(map(is_stdout, files)):
        click.echo(to_text(tuning_with_flags(tuning)), nl=False)
    if tuning.partial:
        print_status([f"interrupted; {name_of(output)} holds what was found"])
        click.get_current_context().exit(INTERRUPTED)


@dataclass(frozen=True, slots=True)
class _Inputs:
    """The inputs, and where they are processed. annotations: None for classification."""

    predictions: Location | tuple[Location, ...]
    annotations: Path | None
    labels: Path | None
    frequencies: Path | None
    input_options: InputOptions
    execution: ExecutionOptions


def _check_options(predictions: Location | tuple[Location, ...], annotations: Path | None, labels: Path | None) -> None:
    """Raise click's UsageError for options that contradict each other or lack an input."""
    from longtail_cli.files.recognise import kind_of_location

    if annotations is not None and labels is not None:
        raise click.UsageError("--annotations is for detections and --labels for classification: give one of them")
    if annotations is None and kind_of_location(predictions) == "results":
        raise click.UsageError("Missing option '--annotations', which result files are tuned on")


def _check_packages(html_file: Path | None, plots: Path | None) -> None:
    """Raise MissingExtraError if a package for the outputs is not installed, before the search."""
    from longtail_cli.errors import require

    if html_file is not None:
        require("jinja2", "HTML pages", "html")
        require("matplotlib", "plots", "html")
    if plots is not None:
        require("matplotlib", "plots", "plots")


def _tuned(
    inputs: _Inputs,
    options: TuneOptions,
    evaluation: EvaluationOptions,
    bootstrap: BootstrapOptions | None,
    progress: Progress,
) -> Tuning:
    from longtail_cli.workflow.options import require_torch

    if inputs.annotations is not None:
        from longtail_cli.workflow.partitioned.executions import tuning_of

        return tuning_of(inputs.execution)(
            inputs.predictions,
            inputs.annotations,
            frequencies=inputs.frequencies,
            options=options,
            evaluation=evaluation,
            input_options=inputs.input_options,
            bootstrap=bootstrap,
            progress=progress,
        )
    require_torch()
    from longtail_cli.workflow.tune_classification import tune_classification

    return tune_classification(
        inputs.predictions,
        inputs.labels,
        frequencies=inputs.frequencies,
        options=options,
        input_options=inputs.input_options,
        bootstrap=bootstrap,
        progress=progress,
    )


def _write(
    tuning: Tuning, staged: Mapping[Path, Path], output: Path, html_file: Path | None, plots: Path | None
) -> None:
    """Render all outputs, then write them. staged: the path to write each of them to."""
    from longtail_cli.files.output import write_bytes, write_text
    from longtail_cli.reports.tuning.json import to_json

    texts = {output: to_json(tuning)}
    if html_file is not None:
        from longtail_cli.cli.flags import tuning_with_flags
        from longtail_cli.reports.page.tuning import to_html

        texts[html_file] = to_html(tuning_with_flags(tuning), shlex.join(["ltcal", *sys.argv[1:]]))
    drawn = {} if plots is None else _drawn(tuning)
    for path, text in texts.items():
        write_text(staged[path], text)
    if plots is not None:
        for name, content in drawn.items():
            write_bytes(staged[plots] / name, content)


def _drawn(tuning: Tuning) -> dict[str, bytes]:
    """The plots by file name."""
    from longtail_cli.reports.plots.tuning_figures import rendered

    formats: tuple[Literal["png", "pdf"], ...] = ("png", "pdf")
    return {f"{name}.{suffix}": content for suffix in formats for name, content in rendered(tuning, suffix).items()}
