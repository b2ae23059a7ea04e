"""Classifier heads that are learned on features: `fit_head`, with one function for each kind of spec."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from longtail_cli.errors import InputError, Problem, UsageError
from longtail_cli.fitting.classifiers import Training
from longtail_cli.fitting.closed_forms import (
    TAUS,
    balanced_accuracies,
    class_means,
    cosine_head,
    longest,
    mean_of,
    nearest_mean_head,
    normalized_weights,
)
from longtail_cli.fitting.fitted import Fitted, Tried
from longtail_cli.fitting.head_inputs import (
    features_of,
    notes_on_absent,
    required,
    rows_per_target,
    with_background_column,
)
from longtail_cli.fitting.linear_head import FeatureRows, LinearHead
from longtail_cli.fitting.methods import (
    AUTO,
    Classifier,
    ClassifierRetraining,
    HeadFit,
    NearestClassMean,
    TauNormalized,
)
from longtail_cli.fitting.progress import Progress
from longtail_cli.fitting.rows import LabelledRows
from longtail_cli.methods.steps import Classify
from longtail_cli.tables import FrequencyTable, LogitColumns


def fit_head(
    method: HeadFit,
    rows: LabelledRows,
    table: FrequencyTable | None,
    given: LinearHead | None,
    seed: int,
    progress: Progress,
) -> Fitted:
    """The head that `method` finds on `rows`.

    table: how often the classes occur, in order of id as in `rows`, for losses and samplers that need it.
    given: the head that made the logits of `rows`, if known.
    seed: of what is random; the same seed gives the same head.
    Raises UsageError if something that the method needs is missing, and InputError for rows that cannot be used, or if
    the result is not finite.
    """
    if _chooses_strength(method):
        _check_held_out(method, rows)
    elif rows.apart:
        rows = rows.where(rows.held_out if isinstance(method, TauNormalized) else rows.last)
    features = features_of(rows)
    match method:
        case Classifier() | ClassifierRetraining():
            trained, learned = _as_classifier(method), with_background_column(rows)
            fitted = Training(trained, learned, features, table, given, rows.columns, seed, progress).fit()
        case NearestClassMean():
            fitted = _nearest_mean(method, with_background_column(rows), features)
        case TauNormalized():
            fitted = _tau_normalized(method, rows, features, required(given, "tau-norm"))
        case _:
            raise TypeError(f"not a head: {method}")
    _check_finite(fitted, method)
    return fitted


def _chooses_strength(method: HeadFit) -> bool:
    """Whether the strength of the penalty is chosen on the held-out rows."""
    return isinstance(method, Classifier | ClassifierRetraining) and method.uses_l2 and method.l2 == AUTO


def _check_held_out(method: HeadFit, rows: LabelledRows) -> None:
    """Raise UsageError unless there are rows that are held out."""
    if not rows.held_out.any():
        problem = Problem("l2", "a number, as there are no held-out rows to choose it on", AUTO)
        raise UsageError(f"method {method.spec}", [problem], "state it, for example l2=0.001, or pass more rows")


def _as_classifier(method: Classifier | ClassifierRetraining) -> Classifier:
    if isinstance(method, Classifier):
        return method
    if method.solver == "sgd":
        return Classifier(loss="ce", solver="sgd", preset=method.preset)
    return Classifier(loss="ce", sampler="class-balanced", l2=method.l2)


def _nearest_mean(method: NearestClassMean, rows: LabelledRows, features: FeatureRows) -> Fitted:
    center = mean_of(features) if method.features == "cl2n" else np.zeros(features.dimensions)
    unit_length = method.features != "raw"
    changed = replace(features, center=torch.from_numpy(center), unit_length=unit_length)
    count = rows_per_target(rows)
    means = class_means(changed, rows.target, len(count))
    if method.metric == "cosine":
        head, unit_length = cosine_head(means, count > 0), True
    else:
        head = nearest_mean_head(means, count > 0, longest(changed))
    columns = LogitColumns("softmax", rows.columns.background, rows.columns.category_id)
    step = Classify(head.weight, head.bias, center, unit_length, columns)
    return Fitted((step,), columns, {}, (), (), 1, converged=True, notes=notes_on_absent(rows, "ncm"))


def _tau_normalized(method: TauNormalized, rows: LabelledRows, features: FeatureRows, given: LinearHead) -> Fitted:
    weight, columns = given.weight, rows.columns
    if columns.head == "bags":
        problem = Problem("head", "softmax or sigmoid", "bags, whose slices have no common scale")
        raise UsageError(f"method {method.spec}", [problem], "choose another method")
    kept = np.ones(len(weight), np.bool_)
    kept[columns.classes] = False
    zeros = np.zeros(weight.shape[1])
    tried: tuple[Tried, ...] = ()
    if method.tau == AUTO:
        known = rows.target < len(weight)  # a sigmoid head may have no column for the background
        counted = replace(features, index=features.index[known])
        accuracy = balanced_accuracies(counted, rows.target[known], weight, kept)
        tried = tuple(map(Tried, TAUS.tolist(), accuracy.tolist()))
    tau = max(tried, key=lambda one: one.score).value if tried else float(method.tau)
    step = Classify(normalized_weights(weight, tau, kept), np.zeros(len(weight)), zeros, False, columns)
    return Fitted((step,), columns, {"tau": tau} if tried else {}, tried, (), int(bool(tried)), converged=True)


def _check_finite(fitted: Fitted, method: HeadFit) -> None:
    """Raise InputError if a weight is not finite."""
    for step in fitted.steps:
        if isinstance(step, Classify) and not (np.isfinite(step.weight).all() and np.isfinite(step.bias).all()):
            problem = Problem("head", "finite weights", "NaN or infinity")
            fix = "choose a smaller learning rate (lr), a stronger penalty (l2), or features on a smaller scale"
            raise InputError(f"method {method.spec}", [problem], fix)
