"""The rules of an evaluation: thresholds, area ranges, and how LVIS and COCO interpret annotations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from longtail_cli.choices import PROTOCOLS, ProtocolName
from longtail_cli.errors import check_choice
from longtail_cli.evaluation.options import check_max_dets
from longtail_cli.tables import Bools, Floats, GroundTruth, Ints, Longs

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
    """The rules of an evaluation. Raises UsageError for unknown names and a cap below 1."""

    name: ProtocolName
    """``"lvis"`` (the cap is per image, categories are judged image by image) or ``"coco"`` (the cap is per image and
    category, every image judges every category, crowd regions absorb detections)."""
    max_dets: int
    """The cap, at least 1."""

    def __post_init__(self) -> None:
        check_choice("protocol", self.name, PROTOCOLS)
        check_max_dets(self.max_dets)

    @property
    def federated(self) -> bool:
        return self.name == "lvis"


@dataclass(frozen=True, slots=True)
class Objects:
    """Ground truth as a protocol sees it, image by image, in file order within an image."""

    start: Longs
    """int64 [I + 1]; image i owns rows ``start[i]:start[i + 1]``."""
    row: Ints
    """int32 [G], the row of each object in the `GroundTruth`."""
    image: Ints
    """int32 [G]."""
    category: Ints
    """int32 [G]."""
    area: Floats
    """float64 [G], pixels."""
    ignore: Bools
    """bool [G], matched without gain or loss: COCO's crowd regions, LVIS's ``ignore``."""
    crowd: Bools
    """bool [G], overlap is measured against the detection's area, and any number of detections may match (COCO)."""
    excluded: Bools
    """bool [G], not evaluated: objects without area under LVIS."""

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


def judgements(ground_truth: GroundTruth, objects: Objects, *, without_area: bool = False) -> npt.NDArray[np.uint8]:
    """How each image annotates each category under LVIS: uint8 [I, C] of the bits `JUDGED` and `NOT_EXHAUSTIVE`.

    An image judges the categories of its negative list and of its objects; of objects without area only if
    `without_area`. An unmatched detection is a false positive only if its category is judged and exhaustively
    annotated.
    """
    flags = np.zeros((len(ground_truth.image_id), len(ground_truth.categories)), np.uint8)
    present = ~objects.excluded | without_area
    flags[objects.image[present], objects.category[present]] = JUDGED
    if ground_truth.negative is not None:
        flags[ground_truth.negative[:, 0], ground_truth.negative[:, 1]] |= JUDGED
    if ground_truth.not_exhaustive is not None:
        flags[ground_truth.not_exhaustive[:, 0], ground_truth.not_exhaustive[:, 1]] |= NOT_EXHAUSTIVE
    return flags


def outside(area: Floats) -> Bools:
    """Whether each area (pixels) lies outside each of `AREA_RANGES`: bool [N, 4]."""
    return (area[:, None] < AREA_RANGES[:, 0]) | (area[:, None] > AREA_RANGES[:, 1])
