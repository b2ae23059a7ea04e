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


def iif_weights(weights: Sequence[float], strength: float, scaled: bool) -> list[float]:
    """The weights over their mean if `scaled`, each to the power of `strength` with its sign kept."""
    mean = math.fsum(weights) / len(weights) if scaled else 1.0
    return [math.copysign(abs(w / mean) ** strength, w / mean) if strength else 1.0 for w in weights]


def logit_adjusted(z: float, n: Sequence[int], c: int, tau: float, reference: str) -> float:
    """The new logit z - tau (ln n_c - ln ref) of class c."""
    log_reference = {
        "total": math.log(sum(n)),
        "mean": math.fsum(map(math.log, n)) / len(n),
        "max": math.log(max(n)),
        "one": 0.0,
    }[reference]
    return z - tau * (math.log(n[c]) - log_reference)


def norcal_factor(form: str, gamma: float, n: int) -> float:
    """1 / n^gamma, or (1 - gamma) / (1 - gamma^n) as 1 / (1 + gamma + ... + gamma^(n-1))."""
    return n**-gamma if form == "gamma" else 1 / math.fsum(gamma**k for k in range(n))


def norcal(
    row: Row, background: int | None, factors: Sequence[float], on: str, renormalize: bool, head: str
) -> list[float]:
    """What the factors multiply, one column at a time: exponentials or probabilities, then over their sum; or logits.

    A sigmoid is a softmax of two columns, of which the other has logit 0.
    """
    if head == "sigmoid":
        return [
            norcal([z, 0.0], 1, [factor], on, renormalize, "softmax")[0]
            for z, factor in zip(classes_of(row, background), factors, strict=True)
        ]
    columns = class_columns(row, background)
    factor_of = dict(zip(columns, factors, strict=True))
    factor = [factor_of.get(column, 1.0) for column in range(len(row))]
    if on == "logits":
        scores = softmax([z * f for z, f in zip(row, factor, strict=True)])
        return [scores[column] for column in columns]
    exponentials = softmax(row) if on == "probabilities" or not renormalize else [math.exp(z) for z in row]
    scaled = [e * f for e, f in zip(exponentials, factor, strict=True)]
    total = math.fsum(scaled) if renormalize else 1.0
    return [scaled[column] / total for column in columns]


def prior_of_model(
    rows: Sequence[Row], background: int | None, head: str, log_shares: Sequence[float] | None
) -> list[float]:
    """The q of Prior2Posterior. log_shares: ln p_c of each class for a model trained with logit adjustment, or None."""
    added = [0.0] * len(class_columns(rows[0], background)) if log_shares is None else list(log_shares)
    scores = []
    for row in rows:
        shifted = list(row)
        for column, shift in zip(class_columns(row, background), added, strict=True):
            shifted[column] += shift
        whole = softmax(shifted) if head == "softmax" else [sigmoid(z) for z in shifted]
        scores.append(classes_of(whole, background))
    means = [math.fsum(one) / len(rows) / math.exp(s) for one, s in zip(zip(*scores, strict=True), added, strict=True)]
    return [mean / math.fsum(means) for mean in means]


def log_normalized(rows: Sequence[Row], background: int | None) -> list[tuple[float, float]]:
    """mu_c - beta and sigma_c of LogN for each class, from the rows."""
    means, deviations = [], []
    for logits in zip(*(classes_of(row, background) for row in rows), strict=True):
        mean = math.fsum(logits) / len(logits)
        means.append(mean)
        variance = math.fsum((z - mean) ** 2 for z in logits) / len(logits)
        deviations.append(math.sqrt(max(variance, 1e-11)))
    return [(mean - min(means), deviation) for mean, deviation in zip(means, deviations, strict=True)]
