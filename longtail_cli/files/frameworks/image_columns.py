"""Detections by image, each a dict of arrays, collected into columns together with their faults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from longtail_cli.choices import ImageKey
from longtail_cli.errors import Problem
from longtail_cli.files.faults import Fault, faults_among, raise_faults
from longtail_cli.files.frameworks.checks import coordinate_faults, score_faults
from longtail_cli.files.masks import GrowingMasks, decode_counts
from longtail_cli.files.reading import check_unpacked
from longtail_cli.tables import Convention, Floats, Longs, Masks, Results

Array = npt.NDArray[Any]
"""Numbers of any type."""

NOTE = "labels are taken for 0 to C - 1, in the order of the category ids"
ORDER_NOTE = (
    "images are taken in the order of the annotations; torchvision's CocoDetection has them in the order of their ids"
)
"""Source: pytorch/vision, torchvision/datasets/coco.py, `CocoDetection.__init__`: ``sorted(self.coco.imgs.keys())``."""
MASK_THRESHOLD = 0.5

_EXACT = 2**53
_SHOWN = 60
_FIX = (
    "save a dict for each image with `boxes` [n, 4], `scores` [n], `labels` [n], and `masks` [n, 1, height, width] if "
    "there are masks"
)
_FIX_IDS = "write `image_id` for every image, or for none if they are in the order of the annotations"


class ImageColumns:
    """Columns that grow by the detections of one image at a time."""

    def __init__(self, source: str, size: int, fields: frozenset[str]) -> None:
        """size: bytes of the file, beyond which the columns may not grow by far.

        fields: which of ``bbox`` and ``masks`` to keep.
        """
        self._source, self._size, self._fields = source, size, fields
        self._ids: list[int | str | None] = []
        self._starts = [0]
        self._boxes: list[Floats] = [np.zeros((0, 4))]
        self._scores: list[Floats] = [np.zeros(0)]
        self._labels: list[Longs] = [np.zeros(0, np.int64)]
        self._masks = GrowingMasks(0, 0)
        self._unmasked: list[int] = []
        self._unpacked = 0
        self._scores_first = False
        self._problems: list[Problem] = []

    def add(self, image_id: Any, image: Any) -> None:
        """Append the detections of an image. What is wrong with it is noted, for `results` to report.

        image_id: None if only the dict may state one.
        image: a dict with `boxes` [n, 4], `scores` [n] and `labels` [n]; perhaps with `masks`, [n, 1, height, width] or
            [n, height, width], and `image_id`.
        """
        stated = image.get("image_id") if image_id is None and isinstance(image, Mapping) else image_id
        self._ids.append(_plain_id(stated))
        self._starts.append(self._starts[-1])
        try:
            if stated is not None and self._ids[-1] is None:
                raise _UnusableError("image_id", "an integer or a name", stated)
            self._append(image)
        except _UnusableError as error:
            where = f"{self._name(len(self._ids) - 1)}{error.field and f', `{error.field}`'}"
            self._problems.append(Problem(where, error.expected, error.found))

    def results(self, name: str) -> Results:
        """The finished table. name: of the format. Raises InputError with all faults."""
        scores, labels, bbox = np.concatenate(self._scores), np.concatenate(self._labels), np.concatenate(self._boxes)
        raise_faults(
            self._source,
            [
                *faults_among(self._problems, _FIX),
                *self._missing(),
                *score_faults(scores, self._where),
                *coordinate_faults(bbox, self._where),
            ],
        )
        by_index = self._scores_first or 0 in labels
        image, names = _indices(self._ids)
        images: ImageKey = "name" if names else "position" if None in self._ids else "id"
        return Results(
            image_id=np.repeat(image, np.diff(self._starts)),
            category_id=labels,
            score=scores,
            bbox=bbox if "bbox" in self._fields else None,
            masks=self._masks.masks() if "masks" in self._fields and self._masks.number == len(scores) else None,
            source=self._source,
            convention=Convention(
                format=name,
                images=images,
                image_names=names,
                categories="index" if by_index else "id",
                boxes="xyxy",
                listed=len(self._ids),
                notes=(*([NOTE] if by_index else []), *([ORDER_NOTE] if images == "position" else [])),
            ),
        )

    def _append(self, image: Any) -> None:
        if not isinstance(image, Mapping):
            raise _UnusableError("", "a dict of `boxes`, `scores` and `labels`", image)
        for name in ("boxes", "scores", "labels"):
            if name not in image:
                found = ", ".join(f"`{key}`" for key in list(image)[:10])
                raise _UnusableError("", f"`{name}`", f"only {found}" if found else "an empty dict")
        scores = _numbers(image, "scores", 1)
        boxes = _numbers(image, "boxes", 2)
        labels = _numbers(image, "labels", 1)
        if boxes.shape[1:] != (4,):
            raise _UnusableError("boxes", "four numbers for each box", boxes)
        for name, array in (("boxes", boxes), ("labels", labels)):
            if len(array) != len(scores):
                raise _UnusableError(name, f"one for each of the {len(scores)} scores", str(len(array)))
        self._grow((boxes.size + 2 * len(scores)) * 8)
        whole = _whole(labels)
        if "masks" in self._fields and len(scores):
            if "masks" in image:
                self._add_masks(image["masks"], len(scores))
            else:
                self._unmasked.append(len(self._ids) - 1)
        self._boxes.append(boxes.astype(np.float64))
        self._scores.append(scores.astype(np.float64))
        self._labels.append(whole)
        self._starts[-1] += len(scores)
        self._scores_first |= next(key for key in image if key in ("boxes", "scores", "labels")) == "scores"

    def _add_masks(self, masks: Any, number: int) -> None:
        pixels = _array(masks)
        if pixels is not None and pixels.ndim == 4 and pixels.shape[1] == 1:
            pixels = pixels[:, 0]
        if pixels is None or pixels.ndim != 3 or len(pixels) != number:
            raise _UnusableError("masks", f"numbers [{number}, 1, height, width]", masks)
        self._grow(pixels.size)
        self._masks.append(_encoded(pixels > MASK_THRESHOLD))

    def _grow(self, unpacked: int) -> None:
        """Count what the columns take. A pickle can name an array any number of times."""
        self._unpacked += unpacked
        check_unpacked(self._source, "content", self._size, self._unpacked)

    def _missing(self) -> list[Fault]:
        """Images without an id or masks, which others have."""
        if self._problems:
            return []
        unnamed = [number for number, one in enumerate(self._ids) if one is None]
        unnamed = unnamed if len(unnamed) < len(self._ids) else []
        unmasked = self._unmasked if self._masks.number else []
        ids = [Problem(self._name(image), "an `image_id`, which other images have", "none") for image in unnamed]
        masks = [Problem(self._name(image), "`masks`, which other images have", "none") for image in unmasked]
        return [*faults_among(ids, _FIX_IDS), *faults_among(masks, _FIX)]

    def _name(self, image: int) -> str:
        """What messages call an image."""
        known = self._ids[image]
        return f"image {image}" if known is None else f"image {image} (image_id {known})"

    def _where(self, row: int) -> str:
        """What messages call a detection."""
        image = int(np.searchsorted(self._starts, row, side="right")) - 1
        return f"{self._name(image)}, detection {row - self._starts[image]}"


class _UnusableError(Exception):
    def __init__(self, field: str, expected: str, found: Any) -> None:
        self.field, self.expected, self.found = field, expected, _described(found)
        super().__init__(self.found)


def _described(value: Any) -> str:
    """An array by its type and shape, a text as it is, and the beginning of all else."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {list(value.shape)}"
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _array(value: Any) -> Array | None:
    """Numbers; None for anything else."""
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, OverflowError, RecursionError):  # lists of different lengths
        return None
    return array if array.dtype.kind in "biuf" else None


