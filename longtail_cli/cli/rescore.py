"""`ltcal rescore`: adjusts the scores of a result file, or logits, for the long tail."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from longtail_cli.choices import SCORE_SPACES, ZERO_COUNT_POLICIES
from longtail_cli.cli.merging import check_one_input, input_of, merge_option
from longtail_cli.cli.options import (
    INPUT,
    OUTPUT_OR_FOLDER,
    PREDICTIONS,
    SPEC,
    execution_options,
    input_options,
)
from longtail_cli.cli.status import print_status
from longtail_cli.cli.streams import check_reachable, inputs, location_of, url_of

if TYPE_CHECKING:
    from longtail_cli.choices import ScoreSpace
    from longtail_cli.methods.base import Method
    from longtail_cli.tables import FrequencyTable
    from longtail_cli.workflow.options import ExecutionOptions, InputOptions
    from longtail_cli.workflow.rescore_logits import LogitsSummary
    from longtail_cli.workflow.rescore_results import RescoreSummary


@click.command()
@click.argument("paths", metavar="INPUT", nargs=-1, required=True, type=PREDICTIONS)
@merge_option
@click.option(
    "--freq",
    "frequencies",
    type=INPUT,
    help="Frequency table from compute-freq, or a name such as lvis-v1; not needed for `none`.",
)
@click.option(
    "--annotations",
    type=INPUT,
    help="Annotations of the detections: ids, names and boxes are checked against them.",
)
@click.option(
    "--method",
    "specs",
    required=True,
    multiple=True,
    type=SPEC,
    metavar="SPEC",
    help="Method, such as iif, or what a tuning chose (@tuned.json); repeatable for logits.",
)
@click.option(
    "-o",
    "--output",
    "outputs",
    required=True,
    multiple=True,
    type=OUTPUT_OR_FOLDER,
    help="The adjusted file, one per method; - for stdout; in parts a folder, or a .parquet file.",
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
@execution_options
@input_options
def rescore(
    paths: tuple[Path, ...],
    merge: bool,
    frequencies: Path | None,
    annotations: Path | None,
    specs: tuple[str, ...],
    outputs: tuple[Path, ...],
    score_space: ScoreSpace,
    max_dets: int | None,
    zero_count: str | None,
    keep_logits: bool,
    input_options: InputOptions,
    execution: ExecutionOptions,
) -> None:
    """Adjust the scores of INPUT for the long tail. `ltcal methods` lists the methods for SPEC.

    INPUT is a COCO or LVIS result file (.json, .json.gz, .parquet): only its scores change; all other fields and
    the order of the entries are kept. Detections in another format are written as COCO results with the ids of
    --annotations. Or it is logits: those of a detector are decoded into a result file, those of a classifier are
    written as scores (.npz). - is stdin.

    \b
    ltcal rescore predictions.json --freq freq.csv --method norcal:gamma=0.6 -o adjusted.json
    ltcal rescore logits/ --freq freq.csv --method iif -o iif.json --method norcal -o norcal.json
    ltcal rescore logits/ --freq freq.csv --method iif -o iif/ --engine ray
    """
    from longtail_cli.files.frequencies import read_frequencies
    from longtail_cli.files.output import outputs_of
    from longtail_cli.files.paths import paths_in
    from longtail_cli.files.recognise import kind_of
    from longtail_cli.workflow.method_specs import method_of, spec_files

    methods = [method_of(spec, {"zero_count": zero_count} if zero_count else {}) for spec in specs]
    named = [frequencies, annotations, input_options.category_ids, *spec_files(specs, methods)]
    if execution.in_parts:
        if keep_logits:
            raise click.UsageError("--keep-logits is for logits of a classifier: leave out --engine and --memory")
        check_one_input(paths, merge)
        check_reachable(paths, execution)
        lines = _rescore_in_parts(
            paths, annotations, frequencies, methods, outputs, inputs([*paths, *named]), score_space, input_options,
            execution,
        )  # fmt: skip
        _print_written(lines, outputs)
        return
    source = input_of(paths, merge)
    kind = kind_of(source)
    if kind == "results":
        _check_one_output(methods, outputs)
    with outputs_of(
        outputs, inputs=inputs([*paths_in(source), *named]), stream_suffix=".json", url_of=url_of
    ) as staged:
        table = read_frequencies(frequencies) if frequencies else None
        written = [staged[output] for output in outputs]
        if kind == "logits" and isinstance(source, Path):
            lines = _rescore_logits(source, annotations, table, methods, written, input_options, keep_logits)
        else:
            lines = _rescore_results(source, annotations, table, methods[0], written[0], score_space, input_options)
    _print_written(lines, outputs)


def _check_one_output(methods: Sequence[Method], outputs: Sequence[Path]) -> None:
    if len(methods) != 1 or len(outputs) != 1:
        raise click.UsageError("a result file takes one --method and one -o; `ltcal report` takes several methods")


def _print_written(lines: Sequence[tuple[str, str]], outputs: Sequence[Path]) -> None:
    """Print what was written to each output, and which metrics it can change."""
    from longtail_cli.files.output import name_of

    for (text, outlook), output in zip(lines, outputs, strict=True):
        print_status([f"wrote {text} to {name_of(output)}", *filter(None, [outlook])])


def _rescore_in_parts(
    paths: tuple[Path, ...],
    annotations: Path | None,
    frequencies: Path | None,
    methods: list[Method],
    outputs: tuple[Path, ...],
    read: list[Path],
    score_space: ScoreSpace,
    options: InputOptions,
    execution: ExecutionOptions,
) -> list[tuple[str, str]]:
    """What was written to each output, and which metrics it can change."""
    from longtail_cli.cli.progress_bar import working
    from longtail_cli.files.frequencies import read_frequencies
    from longtail_cli.workflow.partitioned.inputs import hold_logits, result_files
    from longtail_cli.workflow.partitioned.rescore import rescore_in_parts, rescore_logits_in_parts

    table = read_frequencies(frequencies) if frequencies else None
    locations = [one for path in paths for one in _expanded(path)]
    if hold_logits(list(map(str, locations))):
        with working("rescore") as progress:
            summaries = rescore_logits_in_parts(
                locations[0], table, methods, outputs, execution, options=options, inputs=read,
                annotations=annotations, url_of=url_of, progress=progress,
            )  # fmt: skip
        return _lines_of_logits(summaries)
    _check_one_output(methods, outputs)
    shards = [file for location in locations for file in result_files(str(location))]
    with working("rescore") as progress:
        summary = rescore_in_parts(
            shards, table, methods[0], outputs[0], execution, inputs=read, annotations=annotations,
            convention=options.convention, score_space=score_space, url_of=url_of, progress=progress,
        )  # fmt: skip
    return _lines_of_results(summary)


def _expanded(path: Path) -> tuple[Path | str, ...]:
    """The URL that a path stands for, or the files that fit it if it is a pattern."""
    from longtail_cli.files.paths import expanded

    location = location_of(path)
    return (location,) if isinstance(location, str) else expanded([location])


def _rescore_results(
    source: Path | tuple[Path, ...],
    annotations: Path | None,
    table: FrequencyTable | None,
    method: Method,
    out: Path,
    score_space: ScoreSpace,
    options: InputOptions,
) -> list[tuple[str, str]]:
    """What was written, and which metrics it can change."""
    from longtail_cli.cli.progress_bar import working
    from longtail_cli.workflow import rescore_results

    with working("rescore") as progress:
        summary = rescore_results.rescore(
            source,
            table,
            method,
            out,
            annotations=annotations,
            convention=options.convention,
            score_space=score_space,
            progress=progress,
        )
    return _lines_of_results(summary)


def _lines_of_results(summary: RescoreSummary) -> list[tuple[str, str]]:
    """Print the notes; returns what was written, and which metrics it can change."""
    print_status(summary.notes)
    return [(f"{summary.entries} detections ({summary.method})", summary.outlook)]


def _rescore_logits(
    source: Path,
    annotations: Path | None,
    table: FrequencyTable | None,
    methods: list[Method],
    outs: list[Path],
    options: InputOptions,
    keep_logits: bool,
) -> list[tuple[str, str]]:
    """What was written to each output, and nothing about metrics."""
    from longtail_cli.cli.progress_bar import working
    from longtail_cli.workflow.options import require_torch

    require_torch()
    from longtail_cli.workflow import rescore_logits

    with working("rescore") as progress:
        summaries = rescore_logits.rescore_logits(
            source, table, methods, outs, options=options, annotations=annotations, keep_logits=keep_logits,
            progress=progress,
        )  # fmt: skip
    return _lines_of_logits(summaries)


def _lines_of_logits(summaries: Sequence[LogitsSummary]) -> list[tuple[str, str]]:
    """Print the notes; returns what was written to each output, and nothing about metrics."""
    lines = []
    for summary in summaries:
        print_status(summary.notes)
        written = f"{summary.rows} rows" if summary.entries is None else f"{summary.entries} detections"
        lines.append((f"{written} ({summary.method})", ""))
    return lines
