"""The outputs of a report: rendered in memory, then written."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from longtail_cli.cli.flags import report_with_flags
from longtail_cli.cli.report_options import Outputs
from longtail_cli.cli.streams import url_of
from longtail_cli.errors import Problem, UsageError
from longtail_cli.files.image_metrics import check_suffix, write_images
from longtail_cli.files.output import outputs_of, write_bytes, write_text
from longtail_cli.files.paths import is_stdout, is_stream
from longtail_cli.files.report_files import resamples_path, write_resamples
from longtail_cli.reports.ci import GITHUB_SUMMARY_LIMIT, to_junit
from longtail_cli.reports.csv import to_csv, to_csv_runs
from longtail_cli.reports.image_table import image_columns, image_thresholds
from longtail_cli.reports.json import to_json, to_metrics_json
from longtail_cli.reports.latex import to_latex
from longtail_cli.reports.markdown import to_markdown
from longtail_cli.reports.model import Report
from longtail_cli.reports.text import to_text
from longtail_cli.reports.text_tables import without_intervals, without_reliability, without_rows
from longtail_cli.reports.thresholds_json import thresholds_json

SUMMARY = "GITHUB_STEP_SUMMARY"


def report_outputs(outputs: Outputs, inputs: Sequence[Path]) -> AbstractContextManager[Mapping[Path, Path]]:
    """The paths to write the outputs to, by their names. Raises UsageError and OutputError as `outputs_of` does."""
    if outputs.github_summary and not os.environ.get(SUMMARY):
        problem = Problem(f"${SUMMARY}", "the file of the summary, set by GitHub", "nothing")
        raise UsageError("--github-summary", [problem], "use it in a GitHub workflow, or --markdown FILE elsewhere")
    table = outputs.per_image_file
    if table is not None and (table.suffix or not is_stream(table)):
        check_suffix(table)
    return outputs_of(
        _files(outputs),
        inputs=inputs,
        stream_suffix=".csv",
        folders={} if outputs.plots is None else {outputs.plots: (".png", ".pdf")},
        appended=[Path(os.environ[SUMMARY])] if outputs.github_summary else [],
        url_of=url_of,
    )


def _files(outputs: Outputs) -> list[Path]:
    """All files, including the resamples beside the JSON, even if these will not be written."""
    files = [
        outputs.json_file, outputs.markdown_file, outputs.junit_file, outputs.csv_file, outputs.html_file,
        outputs.csv_runs_file, outputs.latex_file, outputs.metrics_json_file, outputs.per_image_file,
        outputs.thresholds_file,
    ]  # fmt: skip
    if outputs.json_file is not None and not is_stream(outputs.json_file):
        files.append(resamples_path(outputs.json_file))
    return [path for path in files if path is not None]


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for besides the main metrics; plots need all of it."""

    categories: bool
    reliability: bool
    intervals: bool


def write(report: Report, outputs: Outputs, staged: Mapping[Path, Path], *, asked: Asked, command: str) -> str | None:
    """Write all outputs. Returns the text for stdout; None if an output goes there.

    staged: the path to write each output to. asked: what the text shows; of it the LaTeX table has the intervals,
    Markdown and the flat metrics those of categories. command: the call, for the page.
    """
    flagged = report_with_flags(report)
    shown = flagged if asked.categories else without_rows(flagged)
    texts = _texts(report, flagged, shown, outputs, command)
    if outputs.latex_file is not None:
        texts[outputs.latex_file] = to_latex(report, asked.intervals)
    plots = _plots(report, outputs.plots)
    summary = _summary(shown) if outputs.github_summary else ""
    for path, text in texts.items():
        write_text(staged[path], text)
    if report.resamples is not None and outputs.json_file is not None:
        beside = staged.get(resamples_path(outputs.json_file))
        if beside is not None:
            write_resamples(beside, report.resamples)
    if outputs.per_image_file is not None:
        write_images(staged[outputs.per_image_file], image_columns(report), image_thresholds(report))
    if outputs.plots is not None:
        for name, content in plots.items():
            write_bytes(staged[outputs.plots] / name, content)
    if outputs.github_summary:
        write_text(staged[Path(os.environ[SUMMARY])], summary)
    tables = () if outputs.per_image_file is None else (outputs.per_image_file,)
    return None if any(map(is_stdout, (*texts, *tables))) else _text(shown, asked, verbose=outputs.verbose)


def _text(report: Report, asked: Asked, *, verbose: bool) -> str:
    if verbose:
        return to_text(report, verbose=True)
    report = report if asked.reliability else without_reliability(report)
    return to_text(report if asked.intervals else without_intervals(report))


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
    if outputs.thresholds_file is not None:
        texts[outputs.thresholds_file] = thresholds_json(report)
    if outputs.csv_runs_file is not None:
        texts[outputs.csv_runs_file] = to_csv_runs(report)
    if outputs.metrics_json_file is not None:
        texts[outputs.metrics_json_file] = to_metrics_json(shown)
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
