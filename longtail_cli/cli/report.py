"""`ltcal report`: AP by frequency group, Fixed and pooled AP, and TIDE; or accuracy and calibration of classifiers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from longtail_cli.cli.logit_options import logit_options

if TYPE_CHECKING:
    from longtail_cli.report.model import Report
    from longtail_cli.workflow.inputs import LogitOptions

FILE = click.Path(path_type=Path, dir_okay=False)
STDOUT = Path("-")


@click.command()
@click.argument("predictions", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--annotations", type=FILE, help="Detections: COCO or LVIS annotations they were made for.")
@click.option("--labels", type=FILE, help="Classification: the true classes, where the file does not hold them.")
@click.option("--freq", "frequencies", type=FILE, help="Frequency table; for the methods, and for the groups.")
@click.option("--method", "specs", multiple=True, metavar="SPEC", help="Correct with it first; repeatable, a run each.")
@click.option(
    "--score-space",
    type=click.Choice(["prob", "logit"]),
    default="prob",
    show_default=True,
    help="What the scores of result files are, for --method.",
)
@click.option("--protocol", type=click.Choice(["auto", "lvis", "coco"]), default="auto", show_default=True)
@click.option(
    "--iou-type",
    "iou_types",
    multiple=True,
    type=click.Choice(["bbox", "segm"]),
    help="Repeatable; default: what the first file holds.",
)
@click.option(
    "--max-dets",
    type=click.IntRange(min=1),
    help="Cap: per image for LVIS [300], per image and category for COCO [100].",
)
@click.option("--fixed-ap", is_flag=True, help="Add Fixed AP: 10,000 detections per category, no cap per image.")
@click.option("--pooled-ap", is_flag=True, help="Add pooled AP: all categories on one curve.")
@click.option(
    "--tide",
    type=click.Choice(["aligned", "tidecv", "off"]),
    default="aligned",
    show_default=True,
    help="Error breakdown by this protocol's rules, or by tidecv's.",
)
@click.option("--per-category", is_flag=True, help="Add a row for every category.")
@click.option("--name", "names", multiple=True, help="Name of a run, once for each file in turn.")
@click.option("--json", "json_file", type=FILE, help="Write the report as JSON (ltcal-report/1); - for stdout.")
@click.option("--markdown", "markdown_file", type=FILE, help="Write the tables as Markdown; - for stdout.")
@click.option("--verify", is_flag=True, help="Recompute with the official packages; exit 1 unless equal to 1e-9.")
@logit_options
def report(
    predictions: tuple[Path, ...],
    annotations: Path | None,
    labels: Path | None,
    frequencies: Path | None,
    specs: tuple[str, ...],
    score_space: Literal["prob", "logit"],
    protocol: str,
    iou_types: tuple[str, ...],
    max_dets: int | None,
    fixed_ap: bool,
    pooled_ap: bool,
    tide: str,
    per_category: bool,
    names: tuple[str, ...],
    json_file: Path | None,
    markdown_file: Path | None,
    verify: bool,
    options: LogitOptions,
) -> None:
    """Evaluate PREDICTIONS side by side; differences are to the first run.

    PREDICTIONS are result files (.json, .json.gz, .parquet) or logits (.safetensors, .npz, .pt, or a folder of such
    shards) of a detector, with --annotations; or logits or scores of a classifier, without.

    \b
    ltcal report predictions.json --annotations lvis_v1_val.json
    ltcal report before.json after.json --annotations val.json --json report.json
    ltcal report logits/ --annotations val.json --freq freq.csv --method none --method iif
    ltcal report logits.npz --labels labels.npy --freq freq.csv --method none --method logit-adjust
    """
    from longtail_cli import workflow
    from longtail_cli.adjust.registry import parse_method
    from longtail_cli.cli.progress import working

    inputs = [*predictions, *(path for path in (annotations, labels, frequencies) if path)]
    _check_places(inputs, [place for place in (json_file, markdown_file) if place])
    methods = [parse_method(spec) for spec in specs]
    _check_options(predictions, annotations, labels, specs, verify)
    if annotations is None:
        given = {"--fixed-ap": fixed_ap, "--pooled-ap": pooled_ap, "--max-dets": max_dets, "--iou-type": iou_types}
        _refuse_for_classification([option for option, value in given.items() if value])
    with working("report") as say:
        if annotations is None:
            result = workflow.report_classification(
                predictions,
                labels=labels,
                frequencies=frequencies,
                methods=methods,
                options=options,
                per_category=per_category,
                names=names,
                say=say,
            )
        else:
            result = workflow.report(
                predictions,
                annotations,
                frequencies=frequencies,
                methods=methods,
                options=options,
                score_space=score_space,
                protocol=protocol,
                iou_types=tuple(dict.fromkeys(iou_types)),
                max_dets=max_dets,
                fixed_ap=fixed_ap,
                pooled_ap=pooled_ap,
                tide=tide,
                per_category=per_category,
                names=names,
                say=say,
            )
    _write(result, json_file, markdown_file)
    for note in (*result.notes, *(f"{run.name}: {note}" for run in result.runs for note in run.notes)):
        click.echo(note, err=True)
    if verify and annotations is not None:
        with working("verifying with the official packages"):
            workflow.verify(result, predictions, annotations, frequencies)
        click.echo("verified: every figure equals that of the official packages to 1e-9", err=True)


def _check_options(
    predictions: Sequence[Path], annotations: Path | None, labels: Path | None, specs: Sequence[str], verify: bool
) -> None:
    """Refuse options that leave open what is to be evaluated. Raises click's UsageError."""
    from longtail_cli.workflow.inputs import kind_of

    kinds = {kind_of(path) for path in predictions}
    if annotations is not None and labels is not None:
        raise click.UsageError("--annotations are for detections and --labels for classification: give one of them")
    if annotations is None and "results" in kinds:
        raise click.UsageError("Missing option '--annotations', which result files are evaluated against")
    if verify and (annotations is None or specs or "logits" in kinds):
        raise click.UsageError("--verify is for result files as they are: write one with rescore, and verify that")


def _refuse_for_classification(options: Sequence[str]) -> None:
    """Raise click's UsageError where options were given that only detections know."""
    if options:
        raise click.UsageError(f"{', '.join(options)}: for detections, which need --annotations")


def _check_places(inputs: Sequence[Path], outputs: Sequence[Path]) -> None:
    """Refuse an output that would replace an input or another output. Raises UsageError."""
    from longtail_cli.errors import Problem, UsageError

    taken = {path.resolve() for path in inputs}
    for path in outputs:
        if path.resolve() in taken:
            problem = Problem("output", "a place of its own", "that of an input or of another output")
            raise UsageError(str(path), [problem], "choose another file")
        taken.add(path.resolve())


def _write(report: Report, json_file: Path | None, markdown_file: Path | None) -> None:
    """Write the files that were asked for; the text goes to stdout unless one of them does."""
    from longtail_cli.files.output import write_text
    from longtail_cli.report.markdown import to_markdown
    from longtail_cli.report.schema import to_json
    from longtail_cli.report.text import to_text

    renderers = {json_file: to_json, markdown_file: to_markdown}
    for place, renderer in renderers.items():
        if place is not None and place != STDOUT:
            write_text(place, renderer(report))
    click.echo(renderers.get(STDOUT, to_text)(report), nl=False)
