"""Detections whose image and category ids are looked up in the annotations."""

from __future__ import annotations

import numpy as np

from longtail_cli.errors import InputError, Problem
from longtail_cli.evaluation.geometry import mask_areas
from longtail_cli.files.faults import Fault, fault, raise_faults
from longtail_cli.files.masks import mask_boxes
from longtail_cli.tables import Detections, Floats, GroundTruth, Ints, Longs, Results

_SHOWN_IDS = 8
_TABLE = 1 << 22  # ids in a range up to this are looked up in a table, ten times faster than by bisection


def locate(results: Results, ground_truth: GroundTruth) -> Detections:
    """The detections of `results` with their images and categories looked up in `ground_truth`.

    Boxes and areas come from the masks if the file has no `bbox` (the masks must have been read then).
    Raises InputError if an `image_id` or a `category_id` is not in the annotations.
    """
    image, unknown_images = _look_up("image_id", results.image_id, ground_truth.image_id, ground_truth.source)
    category, unknown = _look_up("category_id", results.category_id, ground_truth.categories.id, ground_truth.source)
    raise_faults(results.source, [*unknown_images, *unknown])
    bbox, area = _boxes_and_areas(results)
    return Detections(image, category, results.score, bbox, area, results.masks, results.source)


def _look_up(name: str, ids: Longs, known: Longs, source: str) -> tuple[Ints, list[Fault]]:
    """int32 [N], the index of each id in `known` (ascending), and a fault if some are missing."""
    index = _nearest(ids, known)
    rows = np.flatnonzero(known[index] != ids)
    if not len(rows):
        return index, []
    unknown = np.unique(ids[rows])
    shown = ", ".join(map(str, unknown[:_SHOWN_IDS].tolist()))
    more = f", ... ({len(unknown)} different ones)" if len(unknown) > _SHOWN_IDS else ""
    where = f"`{name}` of {len(rows)} of {len(ids)} entries, first in entry {rows[0]}"
    mismatch = f"pass the annotations that belong to these detections, or map each `{name}` to the ids in them"
    fix = _off_by_one(name, np.unique(ids), known) or mismatch
    return index, [fault(where, f"an id in {source}", shown + more, fix)]


def _nearest(ids: Longs, known: Longs) -> Ints:
    """int32 [N], the index of each id in `known`, or any index for an id that is not in it."""
    span = int(known[-1]) - int(known[0]) + 1
    if span > _TABLE:
        return np.minimum(np.searchsorted(known, ids), len(known) - 1).astype(np.int32)
    table = np.zeros(span, np.int32)
    table[known - known[0]] = np.arange(len(known))
    nearest: Ints = table.take(ids - known[0], mode="clip")
    return nearest


def _off_by_one(name: str, ids: Longs, known: Longs) -> str | None:
    """How to fix ids that are all off by one; None if they are not."""
    for step, word in ((1, "add 1 to"), (-1, "subtract 1 from")):
        if np.isin(ids + step, known).all():
            return f"all ids are off by one: {word} every `{name}`"
    return None


def _boxes_and_areas(results: Results) -> tuple[Floats, Floats]:
    """float64 [N, 4] and [N]; see `Detections`."""
    if results.bbox is not None:
        with np.errstate(over="ignore"):
            return results.bbox, results.bbox[:, 2] * results.bbox[:, 3]
    if results.masks is None:
        problem = Problem("entries", "a field `segmentation`, or `bbox` to evaluate boxes", "neither")
        raise InputError(results.source, [problem], "evaluate what the file holds: choose other `iou_types=`")
    return mask_boxes(results.masks), mask_areas(results.masks)
