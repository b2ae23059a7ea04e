"""Estimating the class shares of a set without labels from what a classifier says of it (label shift)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from longtail_cli.errors import InputError, Problem
from longtail_cli.tables import Floats, Longs, Singles

MOST_ROUNDS = 200
TOLERANCE = 1e-7
"""EM ends where no share changes by more."""


def by_maximum_likelihood(predictions: Callable[[], Iterable[Singles]], source: Floats) -> Floats:
    """p_t that makes the predictions most likely, by EM.

    p_t'(c) = mean over rows of p_t(c)/p_s(c) s_c / Σ_j p_t(j)/p_s(j) s_j, beginning with p_t = p_s (Saerens et al.,
    "Adjusting the Outputs of a Classifier to New a Priori Probabilities", Neural Computation 2002, section 2.2).

    predictions: gives the scores float32 [n, C] block by block, anew at every call; rows sum to 1.
    source: p_s, float64 [C], > 0, sums to 1. Returns float64 [C], >= 0, sums to 1; `source` where there are no rows.
    """
    target = source
    for _ in range(MOST_ROUNDS):
        total, rows = np.zeros_like(source), 0
        for scores in predictions():
            weighted = scores * (target / source)
            total += (weighted / weighted.sum(axis=1, keepdims=True)).sum(axis=0)
            rows += len(scores)
        if not rows:
            return source
        before, target = target, total / rows
        if np.abs(target - before).max() < TOLERANCE:
            break
    return target


def by_confusion(labelled: Iterable[tuple[Singles, Longs]], predictions: Iterable[Singles], classes: int) -> Floats:
    """p_t = w p_v with C w = μ: C_ij the share of the labelled rows of class j predicted as i, μ_i of all rows.

    Black box shift estimation (Lipton et al., "Detecting and Correcting for Label Shift with Black Box Predictors",
    ICML 2018, section 3, with hard predictions). p_v are the class shares of the labelled rows. Where C cannot be
    inverted (a class is never predicted), w is the solution of least squares and norm; negative shares become 0.

    Returns float64 [C], >= 0, sums to 1. Raises InputError where a class has no labelled row, there are no predictions,
    or only ones of classes that no labelled row was predicted as.
    """
    joint = np.zeros((classes, classes))
    for scores, label in labelled:
        np.add.at(joint, (scores.argmax(axis=1), label), 1.0)
    absent = np.flatnonzero(joint.sum(axis=0) == 0)
    if len(absent):
        problem = Problem("labels", f"rows of all {classes} classes", f"none of class column {absent[0]}")
        fix = "pass a labelled file with every class, or choose prior=em"
        raise InputError("prior=bbse", [problem], fix, total=len(absent))
    predicted = sum(
        (np.bincount(scores.argmax(axis=1), minlength=classes) for scores in predictions), np.zeros(classes)
    )
    if not predicted.sum():
        raise InputError("prior=bbse", [Problem("predictions", "at least one row", "none")], "pass a file with rows")
    joint /= joint.sum()
    ratio = np.linalg.lstsq(joint, predicted / predicted.sum(), rcond=None)[0]
    share = np.maximum(ratio * joint.sum(axis=0), 0.0)
    if not share.sum():
        problem = Problem("predictions", "classes that are predicted for labelled rows too", "none of these")
        raise InputError("prior=bbse", [problem], "pass labelled rows of the same classifier, or choose prior=em")
    return np.asarray(share / share.sum())
