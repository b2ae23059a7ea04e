"""The greedy matching of LVIS and COCO, at all IoU thresholds and area ranges at once.

The official code matches image by image; no two images share an object, so processing a category by descending
score gives the same matches in the order that the precision-recall curve needs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from longtail_cli.engine import matching as engine
from longtail_cli.evaluation.geometry import Overlaps
from longtail_cli.evaluation.protocol import AREA_RANGES, IOU_THRESHOLDS, Objects, outside
from longtail_cli.evaluation.selection import Selection
from longtail_cli.parallel import in_parts, in_threads
from longtail_cli.tables import Bools, Floats, Ints, Longs

Bits = npt.NDArray[np.uint16]

UNMATCHED = -1


@dataclass(frozen=True, slots=True)
class Matches:
    """The outcome for each of the M selected detections, in the order of the `Selection`; bit t is IoU threshold t."""

    selection: Selection
    """The detections that were matched."""
    true_positive: Bits
    """uint16 [M, 4], matched to an object that counts, for each of `AREA_NAMES`."""
    ignored: Bits
    """uint16 [M, 4], neither true nor false positive: matched to an ignored object, or unmatched and either outside the
    area range or of a category that the image does not annotate exhaustively."""
    taken: Ints
    """int32 [M], the row in `Objects` matched at IoU 0.5 over all sizes, or `UNMATCHED`."""
    num_objects: Longs
    """int64 [C, 4], objects that count."""
    counts: Bools
    """bool [G, 4], whether each object counts."""


def counts_of(objects: Objects) -> Bools:
    """Whether each object can be found and missed, for each of `AREA_NAMES`: bool [G, 4]."""
    return ~(objects.ignore[:, None] | outside(objects.area) | objects.excluded[:, None])


def match(
    selection: Selection, overlaps: Overlaps, objects: Objects, category: Ints, area: Floats, not_exhaustive: Bools,
    num_categories: int,
) -> Matches:  # fmt: skip
    """Match the selected detections to the objects.

    category: int32 [N], area: float64 [N], pixels, of every detection. not_exhaustive: bool [N], whether its image does
    not annotate its category exhaustively, so that the detection is ignored if unmatched.

    In each image and category the detections choose in order of score. Each takes the free object with the greatest
    IoU, at least the threshold; crowd regions are always free, and a tie in IoU goes to the last object. An ignored
    object is taken only if no other fits (lvis 0.5.3 and pycocotools 2.0.11, ``evaluate_img``).
    """
    counts = counts_of(objects)
    ignore = ~counts & ~objects.excluded[:, None]
    number = len(selection.row)
    true_positive, ignored = np.zeros((2, number, counts.shape[1]), np.uint16)
    taken = np.full(number, UNMATCHED, np.int32)
    thresholds = np.minimum(IOU_THRESHOLDS, 1 - 1e-10)
    claim_start = np.zeros(len(area) + 1, np.int64)
    claims = claim_start[1:]  # how many each detection has, then where they end
    found = np.empty(len(area), np.uint8)

    def look_at(first: int, last: int) -> None:
        engine.traits(
            first, last, category, area, not_exhaustive, AREA_RANGES, overlaps.start, overlaps.object, overlaps.iou,
            objects.category, objects.excluded, float(thresholds[0]), claims, found,
        )  # fmt: skip

    in_parts(look_at, len(area))
    np.cumsum(claims, out=claims)
    claim_object, claim_reached = np.empty(claim_start[-1], np.int32), np.empty(claim_start[-1], np.uint16)

    def list_claims(first: int, last: int) -> None:
        engine.claims(
            first, last, category, overlaps.start, overlaps.object, overlaps.iou, objects.category, objects.excluded,
            thresholds, claim_start, claim_object, claim_reached,
        )  # fmt: skip

    in_parts(list_claims, len(area))

    lanes = sum(1 << 16 * a for a in range(4))  # the area ranges side by side in 64 bits
    every = lanes * ((1 << len(thresholds)) - 1)
    ignore_lanes = (ignore * np.uint16(0xFFFF)).view(np.uint64).ravel()
    sets = np.arange(16, dtype=np.uint16)[:, None] >> np.arange(4, dtype=np.uint16) & 1
    outside_lanes = (sets * np.uint16(0xFFFF)).view(np.uint64).ravel()
    used = np.zeros(len(ignore), np.uint64)

    def match_categories(first: int, last: int) -> None:  # no two categories share an object
        engine.match_categories(
            first, last, selection.row, selection.start, found, claim_start, claim_object, claim_reached,
            objects.crowd, ignore_lanes, outside_lanes, lanes, every, used, true_positive.view(np.uint64).ravel(),
            ignored.view(np.uint64).ravel(), taken,
        )  # fmt: skip

    in_threads(match_categories, selection.cuts)
    num_objects = np.column_stack([np.bincount(objects.category[of], minlength=num_categories) for of in counts.T])
    return Matches(selection, true_positive, ignored, taken, num_objects, counts)
