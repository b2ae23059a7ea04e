"""Detections whose image and category ids are looked up in the annotations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from longtail_cli.engine import ordering as engine
from longtail_cli.errors import InputError, Problem
from longtail_cli.evaluation.geometry import mask_areas
from longtail_cli.files.faults import Fault, fault, raise_faults
from longtail_cli.files.masks import mask_boxes
from longtail_cli.files.results.file import ResultFile
from longtail_cli.parallel import in_parts
from longtail_cli.tables import Detections, Floats, GroundTruth, Ints, Longs, Results

Array = npt.NDArray[Any]

_SHOWN_IDS = 8
_TABLE = 1 << 22  # ids in a range up to this are looked up in a table, ten times faster than by bisection


def locate(results: Results, ground_truth: GroundTruth) -> Detections:
    """The detections of `results` with their images and categories looked up in `ground_truth`.

    Boxes and areas come from the masks if the file has no `bbox` (the masks must have been read then).
    Raises InputError if an `image_id` or a `category_id` is not in the annotations.
    """
    image, unknown_images = look_up("image_id", results.image_id, ground_truth.image_id, ground_truth.source)
    category, unknown = look_up("category_id", results.category_id, ground_truth.categories.id, ground_truth.source)
    raise_faults(results.source, [*unknown_images, *unknown])
    bbox, area = _boxes_and_areas(results)
    return Detections(image, category, results.score, bbox, area, results.masks, results.source)


def check_known(results: Results, ground_truth: GroundTruth) -> None:
    """Raise InputError if an `image_id` or a `category_id` is not in the annotations."""
    images = look_up("image_id", results.image_id, ground_truth.image_id, ground_truth.source)[1]
    categories = look_up("category_id", results.category_id, ground_truth.categories.id, ground_truth.source)[1]
    raise_faults(results.source, [*images, *categories])


def areas_in(
    file: ResultFile, results: Results, resolve: Callable[[Results], Results] = lambda found: found
) -> Callable[[], Floats]:
    """Gives the `Detections.area` of `results`, which were read from `file`; reads the boxes if they were not.

    resolve: gives the results as read from the file their boxes in pixels.
    What it returns raises InputError if the file has neither boxes nor masks.
    """

    def areas() -> Floats:
        held = results if results.bbox is not None else resolve(file.read(frozenset({"bbox"})))
        return box_areas(held)

    return areas


def box_areas(results: Results) -> Floats:
    """The `Detections.area` of results with boxes in pixels or masks: float64 [N]. Raises InputError without both."""
    return _boxes_and_areas(results)[1]


def sharing(detections: Detections, before: Detections | None) -> Detections:
    """`detections`, with the memory of those `before` if they have the same geometry."""
    if before is None or not same_geometry(before, detections):
        return detections
    return replace(before, score=detections.score, source=detections.source)


def same_geometry(one: Detections, other: Detections) -> bool:
    """Whether both hold the same boxes and masks of the same categories in the same order."""
    columns = ("image", "category", "bbox", "area")
    if not all(_same(getattr(one, name), getattr(other, name)) for name in columns):
        return False
    if one.masks is None or other.masks is None:
        return one.masks is other.masks
    runs = ("size", "start", "counts")
    return all(_same(getattr(one.masks, name), getattr(other.masks, name)) for name in runs)


def _same(one: Array, other: Array) -> bool:
    """Whether both arrays hold the same values."""
    if one.__array_interface__ == other.__array_interface__:
        return True
    if one.shape != other.shape:
        return False
    return all(in_parts(lambda low, high: np.array_equal(one[low:high], other[low:high]), len(one)))


def look_up(name: str, ids: Longs, known: Longs, source: str) -> tuple[Ints, list[Fault]]:
    """int32 [N], the index of each id in `known` (ascending), and a fault if some are missing."""
    index, complete = index_of(ids, known)
    if complete:
        return index, []
    rows = np.flatnonzero(index < 0)
    where = f"{len(rows)} of {len(ids)} entries, first in entry {rows[0]}"
    return index, [unknown_ids(name, np.unique(ids), known, where, source)]


def unknown_ids(name: str, ids: Longs, known: Longs, where: str, source: str) -> Fault:
    """The fault of ids (int64, ascending and unique) some of which are not in `known`, the ids of `source`.

    where: how many entries have such an id, and which is the first.
    """
    unknown = np.setdiff1d(ids, known, assume_unique=True)
    shown = ", ".join(map(str, unknown[:_SHOWN_IDS].tolist()))
    more = f", ... ({len(unknown)} different ones)" if len(unknown) > _SHOWN_IDS else ""
    mismatch = f"pass the annotations that belong to these detections, or map each `{name}` to the ids in them"
    fix = _off_by_one(name, ids, known) or mismatch
    return fault(f"`{name}` of {where}", f"an id in {source}", shown + more, fix)


def index_of(ids: Longs, known: Longs) -> tuple[Ints, bool]:
    """int32 [N], the index of each id in `known`, -1 for an id that is not in it; and whether all are."""
    if not len(known):
        return np.full(len(ids), -1, np.int32), not len(ids)
    least, span = int(known[0]), int(known[-1]) - int(known[0]) + 1
    if span > _TABLE:
        nearest = np.minimum(np.searchsorted(known, ids), len(known) - 1).astype(np.int32)
        index = np.where(known[nearest] == ids, nearest, np.int32(-1))
        return index, bool((index >= 0).all())
    table = np.full(span, -1, np.int32)
    table[known - least] = np.arange(len(known))
    index = np.empty(len(ids), np.int32)
    return index, all(in_parts(lambda low, high: engine.look_up(low, high, ids, table, least, index), len(ids)))


def _off_by_one(name: str, ids: Longs, known: Longs) -> str | None:
    """How to fix ids that are all off by one; None if they are not. name: ``image_id`` or ``category_id``."""
    for step in (1, -1):
        if np.isin(ids + step, known).all():
            return f"all ids are off by one: pass `{name.removesuffix('_id')}_offset={step}`"
    return None


def _boxes_and_areas(results: Results) -> tuple[Floats, Floats]:
    """float64 [N, 4] and [N]; see `Detections`."""
    if results.bbox is not None:
        boxes, areas = results.bbox, np.empty(len(results))
        in_parts(lambda low, high: engine.box_areas(low, high, boxes, areas), len(results))
        return boxes, areas
    if results.masks is None:
        problem = Problem("entries", "a field `segmentation`, or `bbox` to evaluate boxes", "neither")
        raise InputError(results.source, [problem], "evaluate what the file holds: choose other `iou_types=`")
    return mask_boxes(results.masks), mask_areas(results.masks)
