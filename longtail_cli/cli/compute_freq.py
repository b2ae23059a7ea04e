"""`ltcal compute-freq`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from longtail_cli.adjust.counts import ZeroCountName
    from longtail_cli.adjust.iif import NormalizerName
    from longtail_cli.tables import Floats

FILE = click.Path(path_type=Path, dir_okay=False)


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
@click.argument("source", type=FILE)
@click.option("-o", "--output", type=FILE, help="File for the table: .csv, .json or .parquet.")
@click.option("--from-categories", is_flag=True, help="Take the counts that LVIS files state for each category.")
@click.option("--num-images", type=click.IntRange(min=1), metavar="N", help="Images that these counts are of.")
@click.option(
    "--groups",
    metavar="LOW,HIGH",
    callback=_boundaries,
    help="Boundaries of the groups: 10,100, for class labels 20,100.",
)
@click.option("--label-column", metavar="NAME", help="Column of a CSV source that holds the class index: label.")
@click.option("--fractal-dimension", is_flag=True, help="Add how evenly the boxes of each class spread, for fracal.")
@click.option("--weights", is_flag=True, help="Add the IIF weights: columns iif_* by images, iof_* by objects.")
@click.option(
    "--normalizer",
    type=click.Choice(["occurrences", "images"]),
    default="occurrences",
    show_default=True,
    help="K of the weights: the sum of the counts, or the number of images.",
)
@click.option(
    "--zero-count",
    type=click.Choice(["max", "smooth", "error"]),
    default="max",
    show_default=True,
    help="Weight of a class that never occurs.",
)
@click.option("--tail-ratio", type=float, metavar="LAMBDA", help="Print TR(LAMBDA), for example 0.00177.")
@click.option("--plot", type=FILE, help="Draw counts and weights: .png or .pdf.")
def compute_freq(
    source: Path,
    output: Path | None,
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

    SOURCE is a COCO or LVIS annotation file (.json), an image list with lines of path and label (.txt), a CSV with a
    label column, or a label array (.npy, .npz); each may be gzipped. Without -o the table goes to stdout as CSV.
    """
    from longtail_cli.cli.progress_bar import working
    from longtail_cli.files.frequencies import format_of, frequencies_csv, write_frequencies
    from longtail_cli.files.output import replacing
    from longtail_cli.frequency import tail_ratio as ratio_below
    from longtail_cli.reports.plots.frequency_chart import frequency_plot, plot_format
    from longtail_cli.workflow.compute_freq import compute_freq as count_classes
    from longtail_cli.workflow.compute_freq import weight_columns

    if output is not None:
        format_of(output)
    drawn = None if plot is None else plot_format(plot)
    with working(f"counting {source.name}"):
        table, notes = count_classes(
            source,
            take_embedded=from_categories,
            num_images=num_images,
            groups=groups,
            label_column=label_column,
            fractal_dimension=fractal_dimension,
        )
    columns: dict[str, Floats] = {}
    if weights or drawn:
        columns, weight_notes = weight_columns(table, normalizer=normalizer, zero_count=zero_count)
        notes = (*notes, *weight_notes)
    ratio = None if tail_ratio is None else f"TR({tail_ratio:g}) = {ratio_below(table, tail_ratio):.6f}"
    curves = {name: weight for name, weight in columns.items() if name.startswith("iif")}
    drawing = frequency_plot(table, curves, drawn) if drawn else b""
    for note in notes:
        click.echo(note, err=True)
    with ExitStack() as together:  # the drawing appears when the table has been written
        if plot is not None:
            together.enter_context(replacing(plot)).write_bytes(drawing)
        if output is None:
            click.echo(frequencies_csv(table, columns if weights else {}), nl=False)
        else:
            write_frequencies(table, output, columns if weights else {})
    if ratio is not None:
        click.echo(ratio, err=output is None)  # stdout holds the table where there is no other place for it