def _numbers(image: Mapping[str, Any], name: str, axes: int) -> Array:
    """The array of a field; one without values has any shape. Raises _UnusableError."""
    array = _array(image[name])
    if array is None or (array.ndim != axes and array.size):
        raise _UnusableError(name, f"numbers [{'n, 4' if axes == 2 else 'n'}]", image[name])
    return array if array.size else np.zeros((0, 4)[:axes], array.dtype)


def _whole(labels: Array) -> Longs:
    """int64 [n]. Raises _UnusableError for labels that are not whole numbers."""
    if labels.dtype.kind == "f":
        labels = labels.astype(np.float64)  # float16 has no number of the size of `_EXACT`
        bad = ~(np.abs(labels) < _EXACT) | (labels != np.floor(labels))
        if bad.any():
            raise _UnusableError("labels", "whole numbers", f"{labels[bad][0]:g}")
    return labels.astype(np.int64)


def _encoded(masks: Array) -> Masks:
    """Masks from bool [n, height, width]."""
    from pycocotools import mask as mask_utils

    size = np.tile(np.array(masks.shape[1:], np.int32), (len(masks), 1))
    columns_first = np.asfortranarray(masks.transpose(1, 2, 0).astype(np.uint8))
    texts = [one["counts"] for one in mask_utils.encode(columns_first)] if len(masks) else []
    start = np.cumsum([0, *map(len, texts)])
    encoded, _ = decode_counts(np.frombuffer(b"".join(texts), np.uint8), start, size)
    return encoded


def _plain_id(value: Any) -> int | str | None:
    """An id or a name; None for what is neither. An array may hold one integer."""
    if isinstance(value, np.ndarray | np.generic) and value.size == 1 and value.dtype.kind in "iu":
        value = int(value.reshape(()))
    plain = isinstance(value, int | str) and not isinstance(value, bool)
    return value if plain and (isinstance(value, str) or abs(value) < 1 << 63) else None


def _indices(ids: list[int | str | None]) -> tuple[Longs, tuple[str, ...]]:
    """int64 [I], the ids, or indices into the names, or positions; and the names, empty if there are only numbers."""
    if any(isinstance(one, str) for one in ids):
        names = list(map(str, ids))
        index = {name: row for row, name in enumerate(dict.fromkeys(names))}
        return np.array([index[name] for name in names]), tuple(index)
    if None in ids:
        return np.arange(len(ids)), ()
    return np.array(ids, np.int64), ()
