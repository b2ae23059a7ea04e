"""`ltcal rescore`: adjusts the scores of a result file, or logits, for the long tail."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from longtail_cli.choices import SCORE_SPACES, ZERO_COUNT_POLICIES
from longtail_cli.cli.options import FILE, logit_options

if TYPE_CHECKING:
    from longtail_cli.choices import ScoreSpace
    from longtail_cli.methods.base import Method
    from longtail_cli.tables import FrequencyTable
    from longtail_cli.workflow.options import LogitOptions


@click.command()
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.option("--freq", "frequencies", type=FILE, help="Frequency table from compute-freq; not needed for `none`.")
@click.option(
    "--method",
    "specs",
    required=True,
    multiple=True,
    metavar="SPEC",
    help="Method, such as iif, or what a tuning chose (@tuned.json); repeatable for logits.",
)
@click.option(
    "-o", "--output", "outputs", required=True, multiple=True, type=FILE, help="The adjusted file, one per method."
)
@click.option(
    "--score-space",
    type=click.Choice(SCORE_SPACES),
    default="prob",
    show_default=True,
    help="Whether the scores of a result file are probabilities or logits.",
)
@click.option("--max-dets", type=int, hidden=True, deprecated="It no longer has an effect.")
@click.option(
    "--zero-count",
    type=click.Choice(ZERO_COUNT_POLICIES),
    help="Policy for classes that never occur, if SPEC does not state one. [max]",
)
@click.option(
    "--keep-logits", is_flag=True, help="Logits of a classifier: also write the adjusted logits, next to the scores."
)
@logit_options
def rescore(
    source: Path,
    frequencies: Path | None,
    specs: tuple[str, ...],
    outputs: tuple[Path, ...],
    score_space: ScoreSpace,
    max_dets: int | None,
    zero_count: str | None,
    keep_logits: bool,
    logit_options: LogitOptions,
) -> None:
    """Adjust the scores of INPUT for the long tail. `ltcal methods` lists the methods for SPEC.

    INPUT is a COCO or LVIS result file (.json, .json.gz, .parquet): only its scores change; all other fields and
    the order of the entries are kept. Or it is logits (.safetensors, .npz, .pt, or a folder of such shards): those of a
    detector are decoded into a result file, those of a classifier are written as scores (.npz).

    \b
    ltcal rescore predictions.json --freq freq.csv --method norcal:gamma=0.6 -o adjusted.json
    ltcal rescore logits/ --freq freq.csv --method iif -o iif.json --method norcal -o norcal.json
    """
    from longtail_cli.files.frequencies import read_frequencies
    from longtail_cli.files.output import refuse_overwriting
    from longtail_cli.workflow.method_specs import method_of, spec_files
    from longtail_cli.workflow.options import kind_of

    methods = [method_of(spec, {"zero_count": zero_count} if zero_count else {}) for spec in specs]
    for output in outputs:
        refuse_overwriting(output, source, "input")
        if frequencies is not None:
            refuse_overwriting(output, frequencies, "frequency table")
        for tuning in spec_files(specs):
            refuse_overwriting(output, tuning, "tuning")
    table = read_frequencies(frequencies) if frequencies else None
    if kind_of(source) == "logits":
        _rescore_logits(source, table, methods, outputs, logit_options, keep_logits)
        return
    if len(methods) != 1 or len(outputs) != 1:
        raise click.UsageError("a result file takes one --method and one -o; `ltcal report` takes several methods")
    _rescore_results(source, table, methods[0], outputs[0], score_space)


def _rescore_results(
    source: Path, table: FrequencyTable | None, method: Method, output: Path, score_space: ScoreSpace
) -> None:
    from longtail_cli.cli.progress_bar import working
    from longtail_cli.workflow import rescore_results

    with working("rescore") as progress:
        summary = rescore_results.rescore(source, table, method, output, score_space=score_space, progress=progress)
    _echo_notes(summary.notes)
    click.echo(f"wrote {summary.entries} detections ({summary.method}) to {output}", err=True)
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

    require_torch()
    from longtail_cli.workflow import rescore_logits

    with working("rescore") as progress:
        summaries = rescore_logits.rescore_logits(
            source, table, methods, outputs, options=options, keep_logits=keep_logits, progress=progress
        )
    for summary, output in zip(summaries, outputs, strict=True):
        _echo_notes(summary.notes)
        written = f"{summary.rows} rows" if summary.entries is None else f"{summary.entries} detections"
        click.echo(f"wrote {written} ({summary.method}) to {output}", err=True)


def _echo_notes(notes: Iterable[str]) -> None:
    from longtail_cli.cli.flags import with_flags

    for note in notes:
        click.echo(with_flags(note), err=True)
