"""The metrics of a classifier in plain loops, row by row and in float64, each written from its definition."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

BINS = 15
GROUPS = ("many", "medium", "few")
TINY = 2.0**-126  # the least normal float32


def classification(
    scores: Sequence[Sequence[float]], labels: Sequence[int], classes: int, group: Sequence[int] | None
) -> dict[str, Any]:
    """The fields of `ClassificationResult` and its metrics; group: index into `GROUPS` or -1, by class."""
    rank = [_rank(row, y) for row, y in zip(scores, labels, strict=True)]
    recall = [_mean([rank[i] == 0 for i in _rows(labels, [c])]) for c in range(classes)]
    members = [[c for c in range(classes) if group is not None and group[c] == g] for g in range(len(GROUPS))]
    columns = [([row[c] for row in scores], [y == c for y in labels]) for c in range(classes)]
    confidence, right = [max(row) for row in scores], [position == 0 for position in rank]
    return {
        "rows": len(labels),
        "top1": _mean(right),
        "top5": _mean([position < 5 for position in rank]),
        "balanced": _mean_of_defined(recall),
        **{name: _mean_of_defined([recall[c] for c in members[g]]) for g, name in enumerate(GROUPS)},
        "ece": _calibration_error(confidence, right),
        "classwise_ece": _mean([_calibration_error(*column) for column in columns]) if labels else None,
        "nll": _mean([-math.log(max(row[y], TINY)) for row, y in zip(scores, labels, strict=True)]),
        "brier": _mean([_squared(row, y) for row, y in zip(scores, labels, strict=True)]),
        "confusion": {} if group is None else _confusion(scores, labels, members),
        "reliability": [_reliability(confidence, right, inside) for inside in _bins(confidence)],
        "samples": [list(labels).count(c) for c in range(classes)],
        "recall": recall,
    }


def _rank(row: Sequence[float], y: int) -> int:
    """The rank of column y, from 0, with columns sorted by score and ties by index."""
    return sorted(range(len(row)), key=lambda c: (-row[c], c)).index(y)


def _rows(labels: Sequence[int], classes: Sequence[int]) -> list[int]:
    return [i for i, y in enumerate(labels) if y in classes]


def _bins(values: Sequence[float]) -> list[list[int]]:
    """Which values lie in each bin (k / 15, (k + 1) / 15]; 0 lies in the first."""
    edges = [Fraction(k, BINS) for k in range(BINS + 1)]
    return [
        [i for i, value in enumerate(values) if edges[k] < Fraction(value) <= edges[k + 1] or (k == 0 and value == 0)]
        for k in range(BINS)
    ]


def _calibration_error(confidence: Sequence[float], right: Sequence[bool]) -> float | None:
    total = 0.0
    for inside in _bins(confidence):
        if inside:
            one = _reliability(confidence, right, inside)
            total += one["count"] / len(confidence) * abs(one["accuracy"] - one["confidence"])
    return total if confidence else None


def _reliability(confidence: Sequence[float], right: Sequence[bool], inside: Sequence[int]) -> dict[str, Any]:
    return {
        "count": len(inside),
        "confidence": _mean([confidence[i] for i in inside]),
        "accuracy": _mean([right[i] for i in inside]),
    }


def _squared(row: Sequence[float], y: int) -> float:
    return math.fsum((score - (c == y)) ** 2 for c, score in enumerate(row))


def _confusion(
    scores: Sequence[Sequence[float]], labels: Sequence[int], members: Sequence[Sequence[int]]
) -> dict[str, dict[str, float | None]]:
    """By true group, then by group: the mean over the rows of the first of the sum of the scores of the second."""

    def mass(true: int, given: int) -> list[float]:
        return [math.fsum(scores[i][c] for c in members[given]) for i in _rows(labels, members[true])]

    return {name: {other: _mean(mass(t, g)) for g, other in enumerate(GROUPS)} for t, name in enumerate(GROUPS)}


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _mean_of_defined(values: Sequence[float | None]) -> float | None:
    return _mean([value for value in values if value is not None])
