"""The outputs of a report: checked first, rendered in memory, then written file by file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

import click

from longtail_cli.cli.flags import report_with_flags
from longtail_cli.cli.report_options import Outputs
from longtail_cli.errors import Problem, UsageError
from longtail_cli.files import output
from longtail_cli.files.output import write_bytes, write_text
from longtail_cli.files.report_files import resamples_path, write_resamples
from longtail_cli.reports.ci import GITHUB_SUMMARY_LIMIT, to_junit
from longtail_cli.reports.csv import to_csv
from longtail_cli.reports.json import to_json
from longtail_cli.reports.markdown import to_markdown
from longtail_cli.reports.model import Report
from longtail_cli.reports.text_tables import to_text, without_rows

STDOUT = Path("-")
SUMMARY = "GITHUB_STEP_SUMMARY"


def check_outputs(inputs: Sequence[Path], outputs: Outputs) -> None:
    """Raise UsageError if an output would replace an input or another output, OutputError if its folder is missing."""
    output.check_outputs(_files(outputs), inputs)
    if outputs.github_summary and not os.environ.get(SUMMARY):
        problem = Problem(f"${SUMMARY}", "the file of the summary, set by GitHub", "nothing")
        raise UsageError("--github-summary", [problem], "use it in a GitHub workflow, or --markdown FILE elsewhere")


def _files(outputs: Outputs) -> list[Path]:
    """All files, including the resamples beside the JSON, even if these will not be written."""
    files = [outputs.json_file, outputs.markdown_file, outputs.junit_file, outputs.csv_file, outputs.html_file]
    if outputs.json_file not in (None, STDOUT):
        files.append(resamples_path(outputs.json_file))
    return [path for path in files if path is not None]


def write(report: Report, outputs: Outputs, *, rows_shown: bool, command: str) -> None:
    """Write all outputs; stdout gets the text unless an output is ``-``.

    rows_shown: whether text and Markdown have the tables by category. command: the call, for the page.
    """
    flagged = report_with_flags(report)
    shown = flagged if rows_shown else without_rows(flagged)
    texts = _texts(report, flagged, shown, outputs, command)
    plots = _plots(report, outputs.plots)
    summary = _summary(shown) if outputs.github_summary else ""
    for path, text in texts.items():
        if path != STDOUT:
            write_text(path, text)
    if report.resamples is not None and outputs.json_file not in (None, STDOUT):
        write_resamples(resamples_path(outputs.json_file), report.resamples)
    if outputs.plots is not None:
        outputs.plots.mkdir(parents=True, exist_ok=True)
        for name, content in plots.items():
            write_bytes(outputs.plots / name, content)
    if outputs.github_summary:
        with Path(os.environ[SUMMARY]).open("a", encoding="utf-8", newline="") as file:
            file.write(summary)
    click.echo(texts.get(STDOUT, to_text(shown)), nl=False)


def _texts(report: Report, flagged: Report, shown: Report, outputs: Outputs, command: str) -> dict[Path, str]:
    """The texts by path. flagged: the report with flags in its messages."""
    texts: dict[Path, str] = {}
    if outputs.json_file is not None:
        texts[outputs.json_file] = to_json(report)
    if outputs.markdown_file is not None:
        texts[outputs.markdown_file] = to_markdown(shown)
    if outputs.junit_file is not None:
        texts[outputs.junit_file] = to_junit(flagged, datetime.now())
    if outputs.csv_file is not None:
        texts[outputs.csv_file] = to_csv(report)
    if outputs.html_file is not None:
        from longtail_cli.reports.page.html import to_html

        texts[outputs.html_file] = to_html(flagged, command)
    return texts


def _plots(report: Report, folder: Path | None) -> dict[str, bytes]:
    """The plots by file name."""
    if folder is None:
        return {}
    from longtail_cli.reports.plots.figures import rendered

    formats: tuple[Literal["png", "pdf"], ...] = ("png", "pdf")
    return {f"{name}.{suffix}": content for suffix in formats for name, content in rendered(report, suffix).items()}


def _summary(report: Report) -> str:
    """The Markdown, cut to fit into the summary of the step."""
    file = Path(os.environ[SUMMARY])
    used = file.stat().st_size if file.exists() else 0
    return to_markdown(report, GITHUB_SUMMARY_LIMIT - used)
