"""The images of a report as one table."""

from __future__ import annotations

from itertools import chain

import numpy as np

from longtail_cli.metrics import Column, Value
from longtail_cli.reports.model import Report


def image_columns(report: Report) -> dict[str, Column]:
    """Columns by name, see `Report.images_frame`; empty if the report holds no images."""
    parts: list[dict[str, Column]] = [
        {"run": (run,) * metrics.number, "kind": (iou_type,) * metrics.number, **metrics.columns}
        for run, by_type in report.images.items()
        for iou_type, metrics in by_type.items()
    ]
    parts += [{"run": (run,) * rows.number, **rows.columns} for run, rows in report.rows.items()]
    return {name: _joined([part[name] for part in parts]) for name in (parts[0] if parts else {})}


def image_thresholds(report: Report) -> dict[str, dict[str, Value]]:
    """The score threshold of each run and IoU type; empty for a classifier."""
    return {
        run: {iou_type: metrics.threshold for iou_type, metrics in by_type.items()}
        for run, by_type in report.images.items()
    }


def _joined(columns: list[Column]) -> Column:
    """Columns of one type, one after another."""
    arrays = [one for one in columns if isinstance(one, np.ndarray)]
    return np.concatenate(arrays) if arrays else tuple(chain.from_iterable(columns))
