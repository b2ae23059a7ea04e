"""The options of `ltcal report`, by what they are about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click

from longtail_cli.cli.options import bundled

FILE = click.Path(path_type=Path, dir_okay=False)


@dataclass(frozen=True, slots=True)
class Figures:
    """Which figures, by which rules. Fields as in `longtail_cli.workflow.report_detection.Choices`."""

    score_space: Literal["prob", "logit"]
    protocol: str
    iou_types: tuple[str, ...]
    max_dets: int | None
    fixed_ap: bool
    pooled_ap: bool
    tide: str
    reliability: bool
    per_category: bool


@dataclass(frozen=True, slots=True)
class Intervals:
    """Whether and how to resample the images. None leaves it to the outputs and the baseline."""

    bootstrap: bool | None
    resamples: int | None
    seed: int | None


@dataclass(frozen=True, slots=True)
class Gates:
    """What is to be judged."""

    fail_under: tuple[str, ...]
    fail_over: tuple[str, ...]
    max_drop: tuple[str, ...]
    max_rise: tuple[str, ...]
    baseline: Path | None
    gate_on: Literal["value", "interval"] | None
    gate_runs: tuple[str, ...]
    allow_undefined: bool | None
    gate: bool


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where the report goes."""

    json_file: Path | None
    markdown_file: Path | None
    github_summary: bool
    junit_file: Path | None
    csv_file: Path | None
    html_file: Path | None
    plots: Path | None


figures = bundled(
    Figures,
    "figures",
    (
        click.option(
            "--score-space",
            type=click.Choice(["prob", "logit"]),
            default="prob",
            show_default=True,
            help="What the scores of result files are, for --method.",
        ),
        click.option("--protocol", type=click.Choice(["auto", "lvis", "coco"]), default="auto", show_default=True),
        click.option(
            "--iou-type",
            "iou_types",
            multiple=True,
            type=click.Choice(["bbox", "segm"]),
            help="Repeatable; default: what the first file holds.",
        ),
        click.option(
            "--max-dets",
            type=click.IntRange(min=1),
            help="Cap: per image for LVIS [300], per image and category for COCO [100].",
        ),
        click.option("--fixed-ap", is_flag=True, help="Add Fixed AP: 10,000 detections a category, no cap per image."),
        click.option("--pooled-ap", is_flag=True, help="Add pooled AP: all categories on one curve."),
        click.option(
            "--tide",
            type=click.Choice(["aligned", "tidecv", "off"]),
            default="aligned",
            show_default=True,
            help="Error breakdown by this protocol's rules, or by tidecv's.",
        ),
        click.option("--reliability", is_flag=True, help="Add D-ECE and LaECE: can the scores be trusted."),
        click.option("--per-category", is_flag=True, help="Add a row for every category."),
    ),
)

intervals = bundled(
    Intervals,
    "intervals",
    (
        click.option(
            "--bootstrap/--no-bootstrap",
            default=None,
            help="95% intervals over resampled images. On with --html, --plots and --gate-on interval.",
        ),
        click.option("--resamples", type=click.IntRange(min=2), help="How often. [1000, or as the baseline]"),
        click.option("--seed", type=click.IntRange(min=0), help="Of the draws. [0, or as the baseline]"),
    ),
)

gates = bundled(
    Gates,
    "gates",
    (
        click.option("--fail-under", multiple=True, metavar="METRIC=V", help="Exit 1 below V: bbox/APr=0.18."),
        click.option("--fail-over", multiple=True, metavar="METRIC=V", help="Exit 1 above V: tide/bbox/FalsePos=0.10."),
        click.option(
            "--max-drop", multiple=True, metavar="METRIC=V|P%", help="Exit 1 where it falls by more: bbox/APr=0.002."
        ),
        click.option("--max-rise", multiple=True, metavar="METRIC=V|P%", help="Exit 1 where it rises by more."),
        click.option("--baseline", type=FILE, help="An earlier report (--json) to hold the runs against."),
        click.option(
            "--gate-on",
            type=click.Choice(["value", "interval"]),
            help="Fail on the value, or only where the whole interval is beyond the limit. [value]",
        ),
        click.option("--gate-run", "gate_runs", multiple=True, metavar="NAME", help="Judge this run alone; repeat."),
        click.option(
            "--allow-undefined/--no-allow-undefined", default=None, help="Let figures pass that the data cannot define."
        ),
        click.option(
            "--gate/--no-gate", default=True, help="Judge nothing, whatever ltcal.toml or pyproject.toml say."
        ),
    ),
)

outputs = bundled(
    Outputs,
    "outputs",
    (
        click.option("--json", "json_file", type=FILE, help="Write the report as JSON (ltcal-report/1); - for stdout."),
        click.option("--markdown", "markdown_file", type=FILE, help="Write the tables as Markdown; - for stdout."),
        click.option("--github-summary", is_flag=True, help="Append the Markdown to $GITHUB_STEP_SUMMARY."),
        click.option("--junit", "junit_file", type=FILE, help="Write the gates as JUnit XML, a test case each."),
        click.option("--csv", "csv_file", type=FILE, help="Write a row for every category."),
        click.option("--html", "html_file", type=FILE, help="Write one page with pictures, to be read anywhere."),
        click.option(
            "--plots", type=click.Path(path_type=Path, file_okay=False), help="Write the pictures here, PNG and PDF."
        ),
    ),
)
