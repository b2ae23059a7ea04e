"""The categories of a report as CSV (RFC 4180, lines end in LF), for spreadsheets and data frames."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from longtail_cli.metrics import CategoryMetrics
from longtail_cli.reports.format import fit
from longtail_cli.reports.model import Report
from longtail_cli.reports.text_tables import CATEGORY_METRIC, sides_of

ABOUT = ("id", "name", "group", "train_images", "train_instances", "images", "instances")

_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
"""What formulas begin with; the last four are the full-width forms, which some spreadsheets take too."""
_Column = tuple[str, list[float | None]]


def to_csv(report: Report) -> str:
    """A row a category; of every run a column a figure, and the difference of its AP (or recall) to the reference.

    Columns: `ABOUT`; then ``RUN bbox/AP`` and so on as fractions at full precision, and ``RUN bbox/AP difference``.
    A baseline's run comes first. Empty where undefined or unknown. Without categories the header stands alone.
    Text that a spreadsheet would take for a formula gets a leading apostrophe.
    """
    rows = report.runs[0].categories
    about = [[getattr(row, name) for row in rows] for name in ABOUT]
    columns = _columns(report, [row.id for row in rows])
    lines = [_line([*ABOUT, *(name for name, _ in columns)])]
    lines += [_line(cells) for cells in zip(*about, *(values for _, values in columns), strict=True)]
    return "".join(lines)


def _columns(report: Report, ids: Sequence[int]) -> list[_Column]:
    base = {row.id: row for row in report.reference.categories}
    columns: list[_Column] = []
    for side, run in sides_of(report):
        rows = {row.id: row for row in run.categories}
        for kind, figure in _figures(run.categories):
            values = [_value(rows.get(key), kind, figure) for key in ids]
            columns.append((f"{side} {kind}/{figure}", values))
            if run is not report.reference and figure == CATEGORY_METRIC.get(kind) and base:
                bases = [_value(base.get(key), kind, figure) for key in ids]
                columns.append((f"{side} {kind}/{figure} difference", list(map(_difference, values, bases))))
    return columns


def _figures(rows: Sequence[CategoryMetrics]) -> list[tuple[str, str]]:
    """The kinds and names of figures that the rows hold."""
    return list(dict.fromkeys((kind, name) for row in rows for kind, found in row.metrics.items() for name in found))


def _value(row: CategoryMetrics | None, kind: str, figure: str) -> float | None:
    return None if row is None else row.metrics.get(kind, {}).get(figure)


def _difference(value: float | None, base: float | None) -> float | None:
    return None if value is None or base is None else value - base


def _line(cells: Sequence[str | float | None]) -> str:
    """One record. It is written with CRLF, as only then all Pythons quote a lone CR inside a cell."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow([_plain(one) if isinstance(one, str) else one for one in cells])
    return text.getvalue().removesuffix("\r\n") + "\n"


def _plain(text: str) -> str:
    return f"'{fit(text)}" if text.startswith(_FORMULA) else fit(text)
