"""`ltcal fit`: labelled rows from what a model saved, and what is learned on them, for any kind of input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from longtail_cli.choices import IouType, ProtocolChoice, ScoreSpace
from longtail_cli.errors import Problem, UsageError, require
from longtail_cli.files.paths import paths_in
from longtail_cli.files.recognise import kind_of
from longtail_cli.fitting.methods import (
    DisAlign,
    FitMethod,
    Histogram,
    Isotonic,
    LogitsFit,
    ScoresFit,
    Spline,
    parse_fit_method,
)
from longtail_cli.tables import FrequencyTable
from longtail_cli.workflow.options import InputOptions, require_torch
from longtail_cli.workflow.progress import Progress, no_progress
from longtail_cli.workflow.saved_method import Fit

SEEDS = 1 << 63
"""Seeds are less, as torch's are."""

BALANCED = "balanced"
"""The target by default: all classes alike."""

RESULTS, PROPOSALS = "a result file", "logits of a detector"

ONLY_FOR: Mapping[str, str] = MappingProxyType(
    {
        "foreground_iou": PROPOSALS,
        "background_iou": PROPOSALS,
        "negatives": PROPOSALS,
        "protocol": RESULTS,
        "iou_type": RESULTS,
        "score_space": RESULTS,
    }
)
"""The input that an option applies to, of those that do not apply to all."""


@dataclass(frozen=True, slots=True)
class FitOptions:
    """What to fit, and on which rows."""

    method: str
    """The spec of what is fitted."""
    seed: int = 0
    """Random seed of the held-out rows, of the background rows that are drawn, and of the solver: 0 <= seed < 2^63."""
    target: str = BALANCED
    """Corrections of logits: the class distribution that rows are weighted to: ``balanced``, ``as-is``, or the path of
    a frequency table. The background keeps its share."""
    foreground_iou: float = 0.5
    """Proposals: one that overlaps an object by at least this IoU has its class."""
    background_iou: float = 0.5
    """Proposals: one that overlaps every object by less is background; proposals between the two thresholds are
    left out."""
    negatives: float = 3.0
    """Proposals: background rows for each row with a class; infinity for all."""
    protocol: ProtocolChoice = "auto"
    """Result files: the rules of matching."""
    iou_type: IouType | None = None
    """Result files: whether boxes or masks are matched; None for what the file holds, boxes first."""
    score_space: ScoreSpace = "prob"
    """Result files: whether scores are probabilities or logits."""
    inputs: InputOptions = field(default_factory=InputOptions)


def fit(
    predictions: Any,
    annotations: Any = None,
    labels: Any = None,
    *,
    frequencies: Path | FrequencyTable | None,
    held_out: Any = None,
    options: FitOptions,
    progress: Progress = no_progress,
) -> Fit:
    """Learn what `options` name on these predictions.

    predictions: logits of a classifier, or of a detector with annotations; for a map of scores a result file, with
    annotations. labels: the true classes of a classifier; None for those in the file. held_out: other logits of the
    classifier with labels, to choose settings on; None for a fifth of the rows.
    Raises InputError for broken files, rows that nothing can be learned on, and a result that is not finite; UsageError
    for options that do not fit them.
    """
    method = parse_fit_method(options.method)
    if not 0 <= options.seed < SEEDS:
        problem = Problem("`seed=`", f"a whole number from 0 to {SEEDS - 1}", str(options.seed))
        raise UsageError("fit", [problem], "choose a number in this range")
    _check_kind(method, predictions, annotations)
    _check_target(method, options.target)
    _check_options(method, options, detector=annotations is not None)
    if annotations is not None:
        _check_not_a_classifier(labels, held_out)
    if isinstance(method, Isotonic | Histogram | Spline):
        require("scipy", f"the maps of {method.name}", "fit")
    progress("reading", None)
    if isinstance(method, ScoresFit):
        from longtail_cli.workflow.fit_results import fit_results

        return fit_results(method, predictions, annotations, frequencies, options, progress)
    require_torch()
    import torch

    from longtail_cli.workflow.fit_logits import fit_classifier, fit_detector

    with torch.inference_mode(False), torch.enable_grad():  # a caller may have switched gradients off
        if annotations is None:
            return fit_classifier(method, predictions, labels, held_out, frequencies, options, progress)
        return fit_detector(method, predictions, annotations, frequencies, options, progress)


def _check_target(method: FitMethod, target: str) -> None:
    """Raise UsageError for a target that the method does not use."""
    used = isinstance(method, LogitsFit) and not isinstance(method, DisAlign)
    if target != BALANCED and not used:
        problem = Problem("`target=`", f"{BALANCED}, the default, as the method has weights of its own", target)
        raise UsageError(f"method {method.name}", [problem], "leave it out")


def _check_options(method: FitMethod, options: FitOptions, *, detector: bool) -> None:
    """Raise UsageError for options that differ from their default and do not apply to the input."""
    given = RESULTS if isinstance(method, ScoresFit) else PROPOSALS if detector else "logits of a classifier"
    default = FitOptions(options.method)
    unused = [
        Problem(f"`{name}=`", f"the default for {given}, as it is for {only}", str(getattr(options, name)))
        for name, only in ONLY_FOR.items()
        if only != given and getattr(options, name) != getattr(default, name)
    ]
    if unused:
        raise UsageError("fit", unused, "leave it out")


def _check_not_a_classifier(labels: Any, held_out: Any) -> None:
    """Raise UsageError for what only classifiers have."""
    expected = {
        "`labels=`": (labels, "none for detectors, whose annotations have the classes"),
        "`held_out=`": (held_out, "none for detectors, of which a fifth of the images is held out"),
    }
    unused = [Problem(name, wanted, "some") for name, (value, wanted) in expected.items() if value is not None]
    if unused:
        raise UsageError("fit", unused, "leave it out")


def _check_kind(method: FitMethod, predictions: Any, annotations: Any) -> None:
    """Raise UsageError for a method that cannot be learned from this kind of input."""
    results = isinstance(method, ScoresFit)
    if paths_in(predictions) and (kind_of(predictions) == "results") != results:
        expected = "a result file with one score per detection" if results else "full logits"
        found = "logits" if results else "a result file"
        fix = "fit temperature, bcts or vector on them" if results else "fit platt, beta, isotonic or spline"
        raise UsageError(f"method {method.name}", [Problem("input", expected, found)], fix)
    if results and annotations is None:
        problem = Problem("`annotations=`", "the objects that detections are matched with", "none")
        raise UsageError(f"method {method.name}", [problem], "pass the annotations of the images in the result file")
