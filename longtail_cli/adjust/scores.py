"""One score a detection, corrected by a class-wise map of its logit, so that the order within each class is kept.

Far from 0 the sigmoid leaves no room between floats: with an IIF weight of 10 every score above 0.98 would become 1.0,
and detections that a model ranked would be left to their order in the file. So scores that would meet, or cross by
rounding, are set apart by the next float. The order is then kept exactly, and with it every figure of one category.
"""

from __future__ import annotations

import numpy as np

from longtail_cli.adjust.steps import ColumnAffine
from longtail_cli.tables import Floats, Ints, Longs, ScoreSpace

MIN_SCORE: dict[ScoreSpace, float] = {"prob": 0.0, "logit": -float(np.finfo(np.float64).max)}
"""The lowest score of each space."""


def logit(score: Floats) -> Floats:
    """ln(s / (1 - s)) for s in [0, 1], finite: 0 and 1 count as the nearest floats inside (0, 1)."""
    inside = np.clip(score, np.nextafter(0.0, 1.0), np.nextafter(1.0, 0.0))
    return np.log(inside) - np.log1p(-inside)


def sigmoid(z: Floats) -> Floats:
    """1 / (1 + e^-z) in [0, 1], for any z but NaN, without overflow."""
    small = np.exp(-np.abs(z))
    return np.where(z < 0, small, 1.0) / (1.0 + small)


def adjusted_scores(score: Floats, category: Longs | Ints, affine: ColumnAffine, space: ScoreSpace) -> Floats:
    """The score of each detection after the map, float64 [N].

    In ``prob`` sigmoid(a_c logit(s) + b_c), in ``logit`` a_c s + b_c, with a_c, b_c the scale and shift of its class.

    score: float64 [N], in [0, 1] for ``prob``, finite for ``logit``. category: int [N], row in `affine`.
    Scores of a class with a_c = 1 and b_c = 0 come back as they are, to the bit. Within a class different scores stay
    different and in order, turned over where a_c < 0; with a_c = 0 they become equal. N = 0 gives an empty array.
    """
    corrected = score.copy()
    changed = (affine.scale != 1) | (affine.shift != 0)
    classes = len(affine.scale)
    order = np.argsort(category.astype(np.min_scalar_type(classes)), kind="stable")  # small integers sort fast
    bounds = np.concatenate([[0], np.cumsum(np.bincount(category, minlength=classes))])
    for c in np.flatnonzero(changed & (np.diff(bounds) > 0)).tolist():
        rows = order[bounds[c] : bounds[c + 1]]
        values, place = np.unique(score[rows], return_inverse=True)
        corrected[rows] = _mapped(values, float(affine.scale[c]), float(affine.shift[c]), space)[place]
    return corrected


def _mapped(values: Floats, scale: float, shift: float, space: ScoreSpace) -> Floats:
    """The map of one class for ascending, different scores."""
    with np.errstate(over="ignore"):
        z = scale * (logit(values) if space == "prob" else values) + shift
    mapped = sigmoid(z) if space == "prob" else np.clip(z, MIN_SCORE["logit"], -MIN_SCORE["logit"])
    if scale == 0:
        return mapped
    if scale < 0:
        return _ascending(mapped[::-1], MIN_SCORE[space])[::-1]
    return _ascending(mapped, MIN_SCORE[space])


def _ascending(values: Floats, least: float) -> Floats:
    """`values`, which ascend but for ties and rounding, made to ascend strictly by the fewest steps between floats.

    Consecutive integers stand for consecutive floats, so that a step is 1. A value goes down just as far as the ones
    above it need, and then up again where it would leave no room above `least` for those below it.
    """
    rank = np.arange(len(values))
    steps = _ordinal(values + 0.0) - rank  # + 0.0 makes -0.0 the same float as 0.0
    steps = np.minimum.accumulate(steps[::-1])[::-1] + rank
    return _float(np.maximum(steps, _ordinal(np.array([least])) + rank))


def _ordinal(values: Floats) -> Longs:
    """Floats as integers in the same order, consecutive for consecutive floats; 0.0 is 0."""
    bits = values.view(np.int64)
    return np.where(bits < 0, np.int64(-(2**63)) - bits, bits)


def _float(ordinal: Longs) -> Floats:
    bits = np.where(ordinal < 0, np.int64(-(2**63)) - ordinal, ordinal)
    return bits.view(np.float64)
