"""COCO and LVIS annotation files as tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import chain
from operator import attrgetter
from pathlib import Path

import numpy as np

from longtail_cli.errors import Problem
from longtail_cli.files.annotations.columns import (
    BoxFile,
    CountingFile,
    ImageEntry,
    MaskFile,
    categories_of,
    column,
    judged_categories,
    place,
    references,
    sorted_ids,
)
from longtail_cli.files.annotations.typed_json import decode
from longtail_cli.files.faults import Fault, fault, faults_at, input_error, raise_faults
from longtail_cli.files.source import mapped
from longtail_cli.tables import GroundTruth, Ints, Masks, Occurrences

_FIX_EMPTY = "check the step that made the file"
_FIX_GEOMETRY = "correct these annotations or drop them"
_FIX_SIZES = "give every image its height and width in pixels, or evaluate boxes alone"


def read_annotations(path: Path, *, masks: bool = False) -> GroundTruth:
    """All that evaluation needs of a COCO or LVIS annotation file, plain or ``.gz``.

    Raises InputError with up to ten problems: what is not JSON or lacks a field, ids that are no integers, stand twice
    or refer to nothing, sizes and areas below 0, lists of judged categories on some images only, no images or no
    categories at all; with `masks` also images without a size, and segmentations that cannot be read.
    """
    source = str(path)
    with mapped(path) as content:
        truth, faults = _ground_truth(
            decode(content, MaskFile, source) if masks else decode(content, BoxFile, source), source
        )
    if truth is None or faults:  # raised after the block: its traceback would hold on to pieces of the mapped file
        raise input_error(source, faults)
    return truth


def read_occurrences(path: Path) -> tuple[Occurrences, int]:
    """All that counting needs of a COCO or LVIS annotation file, and how many annotations were left out.

    Annotations marked `iscrowd` or `ignore` are left out, as training code drops them. Of the others only the ids of
    image and category are looked at. Raises InputError as `read_annotations` does.
    """
    source = str(path)
    with mapped(path) as content:
        file = decode(content, CountingFile, source)
    raise_faults(source, _empty_lists(file))
    objects = file.annotations
    categories, category_faults = categories_of(file.categories)
    image_id, _, image_faults = sorted_ids("images", file.images)
    image, unknown_images = references(objects, "image_id", image_id, "images")
    category, unknown_categories = references(objects, "category_id", categories.id, "categories")
    raise_faults(source, [*image_faults, *category_faults, *unknown_images, *unknown_categories])
    left_out = column(objects, "iscrowd", np.bool_) | column(objects, "ignore", np.bool_)
    occurrences = Occurrences(categories, len(image_id), image[~left_out], category[~left_out], source)
    return occurrences, int(left_out.sum())


def _ground_truth(file: BoxFile | MaskFile, source: str) -> tuple[GroundTruth | None, list[Fault]]:
    """The file as a table, and its faults; where there are faults, the table means nothing."""
    empty = _empty_lists(file)
    if empty:
        return None, empty
    objects = file.annotations
    categories, category_faults = categories_of(file.categories)
    image_id, order, image_faults = sorted_ids("images", file.images)
    image, unknown_images = references(objects, "image_id", image_id, "images")
    category, unknown_categories = references(objects, "category_id", categories.id, "categories")
    negative, not_exhaustive, list_faults = judged_categories(file.images, order, categories.id)
    truth = GroundTruth(
        categories=categories,
        image_id=image_id,
        image_position=order.astype(np.int32),
        image_size=_image_sizes(file.images)[order],
        id=column(objects, "id", np.int64),
        image=image,
        category=category,
        bbox=np.fromiter(chain.from_iterable(map(attrgetter("bbox"), objects)), float, 4 * len(objects)).reshape(-1, 4),
        area=column(objects, "area", np.float64),
        crowd=column(objects, "iscrowd", np.bool_),
        ignore=column(objects, "ignore", np.bool_),
        masks=None,
        negative=negative,
        not_exhaustive=not_exhaustive,
        source=source,
    )
    faults = [*image_faults, *category_faults, *list_faults, *unknown_images, *unknown_categories]
    faults += [*sorted_ids("annotations", objects)[2], *_geometry_faults(truth)]
    if isinstance(file, BoxFile):
        return truth, faults
    read, mask_faults = _masks(file, truth)
    return dataclasses.replace(truth, masks=read), [*faults, *mask_faults]


def _empty_lists(file: CountingFile | BoxFile | MaskFile) -> list[Fault]:
    lists = (("images", file.images), ("categories", file.categories))
    return [
        fault(f"`{key}`", "at least one entry", "an empty list", _FIX_EMPTY) for key, entries in lists if not entries
    ]


def _image_sizes(images: Sequence[ImageEntry]) -> Ints:
    """int32 [I, 2], (height, width) in file order; zeros where the file gives none."""
    return np.array([(image.height or 0, image.width or 0) for image in images], np.int32)


def _geometry_faults(truth: GroundTruth) -> list[Fault]:
    def describe_box(row: int) -> Problem:
        where = f"annotations[{row}] (id {truth.id[row]}), `bbox`"
        return Problem(where, "[x, y, width, height] with sizes of 0 or more", str(truth.bbox[row].tolist()))

    def describe_area(row: int) -> Problem:
        return Problem(f"annotations[{row}] (id {truth.id[row]}), `area`", "0 or more pixels", str(truth.area[row]))

    return [
        *faults_at((truth.bbox[:, 2] < 0) | (truth.bbox[:, 3] < 0), describe_box, _FIX_GEOMETRY),
        *faults_at(truth.area < 0, describe_area, _FIX_GEOMETRY),
    ]


def _masks(file: MaskFile, truth: GroundTruth) -> tuple[Masks | None, list[Fault]]:
    from longtail_cli.files.masks import read_segmentations  # numba and pycocotools, for those who need masks

    sizes = _image_sizes(file.images)

    def describe(row: int) -> Problem:
        found = f"height {file.images[row].height}, width {file.images[row].width}"
        return Problem(place("images", row, file.images), "a height and a width above 0", found)

    faults = faults_at((sizes[:, 0] <= 0) | (sizes[:, 1] <= 0), describe, _FIX_SIZES)
    if faults:
        return None, faults
    masks, mask_faults = read_segmentations(
        [entry.segmentation for entry in file.annotations],
        truth.image_size[truth.image],
        lambda row: f"{place('annotations', row, file.annotations)}, `segmentation`",
    )
    return masks, mask_faults
