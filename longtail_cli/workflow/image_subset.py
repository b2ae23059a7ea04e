"""Annotations and results of some of the images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import compress

import numpy as np

from longtail_cli.files.results.rows import masks_at, results_at
from longtail_cli.tables import Bools, GroundTruth, Ints, Longs, Results


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


def truths_of(truth: GroundTruth, part: Ints, parts: int) -> Iterator[GroundTruth]:
    """The annotations of each part of the images, as `truth_of` gives them, all of them in O((I + G) log(I + G)).

    part: int32 [I], the part of each image, 0 <= part < parts. What is returned yields `parts` annotations.
    """
    images, objects = rows_by_part(part, parts), rows_by_part(part[truth.image], parts)
    index = np.empty(len(part), np.int32)
    for own in images:
        index[own] = np.arange(len(own))
    lists = [
        None if pairs is None else (pairs, rows_by_part(part[pairs[:, 0]], parts))
        for pairs in (truth.negative, truth.not_exhaustive)
    ]
    for number, (image, row) in enumerate(zip(images, objects, strict=True)):
        negative, not_exhaustive = (
            None if one is None else _renumbered(one[0][one[1][number]], index) for one in lists
        )
        yield replace(
            truth,
            image_id=truth.image_id[image],
            image_position=np.argsort(np.argsort(truth.image_position[image])).astype(np.int32),
            image_size=truth.image_size[image],
            image_name=tuple(truth.image_name[one] for one in image.tolist()) if truth.image_name else (),
            id=truth.id[row],
            image=index[truth.image[row]],
            category=truth.category[row],
            bbox=truth.bbox[row],
            area=truth.area[row],
            crowd=truth.crowd[row],
            ignore=truth.ignore[row],
            masks=None if truth.masks is None else masks_at(truth.masks, row),
            negative=negative,
            not_exhaustive=not_exhaustive,
        )


def objects_by_part(truth: GroundTruth, part: Ints, parts: int) -> list[Ints]:
    """For each part of the images, the rows of its objects in `protocol.objects_of` of the whole: int32, ascending.

    part: as in `truths_of`.
    """
    image = np.sort(truth.image, kind="stable")
    return [rows.astype(np.int32) for rows in rows_by_part(part[image], parts)]


def rows_by_part(part: Ints, parts: int) -> list[Longs]:
    """The rows of each part, int64, ascending. part: int32 [N]."""
    order = np.argsort(part, kind="stable")
    return np.split(order, np.searchsorted(part[order], np.arange(1, parts)))


def _renumbered(pairs: Ints, index: Ints) -> Ints:
    """The pairs (image, category) with other numbers of images. index: int32 [I]."""
    return np.column_stack([index[pairs[:, 0]], pairs[:, 1]]).astype(np.int32)


def results_of(results: Results, keep: Bools) -> Results:
    """The results that are kept (bool [N])."""
    return results_at(results, np.flatnonzero(keep))


def _pairs_of(pairs: Ints | None, index: Ints) -> Ints | None:
    """The pairs (image, category) of images that are kept. index: int32 [I], the new index of each image, or -1."""
    if pairs is None:
        return None
    image = index[pairs[:, 0]]
    return np.column_stack([image, pairs[:, 1]]).astype(np.int32)[image >= 0]
