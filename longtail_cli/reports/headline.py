"""The headline metrics, which readers look for first, and a table of them for notebooks."""

from __future__ import annotations

from tabulate import tabulate

from longtail_cli.escapes import xml_text
from longtail_cli.reports.format import shown
from longtail_cli.reports.metric_names import metrics_of
from longtail_cli.reports.model import Report
from longtail_cli.reports.text_tables import headline, sides_of

DETECTION = {"AP": "AP", "APr": "AP rare", "APc": "AP common", "APf": "AP frequent", "AP50": "AP50"}
CLASSIFICATION = {
    "top1": "top-1",
    "balanced": "balanced",
    "many": "many",
    "medium": "medium",
    "few": "few",
    "ece": "ECE",
}


def headline_metrics(report: Report) -> dict[str, str]:
    """Titles by metric name; TIDE's false positives are among them if the report has a breakdown."""
    if report.signature.protocol == "classification":
        return {f"classification/{name}": title for name, title in CLASSIFICATION.items()}
    found: dict[str, str] = {}
    for iou_type in report.signature.iou_types:
        prefix = "Mask " if iou_type == "segm" else ""
        found |= {f"{iou_type}/{name}": f"{prefix}{title}" for name, title in DETECTION.items()}
        if iou_type in report.runs[0].tide:
            found[f"tide/{iou_type}/FalsePos"] = f"{prefix}TIDE FalsePos"
    return found


def defined_headline_metrics(report: Report) -> dict[str, str]:
    """Those that some run or the baseline defines."""
    found = [metrics_of(run) for _, run in sides_of(report)]
    titles = headline_metrics(report)
    return {name: title for name, title in titles.items() if any(one.get(name) is not None for one in found)}


def to_html_table(report: Report) -> str:
    """One row per run, after the baseline if there is one, as plain HTML; names are escaped."""
    titles = defined_headline_metrics(report)
    rows = []
    for side, run in sides_of(report):
        metrics = metrics_of(run)
        rows.append([xml_text(side), *(shown(name.rpartition("/")[2], metrics.get(name)) for name in titles)])
    align = ("left", *("right" for _ in titles))
    table = tabulate(rows, ["run", *titles.values()], tablefmt="html", colalign=align, disable_numparse=True)
    return f"<p>{xml_text(headline(report))}</p>\n{table}\n"
