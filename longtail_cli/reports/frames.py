"""Reports as pandas data frames; characters that UTF-8 cannot hold are replaced in names."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from longtail_cli.errors import missing_package
from longtail_cli.escapes import escaped, xml_text
from longtail_cli.metrics import CategoryMetrics, CategoryThresholds, Value
from longtail_cli.reports.image_table import image_columns
from longtail_cli.reports.metric_names import metrics_of
from longtail_cli.reports.model import Report, Run
from longtail_cli.reports.text_tables import ABOUT_CATEGORY

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("run", "metric", "value", "low", "high", "change", "change_low", "change_high", "p")
_POINT_COLUMNS = (
    "f1", "f1_threshold", "f1_precision", "f1_recall",
    "lrp", "lrp_threshold", "lrp_precision", "lrp_recall", "lrp_localisation",
)  # fmt: skip
THRESHOLD_COLUMNS = (
    "run", "id", "name", "group", "ground_truths", "detections", "kind", "reason", *_POINT_COLUMNS
)  # fmt: skip


def to_frame(report: Report) -> pd.DataFrame:
    """One row per run and metric; see `Report.to_frame`."""
    pandas = _pandas()
    base = metrics_of(report.reference)
    rows = [row for run in report.runs for row in _rows(run, {} if run is report.reference else base)]
    return pandas.DataFrame(rows, columns=list(COLUMNS)).astype(dict.fromkeys(COLUMNS[2:], "float64"))


def _rows(run: Run, base: dict[str, Value]) -> Iterator[tuple[str | Value, ...]]:
    """base: metrics of the reference; empty for the reference itself."""
    for name, value in metrics_of(run).items():
        if not name.startswith("categories/"):
            interval, delta, reference = run.intervals.get(name), run.deltas.get(name), base.get(name)
            change = None if value is None or reference is None else value - reference
            bounds = [(None, None) if one is None else (one.low, one.high) for one in (interval, delta)]
            yield xml_text(run.name), name, value, *bounds[0], change, *bounds[1], run.p_values.get(name)


def categories_frame(report: Report) -> pd.DataFrame:
    """One row per run, kind and category; see `Report.categories_frame`."""
    pandas = _pandas()
    rows = [
        {"run": xml_text(run.name), **_about(row), "kind": kind, **values}
        for run in report.runs
        for kind in report.kinds
        for row in run.categories
        if (values := row.metrics.get(kind)) is not None
    ]
    about = ("run", *ABOUT_CATEGORY, "kind")
    metrics = dict.fromkeys(name for row in rows for name in row if name not in about)
    counts = dict.fromkeys(("train_images", "train_instances"), "Int64")
    return pandas.DataFrame(rows, columns=[*about, *metrics]).astype(counts | dict.fromkeys(metrics, "float64"))


def thresholds_frame(report: Report) -> pd.DataFrame:
    """One row per run, kind and category; see `Report.thresholds_frame`."""
    pandas = _pandas()
    rows = [
        {"run": xml_text(name), **_about_thresholds(row), "kind": kind, "reason": row.f1.reason, **_points(row)}
        for name, by_kind in report.thresholds.items()
        for kind, found in by_kind.items()
        for row in found.categories
    ]
    return pandas.DataFrame(rows, columns=list(THRESHOLD_COLUMNS)).astype(dict.fromkeys(_POINT_COLUMNS, "float64"))


def _about_thresholds(row: CategoryThresholds) -> dict[str, str | int | None]:
    group = None if row.group is None else xml_text(row.group)
    counts = {"ground_truths": row.ground_truths, "detections": row.detections}
    return {"id": row.id, "name": xml_text(row.name), "group": group, **counts}


def _points(row: CategoryThresholds) -> dict[str, Value]:
    f1, lrp = row.f1, row.lrp
    values = (
        f1.value, f1.threshold, f1.precision, f1.recall,
        lrp.value, lrp.threshold, lrp.precision, lrp.recall, lrp.localisation,
    )  # fmt: skip
    return dict(zip(_POINT_COLUMNS, values, strict=True))


def images_frame(report: Report) -> pd.DataFrame:
    """One row per run, kind and image; see `Report.images_frame`."""
    pandas = _pandas()
    columns = image_columns(report)
    texts = {name: escaped(values, xml_text) for name, values in columns.items() if not isinstance(values, np.ndarray)}
    return pandas.DataFrame(columns | texts)


def _about(row: CategoryMetrics) -> dict[str, str | int | None]:
    found = {name: getattr(row, name) for name in ABOUT_CATEGORY}
    return {name: xml_text(one) if isinstance(one, str) else one for name, one in found.items()}


def _pandas() -> ModuleType:
    try:
        import pandas as pd
    except ImportError as error:
        raise missing_package("pandas", "data frames", "pandas") from error
    module: ModuleType = pd
    return module
