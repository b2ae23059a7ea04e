"""The metrics of the runs as a LaTeX table for papers; it needs the package booktabs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from longtail_cli.errors import Problem, UsageError
from longtail_cli.escapes import one_line
from longtail_cli.metrics import Interval, Value
from longtail_cli.reports.headline import CLASSIFICATION
from longtail_cli.reports.metric_names import lower_is_better, metrics_of
from longtail_cli.reports.model import Report
from longtail_cli.reports.text_tables import IOU_TITLES, headline, sides_of

HEADERS = {"AP": "AP", "APr": "AP$_r$", "APc": "AP$_c$", "APf": "AP$_f$", "AP50": "AP$_{50}$", "AP75": "AP$_{75}$"}
"""The metrics of boxes or masks, in the order of the table."""

SECTIONS = {"APfixed": "Fixed AP", "APpool": "Pooled AP"}
"""Metrics that are asked for; they have AP, AP_r, AP_c and AP_f."""

UNDEFINED = "--"
RUNS_WITH_SECOND = 3
"""From how many rows on the second best is underlined; of two it would only be the other one."""

_GREEK = dict(zip("αβγδεζηθικλμνξπρστυφχψω", (
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi",
    "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega",
), strict=True))  # fmt: skip

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # [ and * at the start of a row would be arguments of the line end before
    "*": "{*}",
    "-": "-{}",  # two would become a dash
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    **{letter: rf"$\{name}$" for letter, name in _GREEK.items()},
}
_SPECIAL = re.compile(
    "|".join(re.escape(letter) for letter in _ESCAPES if letter != "-")
    + "|-(?=-)"
    + "|[^ -~\xa1-\u017f]|[«»ÐÞðþĄąĐđĘęĦħĮįĸĿŀŉŊŋŦŧŲųſ]"  # what LaTeX's default fonts do not have
)


@dataclass(frozen=True, slots=True)
class _Column:
    """One metric."""

    metric: str
    """Its name."""
    section: str
    """What stands above it and its neighbours, if there is more than one section."""
    header: str


def to_latex(report: Report, intervals: bool = False) -> str:
    """One row per run, after the baseline if there is one, in percent with one decimal.

    Columns: AP, AP_r, AP_c, AP_f, AP50, AP75 and TIDE's FalsePos for each IoU type, and AP, AP_r, AP_c and AP_f of
    Fixed and of pooled AP if the report has them; or the accuracies and the ECE of classification. Columns that no
    run defines are omitted, even if the baseline defines them. The best of a column is bold and, from three rows on,
    the second best is underlined; both are chosen as printed, so equal cells are marked alike.

    intervals: print ``28.5 ± 0.4``, where 0.4 is half the width of the 95% interval; the interval itself need not be
        symmetric. A metric without an interval, or whose interval is withheld, stands alone.
    Raises UsageError if intervals are to be printed and the report was made without a bootstrap.
    """
    sides = sides_of(report)
    if intervals and report.bootstrap is None:
        problem = Problem("report", "one with intervals", "none")
        raise UsageError("to_latex", [problem], "evaluate with `bootstrap=True`")
    metrics = [metrics_of(run) for _, run in sides]
    shown = {name for run in report.runs for name, value in metrics_of(run).items() if value is not None}
    columns = [one for one in _columns(report) if one.metric in shown]
    rows = [[_escaped(side)] for side, _ in sides]
    for column in columns:
        cells = _cells(column.metric, [found.get(column.metric) for found in metrics])
        for row, cell, (_, run) in zip(rows, cells, sides, strict=True):
            row.append(cell + _half_width(run.intervals.get(column.metric) if intervals else None))
    head = [*_sections(columns), _line(["", *(column.header for column in columns)])]
    begin = rf"\begin{{tabular}}{{l{'r' * len(columns)}}}"
    table = [begin, r"\toprule", *head, r"\midrule", *map(_line, rows), r"\bottomrule", r"\end{tabular}"]
    return "\n".join([*_comments(report, len(rows), intervals), *table]) + "\n"


def _columns(report: Report) -> Iterator[_Column]:
    if report.signature.protocol == "classification":
        for name, title in CLASSIFICATION.items():
            yield _column(f"classification/{name}", "", title)
    for iou_type in report.signature.iou_types:
        title = IOU_TITLES[iou_type]
        for name, header in HEADERS.items():
            yield _column(f"{iou_type}/{name}", title, header)
        yield _column(f"tide/{iou_type}/FalsePos", title, "FalsePos")
        for key, words in SECTIONS.items():
            section = words if len(report.signature.iou_types) == 1 else f"{title}, {words}"
            for name, header in HEADERS.items():
                yield _column(f"{iou_type}/{key}/{name}", section, header)


def _column(metric: str, section: str, header: str) -> _Column:
    return _Column(metric, section, rf"{header} $\downarrow$" if lower_is_better(metric) else header)


def _cells(metric: str, values: Sequence[Value]) -> list[str]:
    """The values of a column as printed, marked if they are the best or the second best."""
    printed = [None if value is None else f"{100 * value:z.1f}" for value in values]
    ranked = sorted({float(cell) for cell in printed if cell is not None}, reverse=not lower_is_better(metric))
    marks = [r"\textbf{%s}"] if len(values) > 1 else []
    marks += [r"\underline{%s}"] if len(values) >= RUNS_WITH_SECOND else []
    marked = dict(zip(ranked, marks, strict=False))
    return [UNDEFINED if cell is None else marked.get(float(cell), "%s") % cell.replace("-", "$-$") for cell in printed]


def _half_width(interval: Interval | None) -> str:
    return "" if interval is None else rf" $\pm$ {100 * (interval.high - interval.low) / 2:.1f}"


def _sections(columns: Sequence[_Column]) -> list[str]:
    """A line with the titles of the sections and their rules; nothing if there is only one section."""
    widths = [(section, len(list(those))) for section, those in groupby(columns, lambda column: column.section)]
    if len(widths) < 2:
        return []
    titles, rules, first = [""], [], 2
    for section, width in widths:
        titles.append(rf"\multicolumn{{{width}}}{{c}}{{{section}}}")
        rules.append(rf"\cmidrule(lr){{{first}-{first + width - 1}}}")
        first += width
    return [_line(titles), " ".join(rules)]


def _comments(report: Report, rows: int, intervals: bool) -> list[str]:
    """The rules, and how to read and to include the table."""
    marks = ["percent"]
    marks += ["best in bold"] if rows > 1 else []
    marks += ["second best underlined"] if rows >= RUNS_WITH_SECOND else []
    marks += ["+- half the width of the 95% interval"] if intervals else []
    return [f"% {one_line(headline(report))}", rf"% {', '.join(marks)}; needs \usepackage{{booktabs}}"]


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _escaped(name: str) -> str:
    """The text on one line, with nothing that LaTeX would act on.

    Characters that its default fonts do not have, at which pdfLaTeX would stop, are replaced with their code point:
    ``U+732B``.
    """
    return _SPECIAL.sub(lambda found: _ESCAPES.get(found[0]) or f"U+{ord(found[0]):04X}", " ".join(name.split()))
