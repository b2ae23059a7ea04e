"""Annotations and results of some of the images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from longtail_cli.tables import Bools, GroundTruth, Ints, Longs, Masks, Results


def truth_of(truth: GroundTruth, keep: Bools) -> GroundTruth:
    """The annotations of the images that are kept (bool [I]); all categories stay."""
    index = np.where(keep, np.cumsum(keep) - 1, -1).astype(np.int32)
    row = np.flatnonzero(keep[truth.image])
    return replace(
        truth,
        image_id=truth.image_id[keep],
        image_position=np.argsort(np.argsort(truth.image_position[keep])).astype(np.int32),
        image_size=truth.image_size[keep],
        id=truth.id[row],
        image=index[truth.image[row]],
        category=truth.category[row],
        bbox=truth.bbox[row],
        area=truth.area[row],
        crowd=truth.crowd[row],
        ignore=truth.ignore[row],
        masks=None if truth.masks is None else _masks_of(truth.masks, row),
        negative=_pairs_of(truth.negative, index),
        not_exhaustive=_pairs_of(truth.not_exhaustive, index),
    )


def results_of(results: Results, keep: Bools) -> Results:
    """The results that are kept (bool [N])."""
    return replace(
        results,
        image_id=results.image_id[keep],
        category_id=results.category_id[keep],
        score=results.score[keep],
        bbox=None if results.bbox is None else results.bbox[keep],
        masks=None if results.masks is None else _masks_of(results.masks, np.flatnonzero(keep)),
    )


def _pairs_of(pairs: Ints | None, index: Ints) -> Ints | None:
    """The pairs (image, category) of images that are kept. index: int32 [I], the new index of each image, or -1."""
    if pairs is None:
        return None
    image = index[pairs[:, 0]]
    return np.column_stack([image, pairs[:, 1]]).astype(np.int32)[image >= 0]


def _masks_of(masks: Masks, row: Longs) -> Masks:
    length = np.diff(masks.start)[row]
    start = np.concatenate([np.zeros(1, np.int64), np.cumsum(length)])
    within = np.arange(start[-1]) - np.repeat(start[:-1], length)
    return Masks(masks.size[row], masks.counts[np.repeat(masks.start[row], length) + within], start)
