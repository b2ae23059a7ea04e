"""Score-only adjustment: one score per detection, mapped class by class, with the order within each class kept.

Far from 0 the sigmoid rounds different logits to the same float: with an IIF weight of 10 every score above 0.98 would
become 1.0, and the order of these detections would be lost. So scores that become equal, or swap by rounding, are moved
to neighbouring floats. This keeps the order exactly, and with it every metric of a single category.
"""

from __future__ import annotations

import numpy as np

from longtail_cli.choices import ScoreSpace
from longtail_cli.methods.steps import ColumnAffine
from longtail_cli.tables import Floats, Ints, Longs

MIN_SCORE: dict[ScoreSpace, float] = {"prob": 0.0, "logit": -float(np.finfo(np.float64).max)}
"""The lowest score of each space."""


def logit(score: Floats) -> Floats:
    """The binary logit ln(s / (1 - s)) of s in [0, 1], finite: 0 and 1 count as the nearest floats inside (0, 1)."""
    inside = np.clip(score, np.nextafter(0.0, 1.0), np.nextafter(1.0, 0.0))
    return np.log(inside) - np.log1p(-inside)


def sigmoid(z: Floats) -> Floats:
    """1 / (1 + e^-z) in [0, 1], for any z except NaN, without overflow."""
    small = np.exp(-np.abs(z))
    return np.where(z < 0, small, 1.0) / (1.0 + small)


def adjusted_scores(score: Floats, category: Longs | Ints, affine: ColumnAffine, space: ScoreSpace) -> Floats:
    """The adjusted score of each detection, float64 [N]; N = 0 gives an empty array.

    With a_c, b_c the scale and shift of its class: sigmoid(a_c logit(s) + b_c) in ``prob``, a_c s + b_c in ``logit``.

    score: float64 [N], in [0, 1] for ``prob``, finite for ``logit``. category: int [N], row in `affine`.
    The scores of a class with a_c = 1 and b_c = 0 stay bit-identical. Different scores of a class stay different and in
    order (reversed if a_c < 0); with a_c = 0 they become equal.
    """
    adjusted = score.copy()
    changed = (affine.scale != 1) | (affine.shift != 0)
    classes = len(affine.scale)
    order = np.argsort(category.astype(np.min_scalar_type(classes)), kind="stable")  # small integers sort fast
    bounds = np.concatenate([[0], np.cumsum(np.bincount(category, minlength=classes))])
    for c in np.flatnonzero(changed & (np.diff(bounds) > 0)).tolist():
        rows = order[bounds[c] : bounds[c + 1]]
        values, inverse = np.unique(score[rows], return_inverse=True)
        adjusted[rows] = _mapped(values, float(affine.scale[c]), float(affine.shift[c]), space)[inverse]
    return adjusted


def _mapped(values: Floats, scale: float, shift: float, space: ScoreSpace) -> Floats:
    """Ascending, different scores of one class after its map."""
    with np.errstate(over="ignore"):
        z = scale * (logit(values) if space == "prob" else values) + shift
    mapped = sigmoid(z) if space == "prob" else np.clip(z, MIN_SCORE["logit"], -MIN_SCORE["logit"])
    if scale == 0:
        return mapped
    if scale < 0:
        return _ascending(mapped[::-1], MIN_SCORE[space])[::-1]
    return _ascending(mapped, MIN_SCORE[space])


def _ascending(values: Floats, least: float) -> Floats:
    """`values`, which ascend except for ties and rounding, moved by the fewest floats so that they ascend strictly.

    Works on the ordinals of the floats, in which the next float is 1 more. A value moves down as far as those above it
    require, then up again if there would not be enough floats from `least` for those below it.
    """
    index = np.arange(len(values))
    ordinal = _ordinal(values + 0.0) - index  # + 0.0 makes -0.0 the same float as 0.0
    ordinal = np.minimum.accumulate(ordinal[::-1])[::-1] + index
    return _float(np.maximum(ordinal, _ordinal(np.array([least])) + index))


def _ordinal(values: Floats) -> Longs:
    """Floats as integers in the same order, consecutive for consecutive floats; 0.0 is 0."""
    bits = values.view(np.int64)
    return np.where(bits < 0, np.int64(-(2**63)) - bits, bits)


def _float(ordinal: Longs) -> Floats:
    bits = np.where(ordinal < 0, np.int64(-(2**63)) - ordinal, ordinal)
    return bits.view(np.float64)
