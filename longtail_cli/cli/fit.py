"""`ltcal fit`: learns a correction or a classifier head on what a model saved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from longtail_cli.choices import IOU_TYPES, PROTOCOL_CHOICES, SCORE_SPACES, TARGETS
from longtail_cli.cli.merging import input_of, merge_option
from longtail_cli.cli.options import INPUT, INPUT_OR_FOLDER, OUTPUT, OUTPUT_FOLDER, SPEC, column_options
from longtail_cli.cli.status import print_status
from longtail_cli.cli.streams import WordOrInput, as_given, inputs, url_of

if TYPE_CHECKING:
    from longtail_cli.choices import IouType, ProtocolChoice, ScoreSpace
    from longtail_cli.workflow.options import InputOptions
    from longtail_cli.workflow.saved_method import Fit


def _negatives(ctx: click.Context, param: click.Parameter, text: str) -> float:
    if text == "all":
        return float("inf")
    try:
        return float(text)
    except ValueError as error:
        raise click.BadParameter(f"expected a number such as 3, or all, found {text!r}") from error


@click.command()
@click.argument("predictions", metavar="INPUT", nargs=-1, required=True, type=INPUT_OR_FOLDER)
@merge_option
@click.option("--annotations", type=INPUT, help="Detectors: the COCO or LVIS annotations to fit on.")
@click.option("--labels", type=INPUT, help="Classification: the true classes, if the file does not hold them.")
@click.option(
    "--freq", "frequencies", type=INPUT, help="Frequency table of the training set, or a name such as lvis-v1."
)
@click.option(
    "--method", required=True, type=SPEC, metavar="SPEC", help="What to fit, such as bcts or classifier:loss=iif."
)
@click.option("-o", "--output", required=True, type=OUTPUT, help="File (.npz) for --method @FILE.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed.")
@click.option(
    "--target",
    type=WordOrInput(TARGETS),
    default="balanced",
    show_default=True,
    metavar="balanced|as-is|FILE",
    help="Corrections of logits: class distribution that rows are weighted to; FILE is a frequency table.",
)
@click.option(
    "--held-out",
    type=INPUT_OR_FOLDER,
    help="Classification: other logits of the model, with labels, to choose settings on. "
    "[default: a fifth of the rows]",
)
@click.option(
    "--foreground-iou",
    type=float,
    default=0.5,
    show_default=True,
    help="Proposals: one that overlaps an object by at least this IoU has its class.",
)
@click.option(
    "--background-iou",
    type=float,
    default=0.5,
    show_default=True,
    help="Proposals: one that overlaps every object by less is background; "
    "proposals between the two thresholds are left out.",
)
@click.option(
    "--negatives",
    metavar="N|all",
    default="3",
    show_default=True,
    callback=_negatives,
    help="Proposals: background rows, drawn at random, for each row with a class.",
)
@click.option("--plots", type=OUTPUT_FOLDER, help="Write plots to this folder.")
@click.option(
    "--protocol",
    type=click.Choice(PROTOCOL_CHOICES),
    default="auto",
    show_default=True,
    help="Result files: rules of matching.",
)
@click.option("--iou-type", type=click.Choice(IOU_TYPES), help="Result files: IoU of boxes or of masks.")
@click.option(
    "--score-space",
    type=click.Choice(SCORE_SPACES),
    default="prob",
    show_default=True,
    help="Result files: whether scores are probabilities or logits.",
)
@column_options
def fit(
    predictions: tuple[Path, ...],
    merge: bool,
    annotations: Path | None,
    labels: Path | None,
    frequencies: Path | None,
    method: str,
    output: Path,
    seed: int,
    target: str,
    held_out: Path | None,
    foreground_iou: float,
    background_iou: float,
    negatives: float,
    plots: Path | None,
    protocol: ProtocolChoice,
    iou_type: IouType | None,
    score_space: ScoreSpace,
    input_options: InputOptions,
) -> None:
    """Learn a correction or a classifier head on INPUT, to apply it to other predictions of the same model.

    INPUT are logits of a classifier, or of a detector with --annotations; a new head needs the features beside them,
    or of a classifier the features alone. Or it is a file of detections with --annotations, for a map from score to
    probability. `ltcal methods --fit` lists what SPEC can be.

    \b
    ltcal fit logits.npz --labels labels.npy --freq freq.csv --method bcts -o bcts.npz
    ltcal fit logits/ --annotations part.json --freq freq.csv --method classifier:loss=balanced-softmax -o head.npz
    ltcal fit predictions.json --annotations part.json --freq freq.csv --method platt -o platt.npz
    ltcal report test_logits/ --annotations test.json --freq freq.csv --method none --method @head.npz
    """
    from longtail_cli.cli.flags import fit_with_flags
    from longtail_cli.cli.progress_bar import working
    from longtail_cli.errors import require
    from longtail_cli.files.output import name_of, outputs_of
    from longtail_cli.files.paths import is_stdout, paths_in
    from longtail_cli.workflow.fit import FitOptions
    from longtail_cli.workflow.fit import fit as fitted

    if annotations is not None and labels is not None:
        raise click.UsageError("--annotations is for detectors and --labels for classifiers: give one of them")
    if plots is not None:
        require("matplotlib", "plots", "plots")
    table = None if target in TARGETS else Path(target)
    source = input_of(predictions, merge)
    read = inputs([*paths_in(source), annotations, labels, frequencies, held_out, input_options.category_ids, table])
    options = FitOptions(
        method=method,
        seed=seed,
        target=target,
        foreground_iou=foreground_iou,
        background_iou=background_iou,
        negatives=negatives,
        protocol=protocol,
        iou_type=iou_type,
        score_space=score_space,
        inputs=input_options,
    )
    folders = {} if plots is None else {plots: (".png", ".pdf")}
    with outputs_of([output], inputs=read, folders=folders, url_of=url_of) as staged, working("fit") as progress:
        found = as_given(
            fitted(
                source,
                annotations,
                labels,
                frequencies=frequencies,
                held_out=held_out,
                options=options,
                progress=progress,
            )
        )
        progress("writing", None)
        _write(found, staged, output, plots)
    if not is_stdout(output):
        click.echo(fit_with_flags(found).to_text(), nl=False)
        print_status([f"apply it with --method @{name_of(output)}"])


def _write(found: Fit, staged: Mapping[Path, Path], output: Path, plots: Path | None) -> None:
    """Draw the plots, then write all outputs. staged: the path to write each of them to."""
    from longtail_cli.files.output import write_bytes

    drawn = {} if plots is None else _drawn(found)
    found.write(staged[output])
    if plots is None:
        return
    if not drawn:
        click.echo(
            f"no plots: {found.record.method} has no curve, nothing that was tried, and no norms to draw", err=True
        )
    for name, content in drawn.items():
        write_bytes(staged[plots] / name, content)


def _drawn(found: Fit) -> dict[str, bytes]:
    """The plots by file name."""
    from longtail_cli.reports.plots.fitting_figures import rendered

    formats: tuple[Literal["png", "pdf"], ...] = ("png", "pdf")
    return {
        f"{name}.{suffix}": content for suffix in formats for name, content in rendered(found.record, suffix).items()
    }
