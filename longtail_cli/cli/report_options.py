"""The options of `ltcal report`, by topic."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from longtail_cli.choices import IOU_TYPES, JUDGED_ON, PROTOCOL_CHOICES, SCORE_SPACES, TIDE_MODES
from longtail_cli.cli.options import INPUT, OUTPUT, OUTPUT_FOLDER, bundled


@dataclass(frozen=True, slots=True)
class Outputs:
    """The files that the report is written to."""

    json_file: Path | None
    markdown_file: Path | None
    github_summary: bool
    junit_file: Path | None
    csv_file: Path | None
    html_file: Path | None
    plots: Path | None
    latex_file: Path | None
    csv_runs_file: Path | None
    metrics_json_file: Path | None
    per_image_file: Path | None
    thresholds_file: Path | None
    verbose: bool

    @property
    def plotted(self) -> bool:
        """Whether an output holds plots, which need categories, reliability and intervals."""
        return self.html_file is not None or self.plots is not None


evaluation = bundled(
    "longtail_cli.evaluation.options:EvaluationOptions",
    "evaluation",
    (
        click.option(
            "--score-space",
            type=click.Choice(SCORE_SPACES),
            default="prob",
            show_default=True,
            help="Whether the scores of result files are probabilities or logits, for --method.",
        ),
        click.option(
            "--protocol",
            type=click.Choice(PROTOCOL_CHOICES),
            default="auto",
            show_default=True,
            help="Evaluation protocol; auto chooses LVIS if the annotations are federated.",
        ),
        click.option(
            "--iou-type",
            "iou_types",
            multiple=True,
            type=click.Choice(IOU_TYPES),
            help="IoU of boxes or of masks; repeatable. Default: what the first file holds.",
        ),
        click.option(
            "--max-dets",
            type=click.IntRange(min=1),
            help="Detections that are evaluated: per image (LVIS, 300), or per image and category (COCO, 100).",
        ),
        click.option(
            "--fixed-ap",
            is_flag=True,
            help="Add Fixed AP: 10,000 detections per category; no limit per image, nor --detections-per-image.",
        ),
        click.option("--pooled-ap", is_flag=True, help="Add pooled AP: these detections, all categories on one curve."),
        click.option(
            "--tide",
            type=click.Choice(TIDE_MODES),
            default="aligned",
            show_default=True,
            help="TIDE error breakdown: by the rules of the report, as tidecv computes it, or off.",
        ),
        click.option("--reliability", is_flag=True, help="Add D-ECE and LaECE, the calibration errors of the scores."),
        click.option("--per-category", is_flag=True, help="Add a table with one row per category."),
    ),
)

intervals = bundled(
    "longtail_cli.workflow.options:BootstrapRequest",
    "intervals",
    (
        click.option(
            "--bootstrap/--no-bootstrap",
            default=None,
            help="Add 95% bootstrap intervals. On by default with --html, --plots and --gate-on interval|significance.",
        ),
        click.option(
            "--significance/--no-significance",
            default=None,
            help="Add p-values of the differences. On by default with --gate-on significance.",
        ),
        click.option(
            "--resamples",
            type=click.IntRange(min=2),
            help="Number of bootstrap resamples. [1000, or that of the baseline]",
        ),
        click.option(
            "--seed", type=click.IntRange(min=0), help="Random seed of the resamples. [0, or that of the baseline]"
        ),
    ),
)

gates = bundled(
    "longtail_cli.workflow.options:GateRequest",
    "gates",
    (
        click.option(
            "--fail-under", multiple=True, metavar="METRIC=V", help="Fail if the metric is below V, e.g. bbox/APr=0.18."
        ),
        click.option(
            "--fail-over",
            multiple=True,
            metavar="METRIC=V",
            help="Fail if the metric is above V, e.g. tide/bbox/FalsePos=0.10.",
        ),
        click.option(
            "--max-drop",
            multiple=True,
            metavar="METRIC=V|P%",
            help="Fail if the metric falls by more than V, e.g. bbox/APr=0.002.",
        ),
        click.option(
            "--max-rise", multiple=True, metavar="METRIC=V|P%", help="Fail if the metric rises by more than V."
        ),
        click.option("--baseline", type=INPUT, help="Earlier report (written by --json) to compare the runs with."),
        click.option(
            "--gate-on",
            type=click.Choice(JUDGED_ON),
            help="Judge the value; or fail only if the interval is beyond the limit too, or p is small. [value]",
        ),
        click.option(
            "--gate-run",
            "gate_runs",
            multiple=True,
            metavar="NAME",
            help="Apply the gates to this run only; repeatable.",
        ),
        click.option("--allow-undefined/--no-allow-undefined", default=None, help="Let undefined metrics pass."),
        click.option(
            "--allow-oracle/--no-allow-oracle",
            default=None,
            help="Judge runs whose method was tuned on data of this report; else the exit code is 3.",
        ),
        click.option(
            "--gate/--no-gate", default=True, help="Skip all gates, including those in ltcal.toml and pyproject.toml."
        ),
    ),
)

outputs = bundled(
    f"{__name__}:Outputs",
    "outputs",
    (
        click.option(
            "--json", "json_file", type=OUTPUT, help="Write the report as JSON (ltcal-report/1); - for stdout."
        ),
        click.option("--markdown", "markdown_file", type=OUTPUT, help="Write the tables as Markdown; - for stdout."),
        click.option("--github-summary", is_flag=True, help="Append the Markdown to $GITHUB_STEP_SUMMARY."),
        click.option(
            "--junit", "junit_file", type=OUTPUT, help="Write the gates as JUnit XML, one test case per gate."
        ),
        click.option("--csv", "csv_file", type=OUTPUT, help="Write the metrics of each category as CSV."),
        click.option("--csv-runs", "csv_runs_file", type=OUTPUT, help="Write the metrics of each run as CSV."),
        click.option(
            "--latex",
            "latex_file",
            type=OUTPUT,
            help="Write a table of the runs for a paper (booktabs), with intervals if --bootstrap is set.",
        ),
        click.option(
            "--metrics-json",
            "metrics_json_file",
            type=OUTPUT,
            help="Write all metrics as one flat dict for W&B, MLflow and DVC; - for stdout.",
        ),
        click.option(
            "--per-image",
            "per_image_file",
            type=OUTPUT,
            help="Write ground truths, TP, FP, missed, F1 and the main error of each image, as .csv or .parquet.",
        ),
        click.option(
            "--thresholds",
            "thresholds_file",
            type=OUTPUT,
            help="Write the score thresholds with the best F1 and LRP, overall and by category, as JSON; - for stdout.",
        ),
        click.option("--html", "html_file", type=OUTPUT, help="Write a self-contained HTML page with plots."),
        click.option(
            "--plots",
            type=OUTPUT_FOLDER,
            help="Write the plots to this folder as PNG and PDF.",
        ),
        click.option("--verbose", is_flag=True, help="Print all metrics: object sizes, AR, TIDE by group, intervals."),
    ),
)
