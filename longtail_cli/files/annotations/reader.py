"""COCO and LVIS annotation files as tables."""

from __future__ import annotations

import dataclasses
import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from longtail_cli.errors import Problem
from longtail_cli.files.annotations.columns import (
    BoxFile,
    CountingFile,
    DataSetFile,
    ImageEntry,
    ImageKey,
    ImageName,
    ImagesFile,
    Lists,
    MaskFile,
    SizedImage,
    categories_of,
    column,
    entry_name,
    judged_categories,
    objects_of,
    references,
    sorted_ids,
)
from longtail_cli.files.annotations.lists import read_lists
from longtail_cli.files.annotations.memory import annotations_text
from longtail_cli.files.annotations.typed_json import decode
from longtail_cli.files.faults import Fault, fault, faults_at, input_error, raise_faults
from longtail_cli.files.masks import read_segmentations
from longtail_cli.files.source import Content, open_file
from longtail_cli.tables import LARGEST_COORDINATE, DataSet, GroundTruth, Ints, Masks, Occurrences

_FIX_EMPTY = "check the step that made the file"
_FIX_GEOMETRY = "correct these annotations or drop them"
_FIX_SIZES = "give every image its height and width in pixels, or evaluate boxes alone"


class AnnotationFile:
    """Annotations that were opened once, by `open_annotations`.

    A file is read through one descriptor: if another file takes its name meanwhile, all methods go on with the one that
    was opened. If something writes to it, they raise InputError. `sha256` may run in another thread meanwhile.
    """

    source: str
    """The path as the user gave it, or the name of annotations in memory."""

    def __init__(self, source: str, content: Content) -> None:
        self.source = source
        self._content = content

    def sha256(self) -> str:
        """Hex digest of the file, compressed if it is; of annotations in memory, that of their JSON text."""
        return self._content.sha256()

    def read(self, masks: bool = False) -> GroundTruth:
        """All that evaluation needs.

        Raises InputError with up to ten problems: text that is not JSON, missing fields, ids that are not integers, are
        given twice or refer to nothing, sizes and areas below 0, lists of judged categories on some images only, no
        images or no categories at all; with `masks` also images without a size, and segmentations that cannot be read.
        """
        with self._mapped() as content:
            lists = read_lists(content, ImageEntry, masks=masks)
            if lists is None:
                lists = _decoded(content, MaskFile if masks else BoxFile, self.source)
            truth, faults = _ground_truth(lists, self.source, masks)
            del lists  # it may hold on to `content`
        if truth is None or faults:  # raised after the block: its traceback would hold on to pieces of the mapped file
            raise input_error(self.source, faults)
        return truth

    def occurrences(self) -> tuple[Occurrences, int]:
        """All that counting needs, and how many annotations were left out.

        Annotations marked `iscrowd` or `ignore` are left out, as training code drops them. Of the others only the ids
        of image and category are looked at. Raises InputError as `read` does.
        """
        with self._mapped() as content:
            lists = read_lists(content, ImageKey, counting=True)
            if lists is None:
                lists = _decoded(content, CountingFile, self.source)
        raise_faults(self.source, _empty_lists(lists))
        objects = lists.objects
        categories, category_faults = categories_of(lists.categories)
        image_id, _, image_faults = sorted_ids("images", column(lists.images, "id", np.int64))
        image, unknown_images = references(objects.image_id, "image_id", image_id, "images")
        category, unknown_categories = references(objects.category_id, "category_id", categories.id, "categories")
        raise_faults(self.source, [*image_faults, *category_faults, *unknown_images, *unknown_categories])
        left_out = objects.crowd | objects.ignore
        occurrences = Occurrences(categories, len(image_id), image[~left_out], category[~left_out], self.source)
        return occurrences, int(left_out.sum())

    def has_boxes(self) -> bool:
        """Whether some entry has a `bbox` or a `segmentation`, as the words occur in the file. Nothing is checked."""
        with self._mapped() as content:
            return content.find(b'"bbox"') >= 0 or content.find(b'"segmentation"') >= 0

    def image_names(self) -> dict[int, str]:
        """The file name of each image by its id; empty if the file states none.

        LVIS may state only a `coco_url`: then the name is its last two parts, such as ``val2017/000000397133.jpg``.
        Only the images are read. Raises InputError if the file is not JSON, or an image has no integer id.
        """
        with self._mapped() as content:
            images = decode(content, ImagesFile, self.source).images
        return {image.id: _file_name(image) for image in images}

    def data_set(self) -> DataSet:
        """The ids and sizes of the images in file order, and the ids of the categories; the objects are skipped.

        Raises InputError if there are no images or no categories, or an id is not an integer or given twice.
        """
        with self._mapped() as content:
            lists = decode(content, DataSetFile, self.source)
        raise_faults(self.source, _empty_lists(lists))
        categories, category_faults = categories_of(lists.categories)
        image_id = column(lists.images, "id", np.int64)
        raise_faults(self.source, [*sorted_ids("images", image_id)[2], *category_faults])
        return DataSet(image_id, _image_sizes(lists.images), categories.id, self.source)

    @contextmanager
    def _mapped(self) -> Iterator[bytearray | mmap.mmap]:
        with self._content.unchanged(), self._content.unpacked().mapped() as content:
            yield content

    def close(self) -> None:
        """Close the file."""
        self._content.close()

    def __enter__(self) -> AnnotationFile:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def open_annotations(source: Any, name: str = "annotations") -> AnnotationFile:
    """Open COCO or LVIS annotations: a file, plain or ``.gz``, or data in memory, which errors call `name`.

    source: the path of a file; or a document, as a mapping with `images`, `categories` and `annotations`, each a list
        of dicts, columns (a mapping of names to arrays or lists) or a DataFrame, in which missing values (None, NaN)
        are fields left out; or the annotations alone, in one of these forms. Then images and categories are those that
        occur, annotations without `id` are numbered, and an `area` that is missing is the area of the `bbox`.

    Raises InputError if the file cannot be read or is empty; UsageError for any other source.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        return AnnotationFile(str(path), open_file(path))
    return AnnotationFile(name, annotations_text(source, name))


def _file_name(image: ImageName) -> str:
    if isinstance(image.file_name, str) and image.file_name:
        return image.file_name
    return "/".join(image.coco_url.split("/")[-2:]) if isinstance(image.coco_url, str) else ""


def _decoded(content: bytearray | mmap.mmap, file_type: type[BoxFile | MaskFile | CountingFile], source: str) -> Any:
    file = decode(content, file_type, source)
    return Lists(file.images, file.categories, objects_of(file.annotations))


def _ground_truth(lists: Lists[ImageEntry], source: str, masks: bool) -> tuple[GroundTruth | None, list[Fault]]:
    """The file as a table, and its faults; if there are any, the table is undefined."""
    empty = _empty_lists(lists)
    if empty:
        return None, empty
    objects = lists.objects
    categories, category_faults = categories_of(lists.categories)
    image_id, order, image_faults = sorted_ids("images", column(lists.images, "id", np.int64))
    image, unknown_images = references(objects.image_id, "image_id", image_id, "images")
    category, unknown_categories = references(objects.category_id, "category_id", categories.id, "categories")
    negative, not_exhaustive, list_faults = judged_categories(lists.images, order, categories.id)
    truth = GroundTruth(
        categories=categories,
        image_id=image_id,
        image_position=order.astype(np.int32),
        image_size=_image_sizes(lists.images)[order],
        id=objects.id,
        image=image,
        category=category,
        bbox=objects.bbox,
        area=objects.area,
        crowd=objects.crowd,
        ignore=objects.ignore,
        masks=None,
        negative=negative,
        not_exhaustive=not_exhaustive,
        source=source,
        image_name=tuple(_file_name(lists.images[index]) for index in order.tolist()),
    )
    faults = [*image_faults, *category_faults, *list_faults, *unknown_images, *unknown_categories]
    faults += [*sorted_ids("annotations", objects.id)[2], *_geometry_faults(truth)]
    if not masks:
        return truth, faults
    read, mask_faults = _masks(lists, truth)
    return dataclasses.replace(truth, masks=read), [*faults, *mask_faults]


def _empty_lists(lists: Lists[Any] | DataSetFile) -> list[Fault]:
    empty = [key for key, entries in (("images", lists.images), ("categories", lists.categories)) if not entries]
    return [fault(f"`{key}`", "at least one entry", "an empty list", _FIX_EMPTY) for key in empty]


def _image_sizes(images: Sequence[SizedImage]) -> Ints:
    """int32 [I, 2], (height, width) in file order; zeros if the file has none."""
    return np.array([(image.height or 0, image.width or 0) for image in images], np.int32)


def _geometry_faults(truth: GroundTruth) -> list[Fault]:
    def describe_box(row: int) -> Problem:
        where = f"annotations[{row}] (id {truth.id[row]}), `bbox`"
        return Problem(where, "[x, y, width, height] with sizes of 0 or more", str(truth.bbox[row].tolist()))

    def describe_large_box(row: int) -> Problem:
        where = f"annotations[{row}] (id {truth.id[row]}), `bbox`"
        return Problem(where, f"numbers within {LARGEST_COORDINATE:g} of 0", str(truth.bbox[row].tolist()))

    def describe_area(row: int) -> Problem:
        return Problem(f"annotations[{row}] (id {truth.id[row]}), `area`", "0 or more pixels", str(truth.area[row]))

    return [
        *faults_at((truth.bbox[:, 2] < 0) | (truth.bbox[:, 3] < 0), describe_box, _FIX_GEOMETRY),
        *faults_at(np.abs(truth.bbox).max(axis=1) > LARGEST_COORDINATE, describe_large_box, _FIX_GEOMETRY),
        *faults_at(truth.area < 0, describe_area, _FIX_GEOMETRY),
    ]


def _masks(lists: Lists[ImageEntry], truth: GroundTruth) -> tuple[Masks | None, list[Fault]]:
    sizes = _image_sizes(lists.images)

    def describe(row: int) -> Problem:
        found = f"height {lists.images[row].height}, width {lists.images[row].width}"
        return Problem(entry_name("images", row, lists.images), "a height and a width above 0", found)

    faults = faults_at((sizes[:, 0] <= 0) | (sizes[:, 1] <= 0), describe, _FIX_SIZES)
    if faults:
        return None, faults
    masks, mask_faults = read_segmentations(
        lists.objects.segmentations or [],
        truth.image_size[truth.image],
        lambda row: f"{lists.objects.name(row)}, `segmentation`",
    )
    return masks, mask_faults
