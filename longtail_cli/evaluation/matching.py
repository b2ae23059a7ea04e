"""The greedy matching of LVIS and COCO, at all IoU thresholds and area ranges at once.

The official code matches image by image; no two images share an object, so processing a category by descending
score gives the same matches in the order that the precision-recall curve needs.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from longtail_cli.evaluation.geometry import Overlaps
from longtail_cli.evaluation.options import THREADS
from longtail_cli.evaluation.protocol import IOU_THRESHOLDS, Objects, outside
from longtail_cli.evaluation.selection import Selection
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


def match(
    selection: Selection, overlaps: Overlaps, objects: Objects, area: Floats, not_exhaustive: Bools, num_categories: int
) -> Matches:
    """Match the selected detections to the objects.

    area: float64 [N], pixels, of every detection. not_exhaustive: bool [N], whether its image does not annotate its
    category exhaustively, so that the detection is ignored if unmatched.

    In each image and category the detections choose in order of score. Each takes the free object with the greatest
    IoU, at least the threshold; crowd regions are always free, and a tie in IoU goes to the last object. An ignored
    object is taken only if no other fits (lvis 0.5.3 and pycocotools 2.0.11, ``evaluate_img``).
    """
    ignore = (objects.ignore[:, None] | outside(objects.area)) & ~objects.excluded[:, None]
    counts = ~ignore & ~objects.excluded[:, None]
    number = len(selection.row)
    true_positive, ignored = np.zeros((2, number, counts.shape[1]), np.uint16)
    taken = np.full(number, UNMATCHED, np.int32)
    used = np.zeros(ignore.shape, np.uint16)
    ignore_unmatched = outside(area[selection.row]) | not_exhaustive[selection.row, None]
    cuts = np.searchsorted(selection.start, np.linspace(0, number, THREADS + 1)).tolist()

    def match_categories(first: int, last: int) -> None:  # no two categories share an object
        _match(
            first, last, selection.row, selection.start, overlaps.start, overlaps.object, overlaps.iou,
            objects.category, objects.excluded, objects.crowd, ignore, ignore_unmatched,
            np.minimum(IOU_THRESHOLDS, 1 - 1e-10), used, true_positive, ignored, taken,
        )  # fmt: skip

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(match_categories, [0, *cuts[1:-1]], [*cuts[1:-1], num_categories]))
    num_objects = np.column_stack([np.bincount(objects.category[of], minlength=num_categories) for of in counts.T])
    return Matches(selection, true_positive, ignored, taken, num_objects, counts)


@numba.njit(cache=True, nogil=True)
def _match(
    first: int, last: int, row: Longs, start: Longs, pair_start: Longs, pair_object: Ints, pair_iou: Floats,
    category: Ints, excluded: Bools, crowd: Bools, ignore: Bools, ignore_unmatched: Bools, thresholds: Floats,
    used: Bits, true_positive: Bits, ignored: Bits, taken: Ints,
) -> None:  # fmt: skip
    """Match the categories from `first` up to `last` and fill in the last four arguments.

    All thresholds at once: in order of descending IoU, an object is taken at the thresholds without a match so far.
    """
    num_areas = ignore.shape[1]
    every = np.uint16((1 << len(thresholds)) - 1)
    candidates = np.empty(len(category), np.int64)
    for c in range(first, last):
        for m in range(start[c], start[c + 1]):
            number = 0
            for pair in range(pair_start[row[m]], pair_start[row[m] + 1]):
                g = pair_object[pair]
                if category[g] == c and not excluded[g] and pair_iou[pair] >= thresholds[0]:
                    _insert(candidates, number, pair, pair_iou)
                    number += 1
            for a in range(num_areas):
                open_at = every
                for of_ignored in (False, True):
                    for k in range(number):
                        g = pair_object[candidates[k]]
                        if ignore[g, a] != of_ignored:
                            continue
                        take = open_at & _reached(pair_iou[candidates[k]], thresholds)
                        if not crowd[g]:
                            take &= ~used[g, a]
                        used[g, a] |= take
                        open_at &= ~take
                        if of_ignored:
                            ignored[m, a] |= take
                        else:
                            true_positive[m, a] |= take
                        if a == 0 and take & 1:
                            taken[m] = g
                if ignore_unmatched[m, a]:
                    ignored[m, a] |= open_at


@numba.njit(cache=True, nogil=True)
def _insert(candidates: Longs, number: int, pair: int, pair_iou: Floats) -> None:
    """Insert `pair` into the first `number` candidates, sorted by IoU descending, later pairs first in a tie."""
    k = number
    while k > 0 and pair_iou[candidates[k - 1]] <= pair_iou[pair]:
        candidates[k] = candidates[k - 1]
        k -= 1
    candidates[k] = pair


@numba.njit(cache=True, nogil=True)
def _reached(iou: float, thresholds: Floats) -> np.uint16:
    """The bits of the thresholds that `iou` reaches."""
    bits = 0
    for t in range(len(thresholds)):
        if iou >= thresholds[t]:
            bits |= 1 << t
    return np.uint16(bits)
