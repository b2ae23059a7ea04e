"""Replacing the class shares of the training set by those of the set that is predicted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, get_args

import numpy as np

from longtail_cli.errors import InputError, Problem, UsageError
from longtail_cli.methods.base import Adjustment, Choice, ClassAffine, FileName, MethodContext, NamedMethod, Note
from longtail_cli.methods.counts import Count, ZeroCount, class_shares
from longtail_cli.tables import Floats, FrequencyTable, Longs, Singles

TargetName = Literal["uniform", "file", "em", "bbse"]
TARGETS: tuple[TargetName, ...] = get_args(TargetName)

MIN_SHARE = 1e-8
"""Replaces smaller estimated shares: the logarithm of 0 is infinite."""


@dataclass(frozen=True, slots=True)
class TargetPrior(NamedMethod):
    """z'_c = z_c - ln p_s(c) + ln p_t(c) with p_s from the training counts and p_t uniform, from the counts of another
    table (file), estimated from the predictions themselves by EM (em), or estimated from the confusion matrix on a
    labelled logits file (bbse); the background stays as it is. bbse estimates the ratio of p_t to the shares of the
    labelled rows and multiplies it by these; what p_t is divided by is p_s, the shares of the training counts.

    Source: Saerens et al., "Adjusting the Outputs of a Classifier to New a Priori Probabilities", Neural Computation
    2002, section 2; for bbse Lipton et al., "Detecting and Correcting for Label Shift with Black Box Predictors", ICML
    2018, section 3
    """

    name: ClassVar[str] = "target-prior"
    prior: Annotated[TargetName, Choice("where p_t comes from", TARGETS)] = "uniform"
    file: Annotated[str, FileName("a frequency table for prior=file, a logits file with labels for prior=bbse")] = ""
    count: Count = "image"
    zero_count: ZeroCount = "max"

    def adjustment(self, context: MethodContext) -> Adjustment:
        if (self.prior in ("file", "bbse")) != bool(self.file):
            problem = Problem("file", "a name for prior=file and prior=bbse, none otherwise", repr(self.file))
            raise UsageError(f"method {self.spec}", [problem], "for example target-prior:prior=file,file=target.csv")
        table = context.counts(self.spec)
        source, notes = class_shares(table, self.count, self.zero_count)
        target, target_notes = self._target(context, table, source)
        affine = ClassAffine(np.ones(len(table)), np.log(target) - np.log(source))
        return Adjustment((context.on_columns(affine),), context.columns, notes + target_notes)

    def _target(self, context: MethodContext, table: FrequencyTable, source: Floats) -> tuple[Floats, tuple[Note, ...]]:
        """p_t in the order of the table, all above 0."""
        if self.prior == "uniform":
            return np.full(len(table), 1.0 / len(table)), ()
        if self.prior == "file":
            other = context.data_access.prior(self.file)
            if not np.array_equal(other.category_id, table.category_id):
                problem = Problem("category_id", f"the {len(table)} classes of the training table", "others")
                raise InputError(self.file, [problem], "count both sets with the same list of categories")
            return class_shares(other, self.count, self.zero_count)
        self._refuse_detection(context)
        row = context.table_rows()
        estimate = np.empty(len(table))
        estimate[row] = self._estimate(context, source[row])
        absent = estimate < MIN_SHARE
        text = f"are estimated not to occur; counted as a share of {MIN_SHARE:g}"
        return np.maximum(estimate, MIN_SHARE), (Note(absent, text),) if absent.any() else ()

    def _estimate(self, context: MethodContext, source: Floats) -> Floats:
        """p_t in column order."""
        data_access, steps = context.data_access, context.steps
        if self.prior == "em":
            return by_maximum_likelihood(lambda: data_access.predictions(steps), source)
        return by_confusion(data_access.labelled(self.file, steps), data_access.predictions(steps), len(source))

    def _refuse_detection(self, context: MethodContext) -> None:
        if context.columns.head != "softmax" or context.columns.background != "none":
            actual = f"{context.columns.head}, background {context.columns.background}"
            problem = Problem("head", "softmax without background, as in image classifiers", actual)
            raise UsageError(f"method {self.spec}", [problem], "choose prior=uniform or prior=file")


MAX_ROUNDS = 200
TOLERANCE = 1e-7
"""EM stops when no share changes by more."""


def by_maximum_likelihood(predictions: Callable[[], Iterable[Singles]], source: Floats) -> Floats:
    """The p_t under which the predictions are most likely, by EM.

    p_t'(c) = mean over rows of p_t(c)/p_s(c) s_c / Σ_j p_t(j)/p_s(j) s_j, starting from p_t = p_s (Saerens et al.,
    "Adjusting the Outputs of a Classifier to New a Priori Probabilities", Neural Computation 2002, section 2.2).

    predictions: returns the scores in blocks of float32 [n, C], from the start at every call; rows sum to 1.
    source: p_s, float64 [C], > 0, sums to 1. Returns float64 [C], >= 0, sums to 1; `source` if there are no rows.
    """
    target = source
    for _ in range(MAX_ROUNDS):
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
    """p_t = w p_v with C w = μ: C_ij is the share of labelled rows of class j predicted as i, μ_i that of all rows.

    Black box shift estimation (Lipton et al., "Detecting and Correcting for Label Shift with Black Box Predictors",
    ICML 2018, section 3, with hard predictions). p_v are the class shares of the labelled rows. If C is singular (a
    class is never predicted), w is the least-squares solution of minimum norm; negative shares become 0.

    Returns float64 [C], >= 0, sums to 1. Raises InputError if a class has no labelled row, or no prediction is of a
    class that some labelled row was predicted as.
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
        problem = Problem("predictions", "classes that are also predicted for labelled rows", "none of these")
        raise InputError("prior=bbse", [problem], "pass labelled rows of the same classifier, or choose prior=em")
    return np.asarray(share / share.sum())
