"""Which detection takes which object: the greedy matching of LVIS and COCO, at all thresholds and size ranges at once.

The official code matches image by image; no two images share an object, so going through a category by descending
score gives the same matches in the order that the precision-recall curve needs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from longtail_cli.evaluate.geometry import Overlaps
from longtail_cli.evaluate.protocol import IOU_THRESHOLDS, Objects, outside
from longtail_cli.evaluate.selection import Selection
from longtail_cli.tables import Bools, Floats, Ints, Longs

Bits = npt.NDArray[np.uint16]

UNMATCHED = -1


@dataclass(frozen=True, slots=True)
class Matches:
    """The outcome for each of the M selected detections, in the order of the `Selection`; bit t is IoU threshold t.

    selection: what was evaluated.
    true_positive: uint16 [M, 4], matched to an object that counts, for each of `AREA_NAMES`.
    ignored: uint16 [M, 4], neither true nor false positive: matched to an ignored object, or unmatched and either
        outside the size range or of a category that the image does not annotate exhaustively.
    taken: int32 [M], the row in `Objects` matched at IoU 0.5 over all sizes, or `UNMATCHED`.
    num_objects: int64 [C, 4], objects that count.
    counts: bool [G], whether each object counts over all sizes.
    """

    selection: Selection
    true_positive: Bits
    ignored: Bits
    taken: Ints
    num_objects: Longs
    counts: Bools


def match(
    selection: Selection, overlaps: Overlaps, objects: Objects, area: Floats, not_exhaustive: Bools, num_categories: int
) -> Matches:
    """Match the selected detections to the objects.

    area: float64 [N], pixels, of every detection. not_exhaustive: bool [N], whether an unmatched detection is to be
    ignored because its image does not annotate its category exhaustively.

    In each image and category the detections choose in order of score: the object of greatest IoU, at least the
    threshold, that is not taken (crowd regions never are); of equal ones the last; an ignored object only where no
    other fits (lvis 0.5.3 and pycocotools 2.0.11, ``evaluate_img``).
    """
    ignore = (objects.ignore[:, None] | outside(objects.area)) & ~objects.excluded[:, None]
    counts = ~ignore & ~objects.excluded[:, None]
    true_positive, ignored, taken = _match(
        selection.row, selection.start, overlaps.start, overlaps.object, overlaps.iou,
        objects.category, objects.excluded, objects.crowd, ignore,
        outside(area[selection.row]) | not_exhaustive[selection.row, None],
        np.minimum(IOU_THRESHOLDS, 1 - 1e-10),
    )  # fmt: skip
    num_objects = np.zeros((num_categories, counts.shape[1]), np.int64)
    np.add.at(num_objects, objects.category, counts)
    return Matches(selection, true_positive, ignored, taken, num_objects, counts[:, 0])


@numba.njit(cache=True, nogil=True)
def _match(
    row: Longs, start: Longs, pair_start: Longs, pair_object: Ints, pair_iou: Floats,
    category: Ints, excluded: Bools, crowd: Bools, ignore: Bools, ignore_unmatched: Bools, thresholds: Floats,
) -> tuple[Bits, Bits, Ints]:  # fmt: skip
    num_areas, num_thresholds = ignore.shape[1], len(thresholds)
    every = np.uint16((1 << num_thresholds) - 1)
    true_positive = np.zeros((len(row), num_areas), np.uint16)
    ignored = np.zeros((len(row), num_areas), np.uint16)
    taken = np.full(len(row), UNMATCHED, np.int32)
    used = np.zeros(ignore.shape, np.uint16)
    candidates = np.empty(len(category), np.int64)
    for c in range(len(start) - 1):
        for m in range(start[c], start[c + 1]):
            number = 0
            for pair in range(pair_start[row[m]], pair_start[row[m] + 1]):
                g = pair_object[pair]
                if category[g] == c and not excluded[g] and pair_iou[pair] >= thresholds[0]:
                    candidates[number] = pair
                    number += 1
            for a in range(num_areas):
                free = every if ignore_unmatched[m, a] else np.uint16(0)
                if number == 0:
                    ignored[m, a] = free
                    continue
                for t in range(num_thresholds):
                    bit = np.uint16(1 << t)
                    best = _best(candidates[:number], pair_object, pair_iou, used, crowd, ignore, a, bit, thresholds[t])
                    if best < 0:
                        ignored[m, a] |= free & bit
                        continue
                    g = pair_object[best]
                    used[g, a] |= bit
                    if ignore[g, a]:
                        ignored[m, a] |= bit
                    else:
                        true_positive[m, a] |= bit
                    if a == 0 and t == 0:
                        taken[m] = g
    return true_positive, ignored, taken


@numba.njit(cache=True, nogil=True)
def _best(
    candidates: Longs, pair_object: Ints, pair_iou: Floats, used: Bits, crowd: Bools, ignore: Bools,
    a: int, bit: np.uint16, threshold: float,
) -> int:  # fmt: skip
    """The pair that a detection takes, or `UNMATCHED`: objects that count first, then ignored ones."""
    for of_ignored in (False, True):
        best, best_iou = UNMATCHED, threshold
        for pair in candidates:
            g = pair_object[pair]
            if ignore[g, a] != of_ignored or pair_iou[pair] < best_iou:
                continue
            if used[g, a] & bit and not crowd[g]:
                continue
            best, best_iou = pair, pair_iou[pair]
        if best != UNMATCHED:
            return best
    return UNMATCHED
