"""`ltcal rescore`: correct the scores of a result file for the long tail."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("source", metavar="INPUT", type=FILE)
@click.option("--freq", "frequencies", type=FILE, help="Frequency table from compute-freq; `none` needs none.")
@click.option("--method", "spec", required=True, metavar="SPEC", help="For example iif or norcal:gamma=0.6.")
@click.option("-o", "--output", required=True, type=FILE, help="The corrected result file, of the kind of INPUT.")
@click.option(
    "--score-space",
    type=click.Choice(["prob", "logit"]),
    default="prob",
    show_default=True,
    help="What the scores of INPUT are.",
)
@click.option(
    "--max-dets",
    type=click.IntRange(min=1),
    default=300,
    show_default=True,
    help="Cap per image to count the images for; nothing is cut off.",
)
@click.option(
    "--zero-count",
    type=click.Choice(["max", "smooth", "error"]),
    help="For classes that never occur, where SPEC does not say: max.",
)
def rescore(
    source: Path,
    frequencies: Path | None,
    spec: str,
    output: Path,
    score_space: Literal["prob", "logit"],
    max_dets: int,
    zero_count: str | None,
) -> None:
    """Correct the scores of INPUT, a COCO or LVIS result file (.json, .json.gz, .parquet).

    Only scores change; every other field and the order of the entries stay. `ltcal methods` lists what SPEC can be.

    \b
    ltcal rescore predictions.json --freq freq.csv --method iif -o corrected.json
    ltcal rescore predictions.json --freq freq.csv --method norcal:gamma=0.6 -o corrected.json
    """
    from longtail_cli.adjust.registry import parse_method
    from longtail_cli.cli.progress import working
    from longtail_cli.files.frequencies import read_frequencies
    from longtail_cli.workflow.rescoring import refuse_overwriting
    from longtail_cli.workflow.rescoring import rescore as write_corrected

    method = parse_method(spec, {"zero_count": zero_count} if zero_count else {})
    if frequencies is not None:
        refuse_overwriting(output, frequencies, "frequency table")
    table = read_frequencies(frequencies) if frequencies and method.uses_counts else None
    with working("rescore") as say:
        summary = write_corrected(source, table, method, output, score_space=score_space, max_dets=max_dets, say=say)
    for note in summary.notes:
        click.echo(note, err=True)
    click.echo(f"{summary.entries} detections rescored with {summary.method}: {output}", err=True)
    click.echo(summary.outlook, err=True)
