"""What a run does on each image, at the score threshold with the greatest F1 over all images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from longtail_cli.evaluation.matching import UNMATCHED, Bits, Matches
from longtail_cli.evaluation.protocol import Objects
from longtail_cli.evaluation.selection import Scored
from longtail_cli.evaluation.thresholds import best_f1
from longtail_cli.evaluation.tide import MAIN_ERRORS, NO_OBJECT, Explained
from longtail_cli.metrics import ImageMetrics
from longtail_cli.parallel import take
from longtail_cli.tables import Bools, Floats, GroundTruth, Ints, Longs

ERRORS = (*MAIN_ERRORS, "Miss")
"""In TIDE's order."""


@dataclass(frozen=True, slots=True)
class Mistakes:
    """The errors of the detections of a run, by the rules of `aligned` TIDE."""

    explained: Explained
    """Of the M matched detections, in their order."""
    unjudged_object: Ints
    """int32 [U], objects that Cls errors of further detections point to: under the cap, but of categories that their
    images do not judge (LVIS)."""
    unjudged_score: Floats
    """float64 [U], the scores of these detections."""


def per_image(
    truth: GroundTruth, objects: Objects, scored: Scored, matches: Matches, mistakes: Mistakes | None
) -> ImageMetrics:
    """The metrics of each of the I images at IoU 0.5, over all object sizes, within the cap of the protocol.

    The threshold is that of `best_f1` over all images together; detections with at least this score are kept. A match
    depends on no detection with a lower score, so the kept detections match as they do for AP. With the true and false
    positives TP and FP among them, and the objects of the image that none of them takes::

        F1 = 2 TP / (2 TP + FP + missed)

    Detections that AP ignores, and objects that do not count, are in none of these numbers.

    The main error of an image is the kind with the most errors, of equal kinds the first of `ERRORS`. Every kept false
    positive is an error: Cls, Loc, Both, Dupe or Bkg. A Miss is an object that counts, that no kept detection takes,
    and that no Cls or Loc error of a kept detection points to; as in TIDE, detections that AP ignores may point to
    objects too.

    matches: of `scored`. mistakes: of the same; None to leave the main error out.
    """
    number, rows, counts = len(truth.image_id), matches.selection.row, matches.counts[:, 0]
    score, true = take(scored.score, rows), _at_half(matches.true_positive)
    false = ~(true | _at_half(matches.ignored))
    threshold = best_f1(score, true, false, int(counts.sum())).threshold
    least = -np.inf if threshold is None else threshold
    kept = np.flatnonzero(score >= least)
    image, true, false = scored.image[rows[kept]], true[kept], false[kept]
    found, wrong, known = (
        np.bincount(one, minlength=number) for one in (image[true], image[false], objects.image[counts])
    )
    errors = None
    if mistakes is not None:
        unexplained = objects.image[_unexplained(counts, matches.taken[kept], mistakes, kept, least)]
        errors = _most_frequent(mistakes.explained.kind[kept[false]], image[false], unexplained, number)
    f1 = np.divide(2 * found, found + wrong + known, out=np.full(number, np.nan), where=found + wrong + known > 0)
    names = truth.image_name if any(truth.image_name) else None
    return ImageMetrics(threshold, truth.image_id, names, known, found, wrong, known - found, errors, f1)


def _at_half(bits: Bits) -> Bools:
    """The outcome at IoU 0.5 over all sizes: bool [M]."""
    return (bits[:, 0] & 1).astype(bool)


def _unexplained(counts: Bools, taken: Ints, mistakes: Mistakes, kept: Longs, least: float) -> Bools:
    """The objects that are a Miss, bool [G]. counts: bool [G]. taken: of the detections that are kept."""
    target = mistakes.explained.target[kept]
    unexplained = counts.copy()
    unexplained[taken[taken != UNMATCHED]] = False
    unexplained[target[target != NO_OBJECT]] = False
    unexplained[mistakes.unjudged_object[mistakes.unjudged_score >= least]] = False
    return unexplained


def _most_frequent(kind: npt.NDArray[np.int8], image: Ints, missed: Ints, number: int) -> tuple[str | None, ...]:
    """The most frequent error of each image, None without errors.

    kind: int8 [F] of false positives. image: int32 [F]. missed: int32, the image of each Miss. number: of images.
    """
    by_kind = [image[kind == code] for code in MAIN_ERRORS.values()]
    errors = np.array([np.bincount(one, minlength=number) for one in (*by_kind, missed)])
    names = np.where(errors.any(axis=0), errors.argmax(axis=0), len(ERRORS))
    return tuple((*ERRORS, None)[index] for index in names.tolist())
