"""The IIF weights of the classes of a report, for its pictures."""

from __future__ import annotations

import numpy as np

from longtail_cli.reports.model import Report
from longtail_cli.tables import Floats, FrequencyTable
from longtail_cli.workflow.compute_freq import weight_columns


def iif_weights_of(report: Report) -> dict[str, Floats]:
    """IIF weights by image counts in each variant: float64 [C], in the order of the report's categories.

    Empty where the report has no categories, or does not know how often each occurs in training, or none does.
    """
    rows = report.runs[0].categories
    images = [row.train_images for row in rows if row.train_images is not None]
    instances = [row.train_instances for row in rows if row.train_instances is not None]
    if not rows or len(images) < len(rows) or len(instances) < len(rows) or not sum(images):
        return {}
    table = FrequencyTable(
        category_id=np.array([row.id for row in rows], np.int64),
        name=tuple(row.name for row in rows),
        image_count=np.array(images, np.int64),
        instance_count=np.array(instances, np.int64),
        group=tuple(row.group or "" for row in rows),
        num_images=None,
    )
    columns, _ = weight_columns(table)
    return {name.removeprefix("iif_"): values for name, values in columns.items() if name.startswith("iif_")}
