"""A frequency table from a few plain counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from longtail_cli.tables import FrequencyTable


def table(
    image_count: Sequence[int],
    instance_count: Sequence[int] | None = None,
    *,
    num_images: int | None = None,
    ids: Sequence[int] | None = None,
) -> FrequencyTable:
    """Classes 1, 2, 3, ... unless `ids` are given, with as many objects as images unless stated."""
    classes = len(image_count)
    category_id = np.arange(1, classes + 1) if ids is None else np.array(ids, np.int64)
    return FrequencyTable(
        category_id=category_id,
        name=tuple(f"class {c}" for c in category_id),
        image_count=np.array(image_count, np.int64),
        instance_count=np.array(image_count if instance_count is None else instance_count, np.int64),
        group=("f",) * classes,
        num_images=num_images,
    )
