"""Labelled rows of features with a long tail."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from longtail_cli.choices import BackgroundName
from longtail_cli.fitting.rows import LabelledRows
from longtail_cli.tables import FrequencyTable, LogitColumns

COUNTS = (60, 30, 12, 5, 3)


def table_of(counts: tuple[int, ...] = COUNTS, num_images: int | None = 1000) -> FrequencyTable:
    """Classes with ids 10, 20, ... that occur once per image."""
    ids = np.arange(1, len(counts) + 1) * 10
    groups = ("few",) * len(counts)
    return FrequencyTable(ids, tuple(map(str, ids)), np.array(counts), np.array(counts), groups, num_images)


def rows_of(
    counts: tuple[int, ...] = COUNTS,
    *,
    background: BackgroundName = "none",
    background_rows: int = 40,
    dimensions: int = 6,
    distance: float = 1.0,
    seed: int = 0,
    **changes: Any,
) -> LabelledRows:
    """Rows around the means of the classes, in random order, every third held out; the background around 0."""
    random = np.random.default_rng(seed)
    first = int(background == "first")
    target = np.repeat(np.arange(len(counts)) + first, counts)
    means = random.normal(size=(len(counts) + 2, dimensions)) * distance
    if background != "none":
        where = 0 if background == "first" else len(counts)
        target = np.concatenate([target, np.full(background_rows, where)])
        means[where] = 0
    random.shuffle(target)
    features = means[target] + random.normal(size=(len(target), dimensions)) * np.linspace(0.2, 2, dimensions) + 0.5
    fields: dict[str, Any] = {
        "columns": LogitColumns("softmax", background, table_of(counts).category_id),
        "target": torch.tensor(target),
        "held_out": torch.arange(len(target)) % 3 == 0,
        "logits": None,
        "features": torch.tensor(features, dtype=torch.float32),
    }
    return LabelledRows(**{**fields, **changes})
