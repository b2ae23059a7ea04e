"""Plain-loop twins of the methods on full logits: one row, one class at a time, from the formulas, in float64.

A row is a list of K logits; `background` is the column of the background, or None.
All return the scores of the C classes in column order. n: the counts in column order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

Row = Sequence[float]


def softmax(row: Row) -> list[float]:
    top = max(row)
    powers = [math.exp(z - top) for z in row]
    return [power / math.fsum(powers) for power in powers]


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))


def class_columns(row: Row, background: int | None) -> list[int]:
    return [column for column in range(len(row)) if column != background]


def coupled(row: Row, background: int | None, mapped: Sequence[float]) -> list[float]:
    """The softmax over the new logits of the classes and the old one of the background."""
    whole = list(row)
    for column, z in zip(class_columns(row, background), mapped, strict=True):
        whole[column] = z
    scores = softmax(whole)
    return [scores[column] for column in class_columns(row, background)]


def classes_of(row: Row, background: int | None) -> list[float]:
    return [row[column] for column in class_columns(row, background)]


def iif_weight(variant: str, n: int, total: float) -> float:
    """Table III of the paper, 0 < n < total."""
    p = n / total
    if variant == "raw":
        return math.log(total / n)
    if variant == "smooth":
        return math.log((total + 1) / (n + 1)) + 1
    if variant == "relative":
        return math.log((total - n) / n)
    if variant == "base2":
        return math.log2(total / n)
    if variant == "base10":
        return math.log10(total / n)
    if variant == "normit":
        return -NormalDist().inv_cdf(p)
    return -math.log(-math.log1p(-p))


def bags(row: Row, slices: Sequence[Sequence[int]]) -> dict[int, float]:
    """Scores by category id. slices: ids of each slice after slice 0, which is [background, foreground]."""
    foreground = softmax(row[:2])[1]
    scores: dict[int, float] = {}
    begin = 2
    for members in slices:
        scores_in_slice = softmax(row[begin : begin + 1 + len(members)])
        scores |= {category: scores_in_slice[1 + index] * foreground for index, category in enumerate(members)}
        begin += 1 + len(members)
    return scores


def fracal_shift(rate: float, classes: int) -> float:
    return -math.log10(rate) - math.log10(classes)


def fracal_softmax(
    row: Row, background: int | None, rates: Sequence[float], dimension: Sequence[float], strength: float
) -> list[float]:
    """softmax(z + w), divided by dimension^strength (1 for the background), renormalised."""
    classes = len(rates)
    shifted = [z + fracal_shift(rate, classes) for z, rate in zip(classes_of(row, background), rates, strict=True)]
    whole = list(row)
    for column, z in zip(class_columns(row, background), shifted, strict=True):
        whole[column] = z
    scores = softmax(whole)
    for column, phi in zip(class_columns(row, background), dimension, strict=True):
        scores[column] /= phi**strength
    total = math.fsum(scores)
    return [scores[column] / total for column in class_columns(row, background)]


def fracal_sigmoid(row: Row, rates: Sequence[float], dimension: Sequence[float], strength: float) -> list[float]:
    classes = len(rates)
    total = math.fsum(phi**strength for phi in dimension)
    return [
        sigmoid(z) * sigmoid(z + fracal_shift(rate, classes) - math.log10(phi**strength / total) - math.log10(classes))
        for z, rate, phi in zip(row, rates, dimension, strict=True)
    ]
