"""`ltcal inspect`: what a file is, and what can be done with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from longtail_cli.cli.options import INPUT, INPUT_OR_FOLDER, OUTPUT, column_options
from longtail_cli.cli.streams import as_given, inputs, url_of

if TYPE_CHECKING:
    from longtail_cli.reports.inspection.model import Inspection
    from longtail_cli.workflow.options import InputOptions


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=INPUT_OR_FOLDER)
@click.option("--annotations", type=INPUT, help="COCO or LVIS annotations that ids and boxes are checked against.")
@click.option("--labels", type=INPUT, help="Logits of a classifier: the true class of each row.")
@click.option("--freq", "frequencies", type=INPUT, help="Frequency table that classes are checked against.")
@click.option("--json", "json_file", type=OUTPUT, help="File for the same as JSON; - for stdout instead of the text.")
@column_options
def inspect(
    files: tuple[Path, ...],
    annotations: Path | None,
    labels: Path | None,
    frequencies: Path | None,
    json_file: Path | None,
    input_options: InputOptions,
) -> None:
    """Say what each FILE is, what it holds, and which commands fit.

    FILE is anything: detections, logits, annotations, labels, tables, or what ltcal wrote. It is recognised by its
    content, not by its name. If no command can read it, what can be seen of it is shown, and the exit code is 2.
    - is stdin.

    \b
    ltcal inspect predictions.json
    ltcal inspect predictions.json --annotations val.json
    ltcal inspect logits.npz --labels labels.npy
    """
    from longtail_cli.cli.flags import inspection_with_flags, shell_words
    from longtail_cli.cli.progress_bar import working
    from longtail_cli.files.output import outputs_of, write_text
    from longtail_cli.files.paths import is_stdout
    from longtail_cli.reports.inspection.json import to_json
    from longtail_cli.reports.inspection.text import to_text
    from longtail_cli.workflow.inspect import inspect as inspect_file
    from longtail_cli.workflow.inspected import read_beside

    outputs = [] if json_file is None else [json_file]
    read = inputs([*files, annotations, labels, frequencies, input_options.category_ids])
    with outputs_of(outputs, inputs=read, url_of=url_of) as staged, working("inspect") as progress:
        beside = read_beside(annotations, labels, frequencies)
        found = [as_given(inspect_file(one, beside, input_options, progress)) for one in files]
        if json_file is not None and not any(one.problem for one in found):
            write_text(staged[json_file], to_json(found))
    if json_file is None or not is_stdout(json_file):
        texts = [to_text(inspection_with_flags(one), shell_words) for one in found]
        click.echo("\n\n".join(texts), nl=False)
    _end(found)


def _end(found: list[Inspection]) -> None:
    """End with exit code 2 if a file cannot be read."""
    from longtail_cli.cli.flags import with_flags
    from longtail_cli.errors import InputError

    problems = [one.problem for one in found if one.problem is not None]
    for problem in problems:
        click.echo(f"Error: {with_flags(problem)}", err=True)
    if problems:
        click.get_current_context().exit(InputError.exit_code)
