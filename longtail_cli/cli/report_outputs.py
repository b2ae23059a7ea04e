"""Where a report goes: checked before the work, rendered in memory, then written file by file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

import click

from longtail_cli.cli.report_options import Outputs
from longtail_cli.errors import OutputError, Problem, UsageError
from longtail_cli.files.output import write_bytes, write_text
from longtail_cli.files.report_files import resamples_path, write_resamples
from longtail_cli.reports.csv import to_csv
from longtail_cli.reports.github import GITHUB_SUMMARY_LIMIT
from longtail_cli.reports.json import to_json
from longtail_cli.reports.junit import to_junit
from longtail_cli.reports.markdown import to_markdown
from longtail_cli.reports.model import Report
from longtail_cli.reports.text import to_text
from longtail_cli.reports.text_tables import without_rows
from longtail_cli.tables import Floats

STDOUT = Path("-")
SUMMARY = "GITHUB_STEP_SUMMARY"


def check_places(inputs: Sequence[Path], outputs: Outputs) -> None:
    """Refuse, before any work, an output that would replace an input or another output, or that has no folder.

    Raises UsageError and OutputError.
    """
    taken = {path.resolve() for path in inputs}
    for path in _files(outputs):
        if path.resolve() in taken:
            problem = Problem("output", "a place of its own", "that of an input or of another output")
            raise UsageError(str(path), [problem], "choose another file")
        taken.add(path.resolve())
        if path != STDOUT and not path.absolute().parent.is_dir():
            problem = Problem("file", "a path that can be written to", "no such folder")
            raise OutputError(str(path), [problem], "make the folder first, or choose another place")
    if outputs.github_summary and not os.environ.get(SUMMARY):
        problem = Problem(f"${SUMMARY}", "the file that GitHub names in it", "nothing")
        raise UsageError("--github-summary", [problem], "use it in a workflow of GitHub, or --markdown FILE elsewhere")


def _files(outputs: Outputs) -> list[Path]:
    files = [outputs.json_file, outputs.markdown_file, outputs.junit_file, outputs.csv_file, outputs.html_file]
    return [path for path in files if path is not None]


def write(report: Report, outputs: Outputs, *, rows_shown: bool, command: str) -> None:
    """Write everything that was asked for; the text goes to stdout unless a file does.

    rows_shown: whether text and Markdown have the tables by category. command: that made the report, for the page.
    """
    shown = report if rows_shown else without_rows(report)
    texts = _texts(report, shown, outputs, command)
    pictures = _pictures(report, outputs.plots)
    summary = _summary(shown) if outputs.github_summary else ""
    for path, text in texts.items():
        if path != STDOUT:
            write_text(path, text)
    if report.resamples is not None and outputs.json_file not in (None, STDOUT):
        write_resamples(resamples_path(outputs.json_file), report.resamples)
    if outputs.plots is not None:
        outputs.plots.mkdir(parents=True, exist_ok=True)
        for name, content in pictures.items():
            write_bytes(outputs.plots / name, content)
    if outputs.github_summary:
        with Path(os.environ[SUMMARY]).open("a", encoding="utf-8", newline="") as file:
            file.write(summary)
    click.echo(texts.get(STDOUT, to_text(shown)), nl=False)


def _texts(report: Report, shown: Report, outputs: Outputs, command: str) -> dict[Path, str]:
    texts: dict[Path, str] = {}
    if outputs.json_file is not None:
        texts[outputs.json_file] = to_json(report)
    if outputs.markdown_file is not None:
        texts[outputs.markdown_file] = to_markdown(shown)
    if outputs.junit_file is not None:
        texts[outputs.junit_file] = to_junit(report, datetime.now())
    if outputs.csv_file is not None:
        texts[outputs.csv_file] = to_csv(report)
    if outputs.html_file is not None:
        from longtail_cli.reports.page.html import to_html

        texts[outputs.html_file] = to_html(report, _weights(report), command)
    return texts


def _pictures(report: Report, folder: Path | None) -> dict[str, bytes]:
    """The pictures by file name."""
    if folder is None:
        return {}
    from longtail_cli.reports.plots import rendered

    weights = _weights(report)
    formats: tuple[Literal["png", "pdf"], ...] = ("png", "pdf")
    return {
        f"{name}.{suffix}": content for suffix in formats for name, content in rendered(report, weights, suffix).items()
    }


def _weights(report: Report) -> dict[str, Floats]:
    from longtail_cli.workflow.weights import iif_weights_of

    return iif_weights_of(report)


def _summary(report: Report) -> str:
    """The Markdown that still fits into the summary of the step."""
    place = Path(os.environ[SUMMARY])
    used = place.stat().st_size if place.exists() else 0
    return to_markdown(report, GITHUB_SUMMARY_LIMIT - used)
