"""Inverse Image Frequency: each class's logit times a weight that is larger for rarer classes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Annotated, ClassVar, Literal, get_args

import numpy as np

from longtail_cli.choices import NORMALIZERS, VARIANTS, CountName, NormalizerName, VariantName, ZeroCountName
from longtail_cli.errors import InputError, Problem
from longtail_cli.methods.base import Choice, ClassAffine, CountMethod, Note, Number
from longtail_cli.methods.counts import Count, Shares, ZeroCount, counts_of, shares
from longtail_cli.tables import Floats, FrequencyTable, Longs

Variant = Annotated[VariantName, Choice("the formula of w", VARIANTS)]
Normalizer = Annotated[
    NormalizerName,
    Choice(
        "K: the sum of n over the classes, as in the paper, or for image counts the number of training images, as in "
        "the authors' released weights of detectors",
        NORMALIZERS,
    ),
]
Scale = Literal["none", "mean"]
SCALES: tuple[Scale, ...] = get_args(Scale)

LEAST_MEAN = 1e-6
"""A mean weight that is a smaller share of the mean absolute weight counts as 0, which it may be up to rounding."""


@dataclass(frozen=True, slots=True)
class IifWeights:
    """IIF weights. value: float64 [C], finite. notes: the classes that are special cases."""

    value: Floats
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True)
class InverseImageFrequency(CountMethod):
    """z'_c = w_c z_c with p = n_c / K and w_c = ln(1/p) (raw), ln((K+1)/(n_c+1)) + 1 (smooth), ln((1-p)/p) (relative),
    log2(1/p) (base2), log10(1/p) (base10), -Φ⁻¹(p) (normit), -ln(-ln(1-p)) (gombit). With scale=mean the
    weights are divided by their mean, so that a class of average weight keeps its place against the background, whose
    weight is 1. A strength s then makes w_c sign(w_c) |w_c|^s, or 1 if s = 0.

    Source: Alexandridis et al., "Inverse Image Frequency for Long-tailed Image Recognition", IEEE TIP 2023, Table III
    """

    name: ClassVar[str] = "iif"
    variant: Variant = "raw"
    count: Count = "image"
    normalizer: Normalizer = "occurrences"
    zero_count: ZeroCount = "max"
    strength: Annotated[
        float, Number("s, the exponent of the weights; 0 makes all of them 1", low=0.0, high=4.0, default_shown=False)
    ] = 1.0
    scale: Annotated[
        Scale, Choice("what the weights are divided by before the strength: nothing, or their mean", SCALES)
    ] = "none"

    def coefficients(self, table: FrequencyTable) -> ClassAffine:
        counts, total = counts_of(table, self.count), normalizing_total(table, self.count, self.normalizer)
        weights = iif_weights(counts, total, self.variant, self.zero_count, table.category_id)
        value = with_mean_1(weights.value) if self.scale == "mean" else weights.value
        return ClassAffine(powers(value, self.strength), np.zeros(len(counts)), weights.notes if self.strength else ())


def powers(weights: Floats, strength: float) -> Floats:
    """sign(w) |w|^strength, which keeps the sign and the order of the weights; 1 for every class if strength is 0.

    weights: float64 [C]. strength: >= 0; 1 changes nothing.
    """
    return np.sign(weights) * np.abs(weights) ** strength if strength else np.ones(len(weights))


def with_mean_1(weights: Floats) -> Floats:
    """The weights divided by their mean over the classes, float64 [C].

    Raises InputError if the mean is not above 0, which can happen if some weights are negative or all are 0.
    """
    if not len(weights):
        return weights
    mean = math.fsum(weights.tolist()) / len(weights)  # the same for every order of the classes
    if mean <= LEAST_MEAN * float(np.abs(weights).mean()):
        problem = Problem("weights", "a mean above 0, for scale=mean", f"{mean:.3g}")
        fix = "choose a variant without negative weights, such as raw or smooth, or scale=none"
        raise InputError("frequency table", [problem], fix)
    return weights / mean


def normalizing_total(table: FrequencyTable, count: CountName, normalizer: NormalizerName) -> float:
    """K: Σ n over the classes as in the paper, or for image counts the number of training images.

    The authors' released detection weights use ``images``; instance counts always have K = Σ n.
    Raises InputError if the number of images is needed and the table does not state it.
    """
    if normalizer == "occurrences" or count == "instance":
        return float(counts_of(table, count).sum())
    if table.num_images is None:
        problem = Problem("number of images", "one, for normalizer=images", "none")
        raise InputError("frequency table", [problem], "count again with `ltcal compute-freq`, or use occurrences")
    return float(table.num_images)


def iif_weights(
    counts: Longs,
    total: float,
    variant: VariantName,
    zero_count: ZeroCountName = "max",
    ids: Longs | None = None,
) -> IifWeights:
    """The weight of each class, always finite.

    counts: int64 [C], n >= 0. total: K >= every n. ids: int64 [C], category ids for messages, else row numbers.
    zero_count: what a class with n = 0 counts as (not used by ``smooth``, which is finite there), see `counts.shares`.
    If n = K and the formula is -inf (relative, normit, gombit), the weight is the smallest one of the other classes, or
    1 if there are no others. Formulas: Alexandridis et al. 2023, Table III; its Φ⁻¹(K/n) for normit, which is outside
    the domain of Φ⁻¹, is a misprint of -Φ⁻¹(n/K).
    Raises InputError if all counts are 0, one is above K, or one is 0 and the policy is ``error``.
    """
    ids = np.arange(len(counts)) if ids is None else ids
    if variant == "smooth":
        unseen = shares(counts, total, "max", ids).notes
        notes = tuple(Note(note.rows, "never occur; the smooth formula is finite for them") for note in unseen)
        return IifWeights(np.log((total + 1) / (counts + 1)) + 1, notes)
    given = shares(counts, total, zero_count, ids)
    value = _formula(variant, given)
    infinite = np.isneginf(value)
    if infinite.any():
        value[infinite] = min(value[~infinite], default=1.0)
    notes = (
        *given.notes,
        Note(infinite, f"have p = 1, for which {variant} is infinite; weighted as the most frequent other class"),
        Note(value < 0, "have a negative weight, which reverses the order of their scores"),
        Note(value == 0, "have weight 0: all their scores become equal"),
    )
    return IifWeights(value, tuple(note for note in notes if note.rows.any()))


def _formula(variant: VariantName, given: Shares) -> Floats:
    """w, float64 [C]; -inf for some variants if p = 1."""
    n, k = given.count, given.total
    p = n / k
    with np.errstate(divide="ignore"):
        if variant == "relative":
            return np.log((k - n) / n)
        if variant == "base2":
            return np.log2(k / n)
        if variant == "base10":
            return np.log10(k / n)
        if variant == "normit":
            quantile = NormalDist().inv_cdf
            return np.array([-quantile(share) if share < 1 else -np.inf for share in p.tolist()], np.float64)
        if variant == "gombit":
            return -np.log(-np.log1p(-p))
        return np.log(k / n)
