"""The headline metrics as a LaTeX table for papers; it needs the package booktabs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from longtail_cli.escapes import xml_text
from longtail_cli.metrics import Value
from longtail_cli.reports.headline import defined_headline_metrics
from longtail_cli.reports.metric_names import lower_is_better, metrics_of
from longtail_cli.reports.model import Report
from longtail_cli.reports.text_tables import IOU_TITLES, sides_of

HEADERS = {"AP": "AP", "APr": "AP$_r$", "APc": "AP$_c$", "APf": "AP$_f$", "AP50": "AP$_{50}$", "FalsePos": "FalsePos"}
"""By the last part of a metric name; other columns have the title of the headline metric."""

UNDEFINED = "--"

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # [ and * at the start of a row would be arguments of the line end before
    "*": "{*}",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
}
_SPECIAL = re.compile("|".join(map(re.escape, _ESCAPES)))


def to_latex(report: Report) -> str:
    """One row per run, after the baseline if there is one: percent with one decimal, the best of a column in bold.

    Columns: AP, AP_r, AP_c, AP_f, AP50 and TIDE's FalsePos for each IoU type, or the accuracies and ECE of
    classification; those that no run defines are omitted.
    """
    sides = sides_of(report)
    metrics = [metrics_of(run) for _, run in sides]
    titles = defined_headline_metrics(report)
    headers = [HEADERS.get(name.rpartition("/")[2], title) for name, title in titles.items()]
    columns = [_column(name, [one.get(name) for one in metrics]) for name in titles]
    rows = [[_escaped(side), *(column[row] for column in columns)] for row, (side, _) in enumerate(sides)]
    lines = [*_iou_types(list(titles)), _line(["", *headers]), r"\midrule", *map(_line, rows)]
    begin = rf"\begin{{tabular}}{{l{'r' * len(titles)}}}"
    return "\n".join([begin, r"\toprule", *lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _column(name: str, values: Sequence[Value]) -> list[str]:
    """The cells of a metric. The best is chosen as printed, so equal cells are all bold; a lone run is not."""
    printed = [None if value is None else float(f"{100 * value:z.1f}") for value in values]
    defined = [value for value in printed if value is not None]
    best = None if len(values) < 2 or not defined else min(defined) if lower_is_better(name) else max(defined)
    cells = [UNDEFINED if value is None else f"{value:.1f}" for value in printed]
    return [f"\\textbf{{{cell}}}" if value is not None and value == best else cell
            for cell, value in zip(cells, printed, strict=True)]  # fmt: skip


def _iou_types(names: Sequence[str]) -> list[str]:
    """A header line over the columns of boxes and masks, if there are both."""
    counts = {iou_type: sum(iou_type in name.split("/") for name in names) for iou_type in IOU_TITLES}
    if not all(counts.values()):
        return []
    boxes, masks = counts.values()
    spans = [rf"\multicolumn{{{count}}}{{c}}{{{IOU_TITLES[iou_type]}}}" for iou_type, count in counts.items()]
    return [_line(["", *spans]), rf"\cmidrule(lr){{2-{boxes + 1}}} \cmidrule(lr){{{boxes + 2}-{boxes + masks + 1}}}"]


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _escaped(name: str) -> str:
    """The text on one line, with nothing that LaTeX would act on."""
    return _SPECIAL.sub(lambda found: _ESCAPES[found[0]], xml_text(" ".join(name.split())))
