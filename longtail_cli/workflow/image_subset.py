"""Annotations and results of some of the images."""

from __future__ import annotations

from dataclasses import replace
from itertools import compress

import numpy as np

from longtail_cli.files.results.rows import masks_at, results_at
from longtail_cli.tables import Bools, GroundTruth, Ints, Results


def truth_of(truth: GroundTruth, keep: Bools) -> GroundTruth:
    """The annotations of the images that are kept (bool [I]); all categories stay."""
    index = np.where(keep, np.cumsum(keep) - 1, -1).astype(np.int32)
    row = np.flatnonzero(keep[truth.image])
    return replace(
        truth,
        image_id=truth.image_id[keep],
        image_position=np.argsort(np.argsort(truth.image_position[keep])).astype(np.int32),
        image_size=truth.image_size[keep],
        image_name=tuple(compress(truth.image_name, keep.tolist())),
        id=truth.id[row],
        image=index[truth.image[row]],
        category=truth.category[row],
        bbox=truth.bbox[row],
        area=truth.area[row],
        crowd=truth.crowd[row],
        ignore=truth.ignore[row],
        masks=None if truth.masks is None else masks_at(truth.masks, row),
        negative=_pairs_of(truth.negative, index),
        not_exhaustive=_pairs_of(truth.not_exhaustive, index),
    )


def results_of(results: Results, keep: Bools) -> Results:
    """The results that are kept (bool [N])."""
    return results_at(results, np.flatnonzero(keep))


def _pairs_of(pairs: Ints | None, index: Ints) -> Ints | None:
    """The pairs (image, category) of images that are kept. index: int32 [I], the new index of each image, or -1."""
    if pairs is None:
        return None
    image = index[pairs[:, 0]]
    return np.column_stack([image, pairs[:, 1]]).astype(np.int32)[image >= 0]
