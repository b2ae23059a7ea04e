"""The outputs of a report: rendered in memory, then written."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Literal

from longtail_cli.cli.flags import report_with_flags
from longtail_cli.cli.report_options import Outputs
from longtail_cli.errors import Problem, UsageError
from longtail_cli.files.output import outputs_of, write_bytes, write_text
from longtail_cli.files.paths import is_stdout, is_stream
from longtail_cli.files.report_files import resamples_path, write_resamples
from longtail_cli.reports.ci import GITHUB_SUMMARY_LIMIT, to_junit
from longtail_cli.reports.csv import to_csv
from longtail_cli.reports.json import to_json
from longtail_cli.reports.markdown import to_markdown
from longtail_cli.reports.model import Report
from longtail_cli.reports.text_tables import to_text, without_rows

SUMMARY = "GITHUB_STEP_SUMMARY"


def report_outputs(outputs: Outputs, inputs: Sequence[Path]) -> AbstractContextManager[Mapping[Path, Path]]:
    """The paths to write the outputs to, by their names. Raises UsageError and OutputError as `outputs_of` does."""
    if outputs.github_summary and not os.environ.get(SUMMARY):
        problem = Problem(f"${SUMMARY}", "the file of the summary, set by GitHub", "nothing")
        raise UsageError("--github-summary", [problem], "use it in a GitHub workflow, or --markdown FILE elsewhere")
    return outputs_of(
        _files(outputs),
        inputs=inputs,
        folders={} if outputs.plots is None else {outputs.plots: (".png", ".pdf")},
        appended=[Path(os.environ[SUMMARY])] if outputs.github_summary else [],
    )


def _files(outputs: Outputs) -> list[Path]:
    """All files, including the resamples beside the JSON, even if these will not be written."""
    files = [outputs.json_file, outputs.markdown_file, outputs.junit_file, outputs.csv_file, outputs.html_file]
    if outputs.json_file is not None and not is_stream(outputs.json_file):
        files.append(resamples_path(outputs.json_file))
    return [path for path in files if path is not None]


def write(
    report: Report, outputs: Outputs, staged: Mapping[Path, Path], *, rows_shown: bool, command: str
) -> str | None:
    """Write all outputs. Returns the text for stdout; None if an output goes there.

    staged: the path to write each output to. rows_shown: whether text and Markdown have the tables by category.
    command: the call, for the page.
    """
    flagged = report_with_flags(report)
    shown = flagged if rows_shown else without_rows(flagged)
    texts = _texts(report, flagged, shown, outputs, command)
    plots = _plots(report, outputs.plots)
    summary = _summary(shown) if outputs.github_summary else ""
    for path, text in texts.items():
        write_text(staged[path], text)
    if report.resamples is not None and outputs.json_file is not None:
        beside = staged.get(resamples_path(outputs.json_file))
        if beside is not None:
            write_resamples(beside, report.resamples)
    if outputs.plots is not None:
        for name, content in plots.items():
            write_bytes(staged[outputs.plots] / name, content)
    if outputs.github_summary:
        write_text(staged[Path(os.environ[SUMMARY])], summary)
    return None if any(map(is_stdout, texts)) else to_text(shown)


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
