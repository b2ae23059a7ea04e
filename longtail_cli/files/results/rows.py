"""Some of the rows of results, and several tables as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from longtail_cli.tables import Convention, Longs, Masks, Results


def results_at(results: Results, row: Longs) -> Results:
    """The results at these rows (int64 [M])."""
    return replace(
        results,
        image_id=results.image_id[row],
        category_id=results.category_id[row],
        score=results.score[row],
        bbox=None if results.bbox is None else results.bbox[row],
        masks=None if results.masks is None else masks_at(results.masks, row),
        entry=None if results.entry is None else results.entry[row],
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


def joined_results(parts: Sequence[Results], source: str, fields: frozenset[str]) -> Results:
    """The results of all parts, which are of one convention and have numbers of their entries, in their order.

    fields: the geometry that empty results have if there are no parts.
    """
    if len(parts) == 1:
        return replace(parts[0], source=source)
    boxes = [one.bbox for one in parts if one.bbox is not None]
    masks = [one.masks for one in parts if one.masks is not None]
    columns = ("image_id", "category_id", "score", "entry")
    nothing = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64))
    image_id, category_id, score, entry = (
        np.concatenate([none, *(getattr(one, name) for one in parts)])
        for name, none in zip(columns, nothing, strict=True)
    )
    no_masks = Masks(np.zeros((0, 2), np.int32), np.zeros(0, np.uint32), np.zeros(1, np.int64))
    with_boxes = len(boxes) == len(parts) if parts else "bbox" in fields
    with_masks = len(masks) == len(parts) if parts else "masks" in fields
    return Results(
        image_id=image_id,
        category_id=category_id,
        score=score,
        bbox=np.concatenate([np.zeros((0, 4)), *boxes]) if with_boxes else None,
        masks=joined_masks(masks or [no_masks]) if with_masks else None,
        source=source,
        convention=parts[0].convention if parts else Convention(),
        entry=entry,
    )
