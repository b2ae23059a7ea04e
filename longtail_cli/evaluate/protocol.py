"""The rules of an evaluation: thresholds, size ranges, and what LVIS and COCO make of an annotation file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from longtail_cli.tables import Bools, Floats, GroundTruth, Ints, Longs

ProtocolName = Literal["lvis", "coco"]

IOU_THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10)
RECALL_THRESHOLDS: Floats = np.linspace(0.0, 1.0, 101)
AREA_NAMES = ("all", "s", "m", "l")
AREA_RANGES: Floats = np.array([[0.0, 1e10], [0.0, 32.0**2], [32.0**2, 96.0**2], [96.0**2, 1e10]])
"""Pixels, both ends included: an object of exactly 32 x 32 counts as small and as medium."""

GROUPS = ("r", "c", "f")
"""Rare, common and frequent categories."""

DEFAULT_MAX_DETS: dict[ProtocolName, int] = {"lvis": 300, "coco": 100}
JUDGED = np.uint8(1)
NOT_EXHAUSTIVE = np.uint8(2)


@dataclass(frozen=True, slots=True)
class Protocol:
    """Which rules hold.

    name: ``"lvis"`` (the cap is per image, categories are judged image by image) or ``"coco"`` (the cap is per image
        and category, every image judges every category, crowd regions absorb detections).
    max_dets: the cap, > 0.
    """

    name: ProtocolName
    max_dets: int

    @property
    def federated(self) -> bool:
        return self.name == "lvis"


@dataclass(frozen=True, slots=True)
class Objects:
    """Ground truth as a protocol sees it, image by image, in file order within an image.

    start: int64 [I + 1]; image i owns rows ``start[i]:start[i + 1]``.
    row: int32 [G], the row of each object in the `GroundTruth`.
    image, category: int32 [G].
    ignore: bool [G], matched without gain or loss: COCO's crowd regions, LVIS's ``ignore``.
    crowd: bool [G], overlap is measured against the detection's area and any number may match (COCO only).
    excluded: bool [G], no part of the evaluation: objects without area under LVIS.
    """

    start: Longs
    row: Ints
    image: Ints
    category: Ints
    area: Floats
    ignore: Bools
    crowd: Bools
    excluded: Bools

    def __len__(self) -> int:
        return len(self.row)


def objects_of(ground_truth: GroundTruth, protocol: Protocol) -> Objects:
    """The objects of `ground_truth` in image order, with the protocol's flags."""
    row = np.argsort(ground_truth.image, kind="stable").astype(np.int32)
    image = ground_truth.image[row]
    crowd = ground_truth.crowd[row] & (not protocol.federated)
    area = ground_truth.area[row]
    return Objects(
        start=np.searchsorted(image, np.arange(len(ground_truth.image_id) + 1)).astype(np.int64),
        row=row,
        image=image,
        category=ground_truth.category[row],
        area=area,
        ignore=ground_truth.ignore[row] if protocol.federated else crowd,
        crowd=crowd,
        excluded=(area <= 0) if protocol.federated else np.zeros(len(row), bool),
    )


def judgements(ground_truth: GroundTruth, objects: Objects) -> npt.NDArray[np.uint8]:
    """What each image says of each category under LVIS: uint8 [I, C] of the bits `JUDGED` and `NOT_EXHAUSTIVE`.

    An image judges the categories of its objects (those without area excepted) and of its negative list. An
    unmatched detection is a false positive only where its category is judged and exhaustively annotated.
    """
    flags = np.zeros((len(ground_truth.image_id), len(ground_truth.categories)), np.uint8)
    present = ~objects.excluded
    flags[objects.image[present], objects.category[present]] = JUDGED
    if ground_truth.negative is not None:
        flags[ground_truth.negative[:, 0], ground_truth.negative[:, 1]] |= JUDGED
    if ground_truth.not_exhaustive is not None:
        flags[ground_truth.not_exhaustive[:, 0], ground_truth.not_exhaustive[:, 1]] |= NOT_EXHAUSTIVE
    return flags


def outside(area: Floats) -> Bools:
    """Whether each area (pixels) lies outside each of `AREA_RANGES`: bool [N, 4]."""
    return (area[:, None] < AREA_RANGES[:, 0]) | (area[:, None] > AREA_RANGES[:, 1])
