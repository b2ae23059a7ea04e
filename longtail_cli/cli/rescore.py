"""`ltcal rescore`: correct the scores of a result file, or the logits behind them, for the long tail."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from longtail_cli.cli.options import logit_options

if TYPE_CHECKING:
    from longtail_cli.adjust.base import Method
    from longtail_cli.tables import FrequencyTable
    from longtail_cli.workflow.options import LogitOptions

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.option("--freq", "frequencies", type=FILE, help="Frequency table from compute-freq; `none` needs none.")
@click.option(
    "--method", "specs", required=True, multiple=True, metavar="SPEC", help="For example iif; repeatable for logits."
)
@click.option(
    "-o", "--output", "outputs", required=True, multiple=True, type=FILE, help="The corrected file, one a method."
)
@click.option(
    "--score-space",
    type=click.Choice(["prob", "logit"]),
    default="prob",
    show_default=True,
    help="What the scores of a result file are.",
)
@click.option(
    "--max-dets",
    type=click.IntRange(min=1),
    default=300,
    show_default=True,
    help="Cap per image to count the images of a result file for; nothing is cut off.",
)
@click.option(
    "--zero-count",
    type=click.Choice(["max", "smooth", "error"]),
    help="For classes that never occur, where SPEC does not say: max.",
)
@click.option("--keep-logits", is_flag=True, help="Logits of a classifier: keep the adjusted logits beside the scores.")
@logit_options
def rescore(
    source: Path,
    frequencies: Path | None,
    specs: tuple[str, ...],
    outputs: tuple[Path, ...],
    score_space: Literal["prob", "logit"],
    max_dets: int,
    zero_count: str | None,
    keep_logits: bool,
    options: LogitOptions,
) -> None:
    """Correct the scores of INPUT for the long tail. `ltcal methods` lists what SPEC can be.

    INPUT is a COCO or LVIS result file (.json, .json.gz, .parquet): only its scores change, every other field and the
    order of the entries stay. Or it is logits (.safetensors, .npz, .pt, or a folder of such shards): of a detector they
    are decoded into a result file, of a classifier into a file of scores (.npz).

    \b
    ltcal rescore predictions.json --freq freq.csv --method norcal:gamma=0.6 -o corrected.json
    ltcal rescore logits/ --freq freq.csv --method iif -o iif.json --method norcal -o norcal.json
    """
    from longtail_cli.adjust.registry import parse_method
    from longtail_cli.files.frequencies import read_frequencies
    from longtail_cli.workflow.options import kind_of
    from longtail_cli.workflow.rescore_results import refuse_overwriting

    methods = [parse_method(spec, {"zero_count": zero_count} if zero_count else {}) for spec in specs]
    if frequencies is not None:
        for output in outputs:
            refuse_overwriting(output, frequencies, "frequency table")
    table = read_frequencies(frequencies) if frequencies else None
    if kind_of(source) == "logits":
        _rescore_logits(source, table, methods, outputs, options, keep_logits)
        return
    if len(methods) != 1 or len(outputs) != 1:
        raise click.UsageError("a result file takes one --method and one -o; `ltcal report` takes several methods")
    _rescore_results(source, table, methods[0], outputs[0], score_space, max_dets)


def _rescore_results(
    source: Path,
    table: FrequencyTable | None,
    method: Method,
    output: Path,
    score_space: Literal["prob", "logit"],
    max_dets: int,
) -> None:
    from longtail_cli.cli.progress_bar import working
    from longtail_cli.workflow.rescore_results import rescore as write_corrected

    with working("rescore") as progress:
        summary = write_corrected(
            source, table, method, output, score_space=score_space, max_dets=max_dets, progress=progress
        )
    for note in summary.notes:
        click.echo(note, err=True)
    click.echo(f"{summary.entries} detections rescored with {summary.method}: {output}", err=True)
    click.echo(summary.outlook, err=True)


def _rescore_logits(
    source: Path,
    table: FrequencyTable | None,
    methods: list[Method],
    outputs: tuple[Path, ...],
    options: LogitOptions,
    keep_logits: bool,
) -> None:
    from longtail_cli.cli.progress_bar import working
    from longtail_cli.workflow.options import require_torch
    from longtail_cli.workflow.rescore_results import refuse_overwriting

    require_torch()
    from longtail_cli.workflow.rescore_logits import rescore_logits

    for output in outputs:
        refuse_overwriting(output, source, "input")
    with working("rescore") as progress:
        summaries = rescore_logits(
            source, table, methods, outputs, options=options, keep_logits=keep_logits, progress=progress
        )
    for summary, output in zip(summaries, outputs, strict=True):
        for note in summary.notes:
            click.echo(note, err=True)
        made = f"{summary.rows} rows" if summary.entries is None else f"{summary.entries} detections"
        click.echo(f"{made} of {summary.method}: {output}", err=True)
