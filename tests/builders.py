"""Small tables from a few plain rows, for the unit tests of the evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pycocotools import mask as coco_mask

from longtail_cli.tables import Categories, Detections, GroundTruth, Masks

Object = tuple[int, int, list[float]]  # image, category, xywh
Found = tuple[int, int, float, list[float]]  # image, category, score, xywh


def ground_truth(
    objects: Sequence[Object],
    *,
    images: int = 1,
    categories: int = 1,
    area: Sequence[float] | None = None,
    crowd: Sequence[bool] | None = None,
    ignore: Sequence[bool] | None = None,
    negative: Sequence[tuple[int, int]] | None = None,
    not_exhaustive: Sequence[tuple[int, int]] | None = None,
    masks: Masks | None = None,
) -> GroundTruth:
    """Images and categories are 0, 1, 2, ...; federated if `negative` or `not_exhaustive` is given."""
    number = len(objects)
    bbox = np.array([box for _, _, box in objects], np.float64).reshape(-1, 4)
    federated = negative is not None or not_exhaustive is not None
    return GroundTruth(
        categories=Categories(np.arange(categories), tuple(f"class {c}" for c in range(categories)), None, None, None),
        image_id=np.arange(images),
        image_position=np.arange(images, dtype=np.int32),
        image_size=np.full((images, 2), 100, np.int32),
        id=np.arange(number),
        image=np.array([image for image, _, _ in objects], np.int32),
        category=np.array([category for _, category, _ in objects], np.int32),
        bbox=bbox,
        area=bbox[:, 2] * bbox[:, 3] if area is None else np.array(area, np.float64),
        crowd=np.zeros(number, bool) if crowd is None else np.array(crowd),
        ignore=np.zeros(number, bool) if ignore is None else np.array(ignore),
        masks=masks,
        negative=_pairs(negative) if federated else None,
        not_exhaustive=_pairs(not_exhaustive) if federated else None,
        source="made by the test",
    )


def detections(found: Sequence[Found], *, masks: Masks | None = None) -> Detections:
    bbox = np.array([box for *_, box in found], np.float64).reshape(-1, 4)
    return Detections(
        image=np.array([image for image, *_ in found], np.int32),
        category=np.array([category for _, category, *_ in found], np.int32),
        score=np.array([score for _, _, score, _ in found], np.float64),
        bbox=bbox,
        area=bbox[:, 2] * bbox[:, 3],
        masks=masks,
        source="made by the test",
    )


def masks_of(pictures: Sequence[np.ndarray]) -> Masks:
    """Columnar run lengths of binary pictures (height, width)."""
    counts, start = [], [0]
    for picture in pictures:
        flat = picture.astype(np.int8).ravel(order="F")
        change = np.flatnonzero(np.diff(np.concatenate([[0], flat, [2]])))
        runs = np.diff(np.concatenate([[0], change]))
        counts.append(runs)
        start.append(start[-1] + len(runs))
    size = np.array([picture.shape for picture in pictures], np.int32).reshape(-1, 2)
    joined = np.concatenate(counts) if counts else np.zeros(0)
    return Masks(size, joined.astype(np.uint32), np.array(start, np.int64))


def official_rle(picture: np.ndarray) -> dict[str, object]:
    return coco_mask.encode(np.asfortranarray(picture.astype(np.uint8)))


def _pairs(pairs: Sequence[tuple[int, int]] | None) -> np.ndarray:
    return np.array(pairs or [], np.int32).reshape(-1, 2)
