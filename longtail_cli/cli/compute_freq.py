"""`ltcal compute-freq`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from longtail_cli.choices import NORMALIZERS, TASKS, ZERO_COUNT_POLICIES
from longtail_cli.cli.options import INPUT, INPUT_OR_FOLDER, OUTPUT
from longtail_cli.cli.status import print_status
from longtail_cli.cli.streams import inputs, url_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from longtail_cli.choices import NormalizerName, TaskName, ZeroCountName
    from longtail_cli.tables import Floats, FrequencyTable


def _boundaries(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """``LOW,HIGH`` as two numbers."""
    if value is None:
        return None
    try:
        low, high = (int(part) for part in value.split(","))
    except ValueError as error:
        raise click.BadParameter(f"expected two whole numbers such as 10,100, found {value!r}") from error
    return low, high


@click.command("compute-freq")
@click.argument("source", type=INPUT_OR_FOLDER, required=False)
@click.option("-o", "--output", type=OUTPUT, help="File for the table: .csv, .json or .parquet.")
@click.option(
    "--counts",
    type=INPUT,
    help="Instead of SOURCE, a file of counts per class: a list, or counts by id or name (.npy, .npz, .json, .txt, "
    ".csv, .pt).",
)
@click.option(
    "--task",
    type=click.Choice(TASKS),
    help="Whose groups: r, c, f for detection, few, medium, many for classification. [by SOURCE]",
)
@click.option(
    "--from-categories",
    is_flag=True,
    help="Use the counts that LVIS files state for each category instead of counting.",
)
@click.option("--num-images", type=click.IntRange(min=1), metavar="N", help="Number of images that LVIS counted.")
@click.option(
    "--groups",
    metavar="LOW,HIGH",
    callback=_boundaries,
    help="Largest image counts of the first two frequency groups. [10,100; for classification 19,100]",
)
@click.option("--label-column", metavar="NAME", help="Column of a CSV source that holds the class. [label]")
@click.option(
    "--fractal-dimension", is_flag=True, help="Add the fractal dimension of each class, which the method fracal needs."
)
@click.option(
    "--weights", is_flag=True, help="Add the IIF weights: columns iif_* (image counts) and iof_* (instance counts)."
)
@click.option(
    "--normalizer",
    type=click.Choice(NORMALIZERS),
    default="occurrences",
    show_default=True,
    help="K of the weights: the sum of the counts (the paper), or the number of images (the authors' detectors).",
)
@click.option(
    "--zero-count",
    type=click.Choice(ZERO_COUNT_POLICIES),
    default="max",
    show_default=True,
    help="Weight of a class that never occurs: that of the rarest class, smoothed, or an error.",
)
@click.option(
    "--tail-ratio", type=float, metavar="LAMBDA", help="Print the tail ratio TR(LAMBDA) of EQL, for example 0.00177."
)
@click.option("--plot", type=OUTPUT, help="Plot counts and weights to this .png or .pdf file.")
def compute_freq(
    source: Path | None,
    output: Path | None,
    counts: Path | None,
    task: TaskName | None,
    from_categories: bool,
    num_images: int | None,
    groups: tuple[int, int] | None,
    label_column: str | None,
    fractal_dimension: bool,
    weights: bool,
    normalizer: NormalizerName,
    zero_count: ZeroCountName,
    tail_ratio: float | None,
    plot: Path | None,
) -> None:
    """Count in how many images each class of SOURCE occurs.

    SOURCE is a COCO, LVIS or iNaturalist annotation file (.json), an image list with lines of path and label (.txt), a
    CSV with a label column, or a label array (.npy, .npz); each may be gzipped; or - for stdin. It may also be a folder
    with a folder of images for each class, or the name of a table that comes with the package: lvis-v1, lvis-v0.5,
    coco-2017, places-lt, cifar10-lt:IMB or cifar100-lt:IMB. Without -o the table goes to stdout as CSV.
    """
    from longtail_cli.cli.progress_bar import working
    from longtail_cli.files.frequencies import format_of, frequencies_csv, write_frequencies
    from longtail_cli.files.output import outputs_of, write_bytes
    from longtail_cli.files.paths import is_stdout
    from longtail_cli.frequency import tail_ratio as ratio_below
    from longtail_cli.workflow.compute_freq import compute_freq as count_classes
    from longtail_cli.workflow.compute_freq import weight_columns

    written = [path for path in (output, plot) if path is not None]
    with outputs_of(written, inputs=inputs([source, counts]), stream_suffix=".csv", url_of=url_of) as staged:
        if output is not None:
            format_of(staged[output])
        draw = None if plot is None else _plotter(staged[plot])
        with working(f"counting {(source or counts or Path()).name}"):
            table, notes = count_classes(
                source,
                counts=counts,
                from_categories=from_categories,
                num_images=num_images,
                groups=groups,
                task=task,
                label_column=label_column,
                fractal_dimension=fractal_dimension,
            )
        columns: dict[str, Floats] = {}
        if weights or draw:
            columns, weight_notes = weight_columns(table, normalizer=normalizer, zero_count=zero_count)
            notes = (*notes, *weight_notes)
        ratio = None if tail_ratio is None else f"TR({tail_ratio:g}) = {ratio_below(table, tail_ratio):.6f}"
        curves = {name: weight for name, weight in columns.items() if name.startswith("iif")}
        print_status(notes)
        if plot is not None and draw is not None:
            write_bytes(staged[plot], draw(table, curves))
        if output is None:
            click.echo(frequencies_csv(table, columns if weights else {}), nl=False)
        else:
            write_frequencies(table, staged[output], columns if weights else {})
    if ratio is not None:
        to_stdout = output is None or is_stdout(output)
        click.echo(ratio, err=to_stdout)  # stdout is for the table unless it goes to a file


def _plotter(plot: Path) -> Callable[[FrequencyTable, Mapping[str, Floats]], bytes]:
    """Draws a table and its weights in the format of `plot`. The charts are only imported here, as few runs plot."""
    from longtail_cli.reports.plots.frequency_chart import frequency_plot, plot_format

    return partial(frequency_plot, file_format=plot_format(plot))
