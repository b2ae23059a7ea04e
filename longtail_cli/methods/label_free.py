"""Methods that need no labels: they correct what the model itself shows on many rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, get_args

import numpy as np

from longtail_cli.errors import InputError, Problem
from longtail_cli.methods.base import Adjustment, Choice, ClassAffine, FileName, MethodContext, NamedMethod, Note
from longtail_cli.methods.counts import Count, ZeroCount, class_shares
from longtail_cli.methods.target import MIN_SHARE
from longtail_cli.tables import Floats, Singles

Training = Literal["ce", "logit-adjust"]
TRAININGS: tuple[Training, ...] = get_args(Training)

Rows = Annotated[str, FileName("logits file of training rows; without it, the rows that are adjusted")]

MIN_VARIANCE = 1e-11
"""Replaces smaller variances of a class's logits, as in the code of LogN's authors."""


@dataclass(frozen=True, slots=True)
class PriorToPosterior(NamedMethod):
    """z'_c = z_c + ln u_c - ln q_c with u uniform and q the prior that the model has learned: the mean of softmax(z)_c,
    or for a sigmoid head of sigmoid(z_c), over the rows of file, divided by its sum over the classes. So on a detector
    q_c is the class's part of what all classes get together; the background counts in no q_c and stays as it is. For a
    model that was trained with logit adjustment (trained=logit-adjust) q_c is proportional to the mean of
    softmax(z + ln p)_c divided by p_c = n_c / Σ n; only this needs counts.

    Source: Bhat et al., "Prior2Posterior: Model Prior Correction for Long-Tailed Learning", WACV 2025
    """

    name: ClassVar[str] = "prior2posterior"
    file: Rows = ""
    trained: Annotated[Training, Choice("the loss: cross entropy, or logit-adjusted", TRAININGS)] = "ce"
    count: Count = "image"
    zero_count: ZeroCount = "max"

    @property
    def uses_counts(self) -> bool:
        return self.trained == "logit-adjust"

    def adjustment(self, context: MethodContext) -> Adjustment:
        context.check_one_scale()
        classes, steps = len(context.columns), context.steps
        divisor = np.ones(classes)
        notes: tuple[Note, ...] = ()
        if self.uses_counts:
            divisor, notes = class_shares(context.counts(self.spec), self.count, self.zero_count)
            steps += (context.on_columns(ClassAffine(np.ones(classes), np.log(divisor))),)
        scores = context.data_access.rows(self.file, steps, "scores")
        score = context.by_row(mean_of(scores, classes)) / divisor
        if not score.sum():
            raise InputError(f"method {self.spec}", [Problem("scores", "some above 0", "none")], "check the logits")
        prior = score / score.sum()
        rare = prior < MIN_SHARE
        if rare.any():
            text = f"have a prior below {MIN_SHARE:g} in these predictions; counted as a share of {MIN_SHARE:g}"
            notes += (Note(rare, text),)
        affine = ClassAffine(np.ones(classes), -np.log(classes) - np.log(np.maximum(prior, MIN_SHARE)))
        return Adjustment((context.on_columns(affine),), context.columns, notes)


@dataclass(frozen=True, slots=True)
class LogitNormalization(NamedMethod):
    """z'_c = (z_c - (mu_c - beta)) / sigma_c with mu_c and sigma_c the mean and the standard deviation of the logits of
    class c over the rows of file, which should be many training proposals, and beta the least mu_c of the classes; the
    background stays as it is.

    Source: Zhao et al., "Logit Normalization for Long-Tail Object Detection", IJCV 2024
    """

    name: ClassVar[str] = "logn"
    uses_counts: ClassVar[bool] = False
    file: Rows = ""

    def adjustment(self, context: MethodContext) -> Adjustment:
        context.check_one_scale()
        logits = context.data_access.rows(self.file, context.steps, "logits")
        mean, variance = (context.by_row(values) for values in mean_and_variance_of(logits, len(context.columns)))
        deviation = np.sqrt(np.maximum(variance, MIN_VARIANCE))
        constant = variance < MIN_VARIANCE
        text = f"have logits that hardly vary in these rows; their variance counts as {MIN_VARIANCE:g}"
        affine = ClassAffine(1 / deviation, (mean.min() - mean) / deviation)
        notes = (Note(constant, text),) if constant.any() else ()
        return Adjustment((context.on_columns(affine),), context.columns, notes)


Blocks = Iterable[Singles | Floats]
"""Consecutive rows, each block [n, C]."""


def mean_of(blocks: Blocks, classes: int) -> Floats:
    """The mean of each column, float64 [C]. Raises InputError if there are no rows, or one is not finite."""
    total, rows = np.zeros(classes), 0
    for block in blocks:
        total += block.sum(axis=0, dtype=np.float64)
        rows += len(block)
    return _checked(total / max(rows, 1), rows)


def mean_and_variance_of(blocks: Blocks, classes: int) -> tuple[Floats, Floats]:
    """Mean and variance Σ (z - mean)² / N of each column, float64 [C] each. Raises InputError as `mean_of` does.

    The variance of each block is taken about its own mean and the blocks are then merged, so that large means cost no
    digits (Chan et al., "Algorithms for Computing the Sample Variance", The American Statistician 1983).
    """
    mean, squares, rows = np.zeros(classes), np.zeros(classes), 0
    for block in blocks:
        if not len(block):
            continue
        own = block.mean(axis=0, dtype=np.float64)
        gap, before, rows = own - mean, rows, rows + len(block)
        squares += np.square(block - own).sum(axis=0) + gap**2 * (before * len(block) / rows)
        mean += gap * (len(block) / rows)
    return _checked(mean, rows), squares / max(rows, 1)


def _checked(mean: Floats, rows: int) -> Floats:
    if not rows:
        raise InputError("statistics", [Problem("rows", "at least one", "none")], "pass logits with rows")
    if not np.isfinite(mean).all():
        problem = Problem("logits", "finite numbers", "NaN or infinity")
        raise InputError("statistics", [problem], "find the step of the model that makes them")
    return mean
