"""Some of the rows of results, and several tables as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from longtail_cli.tables import Longs, Masks, Results


def results_at(results: Results, row: Longs) -> Results:
    """The results at these rows (int64 [M])."""
    return replace(
        results,
        image_id=results.image_id[row],
        category_id=results.category_id[row],
        score=results.score[row],
        bbox=None if results.bbox is None else results.bbox[row],
        masks=None if results.masks is None else masks_at(results.masks, row),
    )


def masks_at(masks: Masks, row: Longs) -> Masks:
    length = np.diff(masks.start)[row]
    start = np.concatenate([np.zeros(1, np.int64), np.cumsum(length)])
    within = np.arange(start[-1]) - np.repeat(start[:-1], length)
    return Masks(masks.size[row], masks.counts[np.repeat(masks.start[row], length) + within], start)


def joined_masks(parts: Sequence[Masks]) -> Masks:
    """The masks of all parts, at least one, in their order."""
    ends = np.cumsum([0, *(len(part.counts) for part in parts)])
    starts = [part.start[:-1] + end for part, end in zip(parts, ends, strict=False)]
    return Masks(
        size=np.concatenate([part.size for part in parts]),
        counts=np.concatenate([part.counts for part in parts]),
        start=np.append(np.concatenate(starts), ends[-1]),
    )
